//! Fragments: the first has the ports, the others nothing to know them by.

use xlb_common::reason::Reason;

use crate::bed::Bed;
use crate::expect::{dropped, passed, request};
use crate::headers::{DESTINATION_OPTIONS, FRAGMENT, options};
use crate::packet::{Extension, Packet};
use crate::world::{Line, Pool, lines};

/// The packet as a fragment. `offset` is in units of 8 bytes.
fn fragment(packet: Packet, offset: u16, more: bool) -> Packet {
    if packet.is_ipv4() {
        return Packet {
            dont_fragment: false,
            more_fragments: more,
            fragment_offset: offset,
            ..packet
        };
    }
    let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
    let header = Extension { number: FRAGMENT, rest: vec![0, high, low, 0, 0, 0x3e, 0x7a] };
    packet.extended(&[header])
}

/// A client of nobody's port.
fn foreign(line: &Line) -> Packet {
    let mut nobody = line.vip;
    nobody.set_port(9);
    line.request().to(nobody)
}

#[test]
fn a_first_fragment_is_dropped_only_if_it_is_ours() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let first = |packet| fragment(packet, 0, true);
        let ours = dropped(Reason::FirstFragment);
        bed.check(&format!("{line} request"), &first(line.request()), ours.clone());
        bed.check(&format!("{line} reply"), &first(line.reply()), ours);
        bed.check(&format!("{line} foreign"), &first(foreign(&line)), passed(Reason::NotOurs));
    }
}

#[test]
fn a_later_fragment_passes() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        for (offset, more) in [(1, true), (1, false), (185, true), (0x1fff, false)] {
            for packet in [line.request(), line.reply(), foreign(&line)] {
                let given = fragment(packet, offset, more);
                let name = format!("{line} at {offset}, more: {more}");
                bed.check(&name, &given, passed(Reason::Fragment));
            }
        }
    }
}

#[test]
fn a_fragment_that_is_all_there_is_is_a_packet() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let given = fragment(line.request(), 0, false);
        bed.check(&format!("{line}"), &given, request(&line, &line.forwarded(&given)));
    }
}

#[test]
fn extension_headers_around_a_fragment_header_hide_nothing() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain).into_iter().filter(|line| !line.is_ipv4()) {
        for (offset, more, expect) in [
            (0, true, dropped(Reason::FirstFragment)),
            (8, true, passed(Reason::Fragment)),
            (8, false, passed(Reason::Fragment)),
        ] {
            let mut given = fragment(line.request(), offset, more);
            given.extensions.insert(0, options(DESTINATION_OPTIONS, 1));
            given.extensions.push(options(DESTINATION_OPTIONS, 1));
            bed.check(&format!("{line} at {offset}, more: {more}"), &given, expect);
        }
        // A second fragment header must not undo what the first has said.
        let mut given = fragment(line.request(), 0, true);
        given.extensions.extend(fragment(line.request(), 0, false).extensions);
        bed.check(&format!("{line}, two"), &given, dropped(Reason::FirstFragment));
    }
}
