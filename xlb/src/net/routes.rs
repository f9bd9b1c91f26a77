//! Where a destination's packets go: the kernel's route lookup, done on a `NetView`.
//!
//! The answer is the kernel's own or `NextHop::Finer`, which means that the kernel must be asked:
//! several next hops, custom rules, lookups on which kernels differ. It is never a guess.
//! `super::compile` turns the same tables into what the program reads.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use super::view::{Hops, Mac, NetView, Route, RouteKind};

/// What becomes of packets to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// The address is this node's own.
    Local,
    /// There is no route, or one that refuses.
    NoRoute,
    /// The kernel must be asked for each packet.
    Finer,
    /// They are sent to a neighbour.
    Via(Via),
}

/// A neighbour to send packets to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via {
    /// The interface that the route names.
    pub ifindex: u32,
    /// The router, or the destination itself if it is on the link. Routers may be of the other
    /// family.
    pub neighbour: IpAddr,
    /// The neighbour's MAC, if the kernel knows one that it would use.
    pub mac: Option<Mac>,
    /// Largest IP packet that the route and the interface take.
    pub mtu: u32,
}

/// The routes of a [`NetView`], sorted for lookups.
pub struct Fib<'a> {
    pub(super) v4: Family<'a>,
    pub(super) v6: Family<'a>,
    custom_rules: bool,
    macs: HashMap<(u32, IpAddr), Mac>,
    mtus: HashMap<u32, u32>,
}

/// The tables of a family, in the order of [`Table`].
#[derive(Default)]
pub(super) struct Family<'a> {
    pub(super) tables: [Prefixes<'a>; 3],
}

/// A table's prefixes, shortest first, each once.
#[derive(Default)]
pub(super) struct Prefixes<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    /// The entries of each length, longest first.
    lengths: Vec<(u8, Range<usize>)>,
}

/// A prefix and the route that is in force for it.
pub(super) struct Entry<'a> {
    /// The prefix, as the first bits of a `u128` in both families.
    pub(super) bits: u128,
    pub(super) len: u8,
    pub(super) found: Found<'a>,
}

/// What a lookup comes upon.
#[derive(Clone, Copy)]
pub(super) enum Found<'a> {
    Nothing,
    /// More than the model can tell.
    Odd,
    Route(&'a Route),
}

/// A router that a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gateway {
    pub(super) ifindex: u32,
    pub(super) address: IpAddr,
    pub(super) mtu: u32,
}

impl<'a> Fib<'a> {
    /// Sorts the routes of `view`.
    pub fn new(view: &'a NetView) -> Self {
        let macs = view.neighbours.iter().filter_map(|neighbour| {
            Some(((neighbour.ifindex, neighbour.address), neighbour.usable_mac()?))
        });
        // Under custom rules no table says anything.
        let routes = if view.custom_rules { &[] } else { &view.routes[..] };
        Self {
            v4: Family::new(routes.iter().filter(|route| route.destination.is_ipv4())),
            v6: Family::new(routes.iter().filter(|route| route.destination.is_ipv6())),
            custom_rules: view.custom_rules,
            macs: macs.collect(),
            mtus: view.links.iter().map(|link| (link.index, link.mtu)).collect(),
        }
    }

    /// What becomes of packets to `address`.
    pub fn next_hop(&self, address: IpAddr) -> NextHop {
        if self.custom_rules || is_special(address) {
            return NextHop::Finer;
        }
        let family = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let route = match family.lookup(first_bits(address), u8::MAX) {
            Found::Nothing => return NextHop::NoRoute,
            Found::Odd => return NextHop::Finer,
            Found::Route(route) => route,
        };
        match (route.kind, &route.hops) {
            (RouteKind::Local, _) => NextHop::Local,
            (RouteKind::Refused, _) => NextHop::NoRoute,
            (RouteKind::Unicast, Hops::OnLink { ifindex }) => self.via(route, *ifindex, address),
            (RouteKind::Unicast, Hops::Gateway { ifindex, address }) => {
                self.via(route, *ifindex, *address)
            }
            _ => NextHop::Finer,
        }
    }

    fn via(&self, route: &Route, ifindex: u32, neighbour: IpAddr) -> NextHop {
        // A snapshot is not taken all at once: the interface may be missing from it.
        match self.mtu(route, ifindex) {
            Some(mtu) => NextHop::Via(self.resolve(Gateway { ifindex, address: neighbour, mtu })),
            None => NextHop::Finer,
        }
    }

