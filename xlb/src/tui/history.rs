//! Readings become rates, shares and the past.
//!
//! Pure: one `History::push` for each reading. What is drawn is worked out here, once for each
//! reading and not for each frame. Actual shares are over a window of about a minute that begins
//! anew when the service's pool changes, so that they are never compared with weights of old.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;

use crate::api::types::{Counters, Protocol, ServiceStats, Stats, Status};
use crate::output::{Tone, state};
use crate::rates::{self, Basis, CpuRate, Rate};

/// How many readings back sparklines can show.
const PAST: usize = 240;
/// How many readings the order of services is smoothed over.
const SMOOTH: usize = 8;
/// The least time between two beginnings of the window of shares.
const STEP_NS: u64 = 10_000_000_000;
/// How many beginnings are kept: the window is this many steps long.
const STEPS: usize = 7;

/// The latest values of something, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ring(VecDeque<f64>);

impl Ring {
    /// Adds a value and forgets the oldest one if there are too many.
    pub fn push(&mut self, value: f64) {
        if self.0.len() == PAST {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// The last so many values, oldest first.
    pub fn last(&self, count: usize) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.0.iter().skip(self.0.len().saturating_sub(count)).copied()
    }

    /// The mean of the last few values.
    pub fn recent(&self) -> f64 {
        let values = self.last(SMOOTH);
        let count = values.len().max(1);
        values.sum::<f64>() / count as f64
    }
}

/// A service as it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRow {
    /// Its name.
    pub name: String,
    /// The VIP and its port.
    pub vip: SocketAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How it is.
    pub state: (String, Tone),
    /// What happens now.
    pub rate: Rate,
    /// Packets a second, the past.
    pub packets: Ring,
    /// What actual shares are shares of.
    pub basis: Basis,
    /// The window of actual shares, in seconds.
    pub window: f64,
    /// The pool.
    pub backends: Vec<BackendRow>,
}

/// A backend as it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendRow {
    /// Address and port.
    pub address: SocketAddr,
    /// Its weight.
    pub weight: u32,
    /// How it is reached.
    pub next_hop: (String, Tone),
    /// What happens now.
    pub rate: Rate,
    /// Packets a second, the past.
    pub packets: Ring,
    /// Its expected share of new flows.
    pub expected: f64,
    /// Its actual share in the window, if there was anything to share.
    pub actual: Option<f64>,
}

/// A reason as it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct ReasonRow {
    /// Its name.
    pub reason: String,
    /// `pass`, `hand-up` or `drop`.
    pub action: String,
    /// What it means.
    pub description: String,
    /// Packets since the beginning.
    pub total: u64,
    /// Packets a second.
    pub rate: f64,
    /// Packets a second, the past.
    pub past: Ring,
}

/// Everything that was read and what follows from it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// How the agent and its interfaces are.
    pub status: Option<Status>,
    /// Sum over all services.
    pub total: Rate,
    /// Its packets a second, the past.
    pub packets: Ring,
    /// Its bits a second, the past.
    pub bits: Ring,
    /// The services, in the agent's order.
    pub services: Vec<ServiceRow>,
    /// The reasons that ever counted anything: drops first, then by how many.
    pub reasons: Vec<ReasonRow>,
    /// The CPUs.
    pub cpus: Vec<CpuRate>,
    /// Whether there were two readings, so that there are rates.
    pub rated: bool,
    latest: Option<Rc<Stats>>,
    beginnings: VecDeque<Rc<Stats>>,
}

impl History {
    /// Takes in a reading.
    pub fn push(&mut self, stats: Stats, status: Option<Status>) {
        let stats = Rc::new(stats);
        self.status = status.or(self.status.take());
        let previous = self.latest.replace(Rc::clone(&stats));
        let since = previous.as_deref().and_then(|old| Some((old, rates::seconds(old, &stats)?)));
        if since.is_none() {
            // The first reading, or the clock went back: the kernel was started anew.
            self.beginnings.clear();
        }
        self.begin(&stats, previous.as_deref());
        self.services = self.services(&stats, since);
        self.reasons = self.reasons(&stats, since);
        if let Some((old, seconds)) = since {
            self.rated = true;
            self.total = Rate::default();
            self.services.iter().for_each(|service| self.total += service.rate);
            self.packets.push(self.total.packets());
            self.bits.push(self.total.bits());
            self.cpus = rates::cpus(old, &stats, seconds);
        }
    }

    /// Notes a reading as a beginning of the window, every now and then and when a pool changed.
    fn begin(&mut self, stats: &Rc<Stats>, previous: Option<&Stats>) {
        let due = match self.beginnings.back() {
            None => true,
            Some(last) => stats.at_ns.saturating_sub(last.at_ns) >= STEP_NS,
        };
        let changed = previous.is_some_and(|old| {
            let differs = |s| rates::same_service(old, s).is_some_and(|old| !goes_on(old, s));
            stats.services.iter().any(differs)
        });
        if due || changed {
            if self.beginnings.len() == STEPS {
                self.beginnings.pop_front();
            }
            self.beginnings.push_back(Rc::clone(stats));
        }
    }

