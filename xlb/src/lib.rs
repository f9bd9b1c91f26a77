//! xlb, an XDP/eBPF layer-4 load balancer: the agent and its command line.
//!
//! # Contents
//!
//! In the order in which a command goes through them:

/// The command line: the whole tree of commands, options and their help.
pub mod cli;

/// The commands: one file each, from arguments to a request to what is printed.
pub mod cmd;

/// The API on the Unix socket: its JSON shapes, its client and its server.
pub mod api;

/// The data path as the control plane sees it: programs, maps, and what is written into them.
pub mod dataplane;

/// `xlb bench`: nanoseconds a packet of the very program that would run, on this very machine.
pub mod bench;

/// This machine's network: what the agent knows of it, and what it does to it.
pub mod net;

/// The agent: `xlb run`.
pub mod agent;

/// From two readings of the counters to rates and shares.
pub mod rates;

/// What the command line prints: nothing else writes to standard output or standard error.
pub mod output;

/// What ends a command: the error, what to do about it, and the exit code.
pub mod fault;

/// The live view: `xlb top`.
pub mod tui;

#[cfg(test)]
mod fixtures;

/// The desired state: what the operator asked for, and the numbers the data path knows it by.
pub mod model;

/// What the agent must still know after it was killed: the state file and its directory.
pub mod state;

/// The configuration file.
pub mod config;
