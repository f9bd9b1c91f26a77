//! What is printed: medians with the least and the most, and xlb's rates over the other program's.

use serde::Serialize;

use crate::Settings;
use crate::bed::Sample;

#[derive(Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// Of at least one value.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len() - 1;
        let median = f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)]);
        Self { median, min: sorted[0], max: sorted[last] }
    }
}

/// One kind of rate of both programs.
#[derive(Serialize)]
struct Comparison {
    redirect_only: Spread,
    xlb: Spread,
    ratio_of_medians: f64,
    /// xlb's rate over the other's in each round.
    ratio_of_pairs: Spread,
}

impl Comparison {
    fn new(samples: &[[Sample; 2]], rate: impl Fn(&Sample) -> f64) -> Self {
        let redirect_only = Spread::of(samples.iter().map(|[plain, _]| rate(plain)));
        let xlb = Spread::of(samples.iter().map(|[_, xlb]| rate(xlb)));
        Self {
            ratio_of_medians: xlb.median / redirect_only.median,
            ratio_of_pairs: Spread::of(samples.iter().map(|[plain, xlb]| rate(xlb) / rate(plain))),
            redirect_only,
            xlb,
        }
    }
}

/// Prints pairs of samples: of the program that only redirects, and of xlb.
pub fn print(settings: &Settings, samples: &[[Sample; 2]]) {
    let &Settings { rounds, packets, clients, json } = settings;
    let clock = Comparison::new(samples, |sample| sample.clock);
    let cpu = Comparison::new(samples, |sample| sample.cpu);
    let lost: u64 =
        samples.iter().flatten().map(|sample| u64::from(packets) - sample.arrived).sum();
    if json {
        let report = serde_json::json!({
            "schema": 1, "rounds": rounds, "packets": packets, "clients": clients, "lost": lost,
            "mpps_by_clock": clock, "mpps_by_cpu_time": cpu,
        });
        println!("{report}");
        return;
    }
    println!("{rounds} rounds of {packets} frames from {clients} clients, {lost} frames lost\n");
    println!("{:28} {:>7} {:>7} {:>7}", "MPPS", "MEDIAN", "MIN", "MAX");
    for (by, comparison) in [("clock", &clock), ("CPU time", &cpu)] {
        let Comparison { redirect_only, xlb, ratio_of_medians, ratio_of_pairs } = comparison;
        for (name, Spread { median, min, max }) in
            [("redirect only", redirect_only), ("xlb", xlb), ("ratio of pairs", ratio_of_pairs)]
        {
            println!("{:28} {median:>7.3} {min:>7.3} {max:>7.3}", format!("{name}, by {by}"));
        }
        println!("{:28} {ratio_of_medians:>7.3}", format!("ratio of medians, by {by}"));
    }
}
