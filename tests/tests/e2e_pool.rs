//! The pool changes under load: nobody notices who is not on a backend that goes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use xlb_tests::{
    load::{
        Kind, Load,
        http::{Connection, Ending},
    },
    scene::Scene,
    topology::Plan,
    wait::{LIMIT, wait_until},
};

/// Connections that stay, and the backend that each one is to.
struct Connections(Vec<(Connection, String)>);

impl Connections {
    /// Opens connections to a service, at least a few to each of so many backends.
    fn open(scene: &Scene, service: &str, backends: usize) -> Self {
        let vip = scene.service(service).unwrap().vip;
        let mut this = Self(Vec::new());
        while this.by_backend().values().filter(|count| **count >= 3).count() < backends {
            assert!(this.0.len() < 1000, "{:?}", this.by_backend());
            this.0.push(scene.topology.client.within(|| one(vip)).unwrap());
        }
        this
    }

    fn by_backend(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (_, backend) in &self.0 {
            *counts.entry(backend.as_str()).or_default() += 1;
        }
        counts
    }

    /// Every one of them still works, and goes to where it went.
    fn check(&mut self) {
        for (connection, backend) in &mut self.0 {
            assert_eq!(connection.request(Ending::Keep).unwrap(), *backend);
        }
    }

    /// Forgets those to a backend.
    fn forget(&mut self, gone: &str) {
        self.0.retain(|(_, backend)| backend != gone);
    }
}

fn one(vip: SocketAddr) -> anyhow::Result<(Connection, String)> {
    let mut connection = Connection::open(vip)?;
    let backend = connection.request(Ending::Keep)?;
    Ok((connection, backend))
}

fn go_on(load: &mut Load, answers: u64) {
    load.wait_answered(load.report().answered + answers).unwrap();
}

fn without_failures(load: Load) {
    let report = load.stop().unwrap();
    assert_eq!((report.failed, report.retried), (0, 0), "{report:?}");
}

/// Waits until no new flow goes to a backend: so many in a row that it can't be chance.
fn wait_without_new_flows(load: &mut Load, backend: &str) {
    let flows = |load: &Load| load.report().flows.get(backend).copied();
    wait_until("no new flows", LIMIT, || {
        let before = flows(load);
        go_on(load, 300);
        flows(load) == before
    })
    .unwrap();
}

fn pool_changes(service: &str) {
    let mut scene = Scene::new(Plan { backends: 4, ..Plan::default() }).unwrap();
    scene.serve(3, |_| {}).unwrap();
    let at: Vec<String> = {
        let service = scene.service(service).unwrap();
        scene.topology.backends.iter().map(|b| service.at(b).to_string()).collect()
    };
    let xlb = |args: &[&str]| scene.agent.xlb(args).unwrap();
    let mut kept = Connections::open(&scene, service, 3);
    let mut new_ones = scene.load(service, Kind::Http, 4, 300).unwrap();
    let mut keeping = scene.load(service, Kind::HttpKeepAlive, 4, 300).unwrap();
    go_on(&mut new_ones, 100);

    // One is added: it gets new flows, and nobody loses anything.
    xlb(&["backend", "add", service, &at[3]]);
    wait_until("flows to the new backend", LIMIT, || {
        new_ones.report().flows.get("b4").is_some_and(|flows| *flows > 20)
    })
    .unwrap();
    kept.check();
    kept.0.append(&mut Connections::open(&scene, service, 4).0);

    // Weights: more, less, and none at all, which new flows avoid.
    xlb(&["backend", "weight", service, &at[0], "5"]);
    go_on(&mut new_ones, 100);
    kept.check();
    xlb(&["backend", "weight", service, &at[0], "1"]);
    xlb(&["backend", "weight", service, &at[1], "0"]);
    wait_without_new_flows(&mut new_ones, "b2");
    kept.check();
    go_on(&mut keeping, 50);
    without_failures(keeping);

    // It is removed: its connections end, and those alone; new ones don't notice.
    xlb(&["backend", "remove", service, &at[1]]);
    kept.forget("b2");
    kept.check();
    go_on(&mut new_ones, 100);
    without_failures(new_ones);

    // Another is removed at once, with all its flows.
    xlb(&["backend", "remove", service, &at[2]]);
    kept.forget("b3");
    let left = BTreeSet::from(["b1", "b4"]);
    assert_eq!(kept.by_backend().into_keys().collect::<BTreeSet<_>>(), left);
    kept.check();
    let mut new_ones = scene.load(service, Kind::Http, 4, 300).unwrap();
    go_on(&mut new_ones, 200);
    let report = new_ones.stop().unwrap();
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(report.flows.keys().map(String::as_str).collect::<BTreeSet<_>>(), left);
    kept.check();
    scene.check().unwrap();
}

#[test]
fn over_ipv4() {
    pool_changes("web4");
}

#[test]
fn over_ipv6() {
    pool_changes("web6");
}

/// UDP has no SYN, so no flow may move that was there before: both its datagrams are answered by
/// the same backend, also while the pool changes between them.
#[test]
fn datagrams() {
    let scene = {
        let mut scene = Scene::new(Plan { backends: 3, ..Plan::default() }).unwrap();
        scene.serve(2, |_| {}).unwrap();
        scene
    };
    let mut loads = ["udp4", "udp6"].map(|name| scene.load(name, Kind::Udp, 8, 400).unwrap());
    scene.add_backend(2, |_| {}).unwrap();
    for weight in [7, 0, 1] {
        loads.iter_mut().for_each(|load| go_on(load, 100));
        scene.set_weight(0, weight, |_| {}).unwrap();
    }
    loads.iter_mut().for_each(|load| go_on(load, 100));
    loads.into_iter().for_each(without_failures);

    // A backend that goes takes its flows with it; new ones go to the others, at once.
    scene.remove_backend(1, |_| {}).unwrap();
    let mut loads = ["udp4", "udp6"].map(|name| scene.load(name, Kind::Udp, 8, 400).unwrap());
    for load in &mut loads {
        go_on(load, 100);
        assert!(!load.report().flows.contains_key("b2"));
    }
    loads.into_iter().for_each(without_failures);

    // With none left its packets are dropped by name, and with one again all is well.
    scene.remove_backend(0, |_| {}).unwrap();
    scene.remove_backend(2, |_| {}).unwrap();
    let dropped = || {
        let stats = scene.stats().unwrap();
        let reasons = stats["reasons"].as_array().unwrap();
        let reason = reasons.iter().find(|r| r["reason"] == "no-backend").unwrap();
        reason["packets"].as_u64().unwrap()
    };
    assert_eq!(dropped(), 0);
    let udp4 = scene.service("udp4").unwrap().vip;
    scene
        .topology
        .client
        .within(|| Ok(std::net::UdpSocket::bind("0.0.0.0:0")?.send_to(b"lost", udp4)?))
        .unwrap();
    wait_until("the drop to be counted", LIMIT, || dropped() == 1).unwrap();
    scene.add_backend(0, |_| {}).unwrap();
    scene.wait_answers().unwrap();
}
