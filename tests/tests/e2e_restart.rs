//! The data path outlives the agent: killed, stopped, gone for long, or gone with the machine.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use xlb_tests::{
    command::run,
    load::{Kind, Load},
    namespace::Namespace,
    scene::Scene,
    topology::{Plan, VIP4, VIP6},
    wait::{LIMIT, wait_for, wait_until},
};

/// A scene whose backends differ.
fn scene() -> Scene {
    let scene = Scene::serving(Plan::default()).unwrap();
    scene.set_weight(0, 3, |_| {}).unwrap();
    scene
}

/// What must be the same before and after: services, backends, weights, next hops, interfaces.
///
/// Not the slots that are moving after the change of a weight: their time goes on.
fn wanted(scene: &Scene) -> (Value, Value) {
    let mut status = scene.status().unwrap();
    for service in status["services"].as_array_mut().unwrap() {
        let service = service.as_object_mut().unwrap();
        service.remove("slots_moving").unwrap();
        service.remove("slots_settled").unwrap();
    }
    (status["services"].take(), status["interfaces"].take())
}

/// A client of every kind. (Short datagram flows among them: a flow that is lost is a failure.)
fn loads(scene: &Scene) -> Vec<Load> {
    let kinds = [
        ("web4", Kind::Http),
        ("web4", Kind::HttpKeepAlive),
        ("web6", Kind::Http),
        ("web6", Kind::HttpKeepAlive),
        ("udp4", Kind::Udp),
        ("udp6", Kind::Udp),
    ];
    kinds.map(|(service, kind)| scene.load(service, kind, 4, 200).unwrap()).into()
}

/// Waits until every client has had so many more answers.
fn go_on(loads: &mut [Load], answers: u64) {
    for load in loads {
        load.wait_answered(load.report().answered + answers).unwrap();
    }
}

fn without_failures(loads: Vec<Load>) {
    for load in loads {
        let report = load.stop().unwrap();
        assert_eq!((report.failed, report.retried), (0, 0), "{report:?}");
    }
}

fn has_vips(namespace: &Namespace) -> bool {
    let addresses = namespace.ip("-o addr show").unwrap();
    [VIP4, VIP6].iter().all(|vip| addresses.contains(&format!(" {vip}/")))
}

fn requests(stats: &Value) -> u64 {
    stats["total"]["request_packets"].as_u64().unwrap()
}

#[test]
fn an_agent_that_is_killed_or_stopped_under_load_loses_nothing() {
    let mut scene = scene();
    let before = wanted(&scene);
    let program = scene.status().unwrap()["program"]["id"].clone();
    let mut loads = loads(&scene);
    go_on(&mut loads, 50);
    for gracefully in [false, true, false] {
        let counted = requests(&scene.stats().unwrap());
        if gracefully { scene.agent.stop() } else { scene.agent.kill() }.unwrap();
        assert_eq!(scene.agent.output(&["status"]).unwrap().status.code(), Some(3));
        go_on(&mut loads, 50);
        scene.agent.start(&[]).unwrap();
        let status = scene.status().unwrap();
        assert_eq!(status["adopted"], true);
        assert_eq!(status["program"]["id"], program);
        assert_eq!(wanted(&scene), before);
        assert!(has_vips(&scene.topology.lb));
        // What was counted while nobody looked is not lost either.
        assert!(requests(&scene.stats().unwrap()) >= counted + 6 * 50);
        go_on(&mut loads, 50);
    }
    // Changes work as before.
    scene.set_weight(0, 1, |_| {}).unwrap();
    assert_ne!(wanted(&scene), before);
    go_on(&mut loads, 50);
    without_failures(loads);
}

/// While the agent is gone for long nobody keeps the precomputed next hops true: the program must
/// ask the kernel. So it must find a backend whose MAC has changed meanwhile.
#[test]
fn without_an_agent_for_long_traffic_flows_and_next_hops_are_the_kernels() {
    /// Longer than the program trusts what an agent has precomputed.
    const TRUST: Duration = Duration::from_secs(11);
    let mut scene = scene();
    let mut loads = loads(&scene);
    scene.agent.kill().unwrap();
    let killed = Instant::now();
    wait_until("the end of trust", LIMIT, || killed.elapsed() > TRUST).unwrap();
    go_on(&mut loads, 50);
    without_failures(loads);

    let backend = &scene.topology.backends[0];
    let mac = "02:00:00:00:00:77";
    backend.namespace.ip(&format!("link set eth0 address {mac}")).unwrap();
    for ip in [backend.ip4, backend.ip6] {
        let neighbour = format!("neigh replace {ip} lladdr {mac} dev back");
        scene.topology.lb.ip(&neighbour).unwrap();
    }
    for service in &scene.services {
        let what = format!("{} to be answered by the backend with a new MAC", service.name);
        wait_for(&what, LIMIT, || Ok((scene.request(service)? == backend.name).then_some(())))
            .unwrap();
    }
    scene.agent.start(&[]).unwrap();
    assert_eq!(scene.status().unwrap()["adopted"], true);
    scene.wait_answers().unwrap();
}

