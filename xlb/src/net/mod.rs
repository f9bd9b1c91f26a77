//! This machine's network: what the agent knows of it, and what it does to it.
//!
//! The kernel is the source: its links, addresses, routes and neighbours are read over netlink into
//! a [`NetView`], from which everything else follows by pure functions. Requests go through a
//! [`Handle`] that belongs to the network namespace in which [`connect`] was called.
//!
//! # Contents

use std::io;

/// A connection to the kernel's routing netlink; cheap to clone.
pub use rtnetlink::Handle;

/// What is known of the network: plain data.
pub mod view;

/// Reading the network from the kernel.
pub mod snapshot;

mod parse;

/// Hearing of changes to the network.
pub mod watch;

/// Where a destination's packets go.
pub mod routes;

/// Gateway routes compiled into what the program reads.
pub mod compile;

/// Which interfaces a program can send from, and how frames look there.
pub mod egress;

/// The kernel settings that handing packets up needs.
pub mod sysctl;

pub use compile::{Compiled, compile};
pub use egress::{egress, hop_of};
pub use routes::{Fib, NextHop, Via};
pub use snapshot::{refresh, snapshot};
pub use view::{Mac, NetView};
pub use watch::{Changes, Watcher};

/// What can go wrong between the agent and the kernel's network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something can't be read.
    #[error("can't read this machine's {what} from the kernel: {source}")]
    Dump {
        /// What was asked for.
        what: &'static str,
        /// The kernel's answer.
        source: rtnetlink::Error,
    },
}

/// Connects to the kernel in the current network namespace.
///
/// # Errors
///
/// If no netlink socket can be opened. Must be called within a tokio runtime.
pub fn connect() -> io::Result<Handle> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    Ok(handle)
}
