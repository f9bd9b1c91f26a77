//! The services, backends, clients and next hops of the tests.
//!
//! There is a `Pool` for each thing that can be special about a service or its next hop, and in
//! each pool a `Line` for each family and protocol: a client, a VIP and its one backend. A pool's
//! next hop is both the one to its backends and the compiled route to its clients.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use xlb::dataplane::{PlannedBackend, PlannedService};
use xlb_common::layout::{HOP_FINER, HOP_HAND_UP, Hop, SLOTS_PER_LINE};

use crate::packet::Packet;

/// What is special about a service, its backend or its next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Pool {
    /// Nothing: back out of the interface that packets come from.
    Plain,
    /// The next hop is in a VLAN.
    OneTag,
    /// The next hop is in a VLAN in a VLAN.
    TwoTags,
    /// The next hop is not known.
    HandUp,
    /// The next hop is reached through another interface.
    Elsewhere,
    /// The next hop's interface is not one that packets can be redirected to.
    NoDevice,
    /// The next hop's MTU is 1,280.
    Small,
    /// The next hop's MTU is 9,000.
    Jumbo,
    /// No next hop is precomputed: the cache, and then the kernel, are asked.
    Finer,
    /// There is no backend.
    Empty,
    /// Replies must come from an interface that the tests' frames don't come from.
    Fenced,
    /// Clients of the upper half of the pool's network talk to the backend directly.
    Direct,
}

pub const POOLS: [Pool; 12] = [
    Pool::Plain,
    Pool::OneTag,
    Pool::TwoTags,
    Pool::HandUp,
    Pool::Elsewhere,
    Pool::NoDevice,
    Pool::Small,
    Pool::Jumbo,
    Pool::Finer,
    Pool::Empty,
    Pool::Fenced,
    Pool::Direct,
];

/// The interface that frames of a test run come from.
pub const LOOPBACK: u32 = 1;
/// Stands for another interface; see [`crate::bed::Bed`].
pub const OTHER_INTERFACE: u32 = 2;
/// Stands for an interface that frames can't be sent to.
const UNUSABLE_INTERFACE: u32 = 3;

/// Tags as in a frame: TPID, and VLAN with priority.
pub const OUTER: [u16; 2] = [0x88a8, 0x6123];
pub const INNER: [u16; 2] = [0x8100, 0x0456];
pub const ONLY: [u16; 2] = [0x8100, 0xe789];

impl Pool {
    /// The id of its next hop.
    pub fn hop_id(self) -> u16 {
        match self {
            Self::HandUp => HOP_HAND_UP,
            Self::Finer => HOP_FINER,
            _ => 1 + self as u16,
        }
    }

    /// Its next hop.
    pub fn hop(self) -> Hop {
        let (mac_low, mac_high) = Hop::mac_words(
            [2, 0x10, 0x20, 0x30, 0x40, self as u8],
            [2, 0x50, 0x60, 0x70, 0x80, self as u8],
        );
        let tags: &[[u16; 2]] = match self {
            Self::OneTag => &[ONLY],
            Self::TwoTags => &[OUTER, INNER],
            _ => &[],
        };
        let mut raw_tags = [0; 2];
        for (raw, [tpid, tci]) in raw_tags.iter_mut().zip(tags) {
            let ([a, b], [c, d]) = (tpid.to_be_bytes(), tci.to_be_bytes());
            *raw = u32::from_ne_bytes([a, b, c, d]);
        }
        Hop {
            mac_low,
            mac_high,
            ifindex: match self {
                Self::Elsewhere => OTHER_INTERFACE,
                Self::NoDevice => UNUSABLE_INTERFACE,
                _ => LOOPBACK,
            },
            mtu: match self {
                Self::Small => 1280,
                Self::Jumbo => 9000,
                _ => 1500,
            },
            tag_bytes: 4 * tags.len() as u32,
            tags: raw_tags,
        }
    }

    /// A client in the pool's network, `10.POOL.0.0/16` or `2001:db8:0:POOL::/64`.
    pub fn client(self, ipv4: bool, host: u16) -> IpAddr {
        let [high, low] = host.to_be_bytes();
        if ipv4 {
            Ipv4Addr::new(10, self as u8, high, low).into()
        } else {
            // The host's number is in the upper half, so that prefixes can tell hosts apart.
            Ipv6Addr::new(0x2001, 0xdb8, 0, self as u16, host, 0, 0, 9).into()
        }
    }
}

