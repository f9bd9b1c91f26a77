//! The lab itself: its networks carry traffic, its clients count, and nothing of it stays.
//!
//! The load balancer's place is taken by the kernel's own forwarding here, so what fails here is
//! never xlb's fault.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, net::SocketAddr, path::Path};

use xlb_tests::{
    echo,
    lab::Lab,
    load::{Kind, Load, Plan},
    nginx,
    topology::{self, Arms, Topology},
    wait::{LIMIT, wait_until},
};

fn forwarding_lab(arms: Arms) -> (Topology, Lab) {
    let lab = Lab::new().unwrap();
    let plan = topology::Plan { arms, backends: 2, mtu: 1500 };
    let topology = Topology::new(&lab, plan).unwrap();
    for file in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        topology.lb.sysctl(file, "1").unwrap();
    }
    topology.client.ip("route add 198.51.100.0/24 via 192.0.2.1").unwrap();
    topology.client.ip("route add 2001:db8:2::/64 via 2001:db8:1::1").unwrap();
    (topology, lab)
}

fn traffic(arms: Arms) {
    let (topology, _lab) = forwarding_lab(arms);
    let backend = &topology.backends[1];
    let web = [80].map(|port| [(backend.ip4, port).into(), (backend.ip6, port).into()])[0];
    let udp: [SocketAddr; 2] = [(backend.ip4, 5353).into(), (backend.ip6, 5353).into()];
    let _nginx = nginx::start(&backend.namespace, &backend.name, &web).unwrap();
    let _echo = echo::start(&backend.namespace, &backend.name, &udp).unwrap();

    for kind in Kind::ALL {
        for target in if kind == Kind::Udp { udp } else { web } {
            let plan = Plan { kind, target, workers: 4, rate: 1000, retries: 0 };
            let mut load = Load::start(&topology.client, "load", plan).unwrap();
            load.wait_answered(100).unwrap();
            let report = load.stop().unwrap();
            assert_eq!(report.failed, 0, "{kind:?} {target}: {report:?}");
            assert_eq!(report.requests.get("b2"), Some(&report.answered), "{report:?}");
            let flows = if kind == Kind::HttpKeepAlive { 4 } else { report.answered };
            assert_eq!(report.flows.get("b2"), Some(&flows), "{report:?}");
        }
    }
}

#[test]
fn two_arms_carry_traffic() {
    traffic(Arms::Two);
}

#[test]
fn one_arm_carries_traffic() {
    traffic(Arms::One);
}

#[test]
fn failures_are_counted() {
    let (topology, _lab) = forwarding_lab(Arms::Two);
    let backend = &topology.backends[0];
    let web: SocketAddr = (backend.ip4, 80).into();
    let mut nginx = nginx::start(&backend.namespace, &backend.name, &[web]).unwrap();
    let plan = Plan { kind: Kind::Http, target: web, workers: 2, rate: 500, retries: 1 };
    let mut load = Load::start(&topology.client, "load", plan).unwrap();
    load.wait_answered(10).unwrap();
    nginx.kill().unwrap();
    wait_until("failures", LIMIT, || load.report().failed > 10).unwrap();
    let report = load.stop().unwrap();
    assert!(report.retried >= report.failed, "{report:?}");
    assert!(report.errors.keys().any(|e| e.contains("refused")), "{report:?}");
}

#[test]
fn nothing_stays() {
    let (topology, lab) = forwarding_lab(Arms::Two);
    let name = topology.client.name().to_owned();
    let namespace = topology.client.path();
    let directory = lab.directory().to_owned();
    let sleep = topology.client.command("sleep").map(|mut sleep| {
        sleep.arg("1000");
        sleep
    });
    let process = topology.client.start("sleep", sleep.unwrap()).unwrap();
    let pid = Path::new("/proc").join(process.pid().to_string());
    assert!(namespace.exists() && directory.exists() && pid.exists());
    drop((process, topology, lab));
    assert!(!namespace.exists() && !directory.exists() && !pid.exists(), "{name}");
}

#[test]
fn leftovers_of_dead_labs_are_swept_and_those_of_the_living_are_not() {
    // No process has an id as large as this: it is over the kernel's own limit.
    let dead = std::env::temp_dir().join("xlb-lab-4194305-0");
    fs::create_dir_all(dead.join("inside")).unwrap();
    let first = Lab::new().unwrap();
    assert!(!dead.exists());
    let _second = Lab::new().unwrap();
    assert!(first.directory().exists());
}
