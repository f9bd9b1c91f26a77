//! The kernel chooses the backend that the control plane computes: hash, slot and table agree.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use xlb::dataplane::tables::{raw_address, raw_port};
use xlb::dataplane::{Limits, PlannedBackend, PlannedService};
use xlb_common::layout::{NEAR_SLOTS, SLOTS_PER_LINE};
use xlb_common::toeplitz::{self, Key, Tables};
use xlb_common::{slot, toeplitz::KEY_BYTES};

use crate::bed::{Bed, LIMITS, cases, hex};
use crate::packet::Packet;
use crate::world::Pool;

/// Numbers that look random and are the same each time (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A client from anywhere.
    pub fn client(&mut self, ipv4: bool) -> SocketAddr {
        let ip: IpAddr = if ipv4 {
            Ipv4Addr::from(self.next() as u32).into()
        } else {
            Ipv6Addr::from(u128::from(self.next()) << 64 | u128::from(self.next())).into()
        };
        SocketAddr::new(ip, self.next() as u16)
    }
}

/// The slot of a client's flow, within its service.
pub fn slot_of(tables: &Tables, client: SocketAddr, service: &PlannedService) -> u32 {
    let vip = service.vip;
    let (from, to) = (raw_address(client.ip()), raw_address(vip.ip()));
    let (from_port, to_port) = (raw_port(client), raw_port(vip));
    let hash = if vip.is_ipv4() {
        toeplitz::client4(tables, from[0] as u32, from_port)
            ^ toeplitz::vip4(tables, to[0] as u32, to_port)
    } else {
        toeplitz::client6(tables, from, from_port) ^ toeplitz::vip6(tables, to, to_port)
    };
    slot::choose(hash, service.slots)
}

/// Services of all sizes, with backends of several weights.
fn services() -> Vec<PlannedService> {
    let mut services = Vec::new();
    let mut target = 1;
    let mut first_slot = 0;
    for (id, (slots, backends)) in
        [(7, 3), (251, 17), (4093, 40), (65_537, 100), (65_537, 7)].into_iter().enumerate()
    {
        for (ipv4, protocol) in [(true, 6), (true, 17), (false, 6), (false, 17)] {
            let id = id as u16;
            let (vip, backend): (IpAddr, IpAddr) = if ipv4 {
                (
                    Ipv4Addr::new(192, 0, 2, 10 + id as u8).into(),
                    Ipv4Addr::new(198, 18, id as u8, 0).into(),
                )
            } else {
                (
                    Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, 10 + id).into(),
                    Ipv6Addr::new(0x2001, 0xdb8, 0xbac, id, 0, 0, 0, 0).into(),
                )
            };
            let numbered = |i: u16| match backend {
                IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from(u32::from(ip) + u32::from(i))),
                IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) + u128::from(i))),
            };
            services.push(PlannedService {
                id: services.len() as u16,
                vip: SocketAddr::new(vip, 443 + id),
                protocol,
                // The last service is beyond the section of near slots.
                first_slot: if id == 4 { NEAR_SLOTS + first_slot } else { first_slot },
                slots,
                direct: Vec::new(),
                backends: (0..backends)
                    .map(|i| PlannedBackend {
                        target: target + i,
                        address: SocketAddr::new(numbered(i), 8000 + i),
                        weight: 1 + u32::from(i % 4),
                        interface: 0,
                        hop: Pool::Plain.hop_id(),
                    })
                    .collect(),
            });
            target += backends;
            first_slot += slots.next_multiple_of(SLOTS_PER_LINE as u32);
        }
    }
    services
}

#[test]
fn the_kernel_and_the_control_plane_choose_the_same_backends() {
    let mut numbers = Numbers::new(0x0c11_e475);
    let mut key: Key = [0; KEY_BYTES];
    key.fill_with(|| numbers.next() as u8);
    let services = services();
    let limits = Limits { slots: NEAR_SLOTS + (1 << 20), ..LIMITS };
    let bed = Bed::with_key(&services, limits, &key);
    let tables = bed.datapath.hash_tables();
    let mut sent: BTreeMap<u16, u64> = BTreeMap::new();
    for service in &services {
        let targets = service.slot_targets();
        for _ in 0..cases(2000) {
            let client = numbers.client(service.vip.is_ipv4());
            let given = match service.protocol {
                6 => Packet::tcp(client, service.vip),
                _ => Packet::udp(client, service.vip),
            };
            let target = targets[slot_of(&tables, client, service) as usize];
            let backend = service.backends.iter().find(|backend| backend.target == target).unwrap();
            let expected = given.to(backend.address).ttl(63).via(&Pool::Plain.hop()).bytes();
            let outcome = bed.run(&given.bytes());
            assert_eq!(
                outcome.frame,
                expected,
                "{client} to {}: expected {}, got\n{}",
                service.vip,
                backend.address,
                hex(&outcome.frame, &expected)
            );
            *sent.entry(target).or_default() += 1;
        }
    }
    for target in services.iter().flat_map(|s| &s.backends).map(|backend| backend.target) {
        let counted = bed.datapath.target_total(target).unwrap().request_packets;
        assert_eq!(counted, sent.get(&target).copied().unwrap_or(0), "target {target}");
    }
}
