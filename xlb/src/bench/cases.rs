//! The cases: frames and what is varied in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::frames;
use crate::dataplane::{PlannedBackend, PlannedService};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Backends of each of the benchmark's services.
const BACKENDS: u16 = 16;
/// The one next hop.
pub const HOP: u16 = 1;
/// Sizes of the set of flows, for the cases that have all of them.
const FLOWS: [u32; 3] = [1, 1024, 1 << 20];

/// One line of the report.
pub struct Case {
    /// Its name, without the number of flows.
    pub name: String,
    /// How many flows there are; a power of two.
    pub flows: u32,
    /// The frame of the first flow.
    pub frame: Vec<u8>,
    /// Where in the IP packet the last four bytes of the client's address are.
    pub client_offset: u32,
}

/// The services that the cases' frames are for.
pub fn services() -> Vec<PlannedService> {
    let mut services = Vec::new();
    for (place, (family, protocol)) in
        [(4, TCP), (4, UDP), (6, TCP), (6, UDP)].into_iter().enumerate()
    {
        let place = place as u16;
        services.push(PlannedService {
            id: place,
            vip: vip(family),
            protocol,
            first_slot: u32::from(place) * 65_552,
            slots: 65_537,
            direct: Vec::new(),
            backends: (0..BACKENDS)
                .map(|i| PlannedBackend {
                    target: 1 + place * BACKENDS + i,
                    address: backend(family, i),
                    weight: 1,
                    interface: 0,
                    hop: HOP,
                })
                .collect(),
        });
    }
    services
}

fn vip(family: u8) -> SocketAddr {
    let ip: IpAddr = match family {
        4 => Ipv4Addr::new(192, 0, 2, 1).into(),
        _ => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    SocketAddr::new(ip, 443)
}

fn backend(family: u8, i: u16) -> SocketAddr {
    let ip: IpAddr = match family {
        4 => Ipv4Addr::new(198, 51, 100, 1 + i as u8).into(),
        _ => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1 + i).into(),
    };
    SocketAddr::new(ip, 8443)
}

fn client(family: u8) -> SocketAddr {
    // The last bits are zero, for the number of the flow.
    let ip: IpAddr = match family {
        4 => Ipv4Addr::new(10, 0, 0, 0).into(),
        _ => Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0).into(),
    };
    SocketAddr::new(ip, 40_000)
}

/// All cases, in the order of the report.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, family, protocol) in
        [("tcp4", 4, TCP), ("udp4", 4, UDP), ("tcp6", 6, TCP), ("udp6", 6, UDP)]
    {
        for flows in FLOWS {
            cases.push(Case {
                name: format!("{name}-request"),
                flows,
                frame: frames::frame(protocol, ACK, client(family), vip(family)),
                client_offset: if family == 4 { 12 } else { 20 },
            });
        }
        for flows in FLOWS {
            cases.push(Case {
                name: format!("{name}-reply"),
                flows,
                frame: frames::frame(protocol, ACK, backend(family, 0), client(family)),
                client_offset: if family == 4 { 16 } else { 36 },
            });
        }
        if protocol == TCP {
            cases.push(Case {
                name: format!("{name}-new-flows"),
                flows: 1 << 20,
                frame: frames::frame(protocol, SYN, client(family), vip(family)),
                client_offset: if family == 4 { 12 } else { 20 },
            });
        }
    }
    cases
}
