//! Next hops: known ones, unknown ones, small ones, and those that are not to be trusted.

use xlb_common::reason::Reason;

use crate::bed::{Bed, LIMITS, set_forwarding};
use crate::expect::{dropped, passed, reply, request};
use crate::packet::Packet;
use crate::world::{Line, Pool, lines, services};

/// A packet that is `length` bytes long from its IP header on.
fn of_length(packet: &Packet, length: usize) -> Packet {
    let headers = packet.payload(b"").ip_length();
    packet.payload(&(headers..length).map(|i| i as u8).collect::<Vec<_>>())
}

/// Rewritten, but for TTL and MACs: those are the kernel's business.
fn up(line: &Line, packet: &Packet) -> Packet {
    if packet.destination == line.vip { packet.to(line.backend) } else { packet.from(line.vip) }
}

#[test]
fn without_a_next_hop_the_kernel_gets_the_translated_packet() {
    let mut bed = Bed::shared();
    for line in lines(Pool::HandUp) {
        let given = line.request();
        let expect = request(&line, &given.to(line.backend)).handed_up(Reason::HandedUp);
        bed.check(&format!("{line} request"), &given, expect);
        let given = line.reply();
        let expect = reply(&line, &given.from(line.vip)).handed_up(Reason::HandedUp);
        bed.check(&format!("{line} reply"), &given, expect);
        // An end of the TTL is an end here, too: the kernel would speak for the VIP.
        bed.check(&format!("{line} TTL 1"), &line.request().ttl(1), dropped(Reason::TtlExpired));
        let given = line.request().ttl(2);
        let expect = request(&line, &up(&line, &given)).handed_up(Reason::HandedUp);
        bed.check(&format!("{line} TTL 2"), &given, expect);
    }
}

#[test]
fn another_interface_is_redirected_to() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Elsewhere) {
        let given = line.request();
        let expect = request(&line, &line.forwarded(&given)).redirected();
        bed.check(&format!("{line} request"), &given, expect);
        let given = line.reply();
        bed.check(
            &format!("{line} reply"),
            &given,
            reply(&line, &line.returned(&given)).redirected(),
        );
    }
}

#[test]
fn an_interface_that_cannot_be_redirected_to_is_named() {
    let mut bed = Bed::shared();
    for line in lines(Pool::NoDevice) {
        let given = line.request();
        let expect = request(&line, &line.forwarded(&given)).lost(Reason::RedirectFailed);
        bed.check(&format!("{line} request"), &given, expect);
        let given = line.reply();
        let expect = reply(&line, &line.returned(&given)).lost(Reason::RedirectFailed);
        bed.check(&format!("{line} reply"), &given, expect);
    }
}

#[test]
fn a_packet_over_the_mtu_is_fragmented_by_the_kernel_or_dropped() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Small) {
        let mtu = line.pool.hop().mtu as usize;
        for (given, is_request) in [(line.request(), true), (line.reply(), false)] {
            let counted = |packet: &Packet| {
                if is_request { request(&line, packet) } else { reply(&line, packet) }
            };
            let moved = |packet: &Packet| up(&line, packet).ttl(63).via(&line.pool.hop());
            let fits = of_length(&given, mtu);
            assert_eq!(fits.ip_length(), mtu);
            bed.check(&format!("{line}, {mtu} bytes"), &fits, counted(&moved(&fits)));
            let fits = Packet { dont_fragment: false, ..fits };
            bed.check(&format!("{line}, {mtu} bytes"), &fits, counted(&moved(&fits)));
            // Tags and padding don't count.
            let dressed = fits.tagged(&[[0x8100, 9]]).padded(&[7; 40]);
            bed.check(&format!("{line}, padded"), &dressed, counted(&moved(&dressed)));

            let over = of_length(&given, mtu + 1);
            bed.check(&format!("{line}, {mtu} + 1"), &over, dropped(Reason::OverMtu));
            let over = Packet { dont_fragment: false, ..over };
            let expect = if line.is_ipv4() {
                counted(&up(&line, &over)).handed_up(Reason::HandedUpToFragment)
            } else {
                dropped(Reason::OverMtu)
            };
            bed.check(&format!("{line}, {mtu} + 1, may be fragmented"), &over, expect);
        }
    }
}

#[test]
fn jumbo_frames_in_several_pieces_are_translated() {
    let mut bed = Bed::shared();
    if bed.datapath.entry != "xlb_frags" {
        println!("this kernel has no frames in several pieces (5.18 has)");
        return;
    }
    for line in lines(Pool::Jumbo) {
        for length in [3000, 4000, 8999, 9000] {
            let given = of_length(&line.request(), length);
            bed.check(
                &format!("{line}, {length}"),
                &given,
                request(&line, &line.forwarded(&given)),
            );
            let given = of_length(&line.reply(), length);
            bed.check(&format!("{line}, {length}"), &given, reply(&line, &line.returned(&given)));
        }
        let over = of_length(&line.request(), 9001);
        bed.check(&format!("{line}, 9001"), &over, dropped(Reason::OverMtu));
        let given = of_length(&line.request(), 9000);
        for missing in [1, 100, 4000] {
            let short = &given.bytes()[..given.bytes().len() - missing];
            let name = format!("{line}, {missing} bytes missing");
            bed.check(&name, short, passed(Reason::Malformed));
        }
    }
}

#[test]
fn what_has_no_precomputed_next_hop_goes_by_the_kernel_s_answer() {
    let mut bed = Bed::shared();
    set_forwarding(false);
    // A kernel that does not forward gives no next hop: it gets the translated packet.
    for line in lines(Pool::Finer) {
        let given = line.request();
        let expect = request(&line, &up(&line, &given)).handed_up(Reason::HandedUp);
        bed.check(&format!("{line} request"), &given, expect);
        let given = line.reply();
        let expect = reply(&line, &up(&line, &given)).handed_up(Reason::HandedUp);
        bed.check(&format!("{line} reply"), &given, expect);
    }
    set_forwarding(true);
    bed.datapath.forget_cache();
    // One that forwards, but has no route: a request is translated in any case, and what is from a
    // backend but goes nowhere is left alone.
    for line in lines(Pool::Finer) {
        let given = line.request();
        let expect = request(&line, &up(&line, &given)).handed_up(Reason::HandedUp);
        bed.check(&format!("{line} request"), &given, expect);
        bed.check(&format!("{line} reply"), &line.reply(), passed(Reason::ToNode));
    }
    set_forwarding(false);
    bed.datapath.forget_cache();
}

#[test]
fn precomputed_next_hops_are_trusted_until_the_deadline() {
    let mut bed = Bed::new(&services(), LIMITS);
    set_forwarding(false);
    bed.datapath.set_deadline(0);
    for line in lines(Pool::Plain) {
        let given = line.request();
        let expect = request(&line, &up(&line, &given)).handed_up(Reason::HandedUp);
        bed.check(&format!("{line} request, no agent"), &given, expect);
        let given = line.reply();
        let expect = reply(&line, &up(&line, &given)).handed_up(Reason::HandedUp);
        bed.check(&format!("{line} reply, no agent"), &given, expect);
    }
    // A minute from now, whatever a jiffy is.
    bed.datapath.set_deadline(bed.datapath.jiffies().unwrap() + 60 * 1000);
    for line in lines(Pool::Plain) {
        let given = line.request();
        bed.check(&format!("{line} request"), &given, request(&line, &line.forwarded(&given)));
        let given = line.reply();
        bed.check(&format!("{line} reply"), &given, reply(&line, &line.returned(&given)));
    }
}
