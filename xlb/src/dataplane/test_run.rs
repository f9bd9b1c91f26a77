//! Running the programs on frames of one's own (`BPF_PROG_TEST_RUN`).
//!
//! Nothing is sent: a verdict comes back, and the frame as the program left it. The frame seems to
//! come from the loopback interface of this network namespace, index 1.

use std::time::Duration;

use anyhow::{Context, Result};
use aya::TestRun;
use aya::programs::{TestRunOptions, Xdp};

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The program's verdict: 0 aborted, 1 drop, 2 pass, 3 transmit, 4 redirect.
    pub verdict: u32,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
}

/// Runs `program` once on `frame`.
///
/// # Errors
///
/// What the kernel says; frames of less than 14 bytes are refused by it.
pub fn once(program: &Xdp, frame: &[u8]) -> Result<Outcome> {
    // Room for tags that the program may push.
    let mut out = vec![0; frame.len() + 256];
    let result = program
        .test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            repeat: 1,
            ..TestRunOptions::new()
        })
        .context("the kernel refused a test run of the program")?;
    out.truncate(result.data_size_out as usize);
    Ok(Outcome { verdict: result.return_value, frame: out })
}

/// Runs `program` `repeat` times on `frame` and gives the kernel's mean time of a run.
///
/// # Errors
///
/// What the kernel says.
pub fn repeated(program: &Xdp, frame: &[u8], repeat: u32) -> Result<(u32, Duration)> {
    let result = program
        .test_run(TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::new() })
        .context("the kernel refused a test run of the program")?;
    Ok((result.return_value, result.duration))
}
