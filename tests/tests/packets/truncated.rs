//! Frames that end early: never half a translation.

use xlb_common::reason::Reason;

use crate::bed::Bed;
use crate::expect::{passed, reply, request};
use crate::headers::{DESTINATION_OPTIONS, HOP_BY_HOP, options, routing};
use crate::packet::Packet;
use crate::world::{INNER, OUTER, Pool, lines};

/// The kernel runs a program on no shorter frame.
const SHORTEST: usize = 14;

#[test]
fn a_frame_cut_short_anywhere_passes_as_it_is() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let dress = |packet: Packet| {
            if line.is_ipv4() {
                Packet { options: vec![1; 12], ..packet }
            } else {
                packet.extended(&[
                    options(HOP_BY_HOP, 2),
                    routing(0),
                    options(DESTINATION_OPTIONS, 1),
                ])
            }
        };
        for (name, change) in [
            ("plain", &(|packet| packet) as &dyn Fn(Packet) -> Packet),
            ("tagged", &|packet: Packet| packet.tagged(&[OUTER, INNER])),
            ("dressed", &dress),
            ("both", &|packet| dress(packet).tagged(&[INNER])),
        ] {
            let given = change(line.request());
            for length in SHORTEST..given.bytes().len() {
                let name = format!("{line} request, {name}, {length} bytes");
                bed.check(&name, &given.bytes()[..length], passed(Reason::Malformed));
            }
            bed.check(
                &format!("{line} request, {name}"),
                &given,
                request(&line, &line.forwarded(&given)),
            );
            let given = change(line.reply());
            for length in SHORTEST..given.bytes().len() {
                let name = format!("{line} reply, {name}, {length} bytes");
                bed.check(&name, &given.bytes()[..length], passed(Reason::Malformed));
            }
            bed.check(
                &format!("{line} reply, {name}"),
                &given,
                reply(&line, &line.returned(&given)),
            );
        }
    }
}
