//! Weighted Maglev tables.
//!
//! Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
//! section 3.4: each backend has its own permutation of the slots and takes, in turn, the first of
//! its slots that is still free. Here a backend's turns are proportional to its weight: at every
//! step the backend goes that is furthest behind its share.
//!
//! The table depends on the backends' names and weights alone, not on their order or on history,
//! so that all nodes with the same pool have the same table.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A backend as the table sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Names the backend on every node: its address and port. Must be unique.
    pub name: String,
    /// Its share is its weight over the sum of weights; 0 gives it no slot.
    pub weight: u32,
}

/// Assigns each of `slots` slots to an index into `members`, or to `None` if no member has a weight.
pub fn table(members: &[Member], slots: u32) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..members.len()).filter(|&i| members[i].weight > 0).collect();
    order.sort_by(|&a, &b| members[a].name.cmp(&members[b].name));
    let mut table = vec![None; slots as usize];
    if order.is_empty() {
        return table;
    }
    let mut permutations: Vec<Permutation> =
        order.iter().map(|&i| Permutation::new(&members[i].name, slots)).collect();
    // The next turn of a member with weight w that had n turns is due at (n + 1) / w. Due times are
    // compared as fractions over a common 64.32 fixed point, which is exact enough for any u32.
    let due = |turns: u64, weight: u32| (u128::from(turns + 1) << 64) / u128::from(weight);
    let mut turns = vec![0u64; order.len()];
    let mut queue: BinaryHeap<Reverse<(u128, usize)>> = order
        .iter()
        .enumerate()
        .map(|(place, &i)| Reverse((due(0, members[i].weight), place)))
        .collect();
    for _ in 0..slots {
        let Some(Reverse((_, place))) = queue.pop() else { break };
        let slot = permutations[place].next_free(&table);
        table[slot] = Some(order[place]);
        turns[place] += 1;
        queue.push(Reverse((due(turns[place], members[order[place]].weight), place)));
    }
    table
}

/// A member's own order of the slots: a start and a step.
struct Permutation {
    at: u64,
    step: u64,
    slots: u64,
}

impl Permutation {
    fn new(name: &str, slots: u32) -> Self {
        let slots = u64::from(slots);
        let mut step = fnv(name, 0x7374_6570) % (slots - 1) + 1;
        // Every slot is reached only if step and size have no common divisor; sizes are primes by
        // default, so this is for those who chose another.
        while gcd(step, slots) != 1 {
            step = step % (slots - 1) + 1;
        }
        Self { at: fnv(name, 0x0066_7374) % slots, step, slots }
    }

    fn next_free(&mut self, table: &[Option<usize>]) -> usize {
        loop {
            let slot = self.at as usize;
            self.at = (self.at + self.step) % self.slots;
            if table[slot].is_none() {
                return slot;
            }
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// FNV-1a, 64 bits, with a final mix: short, stable across versions, and good enough for names.
fn fnv(name: &str, seed: u64) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(weights: &[u32]) -> Vec<Member> {
        weights
            .iter()
            .enumerate()
            .map(|(i, &weight)| Member {
                name: format!("10.0.{}.{}:80", i / 250, i % 250 + 1),
                weight,
            })
            .collect()
    }

    fn counts(table: &[Option<usize>], members: usize) -> Vec<u32> {
        let mut counts = vec![0; members];
        for member in table.iter().flatten() {
            counts[*member] += 1;
        }
        counts
    }

    /// The share of slots that differ between two tables over the same members.
    fn moved(a: &[Option<usize>], b: &[Option<usize>]) -> f64 {
        a.iter().zip(b).filter(|(a, b)| a != b).count() as f64 / a.len() as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn shares_follow_the_weights_within_one_percent(
            weights in prop::collection::vec(1u32..100, 1..40),
        ) {
            let table = table(&members(&weights), 65_537);
            let total: u32 = weights.iter().sum();
            for (count, weight) in counts(&table, weights.len()).into_iter().zip(&weights) {
                let share = f64::from(count) / 65_537.0;
                let wanted = f64::from(*weight) / f64::from(total);
                prop_assert!((share / wanted - 1.0).abs() < 0.01 || (share - wanted).abs() < 2.0 / 65_537.0, "{share} {wanted}");
            }
        }

        #[test]
        fn order_does_not_matter(weights in prop::collection::vec(0u32..10, 1..20), seed: u64) {
            let list = members(&weights);
            let mut shuffled = list.clone();
            shuffled.sort_by_key(|m| fnv(&m.name, seed));
            let names = |list: &[Member], slots| -> Vec<Option<String>> {
                table(list, slots).into_iter().map(|m| m.map(|m| list[m].name.clone())).collect()
            };
            prop_assert_eq!(names(&list, 2039), names(&shuffled, 2039));
        }

        #[test]
        fn any_size_is_filled(weights in prop::collection::vec(1u32..5, 1..9), slots in 7u32..3000) {
            prop_assert!(table(&members(&weights), slots).iter().all(Option::is_some));
        }
    }

    #[test]
    fn adding_or_removing_one_of_many_moves_little_more_than_its_share() {
        for n in [4usize, 10, 50, 100] {
            let mut weights = vec![1; n];
            let full = table(&members(&weights), 65_537);
            weights[n / 2] = 0;
            let without = table(&members(&weights), 65_537);
            let share = 1.0 / n as f64;
            let moved = moved(&full, &without);
            assert!(moved >= share * 0.99, "{moved}");
            // The paper's own figures: a few percent of the table beyond the share.
            assert!(moved <= share + 0.06, "{n} members: {moved} moved for a share of {share}");
        }
    }

    #[test]
    fn a_pool_without_weight_has_no_slots() {
        assert!(table(&members(&[0, 0]), 7).iter().all(Option::is_none));
        assert!(table(&[], 7).iter().all(Option::is_none));
    }

    #[test]
    fn a_weight_that_grows_takes_slots_and_moves_few_others() {
        let before = table(&members(&[10, 10, 10, 10]), 65_537);
        let after = table(&members(&[10, 10, 10, 20]), 65_537);
        let others_moved =
            before.iter().zip(&after).filter(|(b, a)| b != a && **a != Some(3)).count() as f64;
        assert!(others_moved / 65_537.0 < 0.06, "{others_moved}");
        let counts = counts(&after, 4);
        assert!((f64::from(counts[3]) / 65_537.0 - 0.4).abs() < 0.004);
    }
}
