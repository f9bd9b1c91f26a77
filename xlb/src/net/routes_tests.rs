//! The lookup against a slow model that goes through all routes, and by example.

use super::*;
use crate::net::view::{Link, Neighbour, NeighbourState, Table};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The kernel's lookup, as the manual tells it: one table after the other; in each the longest
/// prefix, then the lowest metric.
pub(in crate::net) fn slow(view: &NetView, address: IpAddr) -> NextHop {
    let matches = |route: &&Route| {
        let (route, len) = (*route, route.prefix_len);
        match (route.destination, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (0..len).all(|bit| (u32::from(a) ^ u32::from(b)) >> (31 - bit) & 1 == 0)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                (0..len).all(|bit| (u128::from(a) ^ u128::from(b)) >> (127 - bit) & 1 == 0)
            }
            _ => false,
        }
    };
    let multicast = match address {
        IpAddr::V4(a) => a.octets()[0] >= 224 || a.octets()[0] == 0,
        IpAddr::V6(a) => a.octets()[0] == 0xff || a.segments()[0] & 0xffc0 == 0xfe80,
    };
    if view.custom_rules || multicast {
        return NextHop::Finer;
    }
    let all: Vec<&Route> = view.routes.iter().filter(matches).collect();
    let best_len = |table| all.iter().filter(|r| r.table == table).map(|r| r.prefix_len).max();
    if best_len(Table::Local).is_some() && best_len(Table::Main) > best_len(Table::Local) {
        return NextHop::Finer;
    }
    for table in [Table::Local, Table::Main, Table::Default] {
        let Some(len) = best_len(table) else { continue };
        let longest: Vec<&&Route> =
            all.iter().filter(|r| r.table == table && r.prefix_len == len).collect();
        let metric = longest.iter().map(|r| r.metric).min().unwrap();
        let mut best: Vec<&&Route> =
            longest.iter().filter(|r| r.metric == metric).copied().collect();
        best.dedup();
        if best.len() > 1 || longest.iter().any(|r| r.selective) {
            return NextHop::Finer;
        }
        let (ifindex, neighbour) = match (best[0].kind, &best[0].hops) {
            (RouteKind::Local, _) => return NextHop::Local,
            (RouteKind::Refused, _) => return NextHop::NoRoute,
            (RouteKind::Unicast, Hops::OnLink { ifindex }) => (*ifindex, address),
            (RouteKind::Unicast, Hops::Gateway { ifindex, address }) => (*ifindex, *address),
            _ => return NextHop::Finer,
        };
        let Some(link) = view.link(ifindex) else { return NextHop::Finer };
        let neighbour_entry =
            view.neighbours.iter().find(|n| n.ifindex == ifindex && n.address == neighbour);
        let mac = neighbour_entry.and_then(|n| n.usable_mac());
        let mtu = link.mtu.min(best[0].mtu.unwrap_or(u32::MAX));
        return NextHop::Via(Via { ifindex, neighbour, mac, mtu });
    }
    NextHop::NoRoute
}

/// An address of few enough bits that prefixes and addresses meet.
fn address4() -> impl Strategy<Value = IpAddr> {
    (prop_oneof![Just(10u8), Just(11), Just(0), Just(224)], 0u8..3, 0u8..3, 0u8..4)
        .prop_map(|(a, b, c, d)| Ipv4Addr::new(a, b, c, d).into())
}

fn address6() -> impl Strategy<Value = IpAddr> {
    let first = prop_oneof![4 => Just(0x2001u16), 1 => Just(0xfe80), 1 => Just(0xff02)];
    (first, 0u16..3, 0u16..3, 0u16..4)
        .prop_map(|(a, b, c, d)| Ipv6Addr::new(a, b, 0, c, 0, 0, 0, d).into())
}

