//! The loaded program, and the check of one packet.
//!
//! Each thread of tests has a network namespace of its own, with nothing but a loopback interface
//! that is down: what this machine's own network knows decides no test.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use aya::maps::{DevMapHash, Map, MapData, MapInfo};
use nix::sched::{CloneFlags, unshare};
use xlb::dataplane::test_run::{self, Outcome};
use xlb::dataplane::{Datapath, Limits, PlannedService};
use xlb_common::layout::{HOP_FINER, NEAR_SLOTS, REASONS, ROUTES6, Route6, TargetCounters};
use xlb_common::reason::Reason;
use xlb_common::toeplitz::{Key, STANDARD_KEY};

use crate::expect::{Expect, Frame};
use crate::world::{self, LOOPBACK, OTHER_INTERFACE, POOLS, Pool};

/// A loaded program whose tables are filled.
pub struct Bed {
    pub datapath: Datapath,
    /// The targets whose counters are watched.
    targets: Vec<u16>,
    counted: Counted,
    /// Keeps the network namespace whose loopback interface is in the device map.
    _network: File,
}

/// All counters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counted {
    reasons: [u64; REASONS],
    targets: BTreeMap<u16, TargetCounters>,
}

/// How much there is to remember: little, so that many data paths are quickly made.
pub const LIMITS: Limits = Limits { slots: NEAR_SLOTS + 64, flows: 1024, pending: 1024 };

impl Bed {
    /// The one with the world's services. No test changes its tables.
    pub fn shared() -> MutexGuard<'static, Self> {
        static SHARED: OnceLock<Mutex<Bed>> = OnceLock::new();
        own_network();
        let shared = SHARED.get_or_init(|| Mutex::new(Self::new(&world::services(), LIMITS)));
        // After a failed test the tables are as they were.
        let mut bed = shared.lock().unwrap_or_else(PoisonError::into_inner);
        bed.counted = bed.count();
        bed
    }

    /// One of one's own, with these services and the world's next hops.
    pub fn new(services: &[PlannedService], limits: Limits) -> Self {
        Self::with_key(services, limits, &STANDARD_KEY)
    }

    /// One whose flows are spread by this hash key.
    pub fn with_key(services: &[PlannedService], limits: Limits, key: &Key) -> Self {
        own_network();
        let mut datapath = Datapath::private(limits).unwrap();
        datapath.set_hash_key(key);
        for pool in POOLS.into_iter().filter(|pool| ![Pool::HandUp, Pool::Finer].contains(pool)) {
            datapath.write_hop(pool.hop_id(), pool.hop());
        }
        let routes = routes4(|first_bytes| match first_bytes {
            [10, pool] if usize::from(pool) < POOLS.len() => POOLS[usize::from(pool)].hop_id(),
            _ => HOP_FINER,
        });
        datapath.write_routes4(&routes, |hop| hop);
        let mut routes = [Route6 { prefix: 0, mask: 0, hop: u64::from(HOP_FINER) }; ROUTES6];
        for (route, pool) in routes.iter_mut().zip(POOLS) {
            let prefix = u64::from_ne_bytes([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, pool as u8]);
            *route = Route6 { prefix, mask: u64::MAX, hop: u64::from(pool.hop_id()) };
        }
        datapath.write_routes6(&routes);
        datapath.set_deadline(u64::MAX);
        datapath.set_cache_jiffies(1000);
        datapath.write_fresh(services).unwrap();
        datapath.add_direct(services).unwrap();
        let targets = services.iter().flat_map(|s| s.backends.iter().map(|b| b.target)).collect();
        let counted = Counted { reasons: [0; REASONS], targets: BTreeMap::new() };
        let network = File::open("/proc/thread-self/ns/net").unwrap();
        let mut bed = Self { datapath, targets, counted, _network: network };
        // The only interface there is stands for another one, too: nothing is sent to it.
        let mut devices = DevMapHash::try_from(bed.map("DEVMAP")).unwrap();
        devices.insert(OTHER_INTERFACE, LOOPBACK, None, 0).unwrap();
        bed.counted = bed.count();
        bed
    }

    /// Watches the counters of these targets from now on.
    pub fn watch(&mut self, targets: &[u16]) {
        self.targets = targets.to_vec();
        self.counted = self.count();
    }

    /// The program's map of this name.
    pub fn map(&self, name: &str) -> Map {
        let ids = self.datapath.program.info().unwrap().map_ids().unwrap().unwrap();
        let id =
            ids.into_iter().find(|&id| MapInfo::from_id(id).unwrap().name_as_str() == Some(name));
        let map = MapData::from_id(id.unwrap_or_else(|| panic!("no map {name}"))).unwrap();
        match map.info().unwrap().map_type().unwrap() {
            aya::maps::MapType::DevMapHash => Map::DevMapHash(map),
            aya::maps::MapType::Hash => Map::HashMap(map),
            aya::maps::MapType::Array => Map::Array(map),
            other => panic!("{name} is a {other:?}"),
        }
    }

    /// Runs the program once.
    pub fn run(&self, frame: &[u8]) -> Outcome {
        test_run::once(&self.datapath.program, frame).unwrap()
    }

    /// Runs the program once and compares all of what it did with what is expected.
    #[track_caller]
    pub fn check(&mut self, name: &str, given: impl Into<Vec<u8>>, expect: Expect) {
        let given = given.into();
        let outcome = self.run(&given);
        let mut expected = self.counted.clone();
        let counted = self.count();
        let moved = counted.difference(&self.counted);
        self.counted = counted;
        if let Some(reason) = expect.reason {
            expected.reasons[reason as usize] += 1;
        }
        if let Some((target, counters)) = expect.counted {
            let sum = expected.targets.get_mut(&target).unwrap();
            *sum = combine(sum, &counters, u64::wrapping_add);
        }
        let expected_frame = match &expect.frame {
            Frame::Same => Some(&given),
            Frame::Bytes(bytes) => Some(bytes),
            Frame::Gone => None,
        };
        let same_frame = expected_frame.is_none_or(|frame| *frame == outcome.frame);
        assert!(
            outcome.verdict == expect.verdict && same_frame && self.counted == expected,
            "{name}:\n  given    {}\n  expected {} (verdict {}, {:?}, {:?})\n  got      {} (verdict {}, {moved})",
            hex(&given, &given),
            expected_frame.map_or_else(String::new, |frame| hex(frame, &given)),
            expect.verdict,
            expect.reason,
            expect.counted,
            hex(&outcome.frame, expected_frame.unwrap_or(&given)),
            outcome.verdict,
        );
    }

    fn count(&self) -> Counted {
        let total = |&target: &u16| (target, self.datapath.target_total(target).unwrap());
        Counted {
            reasons: self.datapath.reasons().unwrap(),
            targets: self.targets.iter().map(total).collect(),
        }
    }
}

