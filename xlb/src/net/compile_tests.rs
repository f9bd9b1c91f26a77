//! Compiled routes against the lookup's slow model, and by example.

use super::*;
use crate::net::routes::NextHop;
use crate::net::routes::tests::{gateway, local, on_link, slow, view, views};
use crate::net::view::{NetView, Route, Table};
use proptest::prelude::*;
use std::net::Ipv4Addr;

fn compiled(view: &NetView) -> Compiled {
    compile(&Fib::new(view))
}

/// What the program finds for an address.
fn find(compiled: &Compiled, address: IpAddr) -> Option<Via> {
    let hop = match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            compiled.routes4[usize::from(u16::from_ne_bytes([a, b]))]
        }
        IpAddr::V6(address) => {
            let raw = u64::from_ne_bytes(address.octets()[..8].try_into().unwrap());
            let entry = compiled.routes6.iter().find(|entry| {
                let route = entry.route6(entry.hop.unwrap_or(u16::MAX));
                raw & route.mask == route.prefix
            });
            entry.expect("the last entry matches everything").hop
        }
    };
    hop.map(|hop| compiled.hops[usize::from(hop)])
}

/// Addresses at which the answer can change: the first and last of every prefix, and next to them.
fn borders(view: &NetView) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for route in &view.routes {
        match route.destination {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shr(route.prefix_len.into()).unwrap_or(0);
                let (first, last) = (u32::from(address) & !mask, u32::from(address) | mask);
                let around = [first, last, first.wrapping_sub(1), last.wrapping_add(1)];
                found.extend(around.map(|bits| IpAddr::V4(bits.into())));
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shr(route.prefix_len.into()).unwrap_or(0);
                let (first, last) = (u128::from(address) & !mask, u128::from(address) | mask);
                let around = [first, last, first.wrapping_sub(1), last.wrapping_add(1)];
                found.extend(around.map(|bits| IpAddr::V6(bits.into())));
            }
        }
    }
    found
}

fn gateways_only(mut view: NetView) -> NetView {
    view.custom_rules = false;
    for route in &mut view.routes {
        *route = Route { table: Table::Main, ..gateway("::/0", "fe80::1") };
    }
    view
}

proptest! {
    #[test]
    fn what_is_compiled_is_what_the_model_says(view in views(24)) {
        let compiled = compiled(&view);
        prop_assert!(compiled.routes6.len() <= ROUTES6);
        prop_assert_eq!(compiled.routes6.last().unwrap().len, 0);
        for address in borders(&view) {
            if let Some(via) = find(&compiled, address) {
                prop_assert_eq!(NextHop::Via(via), slow(&view, address), "{}", address);
                prop_assert_ne!(via.neighbour, address);
            }
        }
    }

    #[test]
    fn many_prefixes_are_merged_and_still_right(view in views(120)) {
        let mut view = view;
        view.custom_rules = false;
        let compiled = compiled(&view);
        prop_assert!(compiled.routes6.len() <= ROUTES6);
        for address in borders(&view) {
            if let Some(via) = find(&compiled, address) {
                prop_assert_eq!(NextHop::Via(via), slow(&view, address), "{}", address);
            }
        }
    }

    #[test]
    fn one_router_for_all_is_compiled_whatever_the_prefixes(view in views(60)) {
        let destinations: Vec<(IpAddr, u8)> =
            view.routes.iter().map(|r| (r.destination, r.prefix_len)).collect();
        let mut view = gateways_only(view);
        for (route, (destination, len)) in view.routes.iter_mut().zip(destinations) {
            // Longer IPv6 prefixes make their /64 finer.
            let keep = destination.is_ipv4() || len <= 64;
            let (destination, len) = if keep { (destination, len) } else { ("::".parse().unwrap(), 0) };
            (route.destination, route.prefix_len) = (destination, len);
        }
        view.routes.push(gateway("0.0.0.0/0", "fe80::1"));
        view.routes.push(gateway("::/0", "fe80::1"));
        let compiled = compiled(&view);
        prop_assert_eq!(compiled.hops.len(), 1);
        prop_assert_eq!(compiled.routes4.iter().filter(|hop| hop.is_some()).count(), (224 - 1) << 8);
        prop_assert_eq!(compiled.routes6.len(), 3, "multicast, link-local and the rest");
    }
}

#[test]
fn a_plain_host_has_one_hop_and_its_own_subnet_is_finer() {
    let view = view(vec![
        gateway("0.0.0.0/0", "10.0.0.1"),
        on_link("10.0.0.0/24"),
        local("10.0.0.2/32"),
        local("127.0.0.0/8"),
    ]);
    let compiled = compiled(&view);
    assert_eq!(compiled.hops.len(), 1);
    for (address, named) in [
        ("8.8.8.8", true),
        ("10.1.0.0", true),
        ("10.0.0.9", false),
        ("10.0.255.255", false),
        ("127.0.0.1", false),
        ("224.0.0.1", false),
        ("255.255.255.255", false),
        ("0.0.0.0", false),
        ("1.0.0.0", true),
    ] {
        assert_eq!(find(&compiled, address.parse().unwrap()).is_some(), named, "{address}");
    }
}