fn hops() -> impl Strategy<Value = Hops> {
    let router = prop_oneof![Just("10.0.0.1"), Just("10.0.1.1"), Just("fe80::1")];
    let gateway = (1u32..4, router)
        .prop_map(|(ifindex, a)| Hops::Gateway { ifindex, address: a.parse().unwrap() });
    prop_oneof![
        6 => gateway,
        2 => (1u32..4).prop_map(|ifindex| Hops::OnLink { ifindex }),
        1 => Just(Hops::Multipath(vec![(1, None), (2, None)])),
        1 => Just(Hops::Odd),
        1 => Just(Hops::None),
    ]
}

/// The address with all bits zero that the prefix length leaves out, as the kernel has it.
fn masked(address: IpAddr, len: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let host = u32::MAX.checked_shr(len.into()).unwrap_or(0);
            Ipv4Addr::from(u32::from(a) & !host).into()
        }
        IpAddr::V6(a) => {
            let host = u128::MAX.checked_shr(len.into()).unwrap_or(0);
            Ipv6Addr::from(u128::from(a) & !host).into()
        }
    }
}

fn route() -> impl Strategy<Value = Route> {
    let destination = prop_oneof![(address4(), 0u8..=32), (address6(), 0u8..=128)]
        .prop_map(|(address, len)| (masked(address, len), len));
    let table =
        prop_oneof![1 => Just(Table::Local), 6 => Just(Table::Main), 1 => Just(Table::Default)];
    let kind = prop_oneof![
        6 => Just(RouteKind::Unicast), 1 => Just(RouteKind::Local),
        1 => Just(RouteKind::Refused), 1 => Just(RouteKind::Other)
    ];
    let mtu = prop_oneof![3 => Just(None), 1 => Just(Some(1400)), 1 => Just(Some(9000))];
    (destination, table, kind, 0u32..3, hops(), mtu, prop::bool::weighted(0.05)).prop_map(
        |((destination, prefix_len), table, kind, metric, hops, mtu, selective)| Route {
            destination,
            prefix_len,
            table,
            kind,
            metric,
            hops,
            mtu,
            selective,
        },
    )
}

fn neighbour() -> impl Strategy<Value = Neighbour> {
    let state = prop_oneof![
        Just(NeighbourState::Reachable),
        Just(NeighbourState::Stale),
        Just(NeighbourState::Failed),
        Just(NeighbourState::Permanent)
    ];
    let address = prop_oneof![address4(), Just("fe80::1".parse().unwrap())];
    (1u32..3, address, prop_oneof![Just(None), Just(Some([2, 0, 0, 0, 0, 7]))], state)
        .prop_map(|(ifindex, address, mac, state)| Neighbour { ifindex, address, mac, state })
}

/// Interfaces 1 and 2, and routes that also name a third.
pub(in crate::net) fn views(routes: usize) -> impl Strategy<Value = NetView> {
    let links = [(1, 1500), (2, 1450)];
    let links = links.map(|(index, mtu)| Link { index, mtu, ..Link::default() });
    let neighbours = prop::collection::vec(neighbour(), 0..8);
    (prop::collection::vec(route(), 0..routes), neighbours, prop::bool::weighted(0.05)).prop_map(
        move |(routes, mut neighbours, custom_rules)| {
            neighbours.sort_by_key(|n| (n.ifindex, n.address));
            neighbours.dedup_by_key(|n| (n.ifindex, n.address));
            NetView {
                links: links.to_vec(),
                routes,
                neighbours,
                custom_rules,
                ..NetView::default()
            }
        },
    )
}

pub(in crate::net) fn gateway(prefix: &str, router: &str) -> Route {
    let (destination, len) = prefix.split_once('/').unwrap();
    Route {
        destination: destination.parse().unwrap(),
        prefix_len: len.parse().unwrap(),
        table: Table::Main,
        kind: RouteKind::Unicast,
        metric: 0,
        hops: Hops::Gateway { ifindex: 1, address: router.parse().unwrap() },
        mtu: None,
        selective: false,
    }
}