impl Counted {
    fn difference(&self, before: &Self) -> String {
        let reasons = Reason::ALL.iter().filter_map(|reason| {
            let id = *reason as usize;
            let moved = self.reasons[id] - before.reasons[id];
            (moved != 0).then(|| format!("{} +{moved}", reason.name()))
        });
        let targets = self.targets.iter().filter_map(|(target, counters)| {
            let moved = combine(counters, &before.targets[target], u64::wrapping_sub);
            (moved != TargetCounters::default()).then(|| format!("target {target} {moved:?}"))
        });
        reasons.chain(targets).collect::<Vec<_>>().join(", ")
    }
}

fn combine(a: &TargetCounters, b: &TargetCounters, f: fn(u64, u64) -> u64) -> TargetCounters {
    TargetCounters {
        request_packets: f(a.request_packets, b.request_packets),
        request_bytes: f(a.request_bytes, b.request_bytes),
        reply_packets: f(a.reply_packets, b.reply_packets),
        reply_bytes: f(a.reply_bytes, b.reply_bytes),
        opened: f(a.opened, b.opened),
        closed: f(a.closed, b.closed),
        reserved: [0; 2],
    }
}

/// The routes of IPv4, as the program has them, by what an address's first two bytes lead to.
pub fn routes4(hop_of: impl Fn([u8; 2]) -> u16) -> Vec<u16> {
    (0..=u16::MAX).map(|raw| hop_of(raw.to_ne_bytes())).collect()
}

/// The bytes; those that differ from `other`'s are marked.
pub fn hex(bytes: &[u8], other: &[u8]) -> String {
    let mut text = String::new();
    for (place, byte) in bytes.iter().enumerate() {
        let mark = if other.get(place) == Some(byte) { ' ' } else { '!' };
        text.push_str(&format!("{mark}{byte:02x}"));
    }
    text
}

/// How many random packets to try: all, or fewer on a slow machine.
pub fn cases(all: u32) -> u32 {
    if std::env::var_os("XLB_TEST_LIGHT").is_some() { all.div_ceil(20) } else { all }
}

thread_local! {
    /// Whether it is settled in which network namespace this thread is.
    static SETTLED: Cell<bool> = const { Cell::new(false) };
}

/// Takes this thread into a network namespace of its own, which does not forward.
fn own_network() {
    if !SETTLED.replace(true) {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        set_forwarding(false);
    }
}

/// Leaves this thread in the network namespace in which it is.
pub fn this_network() {
    SETTLED.set(true);
}

/// Whether the kernel forwards packets in this thread's network namespace.
pub fn set_forwarding(on: bool) {
    let value = if on { "1" } else { "0" };
    fs::write("/proc/sys/net/ipv4/ip_forward", value).unwrap();
    fs::write("/proc/sys/net/ipv6/conf/all/forwarding", value).unwrap();
}