#[test]
fn a_router_for_part_of_a_16_makes_it_finer() {
    let view = view(vec![gateway("0.0.0.0/0", "10.0.0.1"), gateway("20.1.2.0/24", "10.0.0.2")]);
    let compiled = compiled(&view);
    assert_eq!(find(&compiled, "20.1.2.3".parse().unwrap()), None);
    assert_eq!(find(&compiled, "20.1.9.9".parse().unwrap()), None);
    assert!(find(&compiled, "20.2.0.1".parse().unwrap()).is_some());
}

#[test]
fn pieces_with_no_route_around_them_are_finer() {
    let compiled = compiled(&view(vec![gateway("20.1.2.0/24", "10.0.0.2")]));
    assert_eq!(find(&compiled, "20.1.2.3".parse().unwrap()), None);
    assert!(compiled.hops.is_empty());
}

#[test]
fn other_mtus_are_other_hops() {
    let narrow = Route { mtu: Some(1400), ..gateway("20.0.0.0/8", "10.0.0.1") };
    let compiled = compiled(&view(vec![gateway("0.0.0.0/0", "10.0.0.1"), narrow]));
    assert_eq!(compiled.hops.iter().map(|via| via.mtu).collect::<Vec<_>>(), [1500, 1400]);
}

#[test]
fn ipv6_subnets_of_the_node_are_finer_and_the_rest_has_a_hop() {
    let view = view(vec![
        gateway("::/0", "fe80::1"),
        on_link("2001:db8:0:1::/64"),
        local("2001:db8:0:1::5/128"),
        on_link("fe80::/64"),
        gateway("2001:db8:8000::/33", "fe80::2"),
    ]);
    let compiled = compiled(&view);
    let shown: Vec<String> = compiled
        .routes6
        .iter()
        .map(|e| {
            format!(
                "{}/{} {:?}",
                e.prefix,
                e.len,
                e.hop.map(|h| compiled.hops[usize::from(h)].neighbour)
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "2001:db8:0:1::/64 None",
            "2001:db8:8000::/33 Some(fe80::2)",
            "fe80::/10 None",
            "ff00::/8 None",
            "::/0 Some(fe80::1)",
        ]
    );
}

#[test]
fn too_many_ipv6_subnets_are_merged_where_they_are_close() {
    let near = (0..20).map(|i| on_link(&format!("2001:db8:0:{i:x}::/64")));
    let far = gateway("2a00::/16", "fe80::2");
    let mut routes: Vec<Route> = near.chain([far, gateway("::/0", "fe80::1")]).collect();
    routes.reverse();
    let compiled = compiled(&view(routes));
    assert!(compiled.routes6.len() <= ROUTES6);
    let neighbour =
        |address: &str| find(&compiled, address.parse().unwrap()).map(|via| via.neighbour);
    assert_eq!(neighbour("2001:db8:0:13::1"), None);
    assert_eq!(neighbour("2a00::1"), Some("fe80::2".parse().unwrap()));
    assert_eq!(neighbour("2001:db8:1::1"), Some("fe80::1".parse().unwrap()));
}

/// As in the default-free zone: many prefixes of all lengths, two upstreams.
#[test]
fn a_full_table_compiles() {
    let mut state = 1u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    let mut routes = vec![gateway("0.0.0.0/0", "10.0.0.1"), gateway("::/0", "fe80::1")];
    for _ in 0..100_000 {
        let len = [8, 12, 16, 19, 20, 22, 23, 24, 24, 24][random() as usize % 10];
        let destination = Ipv4Addr::from(random() & u32::MAX << (32 - u32::from(len))).into();
        let router = if random() % 50 == 0 { "10.0.0.2" } else { "10.0.0.1" };
        routes.push(Route { destination, prefix_len: len, ..gateway("0.0.0.0/0", router) });
    }
    for _ in 0..20_000 {
        let destination = Ipv6Addr::from(
            (0x2000 | u128::from(random() >> 19)) << 112 | u128::from(random()) << 80,
        );
        let router = if random() % 50 == 0 { "fe80::2" } else { "fe80::1" };
        routes.push(Route {
            destination: destination.into(),
            prefix_len: 48,
            ..gateway("::/0", router)
        });
    }
    let view = view(routes);
    let fib = Fib::new(&view);
    let compiled = compile(&fib);
    assert!(compiled.routes4.iter().filter(|hop| hop.is_some()).count() > 30_000);
    assert!(compiled.routes6.len() <= ROUTES6);
    for _ in 0..10_000 {
        let address: IpAddr = Ipv4Addr::from(random()).into();
        if let Some(via) = find(&compiled, address) {
            assert_eq!(fib.next_hop(address), NextHop::Via(via));
        }
    }
}
