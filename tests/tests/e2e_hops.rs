//! Next hops that change: MACs, neighbours that are not known, interfaces that go and come back,
//! clients behind a router. Traffic finds its way again, with nobody's help.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use xlb_tests::{
    load::{self, Kind, Load},
    namespace::Namespace,
    scene::Scene,
    topology::{Backend, Plan},
    wait::{LIMIT, wait_for, wait_until},
};

const NEW_MAC: &str = "02:00:00:00:00:99";

fn two_backends() -> Scene {
    Scene::serving(Plan { backends: 2, ..Plan::default() }).unwrap()
}

/// Waits until every service is answered by every backend.
fn recovered(scene: &Scene) {
    let all: BTreeSet<&str> = scene.topology.backends.iter().map(|b| b.name.as_str()).collect();
    for service in &scene.services {
        let mut seen = BTreeSet::new();
        let what = format!("{} to be answered by all backends", service.name);
        wait_for(&what, 3 * LIMIT, || {
            seen.insert(scene.request(service)?);
            Ok((seen.len() == all.len()).then_some(()))
        })
        .unwrap();
    }
}

/// Waits until xlb knows that a backend has this MAC, over both families.
fn known_by(scene: &Scene, backend: &Backend, mac: &str) {
    for service in &scene.services {
        let address = service.at(backend).to_string();
        wait_until(&format!("the MAC of {address}"), LIMIT, || {
            let shown = scene.agent.json(&["service", "show", service.name]).unwrap();
            let mut backends = shown["backends"].as_array().unwrap().iter();
            let found = backends.find(|found| found["address"] == address.as_str()).unwrap();
            found["via"] == format!("back {mac}")
        })
        .unwrap();
    }
}

fn handed_up(scene: &Scene) -> u64 {
    let stats = scene.stats().unwrap();
    let reasons = stats["reasons"].as_array().unwrap();
    let reason = reasons.iter().find(|reason| reason["reason"] == "handed-up").unwrap();
    reason["packets"].as_u64().unwrap()
}

/// A client of every kind.
fn loads(scene: &Scene, from: &Namespace) -> Vec<Load> {
    let of = |(name, kind)| {
        let target = scene.service(name).unwrap().vip;
        let plan = load::Plan { kind, target, workers: 4, rate: 200, retries: 0 };
        Load::start(from, name, plan).unwrap()
    };
    [("web4", Kind::Http), ("web6", Kind::Http), ("udp4", Kind::Udp), ("udp6", Kind::Udp)]
        .map(of)
        .into()
}

fn go_on(loads: &mut [Load]) {
    for load in loads {
        load.wait_answered(load.report().answered + 50).unwrap();
    }
}

fn without_failures(loads: Vec<Load>) {
    for load in loads {
        let report = load.stop().unwrap();
        assert_eq!(report.failed, 0, "{report:?}");
    }
}

/// Makes an interface tell the network when its MAC changes.
fn announces_itself(namespace: &Namespace, interface: &str) {
    namespace.sysctl(&format!("net/ipv4/conf/{interface}/arp_notify"), "1").unwrap();
    namespace.sysctl(&format!("net/ipv6/conf/{interface}/ndisc_notify"), "1").unwrap();
}

#[test]
fn a_backends_mac_that_is_announced() {
    let scene = two_backends();
    let backend = &scene.topology.backends[0];
    announces_itself(&backend.namespace, "eth0");
    backend.namespace.ip(&format!("link set eth0 address {NEW_MAC}")).unwrap();
    known_by(&scene, backend, NEW_MAC);
    recovered(&scene);
}

