//! The lab: networks of namespaces with real clients, servers and agents, for the tests and for
//! `cargo xtask demo`.
//!
//! # Contents
//!
//! From the ground up. Everything here cleans up after itself when it is dropped, also when a test
//! panics; what a killed lab left behind is swept away by the next one. Nothing here depends on the
//! xlb crate: xlb is used as its users use it, through its binary.

#![deny(unsafe_code)]

/// An agent and the command line that talks to it.
pub mod agent;
/// Where the binaries under test are.
pub mod binaries;
/// Running programs to their end.
pub mod command;
/// The UDP service of the backends.
pub mod echo;
/// Ctrl-C and SIGTERM, noticed instead of dying from them.
pub mod interrupt;
/// A lab: its name, its directory, its end.
pub mod lab;
/// Load: clients that count what went well.
pub mod load;
/// Network namespaces.
pub mod namespace;
/// nginx as a backend.
pub mod nginx;
/// Programs that run as long as the lab does.
pub mod process;
/// A network with servers, an agent and services.
pub mod scene;
/// The system calls that need `unsafe`.
mod sys;
/// The cabling of the labs that tests and the demo use.
pub mod topology;
/// Waiting for conditions.
pub mod wait;
