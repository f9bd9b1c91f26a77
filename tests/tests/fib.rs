//! Next hops that the kernel is asked for: its routes and neighbours decide, and its answers are
//! remembered until the agent says that something changed.
//!
//! As in the packet tests each frame goes in by a test run and everything that came of it is
//! compared; but these tests need `ip` and a network namespace with interfaces in it:
//!
//! ```text
//! gateway of the clients ── front [lb] back ── backends
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails should say where")]

#[expect(dead_code, reason = "shared with the packet tests")]
#[path = "packets/bed.rs"]
mod bed;
#[expect(dead_code, reason = "shared with the packet tests")]
#[path = "packets/expect.rs"]
mod expect;
#[path = "packets/packet.rs"]
mod packet;
#[expect(dead_code, reason = "shared with the packet tests")]
#[path = "packets/world.rs"]
mod world;

use std::net::SocketAddr;

use nix::net::if_::if_nametoindex;
use xlb_common::layout::{Egress, Hop};
use xlb_common::reason::Reason;
use xlb_tests::lab::Lab;
use xlb_tests::namespace::Namespace;

use bed::{Bed, LIMITS};
use expect::{dropped, passed, reply, request};
use packet::Packet;
use world::{Line, ONLY, Pool, lines, services};

const GATEWAY: &str = "02:00:5e:00:53:01";
const GATEWAY_MAC: [u8; 6] = [2, 0, 0x5e, 0, 0x53, 1];
const BACKEND: &str = "02:00:5e:00:53:02";
const BACKEND_MAC: [u8; 6] = [2, 0, 0x5e, 0, 0x53, 2];
const FRONT_MAC: [u8; 6] = [2, 0, 0x5e, 0, 0x53, 0xf];
const BACK_MAC: [u8; 6] = [2, 0, 0x5e, 0, 0x53, 0xb];

/// The node, with its program.
struct Node<'a> {
    lb: &'a Namespace,
    bed: Bed,
    front: u32,
    back: u32,
}

/// Runs a test inside of a node that knows the way to the clients' gateway and to the backends.
fn on_a_node(test: impl FnOnce(Node<'_>) + Send) {
    let lab = Lab::new().unwrap();
    let (lb, outside) = (lab.namespace("lb").unwrap(), lab.namespace("outside").unwrap());
    lb.cable("front", &outside, "gateway").unwrap();
    lb.cable("back", &outside, "backends").unwrap();
    for command in [
        "link set front address 02:00:5e:00:53:0f",
        "link set back address 02:00:5e:00:53:0b",
        "address add 203.0.113.2/24 dev front",
        "address add 2001:db8:fff::2/64 dev front",
        "address add 198.51.100.254/24 dev back",
        "address add 2001:db8:bac::fe/48 dev back",
        "route add 10.0.0.0/8 via 203.0.113.1",
        "route add 2001:db8::/48 via 2001:db8:fff::1",
    ] {
        lb.ip(command).unwrap();
    }
    for file in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        lb.sysctl(file, "1").unwrap();
    }
    for gateway in ["203.0.113.1", "2001:db8:fff::1"] {
        neighbour(&lb, gateway, GATEWAY, "front");
    }
    for line in finer() {
        neighbour(&lb, &line.backend.ip().to_string(), BACKEND, "back");
    }
    lb.within(|| {
        bed::this_network();
        let bed = Bed::new(&services(), LIMITS);
        // An hour, whatever a jiffy is: answers are only forgotten when a test says so.
        bed.datapath.set_cache_jiffies(3_600_000);
        let [front, back] = ["front", "back"].map(|name| if_nametoindex(name).unwrap());
        stay_on_this_cpu();
        let mut node = Node { lb: &lb, bed, front, back };
        node.send_from(&[(front, &[]), (back, &[])]);
        test(node);
        Ok(())
    })
    .unwrap();
}

/// The program's cache is each CPU's own.
fn stay_on_this_cpu() {
    let mut this = nix::sched::CpuSet::new();
    this.set(nix::sched::sched_getcpu().unwrap()).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &this).unwrap();
}

fn neighbour(lb: &Namespace, address: &str, mac: &str, interface: &str) {
    lb.ip(&format!("neigh replace {address} lladdr {mac} nud permanent dev {interface}")).unwrap();
}

fn finer() -> [Line; 4] {
    lines(Pool::Finer)
}

