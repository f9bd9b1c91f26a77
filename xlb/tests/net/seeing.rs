//! Snapshots, lookups and notices of changes.

use std::net::IpAddr;

use xlb::net::view::{Hops, NetView, RouteKind, Table};
use xlb::net::{self, Changes, Fib, NextHop, Watcher, egress, hop_of};

use crate::lab::Namespace;

/// A node with one interface, `up0`, and its neighbour.
fn node() -> (Namespace, Namespace) {
    let (node, router) = (Namespace::new("node"), Namespace::new("router"));
    node.connect("up0", &router, "down0");
    router.ip("link set down0 address 02:00:00:00:00:02");
    for command in [
        "link set up0 address 02:00:00:00:00:01",
        "addr add 10.9.0.1/24 dev up0",
        "addr add fd09::1/64 dev up0 nodad",
        "route add default via 10.9.0.2",
        "-6 route add default via fd09::2",
        "neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev up0 nud permanent",
        "neigh replace fd09::2 lladdr 02:00:00:00:00:02 dev up0 nud permanent",
    ] {
        node.ip(command);
    }
    (node, router)
}

fn look(namespace: &Namespace) -> NetView {
    namespace.inside(async || net::snapshot(&net::connect().unwrap()).await.unwrap())
}

fn next_hop(view: &NetView, address: &str) -> NextHop {
    Fib::new(view).next_hop(address.parse().unwrap())
}

fn via(view: &NetView, address: &str) -> net::Via {
    match next_hop(view, address) {
        NextHop::Via(via) => via,
        other => panic!("{address}: {other:?}"),
    }
}

#[test]
fn a_snapshot_has_links_addresses_routes_and_neighbours() {
    let (node, _router) = node();
    let view = look(&node);
    assert!(!view.custom_rules);

    let link = view.link_named("up0").unwrap();
    assert_eq!(link.kind.as_deref(), Some("veth"));
    assert_eq!(
        (link.mac, link.mtu, link.up, link.ethernet),
        (Some([2, 0, 0, 0, 0, 1]), 1500, true, true)
    );
    assert_eq!(link.lower, None, "the other end is in another namespace");
    assert!(!view.link_named("lo").unwrap().ethernet);
    assert_eq!(egress(&view).len(), 1);

    assert!(view.is_own("10.9.0.1".parse().unwrap()));
    let own = view.addresses.iter().find(|a| a.address.to_string() == "fd09::1").unwrap();
    assert_eq!((own.ifindex, own.prefix_len, own.tentative), (link.index, 64, false));

    for (address, neighbour) in
        [("8.8.8.8", "10.9.0.2"), ("10.9.0.2", "10.9.0.2"), ("2001:db8::1", "fd09::2")]
    {
        let via = via(&view, address);
        assert_eq!(via.neighbour, neighbour.parse::<IpAddr>().unwrap());
        assert_eq!((via.ifindex, via.mac, via.mtu), (link.index, Some([2, 0, 0, 0, 0, 2]), 1500));
        assert_eq!(hop_of(&view, &via).unwrap().ifindex, link.index);
    }
    let silent = via(&view, "10.9.0.77");
    assert_eq!((silent.mac, hop_of(&view, &silent)), (None, None));
    for address in ["10.9.0.1", "127.0.0.1", "fd09::1", "::1"] {
        assert_eq!(next_hop(&view, address), NextHop::Local, "{address}");
    }
}

