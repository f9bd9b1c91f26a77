//! IPv4 options and IPv6 extension headers, and headers that contradict themselves.

use xlb_common::reason::Reason;

use crate::bed::Bed;
use crate::expect::{Expect, passed, reply, request};
use crate::packet::{Extension, Packet};
use crate::world::{Line, Pool, lines};

pub const HOP_BY_HOP: u8 = 0;
pub const ROUTING: u8 = 43;
pub const FRAGMENT: u8 = 44;
pub const ESP: u8 = 50;
pub const AUTHENTICATION: u8 = 51;
pub const NO_NEXT_HEADER: u8 = 59;
pub const DESTINATION_OPTIONS: u8 = 60;

/// An options header of `units` of 8 bytes, filled with one PadN option.
pub fn options(number: u8, units: usize) -> Extension {
    let mut rest = vec![0; 8 * units - 1];
    rest[0] = (units - 1) as u8;
    if units <= 32 {
        (rest[1], rest[2]) = (1, (8 * units - 4) as u8);
    }
    Extension { number, rest }
}

/// A routing header with one address.
pub fn routing(segments_left: u8) -> Extension {
    let mut rest = vec![0x33; 23];
    (rest[0], rest[1], rest[2]) = (2, 4, segments_left);
    Extension { number: ROUTING, rest }
}

fn lines4(pool: Pool) -> impl Iterator<Item = Line> {
    lines(pool).into_iter().filter(Line::is_ipv4)
}

fn lines6(pool: Pool) -> impl Iterator<Item = Line> {
    lines(pool).into_iter().filter(|line| !line.is_ipv4())
}

#[test]
fn ipv4_options_stay() {
    let mut bed = Bed::shared();
    for line in lines4(Pool::Plain) {
        for length in (4..=40).step_by(4) {
            // Router alert, then the list's end and rubbish behind it.
            let mut options = vec![0x94, 4, 0, 0];
            options.extend((4..length).map(|i| if i == 4 { 0 } else { i as u8 }));
            let given = Packet { options: options.clone(), ..line.request() };
            let expect = request(&line, &line.forwarded(&given));
            bed.check(&format!("{line} request, {length} bytes"), &given, expect);
            let given = Packet { options, ..line.reply() };
            let expect = reply(&line, &line.returned(&given));
            bed.check(&format!("{line} reply, {length} bytes"), &given, expect);
        }
    }
}

#[test]
fn ipv6_extension_headers_stay() {
    let mut bed = Bed::shared();
    for line in lines6(Pool::Plain) {
        for extensions in [
            vec![options(HOP_BY_HOP, 1)],
            vec![options(HOP_BY_HOP, 5)],
            vec![options(DESTINATION_OPTIONS, 1)],
            vec![options(DESTINATION_OPTIONS, 32)],
            vec![routing(0)],
            vec![options(HOP_BY_HOP, 2), options(DESTINATION_OPTIONS, 3), routing(0)],
            vec![options(DESTINATION_OPTIONS, 1); 6],
            vec![options(DESTINATION_OPTIONS, 20); 6],
        ] {
            let given = line.request().extended(&extensions);
            let expect = request(&line, &line.forwarded(&given));
            bed.check(&format!("{line} request, {extensions:?}"), &given, expect);
            let given = line.reply().extended(&extensions);
            let expect = reply(&line, &line.returned(&given));
            bed.check(&format!("{line} reply, {extensions:?}"), &given, expect);
        }
    }
}

#[test]
fn ipv6_extension_headers_are_walked_with_a_bound() {
    let mut bed = Bed::shared();
    let unknown = |number| Extension { number, rest: vec![0; 15] };
    for line in lines6(Pool::Plain) {
        for (name, extensions, reason) in [
            ("seven", vec![options(DESTINATION_OPTIONS, 1); 7], Reason::ExtensionHeader),
            ("many", vec![options(DESTINATION_OPTIONS, 1); 40], Reason::ExtensionHeader),
            ("a long one", vec![options(DESTINATION_OPTIONS, 150)], Reason::ExtensionHeader),
            (
                "long ones",
                vec![options(HOP_BY_HOP, 60), options(DESTINATION_OPTIONS, 70)],
                Reason::ExtensionHeader,
            ),
            (
                "authentication behind others",
                vec![options(HOP_BY_HOP, 1), unknown(AUTHENTICATION)],
                Reason::ExtensionHeader,
            ),
            (
                "nothing behind others",
                vec![options(HOP_BY_HOP, 1), unknown(NO_NEXT_HEADER)],
                Reason::ExtensionHeader,
            ),
            // Without one before it, any other header is simply another protocol.
            ("authentication", vec![unknown(AUTHENTICATION)], Reason::NotOurs),
            ("encrypted", vec![unknown(ESP)], Reason::NotOurs),
            ("nothing", vec![unknown(NO_NEXT_HEADER)], Reason::NotOurs),
            // The VIP is a stop on the way: the transport checksum is for another address.
            ("on its way", vec![routing(1)], Reason::ExtensionHeader),
        ] {
            let given = line.request().extended(&extensions);
            bed.check(&format!("{line}: {name}"), &given, passed(reason));
        }
    }
}

#[test]
fn an_ip_header_that_contradicts_itself_passes() {
    let mut bed = Bed::shared();
    let mut check = |line: &Line, name: &str, expect: Expect, change: &dyn Fn(&mut [u8])| {
        for packet in [line.request(), line.reply()] {
            let mut given = packet.bytes();
            change(&mut given[14..]);
            bed.check(&format!("{line}: {name}"), given, expect.clone());
        }
    };
    for line in lines4(Pool::Plain) {
        for version in [0, 1, 3, 5, 6, 7, 15] {
            let wrong = move |ip: &mut [u8]| ip[0] = version << 4 | 5;
            check(&line, "another version", passed(Reason::Malformed), &wrong);
        }
        for words in 0..5 {
            let short = move |ip: &mut [u8]| ip[0] = 4 << 4 | words;
            check(&line, "a header too short", passed(Reason::Malformed), &short);
        }
        let length = line.request().ip_length() as u16;
        let least = if line.tcp { 40 } else { 28 };
        for wrong in [0, 19, 20, least - 1, length + 1, length + 100, u16::MAX] {
            let wrong = move |ip: &mut [u8]| ip[2..4].copy_from_slice(&wrong.to_be_bytes());
            check(&line, "another length", passed(Reason::Malformed), &wrong);
        }
    }
    for line in lines6(Pool::Plain) {
        for version in [0, 4, 5, 7, 15] {
            let wrong = move |ip: &mut [u8]| ip[0] = version << 4;
            check(&line, "another version", passed(Reason::Malformed), &wrong);
        }
        let length = line.request().ip_length() as u16 - 40;
        let least = if line.tcp { 20 } else { 8 };
        for wrong in [0, least - 1, length + 1, length + 100, u16::MAX] {
            let wrong = move |ip: &mut [u8]| ip[4..6].copy_from_slice(&wrong.to_be_bytes());
            check(&line, "another length", passed(Reason::Malformed), &wrong);
        }
    }
}
