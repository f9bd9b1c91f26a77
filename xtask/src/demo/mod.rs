//! `cargo xtask demo`: the main job, from a bare machine, in one command.
//!
//! It installs what is missing, builds, makes a network of namespaces with a client, the load
//! balancer and four backends, and sends real HTTP and UDP through the real `xlb`, driven by its
//! real command line. While traffic flows the pool changes. It fails if a request does, or if a
//! backend's share is far from what its weight promises.

/// What is shown while it runs.
mod live;
/// What it ends with.
mod report;
/// The clients, and what to expect of the backends.
mod traffic;

use std::{
    io::{IsTerminal as _, stdout},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;
use xlb_tests::{binaries, interrupt, scene::Scene, topology::Plan};

use crate::{
    setup::{self, Purpose},
    tools::{say, step},
};
use live::Live;
use traffic::Traffic;

/// How the demo runs.
#[derive(Args, Debug)]
pub struct Options {
    /// How long traffic flows; a third each with three backends, with four, with another weight
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(3..=86_400))]
    seconds: u32,
    /// Leave the lab standing at the end, with some traffic, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Requests a second, for each of the four services
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
}

/// The weight that the first backend gets while traffic flows.
const NEW_WEIGHT: u32 = 3;

/// How often to look at what goes on.
const TICK: Duration = Duration::from_millis(250);

/// Runs it.
pub fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Purpose::Build, Purpose::Lab])?;
    step(&mut binaries::build_command())?;
    interrupt::watch()?;

    say("making a network: a client, the load balancer, four backends");
    let mut scene = Scene::new(Plan { backends: 4, ..Plan::default() })?;
    let mut live = Live::new(stdout().is_terminal());
    scene.serve(3, |command| live.event(&format!("$ {command}")))?;
    live.event("every service answers; now traffic from the client to all four of them");

    let third = Duration::from_secs(options.seconds.into()) / 3;
    let mut traffic = Traffic::start(&scene, options.rate)?;
    watch(third, &mut scene, &mut traffic, &mut live)?;
    scene.add_backend(3, |command| live.event(&format!("$ {command}")))?;
    traffic.promised(&scene)?;
    watch(third, &mut scene, &mut traffic, &mut live)?;
    scene.set_weight(0, NEW_WEIGHT, |command| live.event(&format!("$ {command}")))?;
    traffic.promised(&scene)?;
    watch(third, &mut scene, &mut traffic, &mut live)?;
    let waiting = traffic.waiting(&scene);
    let results = traffic.stop(&scene)?;
    let stats = scene.agent.json(&["stats"])?;
    live.end();

    say("measuring the loaded program: xlb bench --json --quick");
    let bench = scene.agent.json(&["bench", "--quick"])?;
    report::print(&results, &waiting, &stats, &bench);
    let verdict = report::verdict(&results);
    if options.keep {
        keep(&mut scene, options.rate)?;
    }
    verdict
}

/// Shows what happens for a while.
fn watch(time: Duration, scene: &mut Scene, traffic: &mut Traffic, live: &mut Live) -> Result<()> {
    let end = Instant::now() + time;
    let mut show = Instant::now();
    while Instant::now() < end {
        thread::sleep(end.saturating_duration_since(Instant::now()).min(TICK));
        interrupt::check()?;
        scene.check()?;
        for service in traffic.follow(scene)? {
            live.event(&format!("{service}: new flows follow the new weights"));
        }
        if Instant::now() >= show {
            live.show(&scene.agent.json(&["stats"])?, &traffic.reports())?;
            show += live.interval();
        }
    }
    Ok(())
}

/// Leaves everything standing until a signal comes.
fn keep(scene: &mut Scene, rate: u32) -> Result<()> {
    let traffic = Traffic::start(scene, rate.min(50))?;
    report::print_commands(scene);
    while !interrupt::came() {
        thread::sleep(Duration::from_millis(100));
        if let Err(e) = scene.check() {
            bail!("{e:#}");
        }
    }
    drop(traffic);
    Ok(())
}
