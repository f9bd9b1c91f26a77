//! VLAN tags: those of a frame, and those of its next hop.

use xlb_common::reason::Reason;

use crate::bed::Bed;
use crate::expect::{passed, reply, request};
use crate::world::{Pool, lines};

const NONE: &[[u16; 2]] = &[];
const ONE: &[[u16; 2]] = &[[0x8100, 0x0064]];
const ONE_OF_A_PROVIDER: &[[u16; 2]] = &[[0x88a8, 0x0fff]];
const TWO: &[[u16; 2]] = &[[0x88a8, 0x00c8], [0x8100, 0x2064]];
const TWO_OF_A_KIND: &[[u16; 2]] = &[[0x8100, 0x00c8], [0x8100, 0x2064]];

#[test]
fn the_next_hop_s_tags_replace_the_frame_s() {
    let mut bed = Bed::shared();
    // Kept, replaced, pushed and popped: every number of tags meets every other.
    for pool in [Pool::Plain, Pool::OneTag, Pool::TwoTags] {
        for tags in [NONE, ONE, ONE_OF_A_PROVIDER, TWO, TWO_OF_A_KIND] {
            for line in lines(pool) {
                let given = line.request().tagged(tags);
                let expected = given.to(line.backend).ttl(63).via(&pool.hop());
                bed.check(&format!("{line} request, {tags:x?}"), &given, request(&line, &expected));
                let given = line.reply().tagged(tags);
                let expected = given.from(line.vip).ttl(63).via(&pool.hop());
                bed.check(&format!("{line} reply, {tags:x?}"), &given, reply(&line, &expected));
            }
        }
    }
}

#[test]
fn what_is_handed_up_keeps_its_tags() {
    let mut bed = Bed::shared();
    for tags in [ONE, TWO] {
        for line in lines(Pool::HandUp) {
            let given = line.request().tagged(tags);
            let expect = request(&line, &given.to(line.backend)).handed_up(Reason::HandedUp);
            bed.check(&format!("{line} request, {tags:x?}"), &given, expect);
            let given = line.reply().tagged(tags);
            let expect = reply(&line, &given.from(line.vip)).handed_up(Reason::HandedUp);
            bed.check(&format!("{line} reply, {tags:x?}"), &given, expect);
        }
    }
}

#[test]
fn three_tags_are_more_than_are_looked_through() {
    let mut bed = Bed::shared();
    for line in lines(Pool::Plain) {
        let given = line.request().tagged(&[[0x88a8, 1], [0x8100, 2], [0x8100, 3]]);
        bed.check(&format!("{line}"), &given, passed(Reason::NotIp));
    }
}
