//! Gateway routes compiled into what the program reads: a hop for every first two bytes of an IPv4
//! address, and a short list of IPv6 prefixes.
//!
//! An entry names a hop only if every address under it goes to that one router. All others are
//! finer (`None`): the program then asks its cache and the kernel, which is always right. So a
//! merged or missing entry costs time, never correctness.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use super::routes::{Fib, Found, Gateway, Via, is_special, mask};
use xlb_common::layout::{HOPS, ROUTES6, Route6};

/// Compiled routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The distinct hops that the routes name.
    pub hops: Vec<Via>,
    /// For each value of an address's first two bytes, raw (`u16::from_ne_bytes`), a number in
    /// `hops`; `None` is finer.
    pub routes4: Vec<Option<u16>>,
    /// Longest prefix first; the last one matches everything. At most [`ROUTES6`].
    pub routes6: Vec<Prefix6>,
}

/// An IPv6 prefix of at most 64 bits and its hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix6 {
    /// The prefix.
    pub prefix: Ipv6Addr,
    /// How many bits of it count.
    pub len: u8,
    /// A number in [`Compiled::hops`]; `None` is finer.
    pub hop: Option<u16>,
}

impl Prefix6 {
    /// The entry as the program reads it, with a next hop of the program's numbers.
    pub fn route6(&self, hop: u16) -> Route6 {
        let raw = |bits: u128| u64::from_ne_bytes(((bits >> 64) as u64).to_be_bytes());
        let mask = mask(self.len);
        Route6 { prefix: raw(u128::from(self.prefix) & mask), mask: raw(mask), hop: hop.into() }
    }
}

/// Compiles all gateway routes.
pub fn compile(fib: &Fib<'_>) -> Compiled {
    let mut hops = Hops::default();
    let routes4 = compile4(fib, &mut hops);
    let routes6 = compile6(fib, &mut hops);
    let hops = hops.list.iter().map(|gateway| fib.resolve(*gateway)).collect();
    Compiled { hops, routes4, routes6 }
}

/// The hops that are in use, numbered.
#[derive(Default)]
struct Hops {
    numbers: HashMap<Gateway, u16>,
    list: Vec<Gateway>,
}

impl Hops {
    /// The number of a hop; `None` if there are already more than the program can tell apart.
    fn number(&mut self, gateway: Gateway) -> Option<u16> {
        if let Some(number) = self.numbers.get(&gateway) {
            return Some(*number);
        }
        let number = u16::try_from(self.list.len()).ok().filter(|n| usize::from(*n) < HOPS - 1)?;
        self.list.push(gateway);
        self.numbers.insert(gateway, number);
        Some(number)
    }
}

/// What routes longer than 16 bits say about a /16.
#[derive(Clone, Copy)]
enum Inside {
    Nothing,
    All(Gateway),
    Mixed,
}

fn compile4(fib: &Fib<'_>, hops: &mut Hops) -> Vec<Option<u16>> {
    const BUCKETS: usize = 1 << 16;
    let [local, main, default] = &fib.v4.tables;
    let mut inside = vec![Inside::Nothing; BUCKETS];
    for (table, counts) in [(local, false), (main, true), (default, false)] {
        for entry in table.entries.iter().filter(|entry| entry.len > 16) {
            let bucket = &mut inside[(entry.bits >> 112) as usize];
            *bucket = match (*bucket, fib.gateway(entry.found).filter(|_| counts)) {
                (Inside::Nothing, Some(gateway)) => Inside::All(gateway),
                (Inside::All(before), Some(gateway)) if before == gateway => Inside::All(gateway),
                _ => Inside::Mixed,
            };
        }
    }
    let mut routes = vec![None; BUCKETS];
    let mut last: Option<(Gateway, Option<u16>)> = None;
    for (bucket, inside) in (0..=u16::MAX).zip(inside) {
        let bits = u128::from(bucket) << 112;
        let first = IpAddr::V4((u32::from(bucket) << 16).into());
        // Routes of other tables within a local one are finer, see `Family::lookup`.
        if local.longest(bits, 16).is_some() || is_special(first) {
            continue;
        }
        let covering = fib.gateway(fib.v4.lookup(bits, 16));
        let gateway = match (covering, inside) {
            (Some(gateway), Inside::Nothing) => gateway,
            (Some(gateway), Inside::All(same)) if gateway == same => gateway,
            _ => continue,
        };
        let number = match last {
            Some((before, number)) if before == gateway => number,
            _ => hops.number(gateway),
        };
        last = Some((gateway, number));
        routes[usize::from(u16::from_ne_bytes(bucket.to_be_bytes()))] = number;
    }
    routes
}

/// A prefix in sorting order: those that contain others come before them.
type Key = (u128, u8);
type Node = (Key, Option<Gateway>);

fn compile6(fib: &Fib<'_>, hops: &mut Hops) -> Vec<Prefix6> {
    let mut nodes: BTreeMap<Key, Option<Gateway>> = BTreeMap::new();
    let mut finer: Vec<Key> = vec![(0xff << 120, 8), (0xfe80 << 112, 10)];
    for entry in fib.v6.tables.iter().flat_map(|table| &table.entries) {
        if entry.len > 64 {
            finer.push((entry.bits & mask(64), 64));
        } else {
            let special = is_special(IpAddr::V6(entry.bits.into()));
            let found = if special { Found::Odd } else { fib.v6.lookup(entry.bits, entry.len) };
            nodes.insert((entry.bits, entry.len), fib.gateway(found));
        }
    }
    nodes.extend(finer.into_iter().map(|key| (key, None)));
    nodes.entry((0, 0)).or_insert(None);

    let mut nodes = without_redundant(nodes.into_iter().collect());
    for len in (0..64).rev() {
        if nodes.len() <= ROUTES6 {
            break;
        }
        nodes = without_redundant(merge(nodes, len));
    }
    nodes.sort_by_key(|((bits, len), _)| (std::cmp::Reverse(*len), *bits));
    let entry = |((bits, len), gateway): Node| {
        let hop = gateway.and_then(|gateway| hops.number(gateway));
        Prefix6 { prefix: bits.into(), len, hop }
    };
    nodes.into_iter().map(entry).collect()
}

/// Leaves out nodes that say what the node around them says.
fn without_redundant(nodes: Vec<Node>) -> Vec<Node> {
    let mut kept: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut around: Vec<Node> = Vec::new();
    for node in nodes {
        let (bits, _) = node.0;
        while around.last().is_some_and(|((outer, len), _)| bits & mask(*len) != *outer) {
            around.pop();
        }
        if around.last().is_none_or(|(_, value)| *value != node.1) {
            around.push(node);
            kept.push(node);
        }
    }
    kept
}

/// Replaces nodes that share their first `len` bits by one finer node, while there are too many.
fn merge(nodes: Vec<Node>, len: u8) -> Vec<Node> {
    let mut too_many = nodes.len().saturating_sub(ROUTES6);
    let mut merged = Vec::with_capacity(nodes.len());
    let together = |a: &Node, b: &Node| {
        let ((a, a_len), (b, b_len)) = (a.0, b.0);
        a_len >= len && b_len >= len && (a ^ b) & mask(len) == 0
    };
    for group in nodes.chunk_by(together) {
        if too_many > 0 && group.len() > 1 {
            merged.push(((group[0].0.0 & mask(len), len), None));
            too_many = too_many.saturating_sub(group.len() - 1);
        } else {
            merged.extend_from_slice(group);
        }
    }
    merged
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
