//! From two readings of the counters to rates and shares.
//!
//! Pure arithmetic, used by `stats --watch` and by `top`. A counter that went back (the program was
//! attached anew) counts as standing still for that interval: a gap, never a spike. The total's rate
//! is the sum of the services' rates, because a total also shrinks when a service is removed.

use std::ops::AddAssign;

use crate::api::types::{Counters, CpuStats, Protocol, ServiceStats, Stats};

/// What happened in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Packets from clients.
    pub request_packets: f64,
    /// Bits from clients.
    pub request_bits: f64,
    /// Packets from backends.
    pub reply_packets: f64,
    /// Bits from backends.
    pub reply_bits: f64,
    /// TCP connections asked for.
    pub opened: f64,
}

impl Rate {
    /// What an increase comes to in a second.
    pub fn of(increase: &Counters, seconds: f64) -> Self {
        let per_second = |n: u64| n as f64 / seconds;
        Self {
            request_packets: per_second(increase.request_packets),
            request_bits: per_second(increase.request_bytes) * 8.0,
            reply_packets: per_second(increase.reply_packets),
            reply_bits: per_second(increase.reply_bytes) * 8.0,
            opened: per_second(increase.opened),
        }
    }

    /// Packets, both directions.
    pub fn packets(&self) -> f64 {
        self.request_packets + self.reply_packets
    }

    /// Bits, both directions.
    pub fn bits(&self) -> f64 {
        self.request_bits + self.reply_bits
    }
}

impl AddAssign for Rate {
    fn add_assign(&mut self, other: Self) {
        self.request_packets += other.request_packets;
        self.request_bits += other.request_bits;
        self.reply_packets += other.reply_packets;
        self.reply_bits += other.reply_bits;
        self.opened += other.opened;
    }
}

/// Seconds between two readings, if the second one is later.
pub fn seconds(old: &Stats, new: &Stats) -> Option<f64> {
    new.at_ns.checked_sub(old.at_ns).filter(|ns| *ns > 0).map(|ns| ns as f64 / 1e9)
}

/// By how much counters grew.
pub fn increase(old: &Counters, new: &Counters) -> Counters {
    Counters {
        request_packets: new.request_packets.saturating_sub(old.request_packets),
        request_bytes: new.request_bytes.saturating_sub(old.request_bytes),
        reply_packets: new.reply_packets.saturating_sub(old.reply_packets),
        reply_bytes: new.reply_bytes.saturating_sub(old.reply_bytes),
        opened: new.opened.saturating_sub(old.opened),
        closed: new.closed.saturating_sub(old.closed),
    }
}

/// The same service in another reading: same name, VIP and protocol.
pub fn same_service<'a>(stats: &'a Stats, service: &ServiceStats) -> Option<&'a ServiceStats> {
    stats.services.iter().find(|other| {
        other.name == service.name && other.vip == service.vip && other.protocol == service.protocol
    })
}

/// By how much a service's counters grew; a service that was not there has counted from zero.
pub fn service_increase(old: Option<&ServiceStats>, new: &ServiceStats) -> Counters {
    old.map_or(new.counters, |old| increase(&old.counters, &new.counters))
}

/// By how much the counters of each of a service's backends grew.
pub fn backend_increases(old: Option<&ServiceStats>, new: &ServiceStats) -> Vec<Counters> {
    let before = |address| old?.backends.iter().find(|b| b.address == address);
    new.backends
        .iter()
        .map(|b| before(b.address).map_or(b.counters, |old| increase(&old.counters, &b.counters)))
        .collect()
}

/// Packets under a reason, in a second.
pub fn reason_rate(old: &Stats, reason: &str, packets: u64, seconds: f64) -> f64 {
    let before = old.reasons.iter().find(|other| other.reason == reason).map_or(0, |r| r.packets);
    packets.saturating_sub(before) as f64 / seconds
}

/// What a CPU did in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuRate {
    /// Its number.
    pub cpu: u32,
    /// Packets forwarded.
    pub packets: f64,
    /// Share of its time in soft interrupts, 0 to 1.
    pub softirq: f64,
    /// Share of its time not idle, 0 to 1.
    pub busy: f64,
}

/// What each CPU did; one that was not in the old reading is left out.
pub fn cpus(old: &Stats, new: &Stats, seconds: f64) -> Vec<CpuRate> {
    let share = |old: u64, new: u64| (new.saturating_sub(old) as f64 / 1e9 / seconds).min(1.0);
    let pair = |new: &CpuStats| Some((*old.cpus.iter().find(|old| old.cpu == new.cpu)?, *new));
    new.cpus
        .iter()
        .filter_map(pair)
        .map(|(old, new)| CpuRate {
            cpu: new.cpu,
            packets: new.packets.saturating_sub(old.packets) as f64 / seconds,
            softirq: share(old.softirq_ns, new.softirq_ns),
            busy: share(old.busy_ns, new.busy_ns),
        })
        .collect()
}

/// What actual shares are shares of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// TCP connections asked for: what the expected share is about.
    Connections,
    /// Packets from clients, where no connection was asked for.
    Packets,
}

