//! Next hops: which numbers stand for which.
//!
//! A hop never changes while anything refers to it. When a MAC or an MTU changes, the new hop gets
//! a number of its own, what referred to the old one is pointed to it, and the old number rests
//! until a grace period has passed.

use std::collections::HashMap;

use xlb_common::layout::{HOP_FINER, HOP_HAND_UP, HOPS, Hop};

use crate::dataplane::Datapath;

/// The numbers in use.
#[derive(Default)]
pub struct Hops {
    numbers: HashMap<[u64; 4], u16>,
    wanted: HashMap<[u64; 4], u16>,
    free: Vec<u16>,
}

impl Hops {
    /// Takes over the numbers that a running data path refers to.
    pub fn adopt(datapath: &Datapath) -> Self {
        let used = datapath.hops_in_use();
        let numbers = used.iter().map(|number| (key(&datapath.hop(*number)), *number)).collect();
        let free = (1..HOPS as u16).rev().filter(|number| !used.contains(number)).collect();
        Self { numbers, wanted: HashMap::new(), free }
    }

    /// The number of a hop; a new one is written first. With no number left, the kernel is asked.
    pub fn number(&mut self, datapath: &Datapath, hop: Hop) -> u16 {
        let key = key(&hop);
        let known = self.wanted.get(&key).or_else(|| self.numbers.get(&key));
        let number = match known {
            Some(number) => *number,
            None => match self.free.pop() {
                Some(number) => {
                    datapath.write_hop(number, hop);
                    number
                }
                None => return HOP_FINER,
            },
        };
        self.wanted.insert(key, number);
        number
    }

    /// Everything now refers to what was asked for since the last call. Returns the numbers that
    /// nothing refers to any more; after a grace period they go to [`Hops::free`].
    pub fn settle(&mut self) -> Vec<u16> {
        let wanted = std::mem::take(&mut self.wanted);
        let old = std::mem::replace(&mut self.numbers, wanted);
        let kept: Vec<u16> = self.numbers.values().copied().collect();
        old.into_values()
            .filter(|number| *number != HOP_HAND_UP && !kept.contains(number))
            .collect()
    }

    /// These numbers may be used again.
    pub fn free(&mut self, numbers: Vec<u16>) {
        self.free.extend(numbers);
    }
}

/// A hop's fields, as a key.
fn key(hop: &Hop) -> [u64; 4] {
    let Hop { mac_low, mac_high, ifindex, mtu, tag_bytes, tags } = *hop;
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    [mac_low, pair(mac_high, ifindex), pair(mtu, tag_bytes), pair(tags[0], tags[1])]
}
