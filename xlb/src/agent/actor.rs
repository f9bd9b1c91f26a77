//! The single writer: it owns the state and the data path, and does one thing after the other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::clock::Clock;
use super::hops::Hops;
use super::interfaces::Interface;
use super::moves::Moves;
use crate::api::request::Request;
use crate::api::types::Counters;
use crate::dataplane::{Datapath, PlannedService};
use crate::net::{self, Changes, Fib, Handle, Mac, NetView, NextHop, Watcher};
use crate::state::{State, StateDir};

/// How often the program is told that the agent lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// After how many seconds without a heartbeat the program stops trusting precomputed next hops.
const TRUST_SECONDS: f64 = 10.0;
/// How long the program's cache keeps a next hop, in seconds.
const CACHE_SECONDS: f64 = 2.0;
/// How often slots that change are looked after.
const MOVES: Duration = Duration::from_millis(500);
/// How often neighbours that are depended on are confirmed: XDP's packets don't do that.
const CONFIRM: Duration = Duration::from_secs(5);

/// The agent's state and everything that it writes.
pub struct Actor {
    pub(super) state: State,
    pub(super) directory: StateDir,
    pub(super) datapath: Datapath,
    pub(super) pins: std::path::PathBuf,
    pub(super) handle: Handle,
    pub(super) view: NetView,
    pub(super) hops: Hops,
    pub(super) planned: Vec<PlannedService>,
    pub(super) moves: Moves,
    pub(super) interfaces: BTreeMap<String, Interface>,
    pub(super) clock: Clock,
    /// What removed backends had counted, by service name.
    pub(super) removed: BTreeMap<String, Counters>,
    /// Things that are not as they should be and stay so until the next start.
    pub(super) notes: Vec<String>,
    /// Things that are wrong with VIPs now.
    pub(super) vip_warnings: BTreeMap<IpAddr, String>,
    pub(super) started: Instant,
    pub(super) adopted: bool,
}

impl Actor {
    /// Serves requests, notices and timers until the senders of requests are gone.
    pub async fn run(mut self, mut requests: mpsc::Receiver<Request>, watcher: Watcher) {
        let mut heartbeat = interval(HEARTBEAT);
        let mut moves = interval(MOVES);
        let mut confirm = interval(CONFIRM);
        for timer in [&mut heartbeat, &mut moves, &mut confirm] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        // Kept from round to round: it waits for what comes with a change, and would begin anew with
        // every request.
        let changed = watcher.changed();
        tokio::pin!(changed);
        loop {
            tokio::select! {
                // In this order: the program must hear of us whatever else there is to do.
                biased;
                _ = heartbeat.tick() => complain("heartbeat", self.beat()),
                request = requests.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => break,
                },
                changes = &mut changed => {
                    changed.set(watcher.changed());
                    complain("following the network", self.network_changed(changes).await);
                }
                _ = moves.tick() => complain("moving slots", self.look_after_moves().await),
                _ = confirm.tick() => self.confirm_neighbours().await,
            }
        }
        tracing::info!("the agent ends; the program goes on without it");
    }

    /// Tells the program that the agent lives, and keeps its measures of time right.
    pub(super) fn beat(&mut self) -> Result<()> {
        let now = self.clock.now(&self.datapath)?;
        self.datapath.set_deadline(now + self.clock.seconds(TRUST_SECONDS));
        self.datapath.set_cache_jiffies(self.clock.seconds(CACHE_SECONDS));
        Ok(())
    }

    async fn network_changed(&mut self, changes: Changes) -> Result<()> {
        let before = self.view.clone();
        net::refresh(&self.handle, &mut self.view, changes).await?;
        if changes.links {
            self.follow_interfaces().await;
        }
        // Neighbours are reported with every confirmation; most notices change nothing.
        if changes.lost || !same_ways(&before, &self.view) {
            self.follow_network().await?;
        }
        if changes.links || changes.addresses {
            self.restore_vips().await;
        }
        Ok(())
    }

    /// Has the kernel confirm the neighbours of backends and of gateways.
    async fn confirm_neighbours(&mut self) {
        let fib = Fib::new(&self.view);
        let mut wanted = Vec::new();
        for service in &self.planned {
            for backend in &service.backends {
                if let NextHop::Via(via) = fib.next_hop(backend.address.ip()) {
                    wanted.push((via.ifindex, via.neighbour));
                }
            }
        }
        for via in net::compile(&fib).hops {
            wanted.push((via.ifindex, via.neighbour));
        }
        wanted.sort_unstable();
        wanted.dedup();
        for (ifindex, address) in net::neighbour::unconfirmed(&self.view, &wanted) {
            if let Err(error) = net::neighbour::confirm(&self.handle, ifindex, address).await {
                tracing::debug!("{error}");
            }
        }
    }

    async fn answer(&mut self, request: Request) {
        // Who asked may be gone by now: then nobody needs the answer.
        match request {
            Request::Status(reply) => drop(reply.send(self.status())),
            Request::Stats(reply) => drop(reply.send(self.stats())),
            Request::ListServices(reply) => drop(reply.send(self.list_services())),
            Request::ShowService(name, reply) => drop(reply.send(self.show_service(&name))),
            Request::AddService(spec, reply) => {
                drop(reply.send(self.change(|model| model.add_service(&spec)).await));
            }
            Request::RemoveService(name, reply) => {
                drop(reply.send(self.change(|model| model.remove_service(&name)).await));
            }
            Request::AddBackend(name, spec, reply) => {
                drop(reply.send(self.change(|model| model.add_backend(&name, &spec)).await));
            }
            Request::SetWeight(name, address, weight, reply) => {
                let change = self.change(|model| model.set_weight(&name, address, weight));
                drop(reply.send(change.await));
            }
            Request::RemoveBackend(name, address, reply) => {
                let change = self.change(|model| model.remove_backend(&name, address));
                drop(reply.send(change.await));
            }
            Request::Attach(spec, reply) => drop(reply.send(self.attach(&spec).await)),
            Request::Detach(name, reply) => drop(reply.send(self.detach(&name).await)),
        }
    }
}

/// Whether packets go the same ways in both views: what a neighbour's entry is worth matters, not
/// how lately it was confirmed.
fn same_ways(a: &NetView, b: &NetView) -> bool {
    let macs = |view: &NetView| -> BTreeMap<(u32, IpAddr), Mac> {
        let usable = view.neighbours.iter().filter_map(|neighbour| {
            Some(((neighbour.ifindex, neighbour.address), neighbour.usable_mac()?))
        });
        usable.collect()
    };
    a.links == b.links
        && a.addresses == b.addresses
        && a.routes == b.routes
        && a.custom_rules == b.custom_rules
        && macs(a) == macs(b)
}

/// Says what went wrong where nobody waits for an answer.
fn complain(doing: &str, result: Result<()>) {
    if let Err(error) = result {
        tracing::error!("{doing}: {error:#}");
    }
}