impl Basis {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "new connections",
            Self::Packets => "packets",
        }
    }
}

/// Each backend's share of what the service's backends did; `None` while they did nothing.
pub fn shares(protocol: Protocol, counters: &[Counters]) -> (Basis, Vec<Option<f64>>) {
    let opened: u64 = counters.iter().map(|c| c.opened).sum();
    let basis = match protocol {
        Protocol::Tcp if opened > 0 => Basis::Connections,
        _ => Basis::Packets,
    };
    let part = |c: &Counters| match basis {
        Basis::Connections => c.opened as f64,
        Basis::Packets => c.request_packets as f64,
    };
    let whole: f64 = counters.iter().map(part).sum();
    (basis, counters.iter().map(|c| (whole > 0.0).then(|| part(c) / whole)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::BackendStats;

    fn counters(request_packets: u64, opened: u64) -> Counters {
        Counters { request_packets, request_bytes: request_packets * 100, opened, ..<_>::default() }
    }

    fn backend(port: u16, counters: Counters) -> BackendStats {
        BackendStats { address: ([10, 0, 0, 1], port).into(), weight: 1, share: 0.5, counters }
    }

    fn service(name: &str, counters: Counters, backends: Vec<BackendStats>) -> ServiceStats {
        let vip = "192.0.2.1:80".parse().unwrap();
        ServiceStats { name: name.into(), vip, protocol: Protocol::Tcp, counters, backends }
    }

    #[test]
    fn rates_are_increases_over_the_clock_of_the_readings() {
        let old = Stats { at_ns: 1_000_000_000, ..<_>::default() };
        let new = Stats { at_ns: 3_000_000_000, ..<_>::default() };
        let seconds = seconds(&old, &new).unwrap();
        let rate = Rate::of(&increase(&counters(100, 5), &counters(300, 9)), seconds);
        assert_eq!(rate.request_packets, 100.0);
        assert_eq!(rate.request_bits, 80_000.0);
        assert_eq!(rate.opened, 2.0);
        assert_eq!(rate.packets(), 100.0);
    }

    #[test]
    fn readings_out_of_order_have_no_rate() {
        let old = Stats { at_ns: 5, ..<_>::default() };
        assert_eq!(seconds(&old, &old), None);
        assert_eq!(seconds(&old, &Stats::default()), None);
    }

    #[test]
    fn a_counter_that_went_back_stands_still() {
        assert_eq!(increase(&counters(1000, 10), &counters(7, 12)), counters(0, 2));
        let (high, low) = (
            Counters { closed: 9, reply_packets: 9, reply_bytes: 9, ..counters(9, 9) },
            counters(1, 1),
        );
        assert_eq!(increase(&high, &low), Counters::default());
    }

    #[test]
    fn a_service_is_known_again_and_a_new_one_counts_from_zero() {
        let pool = |n| vec![backend(1, counters(n, 0)), backend(2, counters(2 * n, 0))];
        let old = Stats { services: vec![service("a", counters(9, 1), pool(3))], ..<_>::default() };
        let new = service("a", counters(19, 2), {
            let mut pool = pool(10);
            pool.push(backend(3, counters(4, 0)));
            pool
        });
        let before = same_service(&old, &new);
        assert_eq!(service_increase(before, &new), counters(10, 1));
        let grown: Vec<u64> =
            backend_increases(before, &new).iter().map(|c| c.request_packets).collect();
        assert_eq!(grown, [7, 14, 4]);
        let other = service("b", counters(5, 5), vec![]);
        assert_eq!(service_increase(same_service(&old, &other), &other), counters(5, 5));
    }

    #[test]
    fn shares_are_of_connections_where_there_are_any() {
        let pool = [counters(900, 1), counters(100, 3)];
        let (basis, shares_) = shares(Protocol::Tcp, &pool);
        assert_eq!((basis, shares_), (Basis::Connections, vec![Some(0.25), Some(0.75)]));
        let (basis, shares_) = shares(Protocol::Udp, &pool);
        assert_eq!((basis, shares_), (Basis::Packets, vec![Some(0.9), Some(0.1)]));
        let (basis, shares_) = shares(Protocol::Tcp, &[counters(1, 0), counters(3, 0)]);
        assert_eq!((basis, shares_), (Basis::Packets, vec![Some(0.25), Some(0.75)]));
        assert_eq!(shares(Protocol::Tcp, &[counters(0, 0)]).1, [None]);
    }

    #[test]
    fn cpu_time_is_a_share_and_never_over_one() {
        let cpu = |cpu, packets, softirq_ns, busy_ns| CpuStats {
            cpu,
            packets,
            bytes: 0,
            softirq_ns,
            busy_ns,
        };
        let old = Stats { cpus: vec![cpu(0, 10, 0, 0)], ..<_>::default() };
        let new = Stats {
            cpus: vec![cpu(0, 30, 500_000_000, 9_000_000_000), cpu(1, 5, 0, 0)],
            ..<_>::default()
        };
        let rates = cpus(&old, &new, 2.0);
        assert_eq!(rates, [CpuRate { cpu: 0, packets: 10.0, softirq: 0.25, busy: 1.0 }]);
    }
}
