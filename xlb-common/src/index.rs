//! Perfect-hash index: from a packet's address, port and protocol to a service or a target.
//!
//! Hash and displace (Belazzougui, Botelho and Dietzfelbinger, "Hash, displace, and compress",
//! 2009): a key's hash names a bucket, the bucket's displacement moves the key to its entry. The
//! control plane finds displacements with which no two keys meet; the program reads one
//! displacement and one entry and compares one key. Keys that are not in the index cost the same.

/// A key of an IPv4 index: raw address, raw port, protocol.
#[inline(always)]
pub const fn key4(address: u32, port: u16, protocol: u8) -> u64 {
    address as u64 | (port as u64) << 32 | (protocol as u64) << 48
}

/// A key of an IPv6 index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Key6 {
    /// The address's first 8 bytes, raw.
    pub high: u64,
    /// The address's last 8 bytes, raw.
    pub low: u64,
    /// Raw port, and the protocol above it.
    pub rest: u64,
}

impl Key6 {
    /// Makes a key of an address, a raw port and a protocol.
    #[inline(always)]
    pub const fn new(address: crate::layout::Address, port: u16, protocol: u8) -> Self {
        Self { high: address[0], low: address[1], rest: port as u64 | (protocol as u64) << 16 }
    }
}

// Odd constants with well-mixed bits: the fractional parts of the golden ratio and of square roots.
const A: u64 = 0x9e37_79b9_7f4a_7c15;
const B: u64 = 0x6a09_e667_f3bc_c909;
const C: u64 = 0xbb67_ae85_84ca_a73b;

/// Hash of an IPv4 key: multiply and take high bits (Dietzfelbinger et al., 1997).
///
/// One multiplication and no mixing after it: everything that a packet does waits for this.
#[inline(always)]
pub const fn hash4(key: u64, seed: u32) -> u64 {
    (key ^ seed as u64).wrapping_mul(A)
}

/// Hash of an IPv6 key. The three products don't wait for each other.
///
/// On a little-endian machine the bytes in which a site's addresses differ are at the top of a word,
/// where a product's high bits hardly depend on them: they are folded down first.
#[inline(always)]
pub const fn hash6(key: Key6, seed: u32) -> u64 {
    let seed = seed as u64;
    (key.high ^ key.high >> 32 ^ seed)
        .wrapping_mul(A)
        .wrapping_add((key.low ^ key.low >> 32 ^ seed << 16).wrapping_mul(B))
        .wrapping_add(key.rest.wrapping_mul(C))
}

/// The bucket of a hash; `buckets` is a power of two, at most 2^14.
#[inline(always)]
pub const fn bucket(hash: u64, buckets: usize) -> usize {
    (hash >> 50) as usize & (buckets - 1)
}

/// The entry of a hash whose bucket has this displacement; `entries` is a power of two, at most
/// 2^16. Bits below the bucket's, so that keys of one bucket have different places.
#[inline(always)]
pub const fn entry(hash: u64, displacement: u16, entries: usize) -> usize {
    ((hash >> 34) as usize ^ displacement as usize) & (entries - 1)
}

