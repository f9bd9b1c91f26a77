//! xlb, an XDP/eBPF layer-4 load balancer: the agent and its command line.
//!
//! # Contents
//!
//! In the order in which a command goes through them:

/// The API on the Unix socket: its JSON shapes, its client and its server.
pub mod api;
