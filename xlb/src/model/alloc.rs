//! Numbers that the data path refers to: ids of services and targets, and regions of slots.
//!
//! Something that is given back is *retired*: packets may still be looking at it, so it stays out
//! of use until the caller says, with `release`, that a grace period has passed. Ids that were
//! never used go first, then those that were released longest ago, so that what is still counted
//! or remembered under an old id is not taken for the new one's.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// A pool of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    /// Every id from here to `end` was never used.
    fresh: u16,
    /// The first number that is no id.
    end: u16,
    /// Released ids, longest ago first.
    freed: VecDeque<u16>,
    /// Given back, not yet released.
    retired: Vec<u16>,
}

/// What is saved of a pool; which ids are in use is saved with their users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedIds {
    /// Every id from here on was never used.
    pub fresh: u16,
    /// Released ids, longest ago first.
    pub freed: Vec<u16>,
    /// Given back, not yet released.
    pub retired: Vec<u16>,
}

impl Ids {
    /// A pool of the ids `first..end`.
    pub(super) fn new(first: u16, end: u16) -> Self {
        Self { fresh: first, end, freed: VecDeque::new(), retired: Vec::new() }
    }

    /// How many ids can be taken now.
    pub(super) fn available(&self) -> usize {
        usize::from(self.end - self.fresh) + self.freed.len()
    }

    /// How many ids wait for their release.
    pub(super) fn retired(&self) -> usize {
        self.retired.len()
    }

    /// Takes an id, if there is one.
    pub(super) fn take(&mut self) -> Option<u16> {
        if self.fresh < self.end {
            self.fresh += 1;
            return Some(self.fresh - 1);
        }
        self.freed.pop_front()
    }

    /// Gives an id back.
    pub(super) fn retire(&mut self, id: u16) {
        self.retired.push(id);
    }

    /// Lets retired ids be taken again.
    pub(super) fn release(&mut self) {
        self.freed.extend(self.retired.drain(..));
    }

    pub(super) fn save(&self) -> SavedIds {
        let Self { fresh, end: _, freed, retired } = self;
        SavedIds { fresh: *fresh, freed: freed.iter().copied().collect(), retired: retired.clone() }
    }

    /// Brings a saved pool back, of which the ids `used` are in use; or says why it can't be.
    pub(super) fn restore(
        what: &str,
        (first, end): (u16, u16),
        saved: SavedIds,
        used: impl Iterator<Item = u16>,
    ) -> Result<Self, String> {
        let SavedIds { fresh, freed, retired } = saved;
        if fresh < first || fresh > end {
            return Err(format!("the first fresh {what} id is {fresh}"));
        }
        let mut seen = vec![false; usize::from(fresh - first)];
        for id in used.chain(freed.iter().copied()).chain(retired.iter().copied()) {
            let place = id.checked_sub(first).and_then(|i| seen.get_mut(usize::from(i)));
            match place {
                None => return Err(format!("{what} id {id} is out of range")),
                Some(true) => return Err(format!("{what} id {id} is there twice")),
                Some(unseen) => *unseen = true,
            }
        }
        if let Some(lost) = seen.iter().position(|seen| !seen) {
            return Err(format!("{what} id {} is lost", lost + usize::from(first)));
        }
        Ok(Self { fresh, end, freed: freed.into(), retired })
    }
}

/// A region of the slot map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Its first slot: a multiple of [`SLOTS_PER_LINE`](xlb_common::layout::SLOTS_PER_LINE).
    pub first_slot: u32,
    /// Its length in slots, whole lines.
    pub length: u32,
}

/// The slot map, cut into regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Regions {
    capacity: u32,
    /// Regions that are taken, by first slot: length, and whether the region is retired.
    taken: BTreeMap<u32, (u32, bool)>,
}

impl Regions {
    pub(super) fn new(capacity: u32) -> Self {
        Self { capacity, taken: BTreeMap::new() }
    }

    pub(super) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Slots in regions that are in use.
    pub(super) fn used(&self) -> u32 {
        self.taken.values().filter(|(_, retired)| !retired).map(|(length, _)| length).sum()
    }

    /// Slots in regions that wait for their release.
    pub(super) fn waiting(&self) -> u32 {
        self.taken.values().filter(|(_, retired)| *retired).map(|(length, _)| length).sum()
    }

    /// Takes the first gap that is long enough.
    pub(super) fn take(&mut self, length: u32) -> Option<Region> {
        let mut first_slot = 0;
        for (&start, &(taken, _)) in &self.taken {
            if start - first_slot >= length {
                break;
            }
            first_slot = start + taken;
        }
        let region = Region { first_slot, length };
        (self.capacity.checked_sub(first_slot)? >= length).then(|| {
            self.taken.insert(first_slot, (length, false));
            region
        })
    }

    /// Gives a region back.
    pub(super) fn retire(&mut self, region: Region) {
        self.taken.insert(region.first_slot, (region.length, true));
    }

    /// Lets retired regions be taken again.
    pub(super) fn release(&mut self) {
        self.taken.retain(|_, (_, retired)| !*retired);
    }

