//! What tests ask and answer with: a small, made-up installation with all that can be seen.
//!
//! Five services (both families and protocols, one unreachable, one empty), three interfaces, four
//! CPUs, and counters that are a pure function of the second they are read in.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use xlb_common::reason::Reason;

use crate::api::types::{
    Announce, AttachMode, BackendStats, BackendStatus, Counters, CpuStats, InterfaceStatus, Mode,
    ProgramStatus, Protocol, ReasonCount, SCHEMA, ServiceStats, ServiceStatus, Stats, Status,
};

/// Address, weight, next hop.
type Pool = &'static [(&'static str, u32, &'static str)];

/// Name, VIP, protocol, packets a second, pool.
const SERVICES: &[(&str, &str, Protocol, u64, Pool)] = &[
    (
        "api",
        "192.0.2.10:8443",
        Protocol::Tcp,
        900,
        &[("10.0.0.31:8443", 1, "resolved"), ("10.0.0.32:8443", 1, "no route")],
    ),
    (
        "dns",
        "192.0.2.53:53",
        Protocol::Udp,
        48_000,
        &[("10.0.0.21:53", 1, "resolved"), ("10.0.0.22:53", 1, "resolved")],
    ),
    ("empty", "192.0.2.99:80", Protocol::Tcp, 0, &[]),
    (
        "web",
        "192.0.2.10:80",
        Protocol::Tcp,
        412_000,
        &[
            ("10.0.0.11:8080", 3, "resolved"),
            ("10.0.0.12:8080", 3, "resolved"),
            ("10.0.0.13:8080", 1, "resolved"),
            ("10.0.0.14:8080", 1, "kernel"),
        ],
    ),
    (
        "web6",
        "[2001:db8::10]:80",
        Protocol::Tcp,
        96_000,
        &[("[2001:db8:1::11]:8080", 1, "resolved"), ("[2001:db8:1::12]:8080", 1, "resolved")],
    ),
];

fn share(pool: Pool, weight: u32) -> f64 {
    f64::from(weight) / f64::from(pool.iter().map(|b| b.1).sum::<u32>().max(1))
}

/// The services as `status` and `service list` have them.
pub fn services() -> Vec<ServiceStatus> {
    let backend = |pool: Pool, (address, weight, next_hop): (&str, u32, &str)| BackendStatus {
        address: address.parse().unwrap(),
        weight,
        interface: (address == "10.0.0.11:8080").then(|| "eth1".to_owned()),
        share: share(pool, weight),
        next_hop: next_hop.to_owned(),
        via: (next_hop == "resolved").then(|| "eth1 02:00:00:00:00:01".to_owned()),
    };
    SERVICES
        .iter()
        .map(|(name, vip, protocol, _, pool)| ServiceStatus {
            name: (*name).to_owned(),
            vip: vip.parse().unwrap(),
            protocol: *protocol,
            mode: Mode::Nat,
            announce: Announce::Arp,
            direct: if *name == "web" { vec!["10.0.0.0/8".to_owned()] } else { vec![] },
            slots: 65_537,
            slots_moving: if *name == "web6" { 8192 } else { 0 },
            slots_settled: 0,
            backends: pool.iter().map(|entry| backend(pool, *entry)).collect(),
        })
        .collect()
}

/// The whole status.
pub fn status() -> Status {
    let interface =
        |name: &str, index, wanted, attached: &str, problem: Option<&str>| InterfaceStatus {
            name: name.to_owned(),
            ifindex: index,
            wanted,
            attached: attached.to_owned(),
            mtu: index.map(|_| 1500),
            problem: problem.map(str::to_owned),
        };
    Status {
        schema: SCHEMA,
        version: "0.1.0".to_owned(),
        pid: 4242,
        uptime_seconds: 3 * 86_400 + 4 * 3600,
        adopted: true,
        program: ProgramStatus {
            id: 87,
            entry: "xlb_frags".to_owned(),
            verified_instructions: 12_345,
        },
        interfaces: vec![
            interface("eth0", Some(2), AttachMode::Auto, "native", None),
            interface(
                "eth1",
                Some(3),
                AttachMode::Auto,
                "generic",
                Some("the driver has no native XDP"),
            ),
            interface("eth9", None, AttachMode::Native, "none", Some("no such interface")),
        ],
        services: services(),
        slots_used: 5 * 65_537,
        slots_capacity: 4 << 20,
        warnings: vec![
            "eth1 runs in generic mode, which is slow: the driver has no native XDP".to_owned(),
            "api: no route to 10.0.0.32".to_owned(),
        ],
    }
}