    fn mtu(&self, route: &Route, ifindex: u32) -> Option<u32> {
        let mtu = *self.mtus.get(&ifindex)?;
        Some(route.mtu.map_or(mtu, |own| own.min(mtu)))
    }

    /// The router that `found` leads all its packets to, if it does.
    pub(super) fn gateway(&self, found: Found<'_>) -> Option<Gateway> {
        let Found::Route(route) = found else { return None };
        match (route.kind, &route.hops) {
            (RouteKind::Unicast, Hops::Gateway { ifindex, address }) => {
                let mtu = self.mtu(route, *ifindex)?;
                Some(Gateway { ifindex: *ifindex, address: *address, mtu })
            }
            _ => None,
        }
    }

    pub(super) fn resolve(&self, gateway: Gateway) -> Via {
        let Gateway { ifindex, address, mtu } = gateway;
        Via { ifindex, neighbour: address, mac: self.macs.get(&(ifindex, address)).copied(), mtu }
    }
}

impl<'a> Family<'a> {
    fn new(routes: impl Iterator<Item = &'a Route>) -> Self {
        let mut by_table: [Vec<&Route>; 3] = Default::default();
        for route in routes {
            by_table[route.table as usize].push(route);
        }
        Self { tables: by_table.map(Prefixes::new) }
    }

    /// The route for packets to `address`, of those whose prefix has at most `max_len` bits.
    ///
    /// While there are no custom rules, Linux keeps IPv4's local and main tables in one trie, where
    /// the longest prefix of both wins; IPv6 and kernels that had rules once look into one table
    /// after the other. It makes a difference only for a main route within a local one.
    pub(super) fn lookup(&self, address: u128, max_len: u8) -> Found<'a> {
        let [local, main, default] = &self.tables;
        match (local.longest(address, max_len), main.longest(address, max_len)) {
            (Some(local), Some(main)) if main.len > local.len => Found::Odd,
            (Some(entry), _) | (None, Some(entry)) => entry.found,
            (None, None) => {
                default.longest(address, max_len).map_or(Found::Nothing, |entry| entry.found)
            }
        }
    }
}

impl<'a> Prefixes<'a> {
    fn new(mut routes: Vec<&'a Route>) -> Self {
        let key = |route: &Route| {
            (route.prefix_len, first_bits(route.destination) & mask(route.prefix_len))
        };
        routes.sort_by_key(|route| (key(route), route.metric));
        let mut entries = Vec::with_capacity(routes.len());
        for same in routes.chunk_by(|a, b| key(a) == key(b)) {
            let (len, bits) = key(same[0]);
            entries.push(Entry { bits, len, found: in_force(same) });
        }
        let mut lengths: Vec<(u8, Range<usize>)> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            match lengths.last_mut() {
                Some((len, range)) if *len == entry.len => range.end = at + 1,
                _ => lengths.push((entry.len, at..at + 1)),
            }
        }
        lengths.reverse();
        Self { entries, lengths }
    }

    pub(super) fn longest(&self, address: u128, max_len: u8) -> Option<&Entry<'a>> {
        let lengths = self.lengths.iter().filter(|(len, _)| *len <= max_len);
        lengths.into_iter().find_map(|(len, range)| {
            let entries = &self.entries[range.clone()];
            let bits = address & mask(*len);
            entries.binary_search_by_key(&bits, |entry| entry.bits).ok().map(|at| &entries[at])
        })
    }
}

/// Which of several routes with the same prefix counts; they are sorted by metric.
fn in_force<'a>(same: &[&'a Route]) -> Found<'a> {
    let tie = same.len() > 1 && same[0].metric == same[1].metric && same[0] != same[1];
    if tie || same.iter().any(|route| route.selective) { Found::Odd } else { Found::Route(same[0]) }
}

/// Destinations that the tables don't tell the whole truth about: multicast, broadcast, link-local.
pub(super) fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 0 || address.octets()[0] >= 224,
        IpAddr::V6(address) => address.is_multicast() || address.is_unicast_link_local(),
    }
}

/// An address as the first bits of a `u128`, so that both families need only one lookup.
pub(super) fn first_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The first `len` bits.
pub(super) fn mask(len: u8) -> u128 {
    !u128::MAX.checked_shr(u32::from(len)).unwrap_or(0)
}

#[cfg(test)]
#[path = "routes_tests.rs"]
pub(in crate::net) mod tests;
