//! From the desired state to what the data path is given: a pure function.

use std::net::IpAddr;

use xlb_common::layout::{HOP_FINER, HOP_HAND_UP};

use super::hops::Hops;
use crate::api::types::Protocol;
use crate::dataplane::{Datapath, PlannedBackend, PlannedService};
use crate::model::{Model, Service};
use crate::net::{Fib, NetView, NextHop, hop_of};

/// IP protocol number.
pub fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// Gives every service and backend what has been allotted to it, next hops included.
pub fn plan(
    model: &Model,
    view: &NetView,
    fib: &Fib<'_>,
    hops: &mut Hops,
    datapath: &Datapath,
) -> Vec<PlannedService> {
    model
        .services()
        .map(|service| {
            plan_service(service, view, |address| target_hop(view, fib, hops, datapath, address))
        })
        .collect()
}

fn plan_service(
    service: &Service,
    view: &NetView,
    mut hop: impl FnMut(IpAddr) -> u16,
) -> PlannedService {
    PlannedService {
        id: service.id,
        vip: service.vip,
        protocol: number(service.protocol),
        first_slot: service.region.first_slot,
        slots: service.slots,
        direct: service.direct.iter().map(|prefix| (prefix.addr(), prefix.prefix_len())).collect(),
        backends: service
            .backends
            .iter()
            .map(|backend| PlannedBackend {
                target: backend.target,
                address: backend.address,
                weight: backend.weight,
                interface: backend.interface.as_deref().map_or(0, |name| interface(view, name)),
                hop: hop(backend.address.ip()),
            })
            .collect(),
    }
}

/// The index of an interface that replies must come from. One that does not exist gives an index
/// that no packet can come from, so that the fence stays closed.
fn interface(view: &NetView, name: &str) -> u32 {
    view.link_named(name).map_or(u32::MAX, |link| link.index)
}

/// The next hop to a backend: precomputed where its neighbour is known, else for the kernel.
fn target_hop(
    view: &NetView,
    fib: &Fib<'_>,
    hops: &mut Hops,
    datapath: &Datapath,
    address: IpAddr,
) -> u16 {
    match fib.next_hop(address) {
        NextHop::Local => HOP_HAND_UP,
        NextHop::NoRoute | NextHop::Finer => HOP_FINER,
        NextHop::Via(via) => hop_of(view, &via).map_or(HOP_FINER, |hop| hops.number(datapath, hop)),
    }
}
