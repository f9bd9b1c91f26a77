//! Rounds of measurements.
//!
//! Each round measures the bare floor, then every case and its floor one after the other, so that a
//! machine that slows down for a while slows both. Time is this thread's CPU time: a test run
//! sleeps for some milliseconds, and the kernel's own figure is rounded to nanoseconds.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::programs::Xdp;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use xlb_common::layout::{self, HOP_FINER, Hop, ROUTES6, Route6};
use xlb_common::toeplitz::STANDARD_KEY;

use super::cases::{self, Case};
use super::report::{Line, Report, Spread};
use crate::dataplane::load::{Bench, Datapath};
use crate::dataplane::shared::field;
use crate::dataplane::test_run;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rounds that count; one more goes before them.
    pub rounds: u32,
    /// Packets of each case in a round.
    pub packets: u32,
    /// Only cases whose names contain one of these; all, if there are none.
    pub only: Vec<String>,
}

/// XDP_TX: what both the floor and the load balancer must answer.
const TRANSMIT: u32 = 3;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

struct Samples {
    floor: Vec<f64>,
    whole: Vec<f64>,
}

pub(super) fn run(settings: &Settings) -> Result<Report> {
    let cases: Vec<Case> = cases::all()
        .into_iter()
        .filter(|case| {
            settings.only.is_empty() || settings.only.iter().any(|name| case.name.contains(name))
        })
        .collect();
    ensure!(
        !cases.is_empty(),
        "no case is named like {:?}; expected parts of names such as tcp4-request",
        settings.only
    );
    let mut bench = Datapath::bench()?;
    prepare(&bench.datapath)?;
    stay_on_one_cpu()?;
    for case in &cases {
        expect_transmit(&bench.datapath.program, case)?;
    }
    let mut bare = Vec::new();
    let mut samples: Vec<Samples> =
        cases.iter().map(|_| Samples { floor: Vec::new(), whole: Vec::new() }).collect();
    for round in 0..=settings.rounds {
        let counts = round > 0;
        let bare_floor = time(&bench.floor, &cases[0].frame, settings.packets)?;
        if counts {
            bare.push(bare_floor);
        }
        for (case, samples) in cases.iter().zip(&mut samples) {
            set_case(&bench, case);
            let floor = wrapped(&mut bench, case, settings.packets, true)?;
            let whole = wrapped(&mut bench, case, settings.packets, false)?;
            if counts {
                samples.floor.push(floor);
                samples.whole.push(whole);
            }
        }
    }
    let floor = Spread::of(&bare);
    let results = cases
        .iter()
        .zip(&samples)
        .map(|(case, samples)| {
            let net: Vec<f64> =
                samples.whole.iter().zip(&samples.floor).map(|(w, f)| w - f).collect();
            Line::new(
                case,
                Spread::of(&samples.whole),
                Spread::of(&samples.floor),
                Spread::of(&net),
                floor,
            )
        })
        .collect();
    let info = bench.datapath.program.info().context("cannot ask for the program's facts")?;
    Ok(Report {
        schema: 1,
        entry: bench.datapath.entry.to_owned(),
        rounds: settings.rounds,
        packets: settings.packets,
        verified_instructions: info.verified_instruction_count().unwrap_or(0),
        floor,
        results,
    })
}

/// Fills the tables: the cases' services, and one next hop for everything.
fn prepare(datapath: &Datapath) -> Result<()> {
    datapath.set_hash_key(&STANDARD_KEY);
    let (mac_low, mac_high) = Hop::mac_words([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 2]);
    // Test runs come from the loopback interface, so this is "out of the same interface".
    let hop = Hop { mac_low, mac_high, ifindex: 1, mtu: 1500, tag_bytes: 0, tags: [0; 2] };
    datapath.write_hop(cases::HOP, hop);
    datapath.write_routes4(&[cases::HOP; 1 << 16], |hop| hop);
    let mut routes = [Route6 { prefix: 0, mask: 0, hop: u64::from(HOP_FINER) }; ROUTES6];
    // As on a node with a default route: its own link first, then everything else.
    routes[0] = Route6 {
        prefix: u64::from_ne_bytes([0xfe, 0x80, 0, 0, 0, 0, 0, 0]),
        mask: u64::MAX,
        hop: u64::from(HOP_FINER),
    };
    routes[1].hop = u64::from(cases::HOP);
    datapath.write_routes6(&routes);
    datapath.set_deadline(u64::MAX);
    datapath.write_fresh(&cases::services())
}

fn stay_on_one_cpu() -> Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).context("cannot ask for the allowed CPUs")?;
    let last = (0..CpuSet::count()).rev().find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(last.context("no CPU is allowed")?).context("cannot name a CPU")?;
    sched_setaffinity(this, &one).context("cannot stay on one CPU")
}

fn expect_transmit(program: &Xdp, case: &Case) -> Result<()> {
    let verdict = test_run::once(program, &case.frame)?.verdict;
    ensure!(verdict == TRANSMIT, "{}: the program answered {verdict} instead of XDP_TX", case.name);
    Ok(())
}

fn set_case(bench: &Bench, case: &Case) {
    let settings = layout::Bench {
        ethernet: [word(&case.frame, 0), word(&case.frame, 8) & 0xffff_ffff_ffff],
        packet: std::array::from_fn(|i| word(&case.frame, ETHERNET + 8 * i)),
        varied_word: case.client_offset / 8,
        varied_shift: case.client_offset % 8 * 8,
        flow_mask: case.flows - 1,
        reserved: 0,
        counter: 0,
    };
    bench.settings.write(0, field!(layout::Bench), settings);
}

/// Eight raw bytes of a frame; those behind its end are zero.
fn word(frame: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(std::array::from_fn(|i| frame.get(offset + i).copied().unwrap_or(0)))
}

fn wrapped(bench: &mut Bench, case: &Case, packets: u32, floor: bool) -> Result<f64> {
    let program = if floor { &bench.floor } else { &bench.datapath.program };
    let fd = program.fd().context("the program is not loaded")?;
    bench.under_test.set(0, fd, 0).context("cannot put the program under test")?;
    time(&bench.wrapper, &case.frame, packets)
}

/// Nanoseconds a run.
fn time(program: &Xdp, frame: &[u8], packets: u32) -> Result<f64> {
    let before = thread_time()?;
    let (verdict, _) = test_run::repeated(program, frame, packets)?;
    let spent = thread_time()? - before;
    ensure!(verdict == TRANSMIT, "the program answered {verdict} instead of XDP_TX");
    Ok(spent.as_nanos() as f64 / f64::from(packets))
}

fn thread_time() -> Result<Duration> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("cannot read the clock")?;
    Ok(Duration::from(now))
}
