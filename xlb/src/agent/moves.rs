//! Slots that change: from the first packet that must stay to the last.
//!
//! A slot that begins to move holds for a few seconds, so that no handshake is split. One idle
//! timeout later every live flow of the old backend has been seen and noted: the slot settles. When
//! all that is noted agrees with the slot's backend, it is stable again and nothing is remembered.
//!
//! Times are kept by service: a change starts the wait anew for all of the service's moving slots,
//! and so does a new agent, which can only make the wait longer.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::Result;
use xlb_common::automaton::FRESH_SECONDS;
use xlb_common::layout::{Flow, FlowKey, Pending, Service as Entry};
use xlb_common::slot::{self, SlotWord};
use xlb_common::toeplitz::{self, Tables};

use super::actor::Actor;
use crate::dataplane::PlannedService;

/// How long a SYN still goes to the old backend after a change.
const HOLD: Duration = Duration::from_secs(FRESH_SECONDS);
/// How long a flow may be silent and still be live.
const TCP_IDLE: Duration = Duration::from_secs(15 * 60);
const UDP_IDLE: Duration = Duration::from_secs(60);
/// How long a closed flow is remembered, for what is still under way.
const CLOSED: Duration = Duration::from_secs(60);
/// How long a flow is remembered of which only SYNs have been seen.
const PENDING: Duration = Duration::from_secs(10);
/// How often remembered flows are looked through.
const SCAN: Duration = Duration::from_secs(5);

/// The idle timeout of a protocol, with a margin for what is measured coarsely.
fn idle(protocol: u8) -> Duration {
    let idle = if protocol == 6 { TCP_IDLE } else { UDP_IDLE };
    idle + (idle / 16).max(Duration::from_secs(5))
}

/// Services with watched slots, by id.
#[derive(Default)]
pub struct Moves {
    services: BTreeMap<u16, Move>,
    scanned: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Move {
    since: Instant,
    held: bool,
}

impl Moves {
    /// Slots of this service have begun to move.
    pub fn begin(&mut self, service: u16) {
        self.services.insert(service, Move { since: Instant::now(), held: true });
    }

    /// This service is gone.
    pub fn end(&mut self, service: u16) {
        self.services.remove(&service);
    }

    /// Whether any slot is watched.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }
}

/// Which slots of a service are watched, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Between two targets.
    pub moving: u32,
    /// With remembered flows that may go elsewhere.
    pub settled: u32,
}

impl Actor {
    /// How many slots of a service are watched.
    pub(super) fn watched(&self, service: &PlannedService) -> Watched {
        if !self.moves.services.contains_key(&service.id) {
            return Watched::default();
        }
        let mut watched = Watched::default();
        for word in self.words(service) {
            if word.is_moving() {
                watched.moving += 1;
            } else if word.watched() {
                watched.settled += 1;
            }
        }
        watched
    }

    fn words(&self, service: &PlannedService) -> impl Iterator<Item = SlotWord> {
        (service.first_slot..service.first_slot + service.slots).map(|i| self.datapath.slot(i))
    }

    /// Finds the services with watched slots in a data path that was taken over.
    pub(super) fn find_moves(&mut self) {
        let ids: Vec<u16> = self
            .planned
            .iter()
            .filter(|service| self.words(service).any(SlotWord::watched))
            .map(|service| service.id)
            .collect();
        for id in ids {
            self.moves.begin(id);
        }
    }

    /// Lets slots go on that have waited long enough, and forgets flows that are over.
    pub(super) async fn look_after_moves(&mut self) -> Result<()> {
        if self.moves.is_empty() {
            return Ok(());
        }
        let services: Vec<PlannedService> = self
            .planned
            .iter()
            .filter(|service| self.moves.services.contains_key(&service.id))
            .cloned()
            .collect();
        let now = self.clock.now(&self.datapath)?;
        for service in &services {
            self.advance(service, now);
        }
        if self.moves.scanned.is_none_or(|scanned| scanned.elapsed() >= SCAN) {
            self.moves.scanned = Some(Instant::now());
            self.forget_old(&services, now);
            for service in &services {
                self.stabilise(service).await;
            }
        }
        Ok(())
    }

