//! Both sides mean the same places: what is written at the borders of every table is what the
//! program uses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use xlb::dataplane::tables::{Index, Indexes, raw_address, raw_port};
use xlb::dataplane::{PlannedBackend, PlannedService};
use xlb_common::index::{self, Key6};
use xlb_common::layout::*;
use xlb_common::reason::Reason;
use xlb_common::slot::SlotWord;
use xlb_common::toeplitz;

use crate::bed::{Bed, LIMITS, routes4};
use crate::choice::{Numbers, slot_of};
use crate::expect::{dropped, reply, request, sent};
use crate::packet::Packet;
use crate::world::{LOOPBACK, Line, Pool, lines};

/// A seed with bits everywhere.
const SEED: u32 = 0xfedc_ba98;
const TCP: u8 = 6;

fn key4(address: SocketAddr) -> u64 {
    index::key4(raw_address(address.ip())[0] as u32, raw_port(address), TCP)
}

fn key6(address: SocketAddr) -> Key6 {
    Key6::new(raw_address(address.ip()), raw_port(address), TCP)
}

fn hash(address: SocketAddr) -> u64 {
    if address.is_ipv4() {
        index::hash4(key4(address), SEED)
    } else {
        index::hash6(key6(address), SEED)
    }
}

/// An address of a network that has its key in this bucket.
fn in_bucket(ipv4: bool, network: u8, buckets: usize, bucket: usize) -> SocketAddr {
    let candidate = |n: u32| {
        let ip: IpAddr = if ipv4 {
            Ipv4Addr::from(u32::from(network) << 24 | n).into()
        } else {
            Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(network) << 64 | u128::from(n))
                .into()
        };
        SocketAddr::new(ip, 5000 + (n % 1000) as u16)
    };
    let is_in = |address: &SocketAddr| index::bucket(hash(*address), buckets) == bucket;
    (1..1 << 24).map(candidate).find(is_in).unwrap()
}

/// A hop id, a service and so on at the first and the last place of their tables.
struct Border {
    line: Line,
    last: bool,
    service: PlannedService,
}

fn border(ipv4: bool, last: bool) -> Border {
    let at = |size: usize| if last { size - 1 } else { 0 };
    let vip = in_bucket(ipv4, 20, SERVICE_BUCKETS, at(SERVICE_BUCKETS));
    let backend = in_bucket(ipv4, 30, REPLY_BUCKETS, at(REPLY_BUCKETS));
    // Number 0 is no target, so the first ones are 1 and 2.
    let place = u16::from(!ipv4);
    let target = if last { TARGETS as u16 - 1 - place } else { 1 + place };
    let hop = if last { HOPS as u16 - 1 - place } else { Pool::Plain.hop_id() };
    let plain = lines(Pool::Plain)[if ipv4 { 0 } else { 2 }];
    let service = PlannedService {
        id: 1,
        vip,
        protocol: TCP,
        first_slot: u32::from(place) * 32 + u32::from(last) * 16,
        slots: 7,
        direct: Vec::new(),
        backends: vec![PlannedBackend { target, address: backend, weight: 1, interface: 0, hop }],
    };
    Border { line: Line { vip, backend, target, ..plain }, last, service }
}

/// An index with one entry in each border, all others empty.
fn index<E>(
    borders: &[&Border],
    buckets: usize,
    size: usize,
    make: impl Fn(&Border) -> (SocketAddr, E),
) -> Index<E> {
    let mut displacements = vec![0; buckets];
    let entries = borders.iter().map(|border| {
        let (address, entry) = make(border);
        let place = if border.last { size - 1 } else { 0 };
        let hash = hash(address);
        displacements[index::bucket(hash, buckets)] = (index::entry(hash, 0, size) ^ place) as u16;
        (place, entry)
    });
    let entries = entries.collect();
    Index { displacements, entries }
}

