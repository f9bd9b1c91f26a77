//! Slots: from a hash to a slot word, and what a slot word says.
//!
//! A slot is one entry of a service's consistent-hash table (receive-side scaling calls it the
//! indirection table). Its word is 32 bits, always read and written whole:
//!
//! | bits | name | meaning |
//! |---|---|---|
//! | 0..15 | current | target of packets of new flows |
//! | 15..30 | previous | target that the slot is moving away from |
//! | 30 | hold | the move is so young that SYNs without an entry still go to `previous` |
//! | 31 | watched | the flow tables must be asked before `current` is believed |
//!
//! Targets fit 15 bits because there are `TARGETS` of them.

/// Bit of [`SlotWord`]: the flow tables must be asked before `current` is believed.
pub const WATCHED: u32 = 1 << 31;
/// Bit of [`SlotWord`]: SYNs without an entry still go to `previous`.
pub const HOLD: u32 = 1 << 30;
/// Mask of a target id.
pub const TARGET_MASK: u32 = (1 << 15) - 1;

/// A slot's word, decoded on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct SlotWord(pub u32);

impl SlotWord {
    /// A slot that always sends to `target`.
    #[inline(always)]
    pub const fn stable(target: u16) -> Self {
        Self(target as u32 & TARGET_MASK)
    }

    /// A slot that moves from `previous` to `current`; `hold` while the move is young.
    #[inline(always)]
    pub const fn moving(previous: u16, current: u16, hold: bool) -> Self {
        let hold = if hold { HOLD } else { 0 };
        Self(
            WATCHED | hold | (previous as u32 & TARGET_MASK) << 15 | (current as u32 & TARGET_MASK),
        )
    }

    /// A slot whose move is over but whose remembered flows may still go elsewhere.
    #[inline(always)]
    pub const fn settled(current: u16) -> Self {
        Self::moving(current, current, false)
    }

    /// Target of packets of new flows.
    #[inline(always)]
    pub const fn current(self) -> u16 {
        (self.0 & TARGET_MASK) as u16
    }

    /// Target that the slot is moving away from; equal to `current` in a settled slot.
    #[inline(always)]
    pub const fn previous(self) -> u16 {
        ((self.0 >> 15) & TARGET_MASK) as u16
    }

    /// Whether the flow tables must be asked before `current` is believed.
    #[inline(always)]
    pub const fn watched(self) -> bool {
        self.0 & WATCHED != 0
    }

    /// Whether SYNs without an entry still go to `previous`.
    #[inline(always)]
    pub const fn hold(self) -> bool {
        self.0 & HOLD != 0
    }

    /// Whether the slot is between two targets.
    #[inline(always)]
    pub const fn is_moving(self) -> bool {
        self.watched() && self.current() != self.previous()
    }
}

/// What a slot becomes when it should send new flows to `wanted`.
///
/// `exists` says which targets still do: one that was removed has no flows to keep. A slot that
/// changes becomes or stays watched, and holds; see [`crate::automaton`].
pub fn turn(word: SlotWord, wanted: u16, exists: impl Fn(u16) -> bool) -> SlotWord {
    let (previous, current) = (word.previous(), word.current());
    match (word.watched(), word.is_moving()) {
        (false, _) if current == wanted => word,
        // Nobody is on the old target, so nobody has to be kept there.
        (false, _) if !exists(current) => SlotWord::stable(wanted),
        (false, _) => SlotWord::moving(current, wanted, true),
        (true, true) if !exists(previous) => SlotWord::settled(wanted),
        (true, true) if previous == wanted => SlotWord::settled(wanted),
        (true, true) => SlotWord::moving(previous, wanted, word.hold()),
        (true, false) if current == wanted => word,
        (true, false) if !exists(current) => SlotWord::settled(wanted),
        (true, false) => SlotWord::moving(current, wanted, true),
    }
}

/// A moving slot without its hold; other slots as they are.
pub fn release(word: SlotWord) -> SlotWord {
    SlotWord(word.0 & !HOLD)
}

/// A moving slot as a settled one; other slots as they are.
pub fn settle(word: SlotWord) -> SlotWord {
    if word.is_moving() { SlotWord::settled(word.current()) } else { word }
}

/// Picks a slot in `0..count` for `hash`, in proportion to the hash's value.
///
/// Multiply-and-shift keeps the hash's high bits, costs one multiplication, and needs no power of
/// two (Lemire, "Fast Random Integer Generation in an Interval", 2019).
#[inline(always)]
pub const fn choose(hash: u32, count: u32) -> u32 {
    ((hash as u64 * count as u64) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_gives_back_what_it_was_made_of(p in 0u16..1 << 15, c in 0u16..1 << 15, h: bool) {
            let word = SlotWord::moving(p, c, h);
            prop_assert_eq!((word.previous(), word.current(), word.hold()), (p, c, h));
            prop_assert!(word.watched());
            prop_assert_eq!(word.is_moving(), p != c);
            let stable = SlotWord::stable(c);
            prop_assert!(!stable.watched() && !stable.hold() && !stable.is_moving());
            prop_assert_eq!(stable.current(), c);
            prop_assert!(!SlotWord::settled(c).is_moving() && SlotWord::settled(c).watched());
        }

        #[test]
        fn a_slot_is_in_range_and_grows_with_the_hash(a: u32, b: u32, count in 1u32..1 << 20) {
            prop_assert!(choose(a, count) < count);
            prop_assert!(choose(a.min(b), count) <= choose(a.max(b), count));
        }
    }

    #[test]
    fn a_slot_turns_without_leaving_a_live_flow_behind() {
        let all = |_| true;
        let without_1 = |target| target != 1;
        let stable = SlotWord::stable;
        let moving = SlotWord::moving;
        let settled = SlotWord::settled;
        for (word, wanted, becomes) in [
            (stable(1), 1, stable(1)),
            (stable(1), 2, moving(1, 2, true)),
            (moving(1, 2, true), 3, moving(1, 3, true)),
            (moving(1, 2, false), 2, moving(1, 2, false)),
            // Flows that went to 2 meanwhile are written down.
            (moving(1, 2, false), 1, settled(1)),
            (settled(1), 1, settled(1)),
            (settled(1), 2, moving(1, 2, true)),
        ] {
            assert_eq!(turn(word, wanted, all), becomes, "{word:?} to {wanted}");
        }
        for (word, wanted, becomes) in [
            (stable(1), 2, stable(2)),
            (stable(0), 2, stable(2)),
            (moving(1, 2, true), 2, settled(2)),
            (moving(2, 1, false), 3, moving(2, 3, false)),
            (settled(1), 2, settled(2)),
        ] {
            let exists = |target| target != 0 && without_1(target);
            assert_eq!(turn(word, wanted, exists), becomes, "{word:?} to {wanted} without 1");
        }
        assert_eq!(release(moving(1, 2, true)), moving(1, 2, false));
        assert_eq!(settle(moving(1, 2, true)), settled(2));
        assert_eq!(settle(stable(1)), stable(1));
    }

    #[test]
    fn every_slot_gets_its_share_of_hashes() {
        let mut seen = [0u32; 251];
        for hash in (0..=u32::MAX).step_by(1 << 12) {
            seen[choose(hash, 251) as usize] += 1;
        }
        let (min, max) = (seen.iter().min().unwrap(), seen.iter().max().unwrap());
        assert!(max - min <= 1, "{min}..{max}");
    }
}
