//! The program in the kernel, packet by packet: each frame goes in by a test run, and the verdict,
//! every byte of the frame that comes out, and every counter are compared with what is expected.
//!
//! What is expected is built whole, checksums and all, by another implementation than the program's
//! (`etherparse`). Nothing is sent anywhere, and no tool, file or interface but the loopback is
//! needed: the same executable also runs in the guests of `cargo xtask kernels`.
//! `XLB_TEST_LIGHT=1` makes do with fewer random packets, for slow machines.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails should say where")]

/// The loaded program, and the check of one packet.
#[expect(dead_code, reason = "shared with the tests of the kernel's routes")]
#[path = "packets/bed.rs"]
mod bed;
/// What is expected of a packet.
#[path = "packets/expect.rs"]
mod expect;
/// Packets, described by what matters in them.
#[path = "packets/packet.rs"]
mod packet;
/// The services, backends, clients and next hops of the tests.
#[path = "packets/world.rs"]
mod world;

// The specification, in the order in which a packet meets the program's parts.

#[path = "packets/foreign.rs"]
mod foreign;
#[path = "packets/fragments.rs"]
mod fragments;
#[path = "packets/headers.rs"]
mod headers;
#[path = "packets/hops.rs"]
mod hops;
#[path = "packets/replies.rs"]
mod replies;
#[path = "packets/requests.rs"]
mod requests;
#[path = "packets/translation.rs"]
mod translation;
#[path = "packets/truncated.rs"]
mod truncated;
#[path = "packets/vlan.rs"]
mod vlan;
#[path = "packets/watched.rs"]
mod watched;

// Both sides agree.

#[path = "packets/choice.rs"]
mod choice;
#[path = "packets/layout.rs"]
mod layout;

// Whatever comes.

#[path = "packets/anything.rs"]
mod anything;
#[path = "packets/judge.rs"]
mod judge;