/// The indexes, built by hand.
fn indexes(borders: &[Border], tables: &toeplitz::Tables) -> Indexes {
    let entry = |border: &Border| {
        let PlannedService { vip, first_slot, slots, id, .. } = border.service;
        let (raw, port) = (raw_address(vip.ip()), raw_port(vip));
        let hash = match vip.ip() {
            IpAddr::V4(_) => toeplitz::vip4(tables, raw[0] as u32, port),
            IpAddr::V6(_) => toeplitz::vip6(tables, raw, port),
        };
        Service { hash, first_slot, slots, id, flags: 0 }
    };
    let back = |border: &Border| Reply { target: border.line.target, flags: 0, ifindex: LOOPBACK };
    let of = |ipv4| borders.iter().filter(|b| b.line.is_ipv4() == ipv4).collect::<Vec<_>>();
    let (four, six) = (of(true), of(false));
    Indexes {
        seed: SEED,
        services4: index(&four, SERVICE_BUCKETS, SERVICE_ENTRIES, |b| {
            (b.line.vip, Service4 { key: key4(b.line.vip), service: entry(b), reserved: 0 })
        }),
        services6: index(&six, SERVICE_BUCKETS, SERVICE_ENTRIES, |b| {
            (b.line.vip, Service6 { key: key6(b.line.vip), service: entry(b), reserved: [0; 3] })
        }),
        replies4: index(&four, REPLY_BUCKETS, REPLY_ENTRIES, |b| {
            (b.line.backend, Reply4 { key: key4(b.line.backend), reply: back(b) })
        }),
        replies6: index(&six, REPLY_BUCKETS, REPLY_ENTRIES, |b| {
            (b.line.backend, Reply6 { key: key6(b.line.backend), reply: back(b) })
        }),
    }
}

#[test]
fn the_first_and_the_last_of_everything() {
    let mut bed = Bed::new(&[], LIMITS);
    let borders = [(true, false), (true, true), (false, false), (false, true)]
        .map(|(ipv4, last)| border(ipv4, last));
    let hop_of = |border: &Border| Hop {
        mac_low: 0x1122_3344_5566_7702 ^ u64::from(border.line.target) << 16,
        ..Pool::Plain.hop()
    };
    for border in &borders {
        let backend = &border.service.backends[0];
        bed.datapath.write_targets(std::slice::from_ref(&border.service));
        for slot in 0..border.service.slots {
            let word = SlotWord::stable(backend.target);
            bed.datapath.set_slot(border.service.first_slot + slot, word);
        }
        if border.last {
            bed.datapath.write_hop(backend.hop, hop_of(border));
        }
    }
    bed.watch(&borders.each_ref().map(|border| border.line.target));
    let indexes = indexes(&borders, &bed.datapath.hash_tables());
    // Each time the other half.
    for half in 0..4 {
        bed.datapath.write_indexes(&indexes);
        for border in &borders {
            let Border { line, last, .. } = border;
            let name = format!("{line}, last: {last}, {half}");
            let given = line.request();
            let hop = if *last { hop_of(border) } else { Pool::Plain.hop() };
            let expected = given.to(line.backend).ttl(63).via(&hop);
            bed.check(&format!("{name}: request"), &given, request(line, &expected));
            let given = line.reply();
            bed.check(&format!("{name}: reply"), &given, reply(line, &line.returned(&given)));
        }
    }
}

/// A service with a target for each slot.
fn service_at(first_slot: u32, slots: u32) -> PlannedService {
    let line = lines(Pool::Plain)[0];
    let backend = |slot: u32| PlannedBackend {
        target: 1 + slot as u16,
        address: SocketAddr::new(Ipv4Addr::new(198, 51, 100, slot as u8).into(), 80),
        weight: 1,
        interface: 0,
        hop: Pool::Plain.hop_id(),
    };
    PlannedService {
        id: 1,
        vip: line.vip,
        protocol: TCP,
        first_slot,
        slots,
        direct: Vec::new(),
        backends: (0..slots).map(backend).collect(),
    }
}

/// Sends clients until each slot had one: each must get the backend of its slot.
fn visit_all_slots(first_slot: u32, slots: u32) {
    let service = service_at(first_slot, slots);
    let mut bed = Bed::new(&[], LIMITS);
    let indexes = Indexes::build(std::slice::from_ref(&service), &bed.datapath.hash_tables());
    bed.datapath.write_targets(std::slice::from_ref(&service));
    bed.datapath.write_indexes(&indexes.unwrap());
    for (slot, backend) in (first_slot..).zip(&service.backends) {
        bed.datapath.set_slot(slot, SlotWord::stable(backend.target));
        assert_eq!(bed.datapath.slot(slot), SlotWord::stable(backend.target));
    }
    bed.watch(&service.backends.iter().map(|backend| backend.target).collect::<Vec<_>>());
    let tables = bed.datapath.hash_tables();
    let mut numbers = Numbers::new(u64::from(first_slot));
    let mut missing: BTreeSet<u32> = (0..slots).collect();
    while !missing.is_empty() {
        let client = numbers.client(true);
        let slot = slot_of(&tables, client, &service);
        if missing.remove(&slot) {
            let given = Packet::tcp(client, service.vip);
            let backend = &service.backends[slot as usize];
            let expected = given.to(backend.address).ttl(63).via(&Pool::Plain.hop());
            let expect = sent(backend.target, &expected, |counters| {
                (&mut counters.request_packets, &mut counters.request_bytes)
            });
            bed.check(&format!("slot {}", first_slot + slot), &given, expect);
        }
    }
}

