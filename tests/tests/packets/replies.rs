//! Replies: from a backend's service port back to a client, and what is not a reply.

use std::net::SocketAddr;

use xlb_common::reason::Reason;

use crate::bed::Bed;
use crate::expect::{dropped, passed, reply};
use crate::packet::{ACK, FIN, PSH, RST, SYN};
use crate::world::{Pool, lines, tcp_lines, udp_lines};

#[test]
fn a_reply_comes_from_the_vip() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let given = line.packet(line.backend, line.client).ttl(64);
        let expected = given.from(line.vip).ttl(63).via(&Pool::Plain.hop());
        bed.check(&format!("{line}"), &given, reply(&line, &expected));
    }
}

#[test]
fn only_a_syn_without_ack_is_the_backend_s_own() {
    let mut bed = Bed::shared();
    for line in tcp_lines(Pool::Plain) {
        for flags in [SYN, SYN | PSH, SYN | FIN, SYN | RST] {
            let given = line.reply().flags(flags);
            let name = format!("{line} with flags {flags:#04x}");
            bed.check(&name, &given, passed(Reason::BackendsOwn));
        }
        for flags in [SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, 0] {
            let given = line.reply().flags(flags);
            let name = format!("{line} with flags {flags:#04x}");
            bed.check(&name, &given, reply(&line, &line.returned(&given)));
        }
    }
}

#[test]
fn a_ttl_that_runs_out_ends_a_reply() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        for (ttl, left) in [(255, Some(254)), (2, Some(1)), (1, None), (0, None)] {
            let given = line.reply().ttl(ttl);
            let expect = match left {
                Some(left) => reply(&line, &given.from(line.vip).ttl(left).via(&line.pool.hop())),
                None => dropped(Reason::TtlExpired),
            };
            bed.check(&format!("{line} with TTL {ttl}"), &given, expect);
        }
    }
}

#[test]
fn other_ports_of_a_backend_are_its_own() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let mut source = line.backend;
        source.set_port(line.backend.port() ^ 1);
        let given = line.reply().from(source);
        // The pools' backends have ports of their own, so the neighbour's port is nobody's here.
        bed.check(&format!("{line}"), &given, passed(Reason::NotOurs));
    }
}

#[test]
fn replies_through_another_interface_than_theirs_are_spoofed() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Fenced) {
        bed.check(&format!("{line}"), &line.reply(), dropped(Reason::Spoofed));
    }
    for line in tcp_lines(Pool::Fenced) {
        let given = line.reply().flags(SYN);
        bed.check(&format!("{line}, a SYN"), &given, passed(Reason::BackendsOwn));
    }
}

#[test]
fn clients_that_are_listed_talk_to_the_backend_directly() {
    let mut bed = Bed::shared();
    for line in tcp_lines(Pool::Direct).into_iter().chain(udp_lines(Pool::Direct)) {
        let client = |host| SocketAddr::new(line.pool.client(line.is_ipv4(), host), 40_000);
        // The prefix is the upper half: its first and its last, and the last before it.
        for host in [0x8000, 0xffff] {
            let given = line.reply().to(client(host));
            bed.check(&format!("{line}, host {host:#x}"), &given, passed(Reason::Direct));
        }
        for host in [0, 9, 0x7fff] {
            let given = line.reply().to(client(host));
            let expect = reply(&line, &line.returned(&given));
            bed.check(&format!("{line}, host {host:#x}"), &given, expect);
        }
    }
    // The list is the service's: other services' replies to the same clients are translated.
    for line in lines(Pool::Plain) {
        let listed = SocketAddr::new(Pool::Direct.client(line.is_ipv4(), 0x8000), 40_000);
        let given = line.reply().to(listed);
        let expected = given.from(line.vip).ttl(63).via(&Pool::Direct.hop());
        bed.check(&format!("{line} to {listed}"), &given, reply(&line, &expected));
    }
}
