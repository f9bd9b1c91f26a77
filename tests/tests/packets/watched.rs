//! Watched slots: no live flow is moved while a slot's backend changes.
//!
//! The rules themselves are tested where they are written, in xlb-common; here it is that the
//! program tells them what comes in and remembers what they say.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use aya::maps::{Array, HashMap};
use xlb::dataplane::tables::{raw_address, raw_port};
use xlb::dataplane::{Limits, PlannedBackend, PlannedService};
use xlb_common::layout::{SERVICES, SLOTS_PER_LINE};
use xlb_common::slot::SlotWord;

use crate::bed::{Bed, LIMITS};
use crate::packet::{ACK, FIN, Packet, RST, SYN};
use crate::world::{Line, Pool, lines, tcp_lines, udp_lines};

/// Services whose slots move from one backend to another.
struct Moving {
    bed: Bed,
    services: Vec<PlannedService>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Old,
    New,
}
use Side::{New, Old};

/// A key of the flow tables, taken apart: client, raw port, service.
type Key = ([u64; 2], u16, u16);

impl Moving {
    /// The plain lines' services, each with the line's own backend and another.
    fn new(limits: Limits) -> Self {
        let services: Vec<PlannedService> = lines(Pool::Plain)
            .iter()
            .zip(0..)
            .map(|(line, place): (&Line, u16)| {
                let mut other = line.backend;
                other.set_port(line.backend.port() + 1000);
                let backends = [line.backend, other].into_iter().zip(0..);
                PlannedService {
                    // The highest ids there are.
                    id: (SERVICES - 1) as u16 - place,
                    vip: line.vip,
                    protocol: line.protocol(),
                    first_slot: u32::from(place) * SLOTS_PER_LINE as u32,
                    slots: 7,
                    direct: Vec::new(),
                    backends: backends
                        .map(|(address, side)| PlannedBackend {
                            target: 1 + 2 * place + side,
                            address,
                            weight: 1,
                            interface: 0,
                            hop: Pool::Plain.hop_id(),
                        })
                        .collect(),
                }
            })
            .collect();
        Self { bed: Bed::new(&services, limits), services }
    }

    fn service(&self, line: &Line) -> &PlannedService {
        let is_it = |s: &&PlannedService| s.vip == line.vip && s.protocol == line.protocol();
        self.services.iter().find(is_it).unwrap()
    }

    /// The line's old and new target.
    fn targets(&self, line: &Line) -> [u16; 2] {
        let backends = &self.service(line).backends;
        [backends[0].target, backends[1].target]
    }

    fn set(&self, line: &Line, word: impl Fn(u16, u16) -> SlotWord) {
        let [old, new] = self.targets(line);
        let service = self.service(line);
        for slot in service.first_slot..service.first_slot + service.slots {
            self.bed.datapath.set_slot(slot, word(old, new));
        }
    }

    fn moving(&self, line: &Line) {
        self.set(line, |old, new| SlotWord::moving(old, new, false));
    }

    fn holding(&self, line: &Line) {
        self.set(line, |old, new| SlotWord::moving(old, new, true));
    }

    fn settled(&self, line: &Line) {
        self.set(line, |_, new| SlotWord::settled(new));
    }

    /// Where the packet goes, which must be translated right.
    #[track_caller]
    fn send(&self, line: &Line, given: &Packet) -> Side {
        let outcome = self.bed.run(&given.bytes());
        let sent_to = |backend: &PlannedBackend| {
            given.to(backend.address).ttl(63).via(&Pool::Plain.hop()).bytes() == outcome.frame
        };
        match self.service(line).backends.iter().position(sent_to) {
            Some(0) => Old,
            Some(_) => New,
            None => panic!("{line}: sent to neither backend: {outcome:x?}"),
        }
    }

    fn table(&self, name: &str) -> BTreeMap<Key, Vec<u8>> {
        // A value of FLOWS has 16 bytes, one of PENDING 24.
        fn read<const N: usize>(bed: &Bed, name: &str) -> BTreeMap<Key, Vec<u8>> {
            let map: HashMap<_, [u8; 24], [u8; N]> = HashMap::try_from(bed.map(name)).unwrap();
            let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap());
            let half = |bytes: &[u8]| u16::from_ne_bytes(bytes.try_into().unwrap());
            map.iter()
                .map(|entry| {
                    let (key, value) = entry.unwrap();
                    assert_eq!(key[20..], [0; 4], "reserved");
                    let client = [word(&key[..8]), word(&key[8..16])];
                    ((client, half(&key[16..18]), half(&key[18..20])), value.to_vec())
                })
                .collect()
        }
        if name == "FLOWS" { read::<16>(&self.bed, name) } else { read::<24>(&self.bed, name) }
    }

    /// Targets by flow: those of `FLOWS`, and those of `PENDING`.
    fn remembered(&self) -> [BTreeMap<Key, u16>; 2] {
        [("FLOWS", 8), ("PENDING", 16)].map(|(name, at)| {
            let target = |value: &[u8]| u16::from_ne_bytes([value[at], value[at + 1]]);
            self.table(name).into_iter().map(|(key, value)| (key, target(&value))).collect()
        })
    }

    fn key(&self, line: &Line, packet: &Packet) -> Key {
        let client = packet.source;
        (raw_address(client.ip()), raw_port(client), self.service(line).id)
    }
}