/// Nobody says anything: the agent must have the kernel look after its neighbours, for the packets
/// that XDP sends confirm none.
#[test]
fn a_backends_mac_that_changes_silently() {
    let mut scene = Scene::new(Plan { backends: 2, ..Plan::default() }).unwrap();
    // Before anybody is known: what is known is believed for as long as it was then.
    for (setting, value) in [
        ("base_reachable_time_ms", "2000"),
        ("delay_first_probe_time", "1"),
        ("retrans_time_ms", "200"),
    ] {
        for family in ["ipv4", "ipv6"] {
            let file = format!("net/{family}/neigh/back/{setting}");
            scene.topology.lb.sysctl(&file, value).unwrap();
        }
    }
    scene.serve(2, |_| {}).unwrap();
    scene.wait_resolved().unwrap();
    let backend = &scene.topology.backends[0];
    backend.namespace.ip(&format!("link set eth0 address {NEW_MAC}")).unwrap();
    known_by(&scene, backend, NEW_MAC);
    recovered(&scene);
}

/// Whoever asks the agent without a pause must not keep it from following the network.
#[test]
fn changes_are_followed_also_while_requests_come_without_a_pause() {
    let scene = two_backends();
    let backend = &scene.topology.backends[0];
    let stop = AtomicBool::new(false);
    let ask = || {
        while !stop.load(Ordering::Relaxed) {
            let mut stream = UnixStream::connect(scene.agent.socket()).unwrap();
            let request = "GET /v1/services HTTP/1.1\r\nHost: xlb\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    };
    thread::scope(|scope| {
        let clients = [scope.spawn(ask), scope.spawn(ask)];
        backend.namespace.ip(&format!("link set eth0 address {NEW_MAC}")).unwrap();
        for ip in [backend.ip4, backend.ip6] {
            let neighbour = format!("neigh replace {ip} lladdr {NEW_MAC} dev back");
            scene.topology.lb.ip(&neighbour).unwrap();
        }
        let known =
            thread::scope(|scope| scope.spawn(|| known_by(&scene, backend, NEW_MAC)).join());
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
        known.unwrap();
    });
    recovered(&scene);
}

#[test]
fn neighbours_that_are_not_known_cost_nothing() {
    let mut scene = Scene::new(Plan { backends: 2, ..Plan::default() }).unwrap();
    // Nobody has spoken to a backend yet, and the first packet gets through.
    scene.serve(2, |_| {}).unwrap();
    let mut loads = loads(&scene, &scene.topology.client);
    go_on(&mut loads);
    let before = handed_up(&scene);
    wait_until("packets to be handed up", LIMIT, || {
        for interface in ["front", "back"] {
            scene.topology.lb.ip(&format!("neigh flush dev {interface}")).unwrap();
        }
        go_on(&mut loads);
        handed_up(&scene) > before
    })
    .unwrap();
    without_failures(loads);
}

/// What whoever configures the node's interfaces does when one comes up: IPv6 loses its addresses.
fn configure(lb: &Namespace, interface: &str) {
    let (ip4, ip6) = match interface {
        "front" => ("192.0.2.1/24", "2001:db8:1::1/64"),
        _ => ("198.51.100.1/24", "2001:db8:2::1/64"),
    };
    lb.ip(&format!("addr replace {ip4} dev {interface}")).unwrap();
    lb.ip(&format!("addr replace {ip6} dev {interface} nodad")).unwrap();
}

#[test]
fn interfaces_go_down_and_come_up() {
    let scene = two_backends();
    let lb = &scene.topology.lb;
    for interface in ["back", "front"] {
        lb.ip(&format!("link set {interface} down")).unwrap();
        let problem = || {
            let status = scene.status().unwrap();
            let mut interfaces = status["interfaces"].as_array().unwrap().clone().into_iter();
            let mut found = interfaces.find(|found| found["name"] == interface).unwrap();
            found["problem"].take()
        };
        wait_until("status to say it", LIMIT, || problem() == "the interface is down").unwrap();
        lb.ip(&format!("link set {interface} up")).unwrap();
        configure(lb, interface);
        // The client asks anew for the VIPs' MACs: so they must be there again.
        scene.topology.client.ip("neigh flush dev eth0").unwrap();
        recovered(&scene);
        assert!(problem().is_null());
    }
}

/// Builds anew what was deleted with one of its ends.
fn cable_again(scene: &Scene, interface: &str) -> OwnedFd {
    let (lb, client, switch) = (&scene.topology.lb, &scene.topology.client, &scene.topology.switch);
    let passing = if interface == "front" {
        client.cable("eth0", lb, "front").unwrap();
        client.ip("addr add 192.0.2.10/24 dev eth0").unwrap();
        client.ip("addr add 2001:db8:1::10/64 dev eth0 nodad").unwrap();
        client.attach_pass("eth0").unwrap()
    } else {
        lb.cable("back", switch, "back").unwrap();
        switch.ip("link set back master switch").unwrap();
        switch.attach_pass("back").unwrap()
    };
    configure(lb, interface);
    passing
}

#[test]
fn interfaces_are_deleted_and_come_back() {
    let scene = two_backends();
    let mut passing = Vec::new();
    for interface in ["back", "front"] {
        scene.topology.lb.ip(&format!("link del {interface}")).unwrap();
        let attached = || {
            let status = scene.status().unwrap();
            let mut interfaces = status["interfaces"].as_array().unwrap().clone().into_iter();
            let mut found = interfaces.find(|found| found["name"] == interface).unwrap();
            found["attached"].take()
        };
        wait_until("status to say it", LIMIT, || attached() == "none").unwrap();
        passing.push(cable_again(&scene, interface));
        wait_until("it to be attached to again", LIMIT, || attached() == "native").unwrap();
        recovered(&scene);
    }
}

/// A VIP has no better place than loopback before anything is attached, where nobody finds it over
/// IPv6: it must not stay there.
#[test]
fn services_that_were_there_before_the_interfaces() {
    let mut scene = Scene::new(Plan { backends: 2, ..Plan::default() }).unwrap();
    scene.agent.start(&[]).unwrap();
    for service in &scene.services {
        scene.agent.xlb(&["service", "add", service.name, &service.endpoint()]).unwrap();
    }
    (0..2).for_each(|number| scene.add_backend(number, |_| {}).unwrap());
    for interface in &scene.topology.interfaces {
        scene.agent.xlb(&["attach", interface]).unwrap();
    }
    recovered(&scene);
    assert_eq!(scene.topology.lb.ip("-o addr show dev lo").unwrap().matches("80/").count(), 0);
}

/// The client's namespace becomes a router, with clients behind it: the node reaches them by its
/// default route, which is compiled, and not through the cache for those on its link.
#[test]
fn clients_behind_a_router() {
    let scene = two_backends();
    let (lb, router) = (&scene.topology.lb, &scene.topology.client);
    let far = scene.lab.namespace("far").unwrap();
    far.cable("eth0", router, "far").unwrap();
    for file in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        router.sysctl(file, "1").unwrap();
    }
    for (address, gateway, default) in [
        ("203.0.113.10/24", "203.0.113.1", "192.0.2.10"),
        ("2001:db8:9::10/64", "2001:db8:9::1", "2001:db8:1::10"),
    ] {
        let length = address.split_once('/').unwrap().1;
        let nodad = if address.contains(':') { "nodad" } else { "" };
        far.ip(&format!("addr add {address} dev eth0 {nodad}")).unwrap();
        router.ip(&format!("addr add {gateway}/{length} dev far {nodad}")).unwrap();
        far.ip(&format!("route add default via {gateway}")).unwrap();
        lb.ip(&format!("route add default via {default}")).unwrap();
    }
    let mut loads_far = loads(&scene, &far);
    let mut loads_near = loads(&scene, router);
    go_on(&mut loads_far);
    go_on(&mut loads_near);
    // The router is forgotten and found again without a loss.
    lb.ip("neigh flush dev front").unwrap();
    go_on(&mut loads_far);
    go_on(&mut loads_near);
    without_failures(loads_far);
    without_failures(loads_near);

    // Another router takes over its address.
    announces_itself(router, "eth0");
    router.ip(&format!("link set eth0 address {NEW_MAC}")).unwrap();
    for service in &scene.services {
        wait_for(&format!("{} to reach the far client", service.name), LIMIT, || {
            far.within(|| match service.kind {
                Kind::Udp => load::udp::request(service.vip),
                _ => load::http::Connection::open(service.vip)?.request(load::http::Ending::Close),
            })
            .map(Some)
        })
        .unwrap();
    }
}