#[test]
fn the_first_slots() {
    visit_all_slots(0, 20);
}

#[test]
fn the_last_near_slots_and_the_first_far_ones() {
    visit_all_slots(NEAR_SLOTS - 16, 48);
}

#[test]
fn the_last_slots_and_what_is_behind_them() {
    let capacity = Bed::shared().datapath.slot_capacity();
    assert_eq!(capacity, LIMITS.slots);
    visit_all_slots(capacity - 16, 16);

    let service = service_at(capacity, 7);
    let mut bed = Bed::new(&[], LIMITS);
    let indexes = Indexes::build(std::slice::from_ref(&service), &bed.datapath.hash_tables());
    bed.datapath.write_indexes(&indexes.unwrap());
    let given = Packet::tcp(lines(Pool::Plain)[0].client, service.vip);
    bed.check("a slot that is not there", &given, dropped(Reason::Internal));
}

#[test]
fn every_route_of_ipv4_has_its_place() {
    let line = lines(Pool::Plain)[0];
    let mut bed = Bed::new(&crate::world::services(), LIMITS);
    let pools = [Pool::Plain, Pool::OneTag, Pool::TwoTags];
    // Neighbours have different pools, and so have swapped bytes.
    let pool_of = |[a, b]: [u8; 2]| pools[(2 * usize::from(a) + usize::from(b)) % 3];
    bed.datapath.write_routes4(&routes4(|bytes| pool_of(bytes).hop_id()), |hop| hop);
    for [a, b] in
        [[0, 0], [0, 1], [0, 2], [0, 255], [1, 0], [127, 255], [128, 0], [255, 254], [255, 255]]
    {
        let ip = Ipv4Addr::new(a, b, 0x12, 0x34);
        let given = line.reply().to(SocketAddr::new(ip.into(), 40_000));
        let hop = pool_of([a, b]).hop();
        let expected = given.from(line.vip).ttl(63).via(&hop);
        bed.check(&format!("to {ip}"), &given, reply(&line, &expected));
    }
}

#[test]
fn the_first_route_of_ipv6_that_matches_counts() {
    let line = lines(Pool::Plain)[2];
    let mut bed = Bed::new(&crate::world::services(), LIMITS);
    // No client has such an address.
    let nothing = Route6 { prefix: u64::MAX, mask: u64::MAX, hop: 0 };
    let route = |prefix: u64, bits: u32, pool: Pool| Route6 {
        prefix: prefix.to_be(),
        mask: u64::MAX.checked_shl(64 - bits).unwrap_or(0).to_be(),
        hop: u64::from(pool.hop_id()),
    };
    let mut routes = [nothing; ROUTES6];
    routes[0] = route(0x2001_0db8_1111_0001, 64, Pool::Plain);
    routes[1] = route(0x2001_0db8_1111_0000, 48, Pool::OneTag);
    routes[2] = route(0x2001_0db8_0000_0000, 33, Pool::TwoTags);
    routes[ROUTES6 - 1] = route(0, 0, Pool::Elsewhere);
    // Each time the other half.
    for half in 0..2 {
        routes[3] = Route6 { hop: half, ..nothing };
        assert!(bed.datapath.write_routes6(&routes));
        for (to, pool) in [
            ("2001:db8:1111:1::1", Pool::Plain),
            ("2001:db8:1111:2::1", Pool::OneTag),
            ("2001:db8:1111::1", Pool::OneTag),
            ("2001:db8:7fff::1", Pool::TwoTags),
            ("2001:db8:8000::1", Pool::Elsewhere),
            ("::1:2", Pool::Elsewhere),
            ("fe80::1", Pool::Elsewhere),
        ] {
            let given = line.reply().to(SocketAddr::new(to.parse().unwrap(), 40_000));
            let expected = given.from(line.vip).ttl(63).via(&pool.hop());
            let mut expect = reply(&line, &expected);
            if pool == Pool::Elsewhere {
                expect = expect.redirected();
            }
            bed.check(&format!("to {to}"), &given, expect);
        }
    }
}
