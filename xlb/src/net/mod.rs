//! This machine's network: what the agent knows of it, and what it does to it.
//!
//! The kernel is the source: its links, addresses, routes and neighbours are read over netlink into
//! a `NetView`, from which everything else follows by pure functions. Requests go through a
//! `Handle` that belongs to the network namespace in which `connect` was called.
//!
//! # Contents

use std::io;
use std::net::IpAddr;

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

/// Having the kernel resolve and confirm neighbours.
pub mod neighbour;

/// The kernel settings that handing packets up needs.
pub mod sysctl;

/// VIPs as addresses of this node.
pub mod announce;

mod frames;
mod packet;

/// XDP programs on an interface, whoever attached them.
pub mod interface;

/// What a driver does to frames before a program sees them.
pub mod ethtool;

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
    /// A neighbour can't be asked for.
    #[error("can't ask for the neighbour {address} on interface {ifindex}: {source}")]
    Neighbour {
        /// The interface.
        ifindex: u32,
        /// The neighbour.
        address: IpAddr,
        /// The kernel's answer.
        source: rtnetlink::Error,
    },
    /// A VIP can't be put on an interface or taken off it.
    #[error("can't {doing} {vip} {place}: {source}")]
    Address {
        /// `put` or `take`.
        doing: &'static str,
        /// The VIP.
        vip: IpAddr,
        /// On or off which interface.
        place: String,
        /// The kernel's answer.
        source: rtnetlink::Error,
    },
    /// Frames can't be sent or received.
    #[error("can't speak for {vip} on {link}: {source}; is it up, and has the agent CAP_NET_RAW?")]
    Packets {
        /// The interface.
        link: String,
        /// The VIP.
        vip: IpAddr,
        /// The kernel's answer.
        source: io::Error,
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
