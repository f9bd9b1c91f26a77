//! What is printed.

use serde::Serialize;

use super::cases::Case;

/// A median and the least and the most beside it, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The median.
    pub median_ns: f64,
    /// The least.
    pub min_ns: f64,
    /// The most.
    pub max_ns: f64,
}

impl Spread {
    /// Of some samples, at least one.
    pub(super) fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            (at(middle.wrapping_sub(1)) + at(middle)) / 2.0
        } else {
            at(middle)
        };
        Self { median_ns: median, min_ns: at(0), max_ns: at(sorted.len().wrapping_sub(1)) }
    }
}

/// One case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Name, without the number of flows.
    pub case: String,
    /// How many flows took turns.
    pub flows: u32,
    /// Wrapper and program.
    pub median_ns: f64,
    /// The least of the rounds.
    pub min_ns: f64,
    /// The most of the rounds.
    pub max_ns: f64,
    /// Wrapper and a program that does nothing, in the same rounds.
    pub floor_ns: f64,
    /// Median of the rounds' differences: what the load balancer costs.
    pub net_ns: f64,
    /// [`Line::net_ns`] over the bare floor.
    pub net_over_floor: f64,
    /// Millions of packets a second of one core, if the program were all that it did.
    pub mpps: f64,
}

impl Line {
    pub(super) fn new(
        case: &Case,
        whole: Spread,
        floor: Spread,
        net: Spread,
        bare: Spread,
    ) -> Self {
        Self {
            case: case.name.clone(),
            flows: case.flows,
            median_ns: whole.median_ns,
            min_ns: whole.min_ns,
            max_ns: whole.max_ns,
            floor_ns: floor.median_ns,
            net_ns: net.median_ns,
            net_over_floor: net.median_ns / bare.median_ns,
            mpps: 1e3 / (bare.median_ns + net.median_ns),
        }
    }
}

/// What `xlb bench --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// 1.
    pub schema: u32,
    /// The program's entry point.
    pub entry: String,
    /// Rounds.
    pub rounds: u32,
    /// Packets of each case in a round.
    pub packets: u32,
    /// How many instructions the verifier walked through.
    pub verified_instructions: u32,
    /// An empty program that sends the frame back, without the wrapper.
    pub floor: Spread,
    /// Each case.
    pub results: Vec<Line>,
}