    fn services(&mut self, stats: &Stats, since: Option<(&Stats, f64)>) -> Vec<ServiceRow> {
        let rows = std::mem::take(&mut self.services);
        let mut rows: BTreeMap<String, ServiceRow> =
            rows.into_iter().map(|row| (row.name.clone(), row)).collect();
        let row = |service: &ServiceStats| {
            self.service(stats, service, since, rows.remove(service.name.as_str()))
        };
        stats.services.iter().map(row).collect()
    }

    fn service(
        &self,
        stats: &Stats,
        service: &ServiceStats,
        since: Option<(&Stats, f64)>,
        row: Option<ServiceRow>,
    ) -> ServiceRow {
        let (mut packets, old_backends) =
            row.map(|row| (row.packets, row.backends)).unwrap_or_default();
        let mut pasts: BTreeMap<SocketAddr, Ring> =
            old_backends.into_iter().map(|backend| (backend.address, backend.packets)).collect();
        let before = since.and_then(|(old, _)| rates::same_service(old, service));
        let per_second = |increase: &Counters, past: &mut Ring| match since {
            Some((_, seconds)) => {
                let rate = Rate::of(increase, seconds);
                past.push(rate.packets());
                rate
            }
            None => Rate::default(),
        };
        let rate = per_second(&rates::service_increase(before, service), &mut packets);
        let (window, basis, actual) = self.shares(stats, service);
        let known = self
            .status
            .as_ref()
            .and_then(|status| status.services.iter().find(|known| known.name == service.name));
        let next_hop = |address| {
            let backend = known?.backends.iter().find(|b| b.address == address)?;
            Some(state::next_hop(backend))
        };
        let backends = (service.backends.iter())
            .zip(rates::backend_increases(before, service))
            .zip(actual)
            .map(|((backend, increase), actual)| {
                let mut packets = pasts.remove(&backend.address).unwrap_or_default();
                BackendRow {
                    address: backend.address,
                    weight: backend.weight,
                    next_hop: next_hop(backend.address).unwrap_or_default(),
                    rate: per_second(&increase, &mut packets),
                    packets,
                    expected: backend.share,
                    actual,
                }
            })
            .collect();
        ServiceRow {
            name: service.name.clone(),
            vip: service.vip,
            protocol: service.protocol,
            state: known.map(state::service).unwrap_or_default(),
            rate,
            packets,
            basis,
            window,
            backends,
        }
    }

    /// Actual shares since the oldest beginning at which the pool was what it is.
    fn shares(&self, stats: &Stats, service: &ServiceStats) -> (f64, Basis, Vec<Option<f64>>) {
        let same = |old: &&Rc<Stats>| {
            rates::same_service(old, service).is_some_and(|old| goes_on(old, service))
        };
        let begun = self.beginnings.iter().rev().take_while(same).last();
        let old = begun.and_then(|old| rates::same_service(old, service));
        let window = begun.and_then(|old| rates::seconds(old, stats)).unwrap_or(0.0);
        let increases = match old {
            Some(_) => rates::backend_increases(old, service),
            None => vec![Counters::default(); service.backends.len()],
        };
        let (basis, actual) = rates::shares(service.protocol, &increases);
        (window, basis, actual)
    }

    fn reasons(&self, stats: &Stats, since: Option<(&Stats, f64)>) -> Vec<ReasonRow> {
        let mut rows: Vec<ReasonRow> = stats
            .reasons
            .iter()
            .filter(|reason| reason.packets > 0)
            .map(|reason| {
                let row = self.reasons.iter().find(|row| row.reason == reason.reason);
                let mut past = row.map(|row| row.past.clone()).unwrap_or_default();
                let rate = since.map(|(old, seconds)| {
                    rates::reason_rate(old, &reason.reason, reason.packets, seconds)
                });
                rate.into_iter().for_each(|rate| past.push(rate));
                ReasonRow {
                    reason: reason.reason.clone(),
                    action: reason.action.clone(),
                    description: reason.description.clone(),
                    total: reason.packets,
                    rate: rate.unwrap_or(0.0),
                    past,
                }
            })
            .collect();
        let rank = |row: &ReasonRow| match row.action.as_str() {
            "drop" => 0,
            "hand-up" => 1,
            _ => 2,
        };
        rows.sort_by_key(|row| (rank(row), std::cmp::Reverse(row.total)));
        rows
    }
}

/// Whether a window of shares can reach from one reading of a service to another: the pool is the
/// same, and no counter has started anew.
fn goes_on(old: &ServiceStats, new: &ServiceStats) -> bool {
    old.backends.len() == new.backends.len()
        && old.backends.iter().zip(&new.backends).all(|(old, new)| {
            old.address == new.address
                && old.weight == new.weight
                && old.share == new.share
                && old.counters.request_packets <= new.counters.request_packets
                && old.counters.opened <= new.counters.opened
        })
}

#[cfg(test)]
mod tests;
