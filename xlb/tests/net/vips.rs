//! Neighbours that are asked for, and VIPs: duplicates, presence, announcements.

use std::net::IpAddr;

use xlb::net::view::{NeighbourState, NetView};
use xlb::net::{self, Handle, Watcher, announce, neighbour};

use crate::lab::Namespace;

const NODE_MAC: net::Mac = [2, 0, 0, 0, 0, 1];
const OTHER_MAC: net::Mac = [2, 0, 0, 0, 0, 9];

/// A node and another machine on one link, `up0` and `o0`.
fn link() -> (Namespace, Namespace) {
    let (node, other) = (Namespace::new("node"), Namespace::new("other"));
    node.connect("up0", &other, "o0");
    node.ip("link set up0 address 02:00:00:00:00:01");
    other.ip("link set o0 address 02:00:00:00:00:09");
    node.ip("addr add 10.9.0.1/24 dev up0");
    node.ip("addr add fd09::1/64 dev up0 nodad");
    other.ip("addr add 10.9.0.9/24 dev o0");
    other.ip("addr add fd09::9/64 dev o0 nodad");
    (node, other)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn known(view: &NetView, address: IpAddr) -> (NeighbourState, Option<net::Mac>) {
    let found = view.neighbours.iter().find(|n| n.address == address);
    found.map_or((NeighbourState::None, None), |n| (n.state, n.mac))
}

/// Follows the changes until `done` holds.
async fn until(
    handle: &Handle,
    watcher: &Watcher,
    mut done: impl FnMut(&NetView) -> bool,
) -> NetView {
    let mut view = net::snapshot(handle).await.unwrap();
    while !done(&view) {
        let changes = watcher.changed().await;
        net::refresh(handle, &mut view, changes).await.unwrap();
    }
    view
}

#[test]
fn a_neighbour_is_resolved_and_one_that_is_not_there_fails() {
    let (node, _other) = link();
    node.inside(async || {
        let (handle, watcher) = (net::connect().unwrap(), Watcher::new().unwrap());
        let ifindex = net::snapshot(&handle).await.unwrap().link_named("up0").unwrap().index;
        for (there, not_there) in [("10.9.0.9", "10.9.0.8"), ("fd09::9", "fd09::8")] {
            neighbour::confirm(&handle, ifindex, ip(there)).await.unwrap();
            neighbour::confirm(&handle, ifindex, ip(not_there)).await.unwrap();
            let view = until(&handle, &watcher, |view| {
                known(view, ip(there)).0 == NeighbourState::Reachable
                    && known(view, ip(not_there)).0 == NeighbourState::Failed
            })
            .await;
            assert_eq!(known(&view, ip(there)).1, Some(OTHER_MAC));
            let wanted = [(ifindex, ip(there)), (ifindex, ip(not_there))];
            assert_eq!(neighbour::unconfirmed(&view, &wanted), [wanted[1]]);
        }
    });
}

#[test]
fn a_stale_neighbour_whose_mac_has_changed_is_found_again() {
    let (node, _other) = link();
    node.inside(async || {
        let (handle, watcher) = (net::connect().unwrap(), Watcher::new().unwrap());
        node.ip("neigh replace 10.9.0.9 lladdr 02:00:00:00:00:77 dev up0 nud stale");
        let view = net::snapshot(&handle).await.unwrap();
        let wanted = [(view.link_named("up0").unwrap().index, ip("10.9.0.9"))];
        assert_eq!(neighbour::unconfirmed(&view, &wanted), wanted);
        std::fs::write("/proc/sys/net/ipv4/neigh/up0/delay_first_probe_time", "0").unwrap();
        // As the agent does it: time and again, whatever is in doubt. First the kernel finds that
        // the old MAC does not answer, then it asks everybody.
        let mut view = view;
        while known(&view, ip("10.9.0.9")).1 != Some(OTHER_MAC) {
            for (ifindex, address) in neighbour::unconfirmed(&view, &wanted) {
                neighbour::confirm(&handle, ifindex, address).await.unwrap();
            }
            let changes = watcher.changed().await;
            net::refresh(&handle, &mut view, changes).await.unwrap();
        }
    });
}

#[test]
fn asking_on_an_interface_that_is_not_there_is_an_error() {
    let (node, _other) = link();
    let error = node.inside(async || {
        let handle = net::connect().unwrap();
        neighbour::confirm(&handle, 4711, ip("10.9.0.9")).await.unwrap_err().to_string()
    });
    assert!(error.contains("10.9.0.9 on interface 4711"), "{error}");
}

#[test]
fn a_duplicate_is_found_and_a_free_address_is_free() {
    let (node, other) = link();
    other.ip("addr add 10.9.0.100/32 dev o0");
    other.ip("addr add fd09::100/128 dev o0 nodad");
    node.inside(async || {
        let view = net::snapshot(&net::connect().unwrap()).await.unwrap();
        let (link, own) = (view.link_named("up0").unwrap(), announce::own_macs(&view));
        for (vip, owner) in [
            ("10.9.0.100", Some(OTHER_MAC)),
            ("fd09::100", Some(OTHER_MAC)),
            ("10.9.0.101", None),
            ("fd09::101", None),
        ] {
            assert_eq!(announce::duplicate(link, &own, ip(vip)).await.unwrap(), owner, "{vip}");
        }
        let lo = view.link_named("lo").unwrap();
        assert_eq!(announce::duplicate(lo, &own, ip("10.9.0.100")).await.unwrap(), None);
    });
}

#[test]
fn a_vip_is_put_on_once_never_a_source_and_taken_off() {
    let (node, other) = link();
    node.inside(async || {
        let handle = net::connect().unwrap();
        let before = net::snapshot(&handle).await.unwrap();
        for (vip, link, on) in [
            ("10.9.0.100", "up0", "inet 10.9.0.100/32 scope global up0"),
            ("fd09::100", "up0", "inet6 fd09::100/128 scope global nodad deprecated noprefixroute"),
            ("203.0.113.1", "lo", "inet 203.0.113.1/32 scope global lo"),
            ("2001:db8::1", "lo", "inet6 2001:db8::1/128 scope global nodad deprecated"),
        ] {
            let up0 = before.link_named("up0").unwrap().index;
            let place = announce::place_for(&before, &[up0], ip(vip)).unwrap();
            assert_eq!(place.name, link);
            assert!(announce::add(&handle, place, ip(vip)).await.unwrap(), "{vip}");
            assert!(!announce::add(&handle, place, ip(vip)).await.unwrap(), "{vip}");
            let shown = node.ip(&format!("addr show dev {link}"));
            let words: Vec<&str> = shown.split_whitespace().collect();
            assert!(words.join(" ").contains(on), "{shown}");
            assert!(net::snapshot(&handle).await.unwrap().is_own(ip(vip)));
        }
        // The other machine is reached from the node's own address all the same.
        assert!(node.ip("route get fd09::9").contains("src fd09::1"));
        assert!(node.ip("route get 10.9.0.9").contains("src 10.9.0.1"));
        other.ip("addr add 10.9.0.50/24 dev o0");
        for (vip, link) in [("10.9.0.100", "up0"), ("fd09::100", "up0"), ("203.0.113.1", "lo")] {
            let index = before.link_named(link).unwrap().index;
            announce::remove(&handle, index, ip(vip)).await.unwrap();
            announce::remove(&handle, index, ip(vip)).await.unwrap();
            assert!(!net::snapshot(&handle).await.unwrap().is_own(ip(vip)), "{vip}");
        }
        announce::remove(&handle, 4711, ip("10.9.0.100")).await.unwrap();
    });
}

#[test]
fn an_announcement_changes_what_neighbours_know() {
    let (node, other) = link();
    other.ip("neigh replace 10.9.0.100 lladdr 02:00:00:00:00:55 dev o0 nud stale");
    other.ip("neigh replace fd09::100 lladdr 02:00:00:00:00:55 dev o0 nud stale");
    for vip in ["10.9.0.100", "fd09::100"] {
        node.inside(async || {
            let view = net::snapshot(&net::connect().unwrap()).await.unwrap();
            announce::announce(view.link_named("up0").unwrap(), ip(vip)).await.unwrap();
        });
        other.inside(async || {
            let (handle, watcher) = (net::connect().unwrap(), Watcher::new().unwrap());
            until(&handle, &watcher, |view| known(view, ip(vip)).1 == Some(NODE_MAC)).await;
        });
    }
}

#[test]
fn an_interface_that_is_down_can_not_be_spoken_from() {
    let (node, _other) = link();
    node.inside(async || {
        let view = net::snapshot(&net::connect().unwrap()).await.unwrap();
        let link = view.link_named("up0").unwrap();
        node.ip("link set up0 down");
        let error = announce::announce(link, ip("10.9.0.100")).await.unwrap_err().to_string();
        assert!(error.contains("10.9.0.100 on up0"), "{error}");
    });
}
