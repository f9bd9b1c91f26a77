//! What is none of ours: it passes, byte for byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use xlb_common::reason::Reason;

use crate::bed::Bed;
use crate::expect::passed;
use crate::packet::{MACS, Packet};
use crate::world::{Line, Pool, lines};

/// A frame of this ethertype.
fn frame(ethertype: u16, rest: &[u8]) -> Vec<u8> {
    [&MACS[..], &ethertype.to_be_bytes(), rest].concat()
}

#[test]
fn what_is_not_ip_passes() {
    let mut bed = Bed::shared();
    let arp =
        [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 9, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1];
    for (name, given) in [
        ("ARP", frame(0x0806, &arp)),
        ("ARP, padded", [frame(0x0806, &arp), vec![0; 18]].concat()),
        ("ARP in a VLAN", frame(0x8100, &[&[0, 7, 8, 6], &arp[..]].concat())),
        ("nothing but a header", frame(0x0806, &[])),
        ("802.3 with a length", frame(38, &[0x42; 38])),
        ("LLDP", frame(0x88cc, &[2, 7, 4, 2, 0, 0, 0, 0, 1])),
        ("PPPoE", frame(0x8864, &[0x11; 60])),
        ("MPLS", frame(0x8847, &[0x45; 60])),
    ] {
        bed.check(name, given, passed(Reason::NotIp));
    }
}

/// The line's request, but to another address, port or protocol.
fn foreigners(line: &Line) -> Vec<(&'static str, Packet)> {
    let (other_ip, other_source): (IpAddr, IpAddr) = if line.is_ipv4() {
        (Ipv4Addr::new(192, 0, 2, 2).into(), Ipv4Addr::new(10, 0, 0, 77).into())
    } else {
        let vip: u128 = match line.vip.ip() {
            IpAddr::V6(vip) => vip.into(),
            IpAddr::V4(_) => panic!("the line is IPv6"),
        };
        // They differ in the first half alone.
        ((Ipv6Addr::from(vip ^ 1 << 96)).into(), Ipv6Addr::LOCALHOST.into())
    };
    let mut other_port = line.vip;
    other_port.set_port(line.vip.port() + 0x100);
    let backend_as_vip = line.packet(line.client, line.backend);
    vec![
        ("another address", line.request().to(SocketAddr::new(other_ip, line.vip.port()))),
        ("another port", line.request().to(other_port)),
        ("from another's VIP to nobody", line.packet(line.vip, SocketAddr::new(other_source, 5))),
        ("straight to the backend", backend_as_vip),
    ]
}

#[test]
fn other_addresses_and_ports_pass() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        for (name, given) in foreigners(&line) {
            bed.check(&format!("{line}: {name}"), &given, passed(Reason::NotOurs));
        }
    }
}

#[test]
fn other_protocols_to_a_vip_and_from_a_backend_pass() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let at = 14 + if line.is_ipv4() { 9 } else { 6 };
        let protocols: &[u8] = if line.is_ipv4() {
            &[0, 1, 2, 4, 41, 43, 44, 47, 50, 51, 58, 60, 132, 136, 255]
        } else {
            &[1, 2, 4, 41, 47, 50, 51, 58, 59, 132, 136, 255]
        };
        for packet in [line.request(), line.reply()] {
            for &protocol in protocols {
                let mut given = packet.bytes();
                given[at] = protocol;
                bed.check(&format!("{line}: protocol {protocol}"), given, passed(Reason::NotOurs));
            }
        }
    }
}

#[test]
fn a_service_of_one_protocol_leaves_the_other_alone() {
    let (mut bed, line) = {
        let line = lines(Pool::Plain)[0];
        assert!(line.is_ipv4() && line.tcp);
        let services = crate::world::services();
        let only = services
            .into_iter()
            .filter(|s| s.vip == line.vip && s.protocol == 6)
            .collect::<Vec<_>>();
        (Bed::new(&only, crate::bed::LIMITS), line)
    };
    let udp = Packet::udp(line.client, line.vip);
    bed.check("UDP to a service of TCP", &udp, passed(Reason::NotOurs));
    let udp = Packet::udp(line.backend, line.client);
    bed.check("UDP from a backend of TCP", &udp, passed(Reason::NotOurs));
    let expect = crate::expect::request(&line, &line.forwarded(&line.request()));
    bed.check("TCP", &line.request(), expect);
}

#[test]
fn a_program_without_services_passes_everything() {
    let mut bed = Bed::new(&[], crate::bed::LIMITS);
    for line in lines(Pool::Plain) {
        bed.check(&format!("{line} request"), &line.request(), passed(Reason::NotOurs));
        bed.check(&format!("{line} reply"), &line.reply(), passed(Reason::NotOurs));
    }
    // The keys of unused entries are zero.
    for zero in [SocketAddr::from(([0u8; 4], 0)), SocketAddr::from(([0u8; 16], 0))] {
        for given in [Packet::tcp(zero, zero), Packet::udp(zero, zero)] {
            bed.check("nothing but zeroes", &given, passed(Reason::NotOurs));
        }
    }
}
