//! The node itself: its own connections, services of its own beside the balanced ones, and what it
//! merely routes, with XDP on every interface that it has.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{IpAddr, SocketAddr};

use xlb_tests::{
    echo,
    load::{
        Kind,
        http::{Connection, Ending},
        udp,
    },
    namespace::Namespace,
    nginx,
    scene::Scene,
    topology::{Arms, Plan, VIP4, VIP6},
};

fn http(from: &Namespace, to: SocketAddr) -> String {
    let answer = from.within(|| Connection::open(to)?.request(Ending::Close));
    answer.map_err(|e| e.context(format!("to {to}"))).unwrap()
}

fn datagrams(from: &Namespace, to: SocketAddr) -> String {
    from.within(|| udp::request(to)).unwrap()
}

fn reason(scene: &Scene, name: &str) -> u64 {
    let stats = scene.stats().unwrap();
    let reasons = stats["reasons"].as_array().unwrap();
    reasons.iter().find(|reason| reason["reason"] == name).unwrap()["packets"].as_u64().unwrap()
}

/// As a health check does: the answers come from a backend's service port and must not be taken for
/// replies to clients.
fn the_node_reaches_its_backends(arms: Arms) {
    let scene = Scene::serving(Plan { arms, backends: 2, mtu: 1500 }).unwrap();
    let lb = &scene.topology.lb;
    for backend in &scene.topology.backends {
        for service in &scene.services {
            let before = reason(&scene, "to-node");
            let to = service.at(backend);
            let who = if service.kind != Kind::Udp { http(lb, to) } else { datagrams(lb, to) };
            assert_eq!(who, backend.name, "{to}");
            assert!(reason(&scene, "to-node") > before, "{to}");
        }
    }
    // It changed nothing for clients.
    scene.wait_answers().unwrap();
}

#[test]
fn the_node_reaches_its_backends_with_two_arms() {
    the_node_reaches_its_backends(Arms::Two);
}

#[test]
fn the_node_reaches_its_backends_with_one_arm() {
    the_node_reaches_its_backends(Arms::One);
}

#[test]
fn other_ports_of_the_node_and_of_backends_are_left_alone() {
    let scene = Scene::serving(Plan { backends: 1, ..Plan::default() }).unwrap();
    let (client, lb) = (&scene.topology.client, &scene.topology.lb);
    let backend = &scene.topology.backends[0];
    let node: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8:1::1".parse().unwrap()];

    // On the node: another port of the VIP, and the balanced ports of its own addresses.
    let own = [VIP4, VIP6, node[0], node[1]].map(|ip| SocketAddr::new(ip, 22));
    let balanced = node.map(|ip| SocketAddr::new(ip, 80));
    let _ssh = nginx::start(lb, "node", &[own.as_slice(), &balanced].concat()).unwrap();
    let _udp = echo::start(lb, "node", &own).unwrap();
    for to in own {
        assert_eq!((http(client, to), datagrams(client, to)), ("node".into(), "node".into()));
    }
    for to in balanced {
        assert_eq!(http(client, to), "node");
    }

    // Through the node, which forwards now: another port of a backend.
    client.ip("route add 198.51.100.0/24 via 192.0.2.1").unwrap();
    client.ip("route add 2001:db8:2::/64 via 2001:db8:1::1").unwrap();
    let others = [backend.ip4, backend.ip6].map(|ip| SocketAddr::new(ip, 2222));
    let _other = echo::start(&backend.namespace, "other", &others).unwrap();
    for to in others {
        assert_eq!(datagrams(client, to), "other");
    }

    // And a connection that a backend opens itself, from its service port.
    let from = SocketAddr::new(backend.ip4, 8081);
    let service = ["service", "add", "more", "192.0.2.80:81/tcp", "-b", &from.to_string()];
    scene.agent.xlb(&service).unwrap();
    let before = reason(&scene, "backends-own");
    let args = ["-sS", "-m", "5", "--local-port", "8081", "http://192.0.2.1:80/"];
    // What comes back to it is for its service port, and not for a VIP: it passes, too.
    assert_eq!(backend.namespace.run("curl", &args).unwrap(), "node\n");
    assert!(reason(&scene, "backends-own") > before);
    scene.wait_answers().unwrap();
}
