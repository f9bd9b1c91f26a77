//! The agent, `xlb run`: one task owns the desired state and is the only writer of the maps.
//!
//! The API, the kernel's network notices and timers send it messages; it answers one after the
//! other. A change is validated, written where no packet looks yet, saved, and then published by
//! single stores that can't fail.
//!
//! # Contents

/// From arguments and configuration to settings.
mod settings;

/// The order of a start and of an end.
mod start;

/// The single writer.
mod actor;

/// Changes of services and backends.
mod change;

/// From the desired state to what the data path is given.
mod plan;

/// Next hops: which numbers stand for which.
mod hops;

/// Following the network.
mod follow;

/// Slots that change: from the first packet that must stay to the last.
mod moves;

/// Interfaces: attached, missing, taken over.
mod interfaces;

/// VIPs on interfaces.
mod vips;

/// The program's time.
mod clock;

/// What status and statistics are made of.
mod answers;

/// What each CPU does.
mod cpus;

pub use start::run;
