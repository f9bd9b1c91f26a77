//! What xlb's eBPF program and its control plane share.
//!
//! Everything here is free of I/O and of allocation, so that the same code runs in the kernel, in
//! the agent and in tests. The feature `std` adds what only the control plane does: building the
//! tables that the program reads.
//!
//! # Contents
//!
//! In the order in which a packet meets them:

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

/// Every struct, capacity and map that both sides see: the only place a byte layout is defined.
pub mod layout;

/// Perfect-hash index: from a packet's address, port and protocol to a service or a target.
pub mod index;

/// The Toeplitz hash that NICs use for receive-side scaling.
pub mod toeplitz;

/// Slots: from a hash to a slot word, and what a slot word says.
pub mod slot;

/// The slot automaton: where the packets of a slot go whose backend changes.
pub mod automaton;

/// Incremental Internet checksums.
pub mod checksum;

/// Verdicts: why a packet was passed or dropped, each with a name and a line of documentation.
pub mod reason;

/// Weighted Maglev tables.
#[cfg(feature = "std")]
pub mod maglev;
