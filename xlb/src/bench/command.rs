//! The command: from arguments to settings to what is printed.

use std::fmt::Write;

use anyhow::Result;

use super::measure::{self, Settings};
use super::report::Report;
use crate::cli::BenchArgs;
use crate::output::Output;

/// What a full measurement takes unless told otherwise.
const FULL: (u32, u32) = (31, 1_000_000);
/// What a quick one takes.
const QUICK: (u32, u32) = (5, 200_000);

/// `xlb bench`.
///
/// # Errors
///
/// The program can't be loaded, or treats a frame otherwise than expected.
pub fn run(output: &Output, args: BenchArgs) -> Result<()> {
    let (rounds, packets) = if args.quick { QUICK } else { FULL };
    let settings = Settings {
        rounds: args.rounds.unwrap_or(rounds),
        packets: args.packets.unwrap_or(packets),
        only: args.cases,
    };
    let report = measure::run(&settings)?;
    output.print(&report, |_| table(&report))
}

fn table(report: &Report) -> String {
    let mut text = format!(
        "{} in the kernel, {} instructions verified; {} rounds of {} packets\n\
         floor: an empty program that sends the frame back, {:.1} ns a packet ({:.1} to {:.1})\n\n\
         {:16} {:>8} {:>8} {:>7} {:>7} {:>8} {:>8} {:>6} {:>7}\n",
        report.entry,
        report.verified_instructions,
        report.rounds,
        report.packets,
        report.floor.median_ns,
        report.floor.min_ns,
        report.floor.max_ns,
        "CASE",
        "FLOWS",
        "MEDIAN",
        "MIN",
        "MAX",
        "WRAPPER",
        "NET NS",
        "RATIO",
        "MPPS",
    );
    for line in &report.results {
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{:16} {:>8} {:>8.1} {:>7.1} {:>7.1} {:>8.1} {:>8.1} {:>6.2} {:>7.1}",
            line.case,
            line.flows,
            line.median_ns,
            line.min_ns,
            line.max_ns,
            line.floor_ns,
            line.net_ns,
            line.net_over_floor,
            line.mpps,
        );
    }
    text.push_str(
        "\nNET is the median less WRAPPER, what restoring the frame and an empty program take in the \
         same rounds;\nRATIO is NET over the floor. MPPS is what one core would do if it did nothing else.\n",
    );
    text
}