pub(in crate::net) fn on_link(prefix: &str) -> Route {
    Route { hops: Hops::OnLink { ifindex: 1 }, ..gateway(prefix, "10.0.0.1") }
}

pub(in crate::net) fn local(prefix: &str) -> Route {
    Route { table: Table::Local, kind: RouteKind::Local, hops: Hops::None, ..on_link(prefix) }
}

pub(in crate::net) fn view(routes: Vec<Route>) -> NetView {
    let links = vec![Link { index: 1, mtu: 1500, ..Link::default() }];
    NetView { links, routes, ..NetView::default() }
}

proptest! {
    #[test]
    fn a_lookup_equals_the_slow_model(
        view in views(24), addresses in prop::collection::vec(prop_oneof![address4(), address6()], 40),
    ) {
        let fib = Fib::new(&view);
        for address in addresses {
            prop_assert_eq!(fib.next_hop(address), slow(&view, address), "{}", address);
        }
    }
}

fn next_hop(routes: Vec<Route>, address: &str) -> NextHop {
    Fib::new(&view(routes)).next_hop(address.parse().unwrap())
}

#[test]
fn nothing_is_known_without_routes() {
    assert_eq!(next_hop(vec![], "10.0.0.1"), NextHop::NoRoute);
    assert_eq!(next_hop(vec![], "2001:db8::1"), NextHop::NoRoute);
}

#[test]
fn a_destination_on_the_link_is_its_own_neighbour() {
    let neighbour: IpAddr = "10.0.0.9".parse().unwrap();
    let via = Via { ifindex: 1, neighbour, mac: None, mtu: 1500 };
    assert_eq!(next_hop(vec![on_link("10.0.0.0/24")], "10.0.0.9"), NextHop::Via(via));
}

#[test]
fn an_ipv4_route_can_have_an_ipv6_router() {
    let mut view = view(vec![gateway("0.0.0.0/0", "fe80::1")]);
    let (address, mac) = ("fe80::1".parse().unwrap(), Some([2, 0, 0, 0, 0, 1]));
    view.neighbours.push(Neighbour { ifindex: 1, address, mac, state: NeighbourState::Stale });
    let via = Via { ifindex: 1, neighbour: address, mac, mtu: 1500 };
    assert_eq!(Fib::new(&view).next_hop("8.8.8.8".parse().unwrap()), NextHop::Via(via));
}

#[test]
fn own_addresses_are_local_and_a_route_within_a_local_one_is_finer() {
    let routes = vec![local("10.0.0.1/32"), on_link("10.0.0.0/24"), local("10.8.0.0/16")];
    assert_eq!(next_hop(routes.clone(), "10.0.0.1"), NextHop::Local);
    assert_eq!(next_hop(routes.clone(), "10.8.1.1"), NextHop::Local);
    let routes = [routes, vec![on_link("10.8.1.0/24")]].concat();
    assert_eq!(next_hop(routes, "10.8.1.1"), NextHop::Finer);
}

#[test]
fn the_lowest_metric_wins_and_a_tie_is_finer() {
    let worse = Route { metric: 5, ..gateway("0.0.0.0/0", "10.0.0.2") };
    let routes = vec![worse.clone(), gateway("0.0.0.0/0", "10.0.0.1")];
    let NextHop::Via(via) = next_hop(routes, "8.8.8.8") else { panic!("no hop") };
    assert_eq!(via.neighbour, "10.0.0.1".parse::<IpAddr>().unwrap());
    let tie = Route { metric: 5, ..gateway("0.0.0.0/0", "10.0.0.1") };
    assert_eq!(next_hop(vec![worse, tie], "8.8.8.8"), NextHop::Finer);
}

#[test]
fn a_refusing_route_is_none() {
    let hole = Route { kind: RouteKind::Refused, hops: Hops::None, ..on_link("10.9.0.0/16") };
    let routes = vec![hole, gateway("0.0.0.0/0", "10.0.0.1")];
    assert_eq!(next_hop(routes, "10.9.1.1"), NextHop::NoRoute);
}
