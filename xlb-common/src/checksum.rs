//! Incremental Internet checksums (RFC 1071, RFC 1624).
//!
//! Sums are of 16-bit words in one's complement. That arithmetic does not care about byte order, so
//! all words here are raw: as they are in the packet, read in the machine's order.
//!
//! A *difference* is what a change of some words adds to the complement of a checksum: `old` words
//! are added complemented, `new` ones as they are (RFC 1624, equation 3).

/// Adds two 16-bit words in one's complement.
#[inline(always)]
pub const fn add(a: u16, b: u16) -> u16 {
    let sum = a as u32 + b as u32;
    // Both are at most 0xffff, so one carry is all there can be.
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// The difference that replacing the word `old` by `new` makes.
#[inline(always)]
pub const fn difference(old: u16, new: u16) -> u16 {
    add(!old, new)
}

/// The difference that replacing a 32-bit word makes.
#[inline(always)]
pub const fn difference32(old: u32, new: u32) -> u16 {
    add(difference(old as u16, new as u16), difference((old >> 16) as u16, (new >> 16) as u16))
}

/// The difference that counting down a TTL makes, where it is the first byte of its word.
///
/// Raw, on a little-endian machine, the word goes down by 1; on a big-endian one by 0x100.
#[inline(always)]
pub const fn ttl_difference() -> u16 {
    if cfg!(target_endian = "little") { !1 } else { !0x100 }
}

/// Takes [`ttl_difference`] out of a difference again.
#[inline(always)]
pub const fn without_ttl(difference: u16) -> u16 {
    add(difference, !ttl_difference())
}

/// A checksum after a change.
#[inline(always)]
pub const fn update(checksum: u16, difference: u16) -> u16 {
    !add(!checksum, difference)
}

/// A UDP checksum after a change: 0 means "none" and stays, and a computed 0 is sent as 0xffff
/// (RFC 768).
#[inline(always)]
pub const fn update_udp(checksum: u16, difference: u16) -> u16 {
    if checksum == 0 {
        return 0;
    }
    match update(checksum, difference) {
        0 => 0xffff,
        updated => updated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071, the slow way: big-endian words, all of them, carries folded at the end.
    fn full(bytes: &[u8]) -> u16 {
        let mut sum = 0u64;
        for pair in bytes.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    fn raw(checksum: u16) -> u16 {
        u16::from_ne_bytes(checksum.to_be_bytes())
    }

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    proptest! {
        #[test]
        fn an_update_equals_a_full_recomputation(
            mut packet in prop::collection::vec(any::<u8>(), 20..200),
            at in 0usize..4,
            new: [u8; 4],
        ) {
            // A packet whose words are all zero has no unique checksum; real ones are never so.
            packet[19] |= 1;
            let at = at * 4;
            let before = raw(full(&packet));
            let difference = difference32(word(&packet, at), u32::from_ne_bytes(new));
            packet[at..at + 4].copy_from_slice(&new);
            prop_assert_eq!(update(before, difference), raw(full(&packet)));
        }

        #[test]
        fn counting_a_ttl_down_equals_a_full_recomputation(
            mut header: [u8; 20], ttl in 1u8..,
        ) {
            header[0] = 0x45;
            header[8] = ttl;
            let before = raw(full(&header));
            header[8] -= 1;
            prop_assert_eq!(update(before, ttl_difference()), raw(full(&header)));
        }

        #[test]
        fn differences_add_up_and_the_ttl_comes_out_again(a: u32, b: u32, checksum: u16) {
            let there_and_back = add(difference32(a, b), difference32(b, a));
            // Both representations of zero: nothing changes.
            prop_assert!(there_and_back == 0xffff || there_and_back == 0);
            let d = difference32(a, b);
            let round = without_ttl(add(d, ttl_difference()));
            prop_assert_eq!(update(checksum, round) , update(checksum, add(d, 0xffff)));
        }

        #[test]
        fn a_udp_checksum_is_never_turned_into_none(checksum: u16, d: u16) {
            let updated = update_udp(checksum, d);
            prop_assert_eq!(updated == 0, checksum == 0);
        }
    }

    #[test]
    fn the_example_of_rfc_1624() {
        // Section 4: the checksum 0xDD2F, a word 0x5555 that becomes 0x3285, gives 0x0000.
        assert_eq!(update(0xdd2f, difference(0x5555, 0x3285)), 0x0000);
    }
}