impl Node<'_> {
    /// Lets packets be sent from these interfaces, with these tags.
    fn send_from(&mut self, interfaces: &[(u32, &[[u16; 2]])]) {
        let egress = |&(ifindex, tags): &(u32, &[[u16; 2]])| {
            let mut raw = [0; 2];
            for (raw, [tpid, tci]) in raw.iter_mut().zip(tags) {
                let ([a, b], [c, d]) = (tpid.to_be_bytes(), tci.to_be_bytes());
                *raw = u32::from_ne_bytes([a, b, c, d]);
            }
            let tag_bytes = 4 * tags.len() as u32;
            (ifindex, Egress { ifindex, mtu: 1500, tag_bytes, tags: raw })
        };
        let egress: Vec<_> = interfaces.iter().map(egress).collect();
        self.bed.datapath.write_egress(&egress).unwrap();
        self.bed.datapath.forget_cache();
    }

    /// Changes the kernel's network; the program is told if `tell`.
    fn ip(&self, command: &str, tell: bool) {
        self.lb.ip(command).unwrap();
        if tell {
            self.bed.datapath.forget_cache();
        }
    }

    /// What is expected of a request that goes over `back` to the backend.
    fn reaches_backend(&mut self, name: &str, line: &Line, given: &Packet) {
        let expected = given.to(line.backend).ttl(given.ttl - 1).via(&hop(BACKEND_MAC, BACK_MAC));
        let expect = request(line, &expected).redirected();
        self.bed.check(&format!("{line} request, {name}"), given, expect);
    }

    /// What is expected of a reply that goes over `front` to the clients' gateway.
    fn reaches_client(&mut self, name: &str, line: &Line, given: &Packet) {
        let expected = given.from(line.vip).ttl(given.ttl - 1).via(&hop(GATEWAY_MAC, FRONT_MAC));
        let expect = reply(line, &expected).redirected();
        self.bed.check(&format!("{line} reply, {name}"), given, expect);
    }

    fn request_up(&mut self, name: &str, line: &Line, given: &Packet) {
        let expect = request(line, &given.to(line.backend)).handed_up(Reason::HandedUp);
        self.bed.check(&format!("{line} request, {name}"), given, expect);
    }

    fn reply_up(&mut self, name: &str, line: &Line, given: &Packet) {
        let expect = reply(line, &given.from(line.vip)).handed_up(Reason::HandedUp);
        self.bed.check(&format!("{line} reply, {name}"), given, expect);
    }
}

fn hop(to: [u8; 6], from: [u8; 6]) -> Hop {
    let (mac_low, mac_high) = Hop::mac_words(to, from);
    Hop { mac_low, mac_high, ..Hop::default() }
}

/// A packet that is `length` bytes long from its IP header on.
fn of_length(packet: &Packet, length: usize) -> Packet {
    packet.payload(&vec![7; length - packet.payload(b"").ip_length()])
}

#[test]
fn the_kernel_s_routes_and_neighbours_are_followed() {
    on_a_node(|mut node| {
        for line in finer() {
            node.reaches_backend("asked", &line, &line.request());
            node.reaches_backend("remembered", &line, &line.request());
            node.reaches_client("asked", &line, &line.reply());
            node.reaches_client("remembered", &line, &line.reply());
        }
    });
}

#[test]
fn answers_are_remembered_until_the_agent_says_otherwise() {
    on_a_node(|mut node| {
        for line in finer() {
            node.reaches_backend("asked", &line, &line.request());
            node.reaches_client("asked", &line, &line.reply());
            let backend = line.backend.ip();
            node.ip(&format!("neigh del {backend} dev back"), false);
            node.reaches_backend("remembered", &line, &line.request());
            node.bed.datapath.forget_cache();
            node.request_up("forgotten", &line, &line.request());
            // An answer that a neighbour is not known yet is not remembered.
            neighbour(node.lb, &backend.to_string(), BACKEND, "back");
            node.reaches_backend("known again", &line, &line.request());
        }
    });
}

#[test]
fn precomputed_next_hops_are_the_kernel_s_business_without_an_agent() {
    on_a_node(|mut node| {
        let plain = lines(Pool::Plain);
        for line in plain {
            neighbour(node.lb, &line.backend.ip().to_string(), BACKEND, "back");
            let given = line.request();
            node.bed.check(&format!("{line}"), &given, request(&line, &line.forwarded(&given)));
        }
        node.bed.datapath.set_deadline(0);
        for line in plain {
            node.reaches_backend("no agent", &line, &line.request());
            node.reaches_client("no agent", &line, &line.reply());
        }
    });
}

