//! Drivers, their offloads, and XDP programs of others.

use std::thread;
use std::time::{Duration, Instant};

use aya::programs::XdpMode as Mode;
use xlb::dataplane::{Datapath, Limits};
use xlb::net;
use xlb::net::ethtool::{self, Set};
use xlb::net::interface::{self, AttachedProgram, XdpMode};

use crate::lab::Namespace;

/// A namespace with both ends of a veth.
fn pair() -> Namespace {
    let node = Namespace::new("node");
    node.ip("link add a0 type veth peer name a1");
    node.ip("link set a0 up");
    node
}

fn programs(node: &Namespace) -> Vec<AttachedProgram> {
    node.inside(async || {
        let handle = net::connect().unwrap();
        let view = net::snapshot(&handle).await.unwrap();
        let index = view.link_named("a0").unwrap().index;
        interface::xdp_programs(&handle, index).await.unwrap()
    })
}

#[test]
fn programs_on_an_interface_are_named_with_their_mode() {
    let node = pair();
    assert_eq!(programs(&node), []);
    let mut program = Datapath::private(Limits::default()).unwrap().program;
    let id = program.info().unwrap().id();
    let name = program.info().unwrap().name_as_str().map(str::to_owned);
    assert!(name.is_some());
    for (mode, expected) in [(Mode::Driver, XdpMode::Native), (Mode::Skb, XdpMode::Generic)] {
        let link = node.enter(|| program.attach("a0", mode).unwrap());
        let attached = AttachedProgram { id, name: name.clone(), mode: expected };
        assert_eq!(programs(&node), [attached]);
        program.detach(link).unwrap();
        // A program that another test starts at this moment has the link open until its exec.
        let deadline = Instant::now() + Duration::from_secs(30);
        while !programs(&node).is_empty() {
            assert!(Instant::now() < deadline, "{:?}", programs(&node));
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn an_interface_that_is_not_there_is_an_error() {
    let node = pair();
    let error = node.inside(async || {
        let handle = net::connect().unwrap();
        interface::xdp_programs(&handle, 4711).await.unwrap_err().to_string()
    });
    assert!(error.contains("No such device"), "{error}");
    for name in ["a9", "a-name-that-is-far-too-long"] {
        let error = node.enter(|| ethtool::offloads(name).unwrap_err());
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV), "{name}");
    }
}

#[test]
fn drivers_and_their_offloads_are_known_and_tags_can_be_left_in_frames() {
    let node = pair();
    node.enter(|| {
        assert_eq!(ethtool::driver("a0").unwrap(), "veth");
        let offloads = ethtool::offloads("a0").unwrap();
        assert!(offloads.rx_vlan && !offloads.lro);
        assert_eq!(ethtool::set_rx_vlan("a0", false).unwrap(), Set::Now);
        assert!(!ethtool::offloads("a0").unwrap().rx_vlan);
        assert_eq!(ethtool::set_rx_vlan("a0", false).unwrap(), Set::Already);
        assert_eq!(ethtool::set_rx_vlan("a0", true).unwrap(), Set::Now);
        assert_eq!(ethtool::set_rx_vlan("lo", true).unwrap(), Set::Fixed);
    });
}

#[test]
fn the_other_end_of_a_veth_is_known_in_the_same_namespace() {
    let node = pair();
    let view = node.inside(async || net::snapshot(&net::connect().unwrap()).await.unwrap());
    let (a0, a1) = (view.link_named("a0").unwrap(), view.link_named("a1").unwrap());
    assert_eq!((a0.lower, a1.lower), (Some(a1.index), Some(a0.index)));
    assert!(a0.up && !a1.up);
}
