//! xlb, an XDP/eBPF layer-4 load balancer: the agent and its command line.
//!
//! # Contents
//!
//! In the order in which a command goes through them:

/// The API on the Unix socket: its JSON shapes, its client and its server.
pub mod api;

/// The data path as the control plane sees it: programs, maps, and what is written into them.
pub mod dataplane;

/// `xlb bench`: nanoseconds a packet of the very program that would run, on this very machine.
pub mod bench;

/// This machine's network: what the agent knows of it, and what it does to it.
pub mod net;