#[test]
fn routes_that_are_not_plain_are_known_as_such() {
    let (node, _router) = node();
    for command in [
        "route add 10.20.0.0/16 nexthop via 10.9.0.2 nexthop via 10.9.0.3",
        "-6 route add 2001:db8:1::/48 nexthop via fd09::2 nexthop via fd09::3",
        "route add blackhole 10.21.0.0/16",
        "-6 route add unreachable 2001:db8:2::/48",
        "route add 10.22.0.0/16 via 10.9.0.2 mtu 1400",
        "route add 10.23.0.0/16 via inet6 fd09::2 dev up0",
        "route add 10.24.0.0/16 tos 0x10 via 10.9.0.2",
        "route add 10.25.0.0/16 via 10.9.0.2 table 100",
        "route add 10.26.0.0/16 via 10.9.0.9 metric 5",
        "route add 10.26.0.0/16 via 10.9.0.2 metric 1",
        "nexthop add id 7 via 10.9.0.2 dev up0",
        "route add 10.27.0.0/16 nhid 7",
        "-6 route add 2001:db8:3::/48 from fd09::/64 via fd09::2",
        "route add throw 10.28.0.0/16",
        "link add dark0 type veth peer name dark1",
        "link set dark0 up",
        "route add 10.29.0.0/16 dev dark0",
    ] {
        node.ip(command);
    }
    let view = look(&node);
    // Several hops; several; by type of service; by source; on to the next table; no carrier.
    let finer =
        ["10.20.0.1", "2001:db8:1::1", "10.24.0.1", "2001:db8:3::1", "10.28.0.1", "10.29.0.1"];
    for address in finer {
        assert_eq!(next_hop(&view, address), NextHop::Finer, "{address}");
    }
    assert_eq!(next_hop(&view, "10.21.0.1"), NextHop::NoRoute);
    assert_eq!(next_hop(&view, "2001:db8:2::1"), NextHop::NoRoute);
    assert_eq!(via(&view, "10.22.0.1").mtu, 1400);
    assert_eq!(via(&view, "10.23.0.1").neighbour.to_string(), "fd09::2");
    assert_eq!(via(&view, "10.23.0.1").mac, Some([2, 0, 0, 0, 0, 2]));
    assert_eq!(via(&view, "10.26.0.1").neighbour.to_string(), "10.9.0.2");
    assert_eq!(via(&view, "10.27.0.1").neighbour.to_string(), "10.9.0.2");
    let several = view.routes.iter().find(|r| r.destination.to_string() == "10.20.0.0").unwrap();
    assert!(matches!(&several.hops, Hops::Multipath(hops) if hops.len() == 2));
    assert_eq!((several.kind, several.table), (RouteKind::Unicast, Table::Main));
    assert!(!view.routes.iter().any(|r| r.destination.to_string() == "10.25.0.0"));
}

#[test]
fn any_rule_beside_the_default_ones_makes_everything_finer() {
    for rule in [
        "rule add from 10.0.0.0/8 table main priority 100",
        "-6 rule add fwmark 1 table main priority 100",
        "rule del priority 32767",
        "rule add iif lo table main priority 32766",
    ] {
        let (node, _router) = node();
        node.ip(rule);
        let view = look(&node);
        assert!(view.custom_rules, "{rule}");
        assert_eq!(next_hop(&view, "8.8.8.8"), NextHop::Finer);
        assert!(net::compile(&Fib::new(&view)).hops.is_empty());
    }
}

/// Nested prefixes with different routers: the model must find what the kernel finds.
#[test]
fn lookups_agree_with_the_kernel() {
    let (node, _router) = node();
    let mut lines = String::new();
    for (at, len) in (0..).zip([1, 4, 7, 8, 9, 12, 15, 16, 17, 20, 23, 24, 25, 28, 31, 32]) {
        let bits = 0x0a14_3c7fu32 & u32::MAX << (32 - len);
        let prefix = std::net::Ipv4Addr::from(bits);
        lines += &format!("route add {prefix}/{len} via 10.9.0.{} metric {at}\n", 10 + at);
        let bits = 0x2001_0db8_0a14_3c7f_0102_0304_0506_0708u128 & u128::MAX << (128 - len * 4);
        let prefix = std::net::Ipv6Addr::from(bits);
        lines += &format!("route add {prefix}/{} via fd09::{:x}\n", len * 4, 10 + at);
    }
    node.ip_batch(&lines);
    let view = look(&node);
    for bit in 0..32 {
        for address in [
            IpAddr::V4((0x0a14_3c7fu32 ^ 1 << bit).into()),
            IpAddr::V6((0x2001_0db8_0a14_3c7f_0102_0304_0506_0708u128 ^ 1 << (bit * 4)).into()),
        ] {
            let via = via(&view, &address.to_string());
            let kernel = node.ip(&format!("route get {address}"));
            let expected = format!("via {} dev up0", via.neighbour);
            assert!(kernel.contains(&expected), "{address}: {kernel}, not {expected}");
        }
    }
}