/// What a service of this rate has counted after so many seconds, with a slow wave in it.
fn counted(rate: u64, second: u64, tcp: bool) -> Counters {
    let packets = (0..second).map(|s| rate + rate * (s % 16).min(16 - s % 16) / 10).sum::<u64>();
    Counters {
        request_packets: packets,
        request_bytes: packets * 120,
        reply_packets: packets * 9 / 10,
        reply_bytes: packets * 1100,
        opened: if tcp { packets / 11 } else { 0 },
        closed: if tcp { packets / 12 } else { 0 },
    }
}

/// The counters, as read in that second.
pub fn stats(second: u64) -> Stats {
    let services: Vec<ServiceStats> = SERVICES
        .iter()
        .map(|(name, vip, protocol, rate, pool)| {
            let tcp = *protocol == Protocol::Tcp;
            let weights = u64::from(pool.iter().map(|b| b.1).sum::<u32>().max(1));
            ServiceStats {
                name: (*name).to_owned(),
                vip: vip.parse().unwrap(),
                protocol: *protocol,
                counters: counted(*rate, second, tcp),
                backends: (pool.iter().enumerate())
                    .map(|(i, (address, weight, _))| BackendStats {
                        address: address.parse().unwrap(),
                        weight: *weight,
                        share: share(pool, *weight),
                        // A little off what is expected, as in life.
                        counters: counted(
                            rate * u64::from(*weight) / weights * (98 + 2 * i as u64) / 100,
                            second,
                            tcp,
                        ),
                    })
                    .collect(),
            }
        })
        .collect();
    let total = services.iter().fold(Counters::default(), |sum, service| Counters {
        request_packets: sum.request_packets + service.counters.request_packets,
        request_bytes: sum.request_bytes + service.counters.request_bytes,
        reply_packets: sum.reply_packets + service.counters.reply_packets,
        reply_bytes: sum.reply_bytes + service.counters.reply_bytes,
        opened: sum.opened + service.counters.opened,
        closed: sum.closed + service.counters.closed,
    });
    let at_ns = 1_000_000_000 * (1000 + second);
    Stats { schema: SCHEMA, at_ns, total, services, reasons: reasons(second), cpus: cpus(second) }
}

fn reasons(second: u64) -> Vec<ReasonCount> {
    let rate = |reason: Reason| match reason {
        Reason::NotOurs => 230,
        Reason::NotIp => 2,
        Reason::HandedUp => 41,
        Reason::NoBackend => 12,
        Reason::Martian => 3,
        _ => 0,
    };
    Reason::ALL
        .iter()
        .map(|reason| ReasonCount {
            reason: reason.name().to_owned(),
            action: reason.action().name().to_owned(),
            description: reason.description().to_owned(),
            packets: rate(*reason) * second,
        })
        .collect()
}

fn cpus(second: u64) -> Vec<CpuStats> {
    let cpu = |cpu: u32, pace: u64, softirq: u64, busy: u64| CpuStats {
        cpu,
        packets: pace * second,
        bytes: pace * second * 600,
        softirq_ns: softirq * 10_000_000 * second,
        busy_ns: busy * 10_000_000 * second,
    };
    vec![cpu(0, 310_000, 47, 52), cpu(1, 295_000, 45, 46), cpu(2, 6_000, 3, 71), cpu(3, 0, 0, 1)]
}

/// A directory that is gone when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one, short enough for a socket's path.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("xlb-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A path in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
