//! The network module against the real kernel, in network namespaces of its own.
//!
//! Each test makes its namespaces, with the process id in their names, and removes them again. A
//! test's body runs in a thread that has entered a namespace and has a runtime of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails should say where"
)]

#[path = "net/interfaces.rs"]
mod interfaces;
#[path = "net/lab.rs"]
mod lab;
#[path = "net/seeing.rs"]
mod seeing;
#[path = "net/settings.rs"]
mod settings;
#[path = "net/vips.rs"]
mod vips;
