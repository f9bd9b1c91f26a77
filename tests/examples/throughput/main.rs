//! Packets a second through veth, from end to end: xlb beside a program that only redirects.
//!
//! ```text
//! generator g0 ── l0 [lb: one of the two] l1 ── s0 sink
//! ```
//!
//! Live frames of a test run leave `g0`, each from the next of many clients; a program on `s0`
//! drops and counts what arrives. Both programs send through the same device map and take turns from
//! round to round. No sockets: those would measure the kernel's copies.
//!
//! A veth works on the CPU that sends, so that one CPU sends, forwards and receives. Rates are given
//! by the clock and by the sending thread's CPU time. The latter is not disturbed by what else the
//! machine does, but misses the forwarding where the kernel accounts interrupts apart
//! (`CONFIG_IRQ_TIME_ACCOUNTING`): there only the clock counts, on an idle machine.

mod bed;
mod report;

use std::env;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use xlb_tests::lab::Lab;

use bed::{Bed, MOST_CLIENTS};

const USAGE: &str = "usage: throughput [--rounds N] [--packets N] [--clients N] [--json]";

struct Settings {
    rounds: u32,
    packets: u32,
    clients: u32,
    json: bool,
}

fn main() -> Result<()> {
    let settings = settings(env::args().skip(1))?;
    let lab = Lab::new()?;
    let mut bed = Bed::new(&lab, settings.clients)?;
    let _drop = bed.sink.attach_drop("s0")?;
    bed.check_translation()?;
    stay_on_one_cpu()?;
    let mut samples = Vec::new();
    for round in 0..=settings.rounds {
        let pair = [bed.redirect_only(settings.packets)?, bed.xlb(settings.packets)?];
        // The first one is to warm up.
        if round > 0 {
            samples.push(pair);
        }
    }
    report::print(&settings, &samples);
    Ok(())
}

fn settings(mut args: impl Iterator<Item = String>) -> Result<Settings> {
    let mut settings =
        Settings { rounds: 31, packets: 1_000_000, clients: MOST_CLIENTS, json: false };
    while let Some(arg) = args.next() {
        let number = match arg.as_str() {
            "--json" => {
                settings.json = true;
                continue;
            }
            "--rounds" => &mut settings.rounds,
            "--packets" => &mut settings.packets,
            "--clients" => &mut settings.clients,
            _ => bail!("unknown argument {arg}; {USAGE}"),
        };
        *number = args
            .next()
            .and_then(|value| value.parse().ok())
            .filter(|&value| value > 0)
            .with_context(|| format!("{arg} takes a number above 0; {USAGE}"))?;
    }
    ensure!(
        settings.clients.is_power_of_two() && settings.clients <= MOST_CLIENTS,
        "--clients takes a power of two up to {MOST_CLIENTS}"
    );
    Ok(settings)
}

fn stay_on_one_cpu() -> Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let last = (0..CpuSet::count()).rev().find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(last.context("no CPU is allowed")?)?;
    Ok(sched_setaffinity(this, &one)?)
}
