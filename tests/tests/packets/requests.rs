//! Requests: from a client to a VIP.

use xlb_common::reason::Reason;

use crate::bed::Bed;
use crate::expect::{dropped, request};
use crate::packet::{ACK, FIN, PSH, RST, SYN};
use crate::world::{Pool, lines, tcp_lines};

#[test]
fn a_request_goes_to_the_backend() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let given = line.packet(line.client, line.vip).ttl(64);
        let expected = given.to(line.backend).ttl(63).via(&Pool::Plain.hop());
        bed.check(&format!("{line}"), &given, request(&line, &expected));
    }
}

#[test]
fn connections_are_counted_by_their_flags() {
    let mut bed = Bed::shared();
    for line in tcp_lines(Pool::Plain) {
        for (flags, opened, closed) in [
            (SYN, 1, 0),
            (ACK, 0, 0),
            (ACK | PSH, 0, 0),
            // A client never answers a SYN; this is not for a count, but for the backend to judge.
            (SYN | ACK, 0, 0),
            (FIN | ACK, 0, 1),
            (FIN, 0, 1),
            (RST, 0, 1),
            (RST | ACK, 0, 1),
            (FIN | RST | ACK, 0, 1),
            // Neither opens a connection, whatever else it claims.
            (SYN | FIN, 0, 1),
            (SYN | RST, 0, 1),
            (0, 0, 0),
        ] {
            let given = line.request().flags(flags);
            let mut expect = request(&line, &line.forwarded(&given));
            if opened == 1 {
                expect = expect.opened();
            }
            if closed == 1 {
                expect = expect.closed();
            }
            bed.check(&format!("{line} with flags {flags:#04x}"), &given, expect);
        }
    }
}

#[test]
fn a_ttl_that_runs_out_ends_a_request() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        for (ttl, left) in [(255, Some(254)), (2, Some(1)), (1, None), (0, None)] {
            let given = line.request().ttl(ttl);
            let expect = match left {
                Some(left) => {
                    request(&line, &given.to(line.backend).ttl(left).via(&line.pool.hop()))
                }
                None => dropped(Reason::TtlExpired),
            };
            bed.check(&format!("{line} with TTL {ttl}"), &given, expect);
        }
    }
}

#[test]
fn a_service_without_backends_drops() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Empty) {
        bed.check(&format!("{line}"), &line.request(), dropped(Reason::NoBackend));
    }
}

#[test]
fn a_backend_can_t_be_its_own_client() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let mut own = line.backend;
        own.set_port(40_000);
        bed.check(&format!("{line}"), &line.request().from(own), dropped(Reason::Hairpin));
        // Another pool's backend is a client like any other.
        let other = lines(Pool::HandUp)
            .into_iter()
            .find(|other| other.is_ipv4() == line.is_ipv4() && other.tcp == line.tcp);
        let given = line.request().from(other.unwrap().backend);
        bed.check(&format!("{line}, another's"), &given, request(&line, &line.forwarded(&given)));
    }
}

#[test]
fn nobody_else_sends_from_the_vip() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let mut vip = line.vip;
        bed.check(&format!("{line}"), &line.request().from(vip), dropped(Reason::Martian));
        vip.set_port(40_000);
        bed.check(
            &format!("{line}, any port"),
            &line.request().from(vip),
            dropped(Reason::Martian),
        );
    }
}
