//! What both directions have in common: ports, checksums, payload and padding.

use crate::bed::Bed;
use crate::expect::{Frame, TRANSMIT, reply, request};
use crate::packet::{Packet, Transport};
use crate::world::{Line, Pool, lines, udp_lines};

/// A request and a reply of the line, with what becomes of them.
fn both_ways(bed: &mut Bed, line: &Line, name: &str, change: impl Fn(Packet) -> Packet) {
    let given = change(line.request());
    bed.check(&format!("{line} request, {name}"), &given, request(line, &line.forwarded(&given)));
    let given = change(line.reply());
    bed.check(&format!("{line} reply, {name}"), &given, reply(line, &line.returned(&given)));
}

#[test]
fn payloads_of_all_lengths_stay() {
    let mut bed = Bed::shared();
    let payload: Vec<u8> = (0..=1400u32).map(|i| (i * 7) as u8).collect();
    for line in lines(Pool::Plain) {
        for length in [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 511, 1024, 1399, 1400] {
            both_ways(&mut bed, &line, &format!("{length} bytes"), |p| {
                p.payload(&payload[..length])
            });
        }
    }
}

#[test]
fn padding_stays() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let bare = line.request().payload(b"").bytes().len();
        // Ethernet's shortest frame, and bytes that a checksum would notice.
        let padding = vec![0xa5; 60usize.saturating_sub(bare)];
        both_ways(&mut bed, &line, "padded", |p| p.payload(b"").padded(&padding));
        both_ways(&mut bed, &line, "odd and padded", |p| p.payload(b"x").padded(&[0x5a; 7]));
    }
}

#[test]
fn a_udp_checksum_of_zero_is_none_and_stays() {
    let mut bed = Bed::shared();
    for line in udp_lines(Pool::Plain) {
        both_ways(&mut bed, &line, "no checksum", |p| Packet {
            transport: Transport::Udp { checksum: false },
            ..p
        });
    }
}

/// The UDP checksum of a frame without options and extension headers.
fn udp_checksum(packet: &Packet) -> [u8; 2] {
    let at = packet.link_length() + if packet.is_ipv4() { 20 } else { 40 } + 6;
    packet.bytes()[at..at + 2].try_into().unwrap()
}

#[test]
fn a_udp_checksum_that_becomes_zero_is_sent_as_all_ones() {
    let mut bed = Bed::shared();
    for line in udp_lines(Pool::Plain) {
        // What the checksum is with a payload of zero, the payload that makes it zero is.
        let blank = line.request().payload(&[0, 0]);
        let given = blank.payload(&udp_checksum(&line.forwarded(&blank)));
        let expected = line.forwarded(&given);
        assert_eq!(udp_checksum(&expected), [0xff, 0xff], "the packet to try is found");
        bed.check(&format!("{line} request"), &given, request(&line, &expected));

        let blank = line.reply().payload(&[0, 0]);
        let given = blank.payload(&udp_checksum(&line.returned(&blank)));
        let expected = line.returned(&given);
        assert_eq!(udp_checksum(&expected), [0xff, 0xff], "the packet to try is found");
        bed.check(&format!("{line} reply"), &given, reply(&line, &expected));
    }
}

#[test]
fn a_udp_checksum_of_all_ones_is_one_like_any_other() {
    let mut bed = Bed::shared();
    for line in udp_lines(Pool::Plain) {
        let blank = line.request().payload(&[0, 0]);
        let given = blank.payload(&udp_checksum(&blank));
        assert_eq!(udp_checksum(&given), [0xff, 0xff], "the packet to try is found");
        bed.check(&format!("{line}"), &given, request(&line, &line.forwarded(&given)));
    }
}

#[test]
fn a_wrong_checksum_stays_wrong() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let given = line.request();
        let expected = line.forwarded(&given);
        let transport = given.link_length() + if line.is_ipv4() { 20 } else { 40 };
        let checksum = transport + if line.tcp { 16 } else { 6 };
        // A bit of the payload was torn: the receiver must still be able to notice.
        let (mut torn, mut wanted) = (given.bytes(), expected.bytes());
        *torn.last_mut().unwrap() ^= 0x10;
        *wanted.last_mut().unwrap() ^= 0x10;
        assert_eq!(torn[checksum..checksum + 2], given.bytes()[checksum..checksum + 2]);
        let expect = request(&line, &expected);
        assert_eq!(expect.verdict, TRANSMIT);
        bed.check(
            &format!("{line}"),
            torn,
            crate::expect::Expect { frame: Frame::Bytes(wanted), ..expect },
        );
    }
}
