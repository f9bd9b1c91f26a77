//! Whatever comes: frames of garbage, and valid ones with something wrong. None may make the
//! program abort, and none may come out half translated.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestError, TestRunner};

use crate::bed::{Bed, cases, hex};
use crate::headers::{DESTINATION_OPTIONS, HOP_BY_HOP, options};
use crate::judge::{Fate, judge};
use crate::packet::Packet;
use crate::world::{INNER, OUTER, all_lines};

/// Something wrong with a frame.
#[derive(Clone, Debug)]
enum Fault {
    /// A byte of the first ones, where the headers are, is another.
    Header(Index, u8),
    /// Any bit is flipped.
    Bit(Index),
    /// It ends early.
    Cut(Index),
    /// There is something behind it.
    More(Vec<u8>),
    /// There is a tag before it.
    Tag([u8; 4]),
}

impl Fault {
    fn apply(&self, frame: &mut Vec<u8>) {
        match self {
            Self::Header(place, value) => {
                let headers = frame.len().min(100);
                frame[place.index(headers)] = *value;
            }
            Self::Bit(place) => {
                let bit = place.index(8 * frame.len());
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            // The kernel takes no frame of less than an Ethernet header.
            Self::Cut(place) => frame.truncate(14 + place.index(frame.len() - 13)),
            Self::More(bytes) => frame.extend(bytes),
            Self::Tag(tag) => {
                frame.splice(12..12, *tag);
            }
        }
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    let byte =
        prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x45), Just(0x60), Just(6), Just(17)];
    prop_oneof![
        4 => (any::<Index>(), byte).prop_map(|(place, value)| Fault::Header(place, value)),
        4 => any::<Index>().prop_map(Fault::Bit),
        1 => any::<Index>().prop_map(Fault::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Fault::More),
        1 => prop::sample::select(vec![[0x81, 0, 0, 9], [0x88, 0xa8, 0x10, 0]]).prop_map(Fault::Tag),
    ]
}

/// A frame of one of the world's lines.
fn valid() -> impl Strategy<Value = Vec<u8>> {
    let dress =
        (any::<bool>(), any::<bool>(), 0usize..3, prop::collection::vec(any::<u8>(), 0..64));
    (prop::sample::select(all_lines()), dress).prop_map(
        |(line, (reply, dressed, tags, payload))| {
            let packet = if reply { line.reply() } else { line.request() };
            let packet = packet.payload(&payload).tagged(&[OUTER, INNER][..tags]);
            let packet = match (dressed, line.is_ipv4()) {
                (false, _) => packet,
                (true, true) => Packet { options: vec![1; 8], ..packet },
                (true, false) => {
                    packet.extended(&[options(HOP_BY_HOP, 1), options(DESTINATION_OPTIONS, 2)])
                }
            };
            packet.bytes()
        },
    )
}

/// A frame that begins like an IP packet.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let start =
        prop::sample::select(vec![[0x08, 0x00, 0x45], [0x86, 0xdd, 0x60], [0x81, 0x00, 0x00]]);
    (start, prop::collection::vec(any::<u8>(), 0..120))
        .prop_map(|(start, rest)| [&[2; 12][..], &start, &rest].concat())
}

/// Tries frames; says how many had which fate.
fn try_frames(number: u32, frames: impl Strategy<Value = Vec<u8>>) -> BTreeMap<String, u32> {
    let bed = Bed::shared();
    let fates = RefCell::new(BTreeMap::<String, u32>::new());
    let config = ProptestConfig {
        cases: cases(number),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let result = TestRunner::new(config).run(&frames, |frame| {
        let outcome = bed.run(&frame);
        let fate = judge(&frame, &outcome).map_err(TestCaseError::fail)?;
        *fates.borrow_mut().entry(format!("{fate:?}")).or_default() += 1;
        Ok(())
    });
    if let Err(TestError::Fail(reason, frame)) = result {
        let outcome = bed.run(&frame);
        panic!(
            "{reason}:\n  given {}\n  got   {} (verdict {})",
            hex(&frame, &outcome.frame),
            hex(&outcome.frame, &frame),
            outcome.verdict
        );
    }
    result.unwrap();
    fates.into_inner()
}

#[test]
fn garbage_passes() {
    let frames = prop_oneof![prop::collection::vec(any::<u8>(), 14..200), nearly()];
    let fates = try_frames(4000, frames);
    assert_eq!(fates.keys().collect::<Vec<_>>(), ["Passed"], "garbage is addressed to nobody");
}

#[test]
fn faulty_frames_are_translated_right_or_not_at_all() {
    let frames = (valid(), prop::collection::vec(fault(), 0..5)).prop_map(|(mut frame, faults)| {
        for fault in faults {
            fault.apply(&mut frame);
        }
        frame
    });
    let fates = try_frames(20_000, frames);
    for fate in [Fate::Passed, Fate::Dropped, Fate::HandedUp, Fate::Sent] {
        assert!(fates.contains_key(&format!("{fate:?}")), "no frame was {fate:?}: {fates:?}");
    }
}
