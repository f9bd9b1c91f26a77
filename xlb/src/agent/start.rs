//! The order of a start and of an end.
//!
//! Lock, state, configuration; the data path, made or taken over; what it should say, written; then
//! the API. At the end the program, its maps and its links stay: `xlb detach` is what removes them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::actor::Actor;
use super::clock::Clock;
use super::hops::Hops;
use super::moves::Moves;
use super::settings::settings;
use crate::api::server::{self, Socket};
use crate::api::types::InterfaceSpec;
use crate::cli::{LogFormat, RunArgs};
use crate::config::Config;
use crate::dataplane::Datapath;
use crate::dataplane::load::{self, Limits};
use crate::fault::Fault;
use crate::model::Model;
use crate::net::{self, Watcher};
use crate::state::{State, StateDir};

/// Requests that may wait for the actor.
const QUEUE: usize = 64;

/// Runs the agent until it is told to stop.
///
/// # Errors
///
/// Anything that keeps the agent from starting, with what to do about it.
pub fn run(args: RunArgs) -> Result<()> {
    log(args.log_format.unwrap_or_default());
    let config = settings(&args)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?
        .block_on(serve(&config, &args.attach))
}

fn log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("XLB_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}

async fn serve(config: &Config, attach: &[InterfaceSpec]) -> Result<()> {
    // Before anything that can be seen: a start that is told to stop must not end half-way.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    require_capabilities()?;
    let directory =
        StateDir::open(&config.state_dir).map_err(|e| Fault::new(e.to_string()).help(e.help()))?;
    load::prepare_pins(&config.pins)?;
    let pins_lock = lock_pins(&config.pins)?;
    let socket = Socket::bind(&config.socket)
        .await
        .map_err(|error| Fault::new(error.to_string()).help(error.help()))?;

    // Before the first look at the network: what changes after that look is noted.
    let watcher = Watcher::new().context("cannot listen for changes of the network")?;
    let actor = start(config, attach, directory).await?;
    let (sender, requests) = mpsc::channel(QUEUE);
    // Fails only outside of systemd, where nobody waits for it.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!("ready on {}", config.socket.display());

    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    };
    let acting = tokio::spawn(actor.run(requests, watcher));
    server::serve(socket, sender, shutdown).await.context("the API's server failed")?;
    acting.await.context("the agent failed")?;
    drop(pins_lock);
    Ok(())
}

/// Root, or a process with the capabilities that everything here needs.
fn require_capabilities() -> Result<()> {
    const NEEDED: [(&str, u32); 4] =
        [("CAP_NET_ADMIN", 12), ("CAP_NET_RAW", 13), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];
    let status =
        std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .context("cannot read this process's capabilities")?;
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(_, bit)| effective >> bit & 1 == 0).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Fault::new(format!("the agent lacks {}", missing.join(", ")))
        .help("run it as root, or give it these capabilities (systemd: AmbientCapabilities=)")
        .into())
}

/// Two agents with different state directories must not share pins.
fn lock_pins(pins: &Path) -> Result<File> {
    let directory = File::open(pins).with_context(|| format!("cannot open {}", pins.display()))?;
    match directory.try_lock() {
        Ok(()) => Ok(directory),
        Err(std::fs::TryLockError::WouldBlock) => Err(Fault::new(format!(
            "another agent runs with the pins in {}",
            pins.display()
        ))
        .help("stop it first, or give this one other directories: --pins, --state-dir and --socket")
        .into()),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", pins.display()))
        }
    }
}

/// Brings state and data path together.
async fn start(config: &Config, attach: &[InterfaceSpec], directory: StateDir) -> Result<Actor> {
    let adopted = load::is_running(&config.pins);
    let datapath = if adopted {
        Datapath::adopt(&config.pins).map_err(|error| {
            Fault::new(format!("{error:#}")).help(format!(
                "what runs there can't be taken over; to start afresh, which interrupts its traffic: rm -r {}",
                config.pins.display()
            ))
        })?
    } else {
        load::remove_pins(&config.pins);
        let limits = Limits { slots: config.slots, ..Limits::default() };
        Datapath::create(&config.pins, limits).inspect_err(|_| load::remove_pins(&config.pins))?
    };
    #[cfg(feature = "ebpf-log")]
    crate::dataplane::log::follow(&datapath);
    let capacity = datapath.slot_capacity().min(if adopted { u32::MAX } else { config.slots });
    let loaded = directory.load(capacity).map_err(|e| Fault::new(e.to_string()).help(e.help()))?;
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    let state = loaded.state.unwrap_or_else(|| State::new(capacity));
    let mut wanted = state.clone();
    let effect = config
        .apply(&mut wanted)
        .map_err(|rejection| Fault::new(rejection.error).help(rejection.help))?;
    for spec in attach {
        let wanting = wanted.model.want_interface(spec);
        wanting.map_err(|rejection| Fault::new(rejection.error).help(rejection.help))?;
    }
    for line in effect.changes.iter().chain(&effect.warnings) {
        tracing::info!("configuration: {line}");
    }
    datapath.set_hash_key(&wanted.hash_key);

    let acknowledged = state.model.clone();
    // Maps that were just made hold nothing of it yet.
    let installed = if adopted { acknowledged.clone() } else { Model::new(capacity) };
    let state = State { model: installed, hash_key: wanted.hash_key, ..state };

    let handle = net::connect().context("cannot speak to the kernel over netlink")?;
    let view = net::snapshot(&handle).await?;
    let clock = Clock::new(&datapath)?;
    let hops = Hops::adopt(&datapath);
    let mut actor = Actor {
        state,
        directory,
        pins: config.pins.clone(),
        handle,
        view,
        hops,
        planned: Vec::new(),
        moves: Moves::default(),
        interfaces: BTreeMap::new(),
        clock,
        removed: BTreeMap::new(),
        notes: loaded.notes,
        vip_warnings: BTreeMap::new(),
        started: Instant::now(),
        adopted,
        datapath,
    };
    actor.beat()?;
    actor.follow_network().await?;
    // First what was acknowledged before, so that slots move from what they were.
    actor.install(acknowledged.clone()).await?;
    actor.find_moves();
    actor.state.applied_config = wanted.applied_config;
    if wanted.model == acknowledged {
        actor.save(actor.state.clone())?;
    } else {
        actor.install(wanted.model).await?;
    }
    actor.start_interfaces().await?;
    for warning in actor.update_vips().await {
        tracing::warn!("{warning}");
    }
    if adopted {
        tracing::info!("took over the running program");
    }
    Ok(actor)
}