/// After a reboot there are no pins, no program and no VIPs, but the state file.
#[test]
fn state_is_restored_when_nothing_but_the_state_file_is_left() {
    let mut scene = scene();
    let before = wanted(&scene);
    scene.agent.kill().unwrap();
    fs::remove_dir_all(scene.agent.pins()).unwrap();
    let lb = &scene.topology.lb;
    wait_until("the program to be gone", LIMIT, || !lb.ip("link show").unwrap().contains("xdp"))
        .unwrap();
    lb.ip(&format!("addr del {VIP4}/32 dev front")).unwrap();
    lb.ip(&format!("addr del {VIP6}/128 dev front")).unwrap();
    assert!(!has_vips(lb));

    scene.agent.start(&[]).unwrap();
    assert_eq!(scene.status().unwrap()["adopted"], false);
    scene.wait_answers().unwrap();
    assert!(has_vips(&scene.topology.lb));
    wait_until("the state to be as before", LIMIT, || wanted(&scene) == before).unwrap();
}

/// All settings of all interfaces that the agent may touch.
fn settings(namespace: &Namespace) -> BTreeMap<String, String> {
    let names = "forwarding force_forwarding accept_local rp_filter send_redirects accept_ra";
    let find = "for name in $1; do \
                for file in /proc/sys/net/ipv[46]/conf/*/$name; do \
                [ -e $file ] && echo $file=$(cat $file); done; done; true";
    let list = namespace.run("sh", &["-c", find, "sh", names]).unwrap();
    let pairs = list.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(file, value)| (file.into(), value.into())).collect()
}

#[test]
fn detach_takes_the_program_off_and_restores_the_kernels_settings() {
    let mut scene = Scene::new(Plan::default()).unwrap();
    let lb = scene.topology.lb.clone();
    for (file, value) in [("all/rp_filter", "1"), ("back/accept_local", "1")] {
        lb.sysctl(&format!("net/ipv4/conf/{file}"), value).unwrap();
    }
    let before = settings(&lb);
    scene.serve(3, |_| {}).unwrap();
    let during = settings(&lb);
    for (file, value) in [
        ("ipv4/conf/front/forwarding", "1"),
        ("ipv4/conf/back/forwarding", "1"),
        ("ipv4/conf/front/accept_local", "1"),
        ("ipv4/conf/front/send_redirects", "0"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/back/rp_filter", "2"),
    ] {
        assert_eq!(during[&format!("/proc/sys/net/{file}")], value, "{file}");
    }

    // Another agent in between must still know what was there before.
    scene.agent.kill().unwrap();
    scene.agent.start(&[]).unwrap();
    assert_eq!(lb.ip("link show").unwrap().matches("prog/xdp").count(), 2);
    scene.agent.xlb(&["detach", "back"]).unwrap();
    assert_eq!(lb.ip("link show").unwrap().matches("prog/xdp").count(), 1);
    scene.agent.xlb(&["detach", "front"]).unwrap();
    assert_eq!(lb.ip("link show").unwrap().matches("prog/xdp").count(), 0);
    assert_eq!(settings(&lb), before);
    assert_eq!(scene.status().unwrap()["interfaces"].as_array().unwrap().len(), 0);

    // The VIPs go with the last service that has them, and not before.
    for service in ["web4", "udp4", "web6"] {
        scene.agent.xlb(&["service", "remove", service]).unwrap();
    }
    let addresses = || lb.ip("-o addr show").unwrap();
    let has = |vip| addresses().contains(&format!(" {vip}/"));
    assert!(!has(VIP4) && has(VIP6), "{}", addresses());
    scene.agent.xlb(&["service", "remove", "udp6"]).unwrap();
    assert!(!has(VIP6), "{}", addresses());

    // Nor does a new agent attach again, unless it is told to.
    scene.agent.stop().unwrap();
    scene.agent.start(&[]).unwrap();
    assert_eq!(lb.ip("link show").unwrap().matches("prog/xdp").count(), 0);
    scene.agent.stop().unwrap();
    scene.agent.start(&["front"]).unwrap();
    assert_eq!(lb.ip("link show").unwrap().matches("prog/xdp").count(), 1);
}

/// Nothing of a lab's agent is left in the machine: neither its pins nor, so, its programs.
#[test]
fn nothing_stays_after_the_scene() {
    let scene = Scene::serving(Plan { backends: 1, ..Plan::default() }).unwrap();
    let id = scene.status().unwrap()["program"]["id"].to_string();
    let pins = scene.agent.pins().clone();
    let known = || run(Command::new("bpftool").args(["prog", "show", "id", &id])).is_ok();
    assert!(known() && pins.exists());
    drop(scene);
    wait_until("the program to be gone", LIMIT, || !known()).unwrap();
    assert!(!Path::new(&pins).exists());
}