#[test]
fn every_kind_of_change_is_noticed() {
    let (node, router) = node();
    node.inside(async || {
        let watcher = Watcher::new().unwrap();
        for (command, expected) in [
            ("link set up0 mtu 1400", Changes { links: true, ..Changes::default() }),
            ("addr add 10.9.1.1/24 dev up0", Changes { addresses: true, ..Changes::default() }),
            ("route add 10.30.0.0/16 via 10.9.0.2", Changes { routes: true, ..Changes::default() }),
            (
                "-6 route add 2001:db8:9::/48 via fd09::2",
                Changes { routes: true, ..Changes::default() },
            ),
            (
                "neigh replace 10.9.0.9 lladdr 02:00:00:00:00:09 dev up0 nud permanent",
                Changes { neighbours: true, ..Changes::default() },
            ),
            ("rule add fwmark 1 table main", Changes { rules: true, ..Changes::default() }),
            (
                "nexthop add id 7 via 10.9.0.2 dev up0",
                Changes { routes: true, ..Changes::default() },
            ),
        ] {
            node.ip(command);
            // Others may come with it or before it: IPv6 has things of its own to do.
            loop {
                let mut changes = watcher.changed().await;
                assert!(!changes.lost);
                let before = changes;
                changes.add(expected);
                if changes == before {
                    break;
                }
            }
        }
        drop(router);
        while !watcher.changed().await.links {}
    });
}

#[test]
fn a_refresh_reads_what_changed() {
    let (node, _router) = node();
    node.inside(async || {
        let handle = net::connect().unwrap();
        let mut view = net::snapshot(&handle).await.unwrap();
        node.ip("route add 10.30.0.0/16 via 10.9.0.3");
        node.ip("neigh replace 10.9.0.3 lladdr 02:00:00:00:00:03 dev up0 nud permanent");
        let routes = Changes { routes: true, ..Changes::default() };
        net::refresh(&handle, &mut view, routes).await.unwrap();
        assert_eq!(via(&view, "10.30.0.1").mac, None, "neighbours were not to be read");
        let neighbours = Changes { neighbours: true, ..Changes::default() };
        net::refresh(&handle, &mut view, neighbours).await.unwrap();
        assert_eq!(via(&view, "10.30.0.1").mac, Some([2, 0, 0, 0, 0, 3]));
        // The kernel says nothing of IPv4 routes that go with their interface.
        node.ip("link set up0 down");
        let links = Changes { links: true, ..Changes::default() };
        net::refresh(&handle, &mut view, links).await.unwrap();
        assert_eq!(next_hop(&view, "10.30.0.1"), NextHop::NoRoute);
        assert!(egress(&view).is_empty());
    });
}

#[test]
fn lost_news_is_said_and_listening_goes_on() {
    let (node, _router) = node();
    node.inside(async || {
        let watcher = Watcher::new().unwrap();
        // The runtime has this one thread, so nobody listens while it is busy here.
        let mut lines = String::new();
        for a in 0..200 {
            for b in 0..250 {
                lines += &format!("route add 10.{a}.{b}.128/32 via 10.9.0.2\n");
            }
        }
        node.ip_batch(&lines);
        assert!(watcher.changed().await.lost);
        node.ip("rule add fwmark 1 table main");
        loop {
            let changes = watcher.changed().await;
            if changes.rules && !changes.lost {
                break;
            }
        }
    });
}