/// A client, a VIP and its backend.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub pool: Pool,
    pub tcp: bool,
    pub client: SocketAddr,
    pub vip: SocketAddr,
    pub backend: SocketAddr,
    pub target: u16,
}

impl Line {
    fn new(pool: Pool, ipv4: bool, tcp: bool) -> Self {
        let place = pool as u16;
        let (vip, backend): (IpAddr, IpAddr) = if ipv4 {
            (
                Ipv4Addr::new(192, 0, 2, 1).into(),
                Ipv4Addr::new(198, 51, 100, 1 + place as u8).into(),
            )
        } else {
            (
                Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0xa, 0xb, 0xc, 0xd).into(),
                Ipv6Addr::new(0x2001, 0xdb8, 0xbac, 0, 0x1111, 0x2222, 0x3333, 1 + place).into(),
            )
        };
        Self {
            pool,
            tcp,
            client: SocketAddr::new(pool.client(ipv4, 9), 40_000 + place),
            vip: SocketAddr::new(vip, 1000 + place),
            backend: SocketAddr::new(backend, 8000 + place),
            target: 1 + 4 * place + 2 * u16::from(ipv4) + u16::from(tcp),
        }
    }

    pub fn is_ipv4(&self) -> bool {
        self.vip.is_ipv4()
    }

    /// Protocol number.
    pub fn protocol(&self) -> u8 {
        if self.tcp { 6 } else { 17 }
    }

    /// From the client to the VIP.
    pub fn request(&self) -> Packet {
        self.packet(self.client, self.vip)
    }

    /// From the backend to the client.
    pub fn reply(&self) -> Packet {
        self.packet(self.backend, self.client)
    }

    /// Of the line's protocol.
    pub fn packet(&self, source: SocketAddr, destination: SocketAddr) -> Packet {
        if self.tcp { Packet::tcp(source, destination) } else { Packet::udp(source, destination) }
    }

    /// What becomes of a request: it goes to the backend over the pool's next hop.
    pub fn forwarded(&self, request: &Packet) -> Packet {
        request.to(self.backend).ttl(request.ttl - 1).via(&self.pool.hop())
    }

    /// What becomes of a reply: it comes from the VIP, over the pool's next hop.
    pub fn returned(&self, reply: &Packet) -> Packet {
        reply.from(self.vip).ttl(reply.ttl - 1).via(&self.pool.hop())
    }

    fn service(&self) -> PlannedService {
        let backend = PlannedBackend {
            target: self.target,
            address: self.backend,
            weight: 1,
            interface: if self.pool == Pool::Fenced { OTHER_INTERFACE } else { 0 },
            hop: self.pool.hop_id(),
        };
        let direct = match self.pool {
            Pool::Direct if self.is_ipv4() => vec![(self.pool.client(true, 0x8000), 17)],
            Pool::Direct => vec![(self.pool.client(false, 0x8000), 65)],
            _ => Vec::new(),
        };
        PlannedService {
            id: 100 + self.target,
            vip: self.vip,
            protocol: self.protocol(),
            first_slot: u32::from(self.target) * SLOTS_PER_LINE as u32,
            slots: 7,
            direct,
            backends: if self.pool == Pool::Empty { Vec::new() } else { vec![backend] },
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.tcp { "TCP" } else { "UDP" };
        let family = if self.is_ipv4() { "IPv4" } else { "IPv6" };
        write!(f, "{:?} {protocol}/{family}", self.pool)
    }
}

/// The pool's lines: TCP and UDP, IPv4 and IPv6.
pub fn lines(pool: Pool) -> [Line; 4] {
    [(true, true), (true, false), (false, true), (false, false)]
        .map(|(ipv4, tcp)| Line::new(pool, ipv4, tcp))
}

/// The pool's lines of TCP.
pub fn tcp_lines(pool: Pool) -> [Line; 2] {
    [true, false].map(|ipv4| Line::new(pool, ipv4, true))
}

/// The pool's lines of UDP.
pub fn udp_lines(pool: Pool) -> [Line; 2] {
    [true, false].map(|ipv4| Line::new(pool, ipv4, false))
}

/// All lines of all pools.
pub fn all_lines() -> Vec<Line> {
    POOLS.into_iter().flat_map(lines).collect()
}

/// All of it, as the control plane would have planned it.
pub fn services() -> Vec<PlannedService> {
    all_lines().iter().map(Line::service).collect()
}