    /// Retired regions.
    pub(super) fn retired(&self) -> Vec<Region> {
        let retired = self.taken.iter().filter(|(_, (_, retired))| *retired);
        retired.map(|(&first_slot, &(length, _))| Region { first_slot, length }).collect()
    }

    /// The slot after the last one that is taken.
    pub(super) fn end(&self) -> u32 {
        self.taken.last_key_value().map_or(0, |(first_slot, (length, _))| first_slot + length)
    }

    /// The same regions in a slot map of `capacity`, which must be at least [`Self::end`].
    pub(super) fn with_capacity(self, capacity: u32) -> Self {
        Self { capacity, ..self }
    }

    /// Brings saved regions back, each with whether it is retired; or says why they can't be.
    pub(super) fn restore(regions: Vec<(Region, bool)>) -> Result<Self, String> {
        let line = xlb_common::layout::SLOTS_PER_LINE as u32;
        let mut taken = BTreeMap::new();
        for (Region { first_slot, length }, retired) in regions {
            if length == 0 || length % line != 0 || first_slot % line != 0 {
                return Err(format!("the region of {length} slots at {first_slot} is misaligned"));
            }
            if first_slot.checked_add(length).is_none() {
                return Err(format!("the region of slots at {first_slot} has no end"));
            }
            if taken.insert(first_slot, (length, retired)).is_some() {
                return Err(format!("two regions of slots begin at {first_slot}"));
            }
        }
        let mut end = 0;
        for (&first_slot, &(length, _)) in &taken {
            if first_slot < end {
                return Err(format!("two regions of slots overlap at {first_slot}"));
            }
            end = first_slot + length;
        }
        Ok(Self { capacity: u32::MAX, taken })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_go_first_and_then_those_released_longest_ago() {
        let mut ids = Ids::new(1, 5);
        assert_eq!((ids.take(), ids.take(), ids.take()), (Some(1), Some(2), Some(3)));
        ids.retire(2);
        ids.release();
        ids.retire(1);
        ids.release();
        assert_eq!((ids.take(), ids.take(), ids.take()), (Some(4), Some(2), Some(1)));
        assert_eq!(ids.take(), None);
    }

    #[test]
    fn a_retired_id_is_not_taken_before_its_release() {
        let mut ids = Ids::new(0, 1);
        let id = ids.take().unwrap();
        ids.retire(id);
        assert_eq!((ids.take(), ids.available(), ids.retired()), (None, 0, 1));
        ids.release();
        assert_eq!((ids.available(), ids.retired(), ids.take()), (1, 0, Some(0)));
    }

    #[test]
    fn saved_ids_come_back_only_if_they_add_up() {
        let saved = |fresh, freed: &[u16], retired: &[u16]| SavedIds {
            fresh,
            freed: freed.to_vec(),
            retired: retired.to_vec(),
        };
        let restore = |saved, used: &[u16]| {
            Ids::restore("target", (1, 8), saved, used.iter().copied()).map(|ids| ids.save())
        };
        let good = saved(5, &[3], &[1]);
        assert_eq!(restore(good.clone(), &[2, 4]), Ok(good));
        for (saved, used, why) in [
            (saved(5, &[3], &[1]), &[2, 4, 5][..], "out of range"),
            (saved(5, &[3], &[0]), &[1, 2, 4], "out of range"),
            (saved(5, &[3], &[1]), &[2, 2, 4], "twice"),
            (saved(5, &[3, 4], &[1]), &[2, 4], "twice"),
            (saved(5, &[3], &[1]), &[2], "4 is lost"),
            (saved(9, &[], &[]), &[], "fresh"),
            (saved(0, &[], &[]), &[], "fresh"),
        ] {
            let error = restore(saved.clone(), used).unwrap_err();
            assert!(error.contains(why), "{saved:?} {used:?}: {error}");
        }
    }

    #[test]
    fn the_first_gap_that_is_long_enough_is_taken() {
        let mut regions = Regions::new(128);
        let all: Vec<Region> = [32, 16, 48, 32].map(|n| regions.take(n).unwrap()).into();
        assert_eq!(all.iter().map(|r| r.first_slot).collect::<Vec<_>>(), [0, 32, 48, 96]);
        assert_eq!(regions.take(16), None);
        regions.retire(all[1]);
        regions.retire(all[2]);
        assert_eq!((regions.take(16), regions.used(), regions.waiting()), (None, 64, 64));
        regions.release();
        assert_eq!(regions.take(80), None);
        assert_eq!(regions.take(64), Some(Region { first_slot: 32, length: 64 }));
        assert_eq!((regions.end(), regions.used()), (128, 128));
    }

    #[test]
    fn saved_regions_come_back_only_if_they_fit_together() {
        let restore = |regions: &[(u32, u32)]| {
            let region = |&(first_slot, length)| (Region { first_slot, length }, false);
            Regions::restore(regions.iter().map(region).collect())
        };
        assert!(restore(&[(32, 16), (0, 32)]).is_ok());
        for bad in [&[(0, 32), (16, 16)][..], &[(0, 16), (0, 16)], &[(8, 16)], &[(0, 8)], &[(0, 0)]]
        {
            assert!(restore(bad).is_err(), "{bad:?}");
        }
        assert!(restore(&[(u32::MAX - 15, 16)]).is_err());
    }
}