#[test]
fn what_goes_to_the_node_itself_is_not_a_reply() {
    on_a_node(|mut node| {
        for line in finer() {
            let own = if line.is_ipv4() { "198.51.100.254" } else { "2001:db8:bac::fe" };
            let given = line.reply().to(SocketAddr::new(own.parse().unwrap(), 40_000));
            for name in ["asked", "remembered"] {
                node.bed.check(&format!("{line}, {name}"), &given, passed(Reason::ToNode));
            }
            // An address of the loopback interface is one like any other.
            let own = if line.is_ipv4() { "203.0.113.77" } else { "2001:db8:fff::77" };
            node.ip(&format!("address add {own} dev lo"), true);
            let given = line.reply().to(SocketAddr::new(own.parse().unwrap(), 40_000));
            node.bed.check(&format!("{line}, on lo"), &given, passed(Reason::ToNode));
            node.ip(&format!("address del {own} dev lo"), true);
        }
    });
}

#[test]
fn a_backend_on_the_node_itself_gets_its_requests_from_the_kernel() {
    on_a_node(|mut node| {
        for line in [finer()[0], finer()[2]] {
            node.ip(&format!("address add {} dev lo", line.backend.ip()), true);
        }
        for line in finer() {
            node.request_up("to the node itself", &line, &line.request());
        }
    });
}

#[test]
fn forbidden_routes_end_packets() {
    on_a_node(|mut node| {
        for kind in ["prohibit", "blackhole", "unreachable"] {
            for line in [finer()[0], finer()[2]] {
                let length = if line.is_ipv4() { 32 } else { 128 };
                for address in [line.backend.ip(), line.client.ip()] {
                    node.ip(&format!("route add {kind} {address}/{length}"), true);
                }
            }
            for line in finer() {
                let expect = dropped(Reason::Prohibited);
                node.bed.check(&format!("{line} request"), &line.request(), expect.clone());
                node.bed.check(&format!("{line} reply"), &line.reply(), expect);
            }
            for line in [finer()[0], finer()[2]] {
                let length = if line.is_ipv4() { 32 } else { 128 };
                for address in [line.backend.ip(), line.client.ip()] {
                    node.ip(&format!("route del {kind} {address}/{length}"), true);
                }
            }
        }
    });
}

#[test]
fn replies_that_no_route_leads_anywhere_pass() {
    on_a_node(|mut node| {
        for line in finer() {
            let nowhere = if line.is_ipv4() { "100.64.0.1" } else { "2400::1" };
            let given = line.reply().to(SocketAddr::new(nowhere.parse().unwrap(), 40_000));
            node.bed.check(&format!("{line}"), &given, passed(Reason::ToNode));
        }
    });
}

#[test]
fn interfaces_that_xdp_cannot_send_from_are_the_kernel_s() {
    on_a_node(|mut node| {
        let front = node.front;
        node.send_from(&[(front, &[])]);
        for line in finer() {
            node.request_up("no egress", &line, &line.request());
            node.reaches_client("egress", &line, &line.reply());
        }
    });
}

#[test]
fn an_interface_s_tags_are_put_on() {
    on_a_node(|mut node| {
        let (front, back) = (node.front, node.back);
        node.send_from(&[(front, &[]), (back, &[ONLY])]);
        for line in finer() {
            for tags in [&[][..], &[[0x8100, 7]]] {
                let given = line.request().tagged(tags);
                let sent = line.request().to(line.backend).ttl(63).via(&hop(BACKEND_MAC, BACK_MAC));
                let expect = request(&line, &sent.tagged(&[ONLY])).redirected();
                node.bed.check(&format!("{line}, {tags:x?}"), &given, expect);
                node.reaches_client("untagged", &line, &line.reply().tagged(tags));
            }
        }
    });
}

#[test]
fn the_smaller_of_the_route_s_and_the_interface_s_mtu_counts() {
    on_a_node(|mut node| {
        for line in [finer()[0], finer()[2]] {
            let (gateway, length) =
                if line.is_ipv4() { ("203.0.113.1", 32) } else { ("2001:db8:fff::1", 128) };
            let client = line.client.ip();
            node.ip(&format!("route add {client}/{length} via {gateway} mtu lock 1300"), true);
        }
        for line in finer() {
            node.reaches_client("1300", &line, &of_length(&line.reply(), 1300));
            let over = of_length(&line.reply(), 1301);
            node.bed.check(&format!("{line}, 1301"), &over, dropped(Reason::OverMtu));
            node.reaches_backend("1500", &line, &of_length(&line.request(), 1500));
            let over = of_length(&line.request(), 1501);
            node.bed.check(&format!("{line}, 1501"), &over, dropped(Reason::OverMtu));
        }
    });
}

#[test]
fn a_node_that_does_not_forward_gets_all_of_it() {
    on_a_node(|mut node| {
        bed::set_forwarding(false);
        for line in finer() {
            node.request_up("not forwarding", &line, &line.request());
            node.reply_up("not forwarding", &line, &line.reply());
        }
    });
}