/// Finds displacements for `hashes`, so that every key has an entry of its own.
///
/// Returns the displacements and each key's entry, in the order of `hashes`; or `None` if two keys
/// can't be separated: they are equal, or have the same bucket and place with this seed.
#[cfg(feature = "std")]
pub fn build(hashes: &[u64], buckets: usize, entries: usize) -> Option<(Vec<u16>, Vec<usize>)> {
    let mut members = vec![Vec::new(); buckets];
    for (key, &hash) in hashes.iter().enumerate() {
        members[bucket(hash, buckets)].push(key);
    }
    let mut order: Vec<usize> = (0..buckets).filter(|&b| !members[b].is_empty()).collect();
    // The fullest first, while there is room.
    order.sort_by_key(|&b| (std::cmp::Reverse(members[b].len()), b));

    let mut displacements = vec![0; buckets];
    let mut places = vec![0; hashes.len()];
    let mut taken = vec![false; entries];
    let mut wanted = Vec::new();
    for b in order {
        let displacement = (0..=u16::MAX).find(|&displacement| {
            wanted.clear();
            members[b].iter().all(|&key| {
                let place = entry(hashes[key], displacement, entries);
                let free = !taken[place] && !wanted.contains(&place);
                wanted.push(place);
                free
            })
        })?;
        displacements[b] = displacement;
        for &key in &members[b] {
            places[key] = entry(hashes[key], displacement, entries);
            taken[places[key]] = true;
        }
    }
    Some((displacements, places))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Looks all of `keys` up, and then keys that are not in it.
    fn check4(keys: &BTreeSet<u64>, buckets: usize, entries: usize) {
        let keys: Vec<u64> = keys.iter().copied().collect();
        let (seed, (displacements, places)) = (0..64)
            .find_map(|seed| {
                let hashes: Vec<u64> = keys.iter().map(|&key| hash4(key, seed)).collect();
                Some((seed, build(&hashes, buckets, entries)?))
            })
            .unwrap();
        let mut table = vec![0; entries];
        for (&key, &place) in keys.iter().zip(&places) {
            assert_eq!(table[place], 0, "two keys in one entry");
            table[place] = key;
        }
        let probe = |key: u64| {
            let hash = hash4(key, seed);
            table[entry(hash, displacements[bucket(hash, buckets)], entries)] == key
        };
        for &key in &keys {
            assert!(probe(key), "{key:#x} is lost");
            for other in [key ^ 1, key ^ 1 << 33, key ^ 1 << 48, key.rotate_left(7) & !(0xff << 56)]
            {
                assert_eq!(probe(other), keys.binary_search(&other).is_ok());
            }
        }
    }

    /// Addresses and ports that are close together, as a site's are.
    fn site_keys(n: usize, ports: u16) -> BTreeSet<u64> {
        (0..n)
            .map(|i| {
                let address = u32::from_be_bytes([10, 0, 0, 0]) + (i / usize::from(ports)) as u32;
                let port = 8000 + (i % usize::from(ports)) as u16;
                key4(address.to_be(), port.to_be(), 6)
            })
            .collect()
    }

    #[test]
    fn a_full_service_index_is_built_and_finds_all_and_only_its_keys() {
        for ports in [1, 2, 16, 4096] {
            check4(&site_keys(SERVICES, ports), SERVICE_BUCKETS, SERVICE_ENTRIES);
        }
    }

    #[test]
    fn a_full_reply_index_is_built_and_finds_all_and_only_its_keys() {
        check4(&site_keys(TARGETS - 1, 3), REPLY_BUCKETS, REPLY_ENTRIES);
    }

    #[test]
    fn equal_keys_are_refused() {
        assert!(build(&[7 << 40, 7 << 40], SERVICE_BUCKETS, SERVICE_ENTRIES).is_none());
    }

    #[test]
    fn a_full_ipv6_index_is_built() {
        let key = |i: usize| Key6::new([0xb80d_0120, (i as u64).to_be()], 443u16.to_be(), 6);
        let (_, places) = (0..64)
            .find_map(|seed| {
                let hashes: Vec<u64> = (0..SERVICES).map(|i| hash6(key(i), seed)).collect();
                build(&hashes, SERVICE_BUCKETS, SERVICE_ENTRIES)
            })
            .unwrap();
        assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), SERVICES);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn random_keys_are_found_and_others_are_not(
            keys in prop::collection::btree_set((any::<u32>(), any::<u16>(), prop_oneof![Just(6u8), Just(17)]), 0..600),
        ) {
            let keys = keys.into_iter().map(|(a, p, proto)| key4(a, p, proto)).collect();
            check4(&keys, SERVICE_BUCKETS, SERVICE_ENTRIES);
        }
    }
}