/// The line's client number `n`.
fn client(line: &Line, n: u16) -> SocketAddr {
    SocketAddr::new(line.client.ip(), 20_000 + n)
}

fn segment(line: &Line, n: u16) -> Packet {
    line.packet(client(line, n), line.vip)
}

#[test]
fn live_connections_stay_and_new_ones_go_to_the_new_backend() {
    let test = Moving::new(LIMITS);
    for line in tcp_lines(Pool::Plain) {
        test.moving(&line);
        let [old_target, new_target] = test.targets(&line);
        let (syn, data, live) = (
            segment(&line, 1).flags(SYN).sequence(1000),
            segment(&line, 1).sequence(1001),
            segment(&line, 2).sequence(5_000_000),
        );
        let [before, _] = test.remembered();

        assert_eq!(test.send(&line, &syn), New, "{line}: a SYN");
        let [flows, pending] = test.remembered();
        assert_eq!(flows, before, "{line}: a SYN is not yet a flow");
        assert_eq!(pending, BTreeMap::from([(test.key(&line, &syn), new_target)]));

        assert_eq!(test.send(&line, &data), New, "{line}: its data");
        assert_eq!(test.send(&line, &live), Old, "{line}: a live connection");
        let [flows, pending] = test.remembered();
        assert!(pending.is_empty(), "{line}: the handshake is over");
        assert_eq!(flows.len(), before.len() + 2);
        assert_eq!(flows[&test.key(&line, &data)], new_target);
        assert_eq!(flows[&test.key(&line, &live)], old_target);

        test.settled(&line);
        assert_eq!(test.send(&line, &data), New, "{line}: settled, the new connection");
        assert_eq!(test.send(&line, &live), Old, "{line}: settled, the live connection");
        let unknown = segment(&line, 3);
        assert_eq!(test.send(&line, &unknown), New, "{line}: settled, an unknown connection");
        assert_eq!(test.remembered(), [flows, BTreeMap::new()], "{line}: nothing more is noted");

        test.set(&line, |_, new| SlotWord::stable(new));
        assert_eq!(test.send(&line, &live), New, "{line}: stable, the tables are not asked");
    }
}

#[test]
fn while_a_move_is_young_handshakes_stay_whole() {
    let test = Moving::new(LIMITS);
    for line in tcp_lines(Pool::Plain) {
        test.holding(&line);
        let syn = segment(&line, 1).flags(SYN).sequence(77);
        assert_eq!(test.send(&line, &syn), Old, "{line}: held");
        test.moving(&line);
        assert_eq!(test.send(&line, &syn), Old, "{line}: sent again");
        assert_eq!(test.send(&line, &segment(&line, 1).sequence(78)), Old, "{line}: its data");
        let other = segment(&line, 2).flags(SYN).sequence(77);
        assert_eq!(test.send(&line, &other), New, "{line}: another's");
    }
}

#[test]
fn a_stray_syn_moves_no_live_connection() {
    let test = Moving::new(LIMITS);
    for line in tcp_lines(Pool::Plain) {
        test.moving(&line);
        let stray = segment(&line, 1).flags(SYN).sequence(9);
        assert_eq!(test.send(&line, &stray), New, "{line}: the SYN goes where SYNs go");
        // 64 KiB behind a SYN is the last that belongs to it.
        let far = segment(&line, 1).sequence(9 + (64 << 10) + 1);
        assert_eq!(test.send(&line, &far), Old, "{line}: the connection does not follow");
        let edge = segment(&line, 2).flags(SYN).sequence(u32::MAX);
        assert_eq!(test.send(&line, &edge), New);
        let near = segment(&line, 2).sequence(u32::MAX.wrapping_add(64 << 10));
        assert_eq!(test.send(&line, &near), New, "{line}: its own SYN's data follows");
    }
}

#[test]
fn flags_decide_what_is_remembered() {
    let test = Moving::new(LIMITS);
    for line in tcp_lines(Pool::Plain) {
        test.moving(&line);
        let before = test.remembered();
        for flags in [RST, RST | ACK, SYN | RST] {
            assert_eq!(test.send(&line, &segment(&line, 1).flags(flags)), Old, "{line}: a reset");
        }
        assert_eq!(test.remembered(), before, "{line}: a reset leaves nothing behind");

        let fin = segment(&line, 1).flags(FIN | ACK);
        assert_eq!(test.send(&line, &fin), Old, "{line}: the end of a live connection");
        let closed = |n| test.table("FLOWS")[&test.key(&line, &segment(&line, n))][10];
        assert_eq!(closed(1), 1, "{line}: noted as closed");
        assert_eq!(test.send(&line, &segment(&line, 1)), Old, "{line}: the last ACK");
        let again = segment(&line, 1).flags(SYN).sequence(4_000_000);
        assert_eq!(test.send(&line, &again), New, "{line}: the port is used again");

        // A SYN with ACK is not a SYN: it makes an entry like any segment.
        assert_eq!(test.send(&line, &segment(&line, 2).flags(SYN | ACK)), Old, "{line}: SYN-ACK");
        assert_eq!(closed(2), 0);
        let syn = segment(&line, 2).flags(SYN).sequence(1);
        assert_eq!(test.send(&line, &syn), Old, "{line}: a SYN on an open connection");
    }
}

