//! `xlb bench`: nanoseconds a packet of the very program that would run, on this very machine.
//!
//! The kernel runs the program on a frame, many times over (`BPF_PROG_TEST_RUN`). Because a program
//! that rewrites its frame would find another one the next time, a small wrapper restores the
//! frame, makes it the next flow's, and calls the program. In every round the same wrapper also
//! calls a program that does nothing: the difference is what the load balancer costs.

/// The cases: frames and what is varied in them.
mod cases;
/// Building frames.
mod frames;
/// Rounds of measurements.
mod measure;
/// What is printed.
mod report;

/// The command.
mod command;

pub use command::run;
pub use measure::Settings;
pub use report::Report;

/// Measures the cases that the settings name.
///
/// # Errors
///
/// The program can't be loaded, or treats a case's frame otherwise than expected.
pub fn measure(settings: &Settings) -> anyhow::Result<Report> {
    measure::run(settings)
}
