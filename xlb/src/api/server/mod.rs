//! The API server: HTTP/1.1 and JSON on a Unix socket.
//!
//! It has no state of its own. Each request is read, checked for its shape and handed to the agent's
//! single writer, one message with a way back for the answer; what comes back is what the client
//! gets. Everything that goes wrong is answered with a `Failure`.

use std::future::Future;
use std::io;

use tokio::sync::mpsc;

use super::request::Request;

mod answer;
mod input;
mod routes;
mod socket;

#[cfg(test)]
mod socket_tests;
#[cfg(test)]
mod tests;

pub use socket::{ListenError, Socket};

/// Largest body of a request, in bytes.
pub const BODY_MAX: usize = 1 << 20;

/// Serves the API until `shutdown` is done and the requests under way are answered. Then the socket
/// is removed.
pub async fn serve(
    socket: Socket,
    agent: mpsc::Sender<Request>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (listener, _owned) = socket.into_parts();
    axum::serve(listener, routes::router(agent)).with_graceful_shutdown(shutdown).await
}