#[test]
fn datagrams_stay_with_their_flow() {
    let test = Moving::new(LIMITS);
    for line in udp_lines(Pool::Plain) {
        test.moving(&line);
        // Bytes that would be a SYN's flags, were this TCP.
        let live = segment(&line, 1).payload(&[SYN; 32]);
        assert_eq!(test.send(&line, &live), Old, "{line}");
        test.settled(&line);
        assert_eq!(test.send(&line, &live), Old, "{line}: settled");
        assert_eq!(test.send(&line, &segment(&line, 2)), New, "{line}: settled, a new flow");
        let [flows, pending] = test.remembered();
        assert!(flows.contains_key(&test.key(&line, &live)) && pending.is_empty());
        assert!(!flows.contains_key(&test.key(&line, &segment(&line, 2))));
    }
}

#[test]
fn one_client_s_flows_to_two_services_are_two() {
    let test = Moving::new(LIMITS);
    let [tcp4, udp4, _, _] = lines(Pool::Plain);
    let same = |line: &Line| line.packet(client(&tcp4, 1), line.vip);
    test.moving(&tcp4);
    assert_eq!(test.send(&tcp4, &same(&tcp4)), Old);
    test.settled(&tcp4);
    test.settled(&udp4);
    assert_eq!(test.send(&tcp4, &same(&tcp4)), Old);
    assert_eq!(test.send(&udp4, &same(&udp4)), New);
}

#[test]
fn full_tables_keep_to_the_old_backend_and_say_so() {
    let room = 8;
    let test = Moving::new(Limits { flows: room, pending: room, ..LIMITS });
    let [line, _, other, _] = lines(Pool::Plain);
    test.moving(&line);
    let refused = |line: &Line| {
        let times: Array<_, [u8; 8 * SERVICES]> =
            Array::try_from(test.bed.map(".bss.refused")).unwrap();
        let at = 8 * usize::from(test.service(line).id);
        u64::from_ne_bytes(times.get(&0, 0).unwrap()[at..at + 8].try_into().unwrap())
    };
    let before = test.bed.datapath.jiffies().unwrap();
    for n in 0..room as u16 {
        assert_eq!(test.send(&line, &segment(&line, n).flags(SYN).sequence(1)), New);
    }
    assert_eq!(refused(&line), 0, "there is room");
    let late = segment(&line, 100).flags(SYN).sequence(1);
    assert_eq!(test.send(&line, &late), Old, "no room for a SYN");
    assert!(refused(&line) >= before, "the time is noted");
    assert_eq!(refused(&other), 0, "the other services' times are not");

    test.moving(&other);
    for n in 0..=room as u16 {
        assert_eq!(refused(&other), 0, "there is room");
        assert_eq!(test.send(&other, &segment(&other, n)), Old);
    }
    assert!(refused(&other) >= before, "no room for a flow");
    test.settled(&other);
    let stayed = (0..=room as u16).filter(|&n| test.send(&other, &segment(&other, n)) == Old);
    assert_eq!(stayed.count(), room as usize);
}

#[test]
fn a_flow_of_a_target_that_is_gone_chooses_again() {
    let test = Moving::new(LIMITS);
    for line in lines(Pool::Plain) {
        test.moving(&line);
        assert_eq!(test.send(&line, &segment(&line, 1)), Old, "{line}");
        test.settled(&line);
        assert_eq!(test.send(&line, &segment(&line, 1)), Old, "{line}: settled");
        let [old, _] = test.targets(&line);
        test.bed.datapath.clear_target(old);
        assert_eq!(test.send(&line, &segment(&line, 1)), New, "{line}: gone");
    }
}

#[test]
fn an_old_handshake_gives_way_to_a_new_one() {
    let test = Moving::new(LIMITS);
    let [line, _] = tcp_lines(Pool::Plain);
    let syn = |sequence| segment(&line, 1).flags(SYN).sequence(sequence);
    test.holding(&line);
    assert_eq!(test.send(&line, &syn(1)), Old);
    test.moving(&line);
    // The program takes its idea of a second from the lifetime of the cache: first an age, ...
    test.bed.datapath.set_cache_jiffies(1 << 40);
    assert_eq!(test.send(&line, &syn(2)), Old, "fresh");
    // ... then a jiffy, so that four seconds are soon over.
    test.bed.datapath.set_cache_jiffies(2);
    let over = test.bed.datapath.jiffies().unwrap() + 4;
    while test.bed.datapath.jiffies().unwrap() < over {
        std::thread::yield_now();
    }
    assert_eq!(test.send(&line, &syn(3)), New, "not fresh any more");
}
