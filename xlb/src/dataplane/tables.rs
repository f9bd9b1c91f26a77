//! What the program must find in its tables: a pure function of the services.

use std::net::{IpAddr, SocketAddr};

use xlb_common::checksum;
use xlb_common::index::{self, Key6};
use xlb_common::layout::*;
use xlb_common::maglev::{self, Member};
use xlb_common::toeplitz::{self, Tables};

/// A service with everything that has been allotted to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedService {
    /// Its id, below [`SERVICES`].
    pub id: u16,
    /// The VIP and its port.
    pub vip: SocketAddr,
    /// IP protocol number: 6 or 17.
    pub protocol: u8,
    /// Its first slot; a multiple of [`SLOTS_PER_LINE`].
    pub first_slot: u32,
    /// How many slots it has.
    pub slots: u32,
    /// Prefixes of clients that talk to the backends directly.
    pub direct: Vec<(IpAddr, u8)>,
    /// The pool.
    pub backends: Vec<PlannedBackend>,
}

/// A backend with everything that has been allotted to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBackend {
    /// Its target, 1 to [`TARGETS`] - 1.
    pub target: u16,
    /// Its address and port.
    pub address: SocketAddr,
    /// Its weight.
    pub weight: u32,
    /// The interface that its replies must come from, or 0.
    pub interface: u32,
    /// Its next hop: an id, [`HOP_HAND_UP`] or [`HOP_FINER`].
    pub hop: u16,
}

impl PlannedService {
    /// The target of each slot, [`NO_TARGET`] where no backend has a weight.
    pub fn slot_targets(&self) -> Vec<u16> {
        let members: Vec<Member> = self
            .backends
            .iter()
            .map(|backend| Member { name: backend.address.to_string(), weight: backend.weight })
            .collect();
        maglev::table(&members, self.slots)
            .into_iter()
            .map(|member| member.map_or(NO_TARGET, |member| self.backends[member].target))
            .collect()
    }

    /// What the index says of this service.
    pub fn entry(&self, tables: &Tables) -> Service {
        let port = raw_port(self.vip);
        let hash = match self.vip.ip() {
            IpAddr::V4(_) => toeplitz::vip4(tables, raw_address(self.vip.ip())[0] as u32, port),
            IpAddr::V6(_) => toeplitz::vip6(tables, raw_address(self.vip.ip()), port),
        };
        Service { hash, first_slot: self.first_slot, slots: self.slots, id: self.id, flags: 0 }
    }

    /// The target of one of this service's backends.
    pub fn target(&self, backend: &PlannedBackend) -> Target {
        let (vip, real) = (raw_address(self.vip.ip()), raw_address(backend.address.ip()));
        let (vip_port, backend_port) = (raw_port(self.vip), raw_port(backend.address));
        let addresses = |from: Address, to: Address| {
            from.into_iter().zip(to).fold(0, |sum, (from, to)| {
                let low = checksum::difference32(from as u32, to as u32);
                let high = checksum::difference32((from >> 32) as u32, (to >> 32) as u32);
                checksum::add(sum, checksum::add(low, high))
            })
        };
        let ttl = checksum::ttl_difference();
        Target {
            vip,
            backend: real,
            vip_port,
            backend_port,
            request_ip_diff: checksum::add(addresses(vip, real), ttl),
            reply_ip_diff: checksum::add(addresses(real, vip), ttl),
            request_l4_diff: checksum::add(
                addresses(vip, real),
                checksum::difference(vip_port, backend_port),
            ),
            reply_l4_diff: checksum::add(
                addresses(real, vip),
                checksum::difference(backend_port, vip_port),
            ),
            hop: u32::from(backend.hop),
            reserved: [0; 3],
        }
    }

    fn reply(&self, backend: &PlannedBackend) -> Reply {
        let flags = if self.direct.is_empty() { 0 } else { REPLY_DIRECT };
        Reply { target: backend.target, flags, ifindex: backend.interface }
    }
}

/// An address as the layouts have it.
pub fn raw_address(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(address) => [u64::from(u32::from_ne_bytes(address.octets())), 0],
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, rest @ ..] = address.octets();
            [u64::from_ne_bytes([a, b, c, d, e, f, g, h]), u64::from_ne_bytes(rest)]
        }
    }
}

/// A port as the layouts have it.
pub fn raw_port(address: SocketAddr) -> u16 {
    address.port().to_be()
}

/// One index: where its keys are, and what moves them there.
pub struct Index<E> {
    /// Displacements by bucket.
    pub displacements: Vec<u16>,
    /// Entries in use, with their places.
    pub entries: Vec<(usize, E)>,
}

/// All four indexes, built with one seed.
pub struct Indexes {
    /// The seed of all their hashes.
    pub seed: u32,
    /// VIPs, IPv4.
    pub services4: Index<Service4>,
    /// VIPs, IPv6.
    pub services6: Index<Service6>,
    /// Backends, IPv4.
    pub replies4: Index<Reply4>,
    /// Backends, IPv6.
    pub replies6: Index<Reply6>,
}

/// Seeds tried before giving up. One in thousands fails, and only with a full index.
const SEEDS: u32 = 64;

impl Indexes {
    /// Builds the indexes; `None` if keys clash, which means that two of them are equal.
    pub fn build(services: &[PlannedService], tables: &Tables) -> Option<Self> {
        let mut s4 = Vec::new();
        let mut s6 = Vec::new();
        let mut r4 = Vec::new();
        let mut r6 = Vec::new();
        for service in services {
            let entry = service.entry(tables);
            match key(service.vip, service.protocol) {
                Key::V4(key) => s4.push(Service4 { key, service: entry, reserved: 0 }),
                Key::V6(key) => s6.push(Service6 { key, service: entry, reserved: [0; 3] }),
            }
            for backend in &service.backends {
                let reply = service.reply(backend);
                match key(backend.address, service.protocol) {
                    Key::V4(key) => r4.push(Reply4 { key, reply }),
                    Key::V6(key) => r6.push(Reply6 { key, reply }),
                }
            }
        }
        (0..SEEDS).find_map(|seed| {
            let h4 = |key: u64| index::hash4(key, seed);
            let h6 = |key: Key6| index::hash6(key, seed);
            Some(Self {
                seed,
                services4: Index::build(&s4, |e| h4(e.key), SERVICE_BUCKETS, SERVICE_ENTRIES)?,
                services6: Index::build(&s6, |e| h6(e.key), SERVICE_BUCKETS, SERVICE_ENTRIES)?,
                replies4: Index::build(&r4, |e| h4(e.key), REPLY_BUCKETS, REPLY_ENTRIES)?,
                replies6: Index::build(&r6, |e| h6(e.key), REPLY_BUCKETS, REPLY_ENTRIES)?,
            })
        })
    }
}

impl<E: Copy> Index<E> {
    fn build(entries: &[E], hash: impl Fn(&E) -> u64, buckets: usize, size: usize) -> Option<Self> {
        let hashes: Vec<u64> = entries.iter().map(hash).collect();
        let (displacements, places) = index::build(&hashes, buckets, size)?;
        Some(Self {
            displacements,
            entries: places.into_iter().zip(entries.iter().copied()).collect(),
        })
    }
}

enum Key {
    V4(u64),
    V6(Key6),
}

fn key(address: SocketAddr, protocol: u8) -> Key {
    let raw = raw_address(address.ip());
    let port = raw_port(address);
    match address.ip() {
        IpAddr::V4(_) => Key::V4(index::key4(raw[0] as u32, port, protocol)),
        IpAddr::V6(_) => Key::V6(Key6::new(raw, port, protocol)),
    }
}
