//! The API on the Unix socket: HTTP/1.1 and JSON, so that `curl --unix-socket` works.

/// The JSON shapes of requests and answers.
pub mod types;

/// The client: one request over a new connection.
pub mod client;

/// What the server asks of the agent's single writer.
pub mod request;

/// The server.
pub mod server;

#[cfg(test)]
mod docs;