    /// Ends holds, and settles moves whose time is over.
    fn advance(&mut self, service: &PlannedService, now: u64) {
        let Some(&Move { since, held }) = self.moves.services.get(&service.id) else { return };
        let waited = since.elapsed();
        let step: fn(SlotWord) -> SlotWord = if waited >= idle(service.protocol) {
            // A flow that found no room was sent to the old backend and not noted: all wait again.
            let refused = self.datapath.refused_at(service.id);
            let timeout = self.clock.seconds(idle(service.protocol).as_secs_f64());
            if refused != 0 && now.wrapping_sub(refused) < timeout {
                return;
            }
            slot::settle
        } else if held && waited >= HOLD {
            slot::release
        } else {
            return;
        };
        for i in service.first_slot..service.first_slot + service.slots {
            let word = self.datapath.slot(i);
            let next = step(word);
            if next != word {
                self.datapath.set_slot(i, next);
            }
        }
        self.moves.services.insert(service.id, Move { since, held: false });
    }

    /// Forgets remembered flows that are over.
    fn forget_old(&mut self, services: &[PlannedService], now: u64) {
        let protocols: HashMap<u16, u8> = services.iter().map(|s| (s.id, s.protocol)).collect();
        let older = |seen: u64, limit: Duration| {
            now.wrapping_sub(seen) > self.clock.seconds(limit.as_secs_f64())
        };
        let (pending, flows) = self.datapath.remembered();
        let live = |key: &FlowKey| protocols.get(&key.service).map_or(TCP_IDLE, |p| idle(*p));
        let old_pending: Vec<FlowKey> = pending
            .into_iter()
            .filter(|(key, pending): &(FlowKey, Pending)| {
                older(pending.seen, if pending.established != 0 { live(key) } else { PENDING })
            })
            .map(|(key, _)| key)
            .collect();
        let old_flows: Vec<FlowKey> = flows
            .into_iter()
            .filter(|(key, flow): &(FlowKey, Flow)| {
                older(flow.seen, if flow.closed != 0 { CLOSED } else { live(key) })
            })
            .map(|(key, _)| key)
            .collect();
        for key in &old_pending {
            self.datapath.forget_pending(key);
        }
        for key in &old_flows {
            self.datapath.forget_flow(key);
        }
    }

    /// Makes settled slots stable of which nothing is remembered that goes elsewhere.
    async fn stabilise(&mut self, service: &PlannedService) {
        let settled = |word: SlotWord| word.watched() && !word.is_moving();
        if !self.words(service).any(settled) {
            if !self.words(service).any(SlotWord::watched) {
                self.moves.end(service.id);
            }
            return;
        }
        // No packet may still be writing down a flow of a slot that moved when it looked.
        self.grace().await;
        let disagreeing = self.slots_with_other_flows(service);
        for i in 0..service.slots {
            let word = self.datapath.slot(service.first_slot + i);
            if settled(word) && !disagreeing.contains(&i) {
                self.datapath.set_slot(service.first_slot + i, SlotWord::stable(word.current()));
            }
        }
        // Who still read the word as settled may have promoted a flow.
        self.grace().await;
        let tables = self.datapath.hash_tables();
        let (pending, flows) = self.datapath.remembered();
        let stable = |actor: &Self, key: &FlowKey| {
            key.service == service.id
                && !actor
                    .datapath
                    .slot(service.first_slot + slot_of(&tables, service, key))
                    .watched()
        };
        for (key, _) in pending {
            if stable(self, &key) {
                self.datapath.forget_pending(&key);
            }
        }
        for (key, _) in flows {
            if stable(self, &key) {
                self.datapath.forget_flow(&key);
            }
        }
    }

    /// Slots of which flows are remembered that go elsewhere than new ones would.
    fn slots_with_other_flows(&self, service: &PlannedService) -> std::collections::HashSet<u32> {
        let tables = self.datapath.hash_tables();
        let (pending, flows) = self.datapath.remembered();
        pending
            .into_iter()
            .map(|(key, pending)| (key, pending.target))
            .chain(flows.into_iter().map(|(key, flow)| (key, flow.target)))
            .filter(|(key, _)| key.service == service.id)
            .map(|(key, target)| (slot_of(&tables, service, &key), target))
            .filter(|(slot, target)| {
                self.datapath.slot(service.first_slot + slot).current() != *target
            })
            .map(|(slot, _)| slot)
            .collect()
    }
}

/// The slot of a flow, counted from its service's first.
fn slot_of(tables: &Tables, service: &PlannedService, key: &FlowKey) -> u32 {
    let Entry { hash, slots, .. } = service.entry(tables);
    let client = if service.vip.is_ipv4() {
        toeplitz::client4(tables, key.client[0] as u32, key.port)
    } else {
        toeplitz::client6(tables, key.client, key.port)
    };
    slot::choose(hash ^ client, slots)
}
