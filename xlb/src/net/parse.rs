//! From netlink messages to the types of `super::view`.
//!
//! What a message says that the model has no words for makes the result odd, never simpler.

use std::net::IpAddr;

use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use netlink_packet_route::link::{
    InfoData, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState as Nud,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHopFlags,
    RouteType, RouteVia,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use netlink_packet_route::{AddressFamily, route::RouteHeader};

use super::view::{Address, Hops, Link, Neighbour, NeighbourState, Route, RouteKind, Table, Vlan};

const TABLE_LOCAL: u32 = 255;
const TABLE_MAIN: u32 = 254;
const TABLE_DEFAULT: u32 = 253;

/// Priority and table of the rules that a namespace begins with, IPv4.
pub(super) const DEFAULT_RULES4: [(u32, u32); 3] =
    [(0, TABLE_LOCAL), (32766, TABLE_MAIN), (32767, TABLE_DEFAULT)];
/// Priority and table of the rules that a namespace begins with, IPv6.
pub(super) const DEFAULT_RULES6: [(u32, u32); 2] = [(0, TABLE_LOCAL), (32766, TABLE_MAIN)];

pub(super) fn link(message: &LinkMessage) -> Link {
    let header = &message.header;
    let mut link = Link {
        index: header.index,
        ethernet: header.link_layer_type == LinkLayerType::Ether,
        loopback: header.flags.contains(LinkFlags::Loopback),
        up: header.flags.contains(LinkFlags::Up),
        ..Link::default()
    };
    let mut elsewhere = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(mac) => link.mac = mac.as_slice().try_into().ok(),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Link(lower) => link.lower = Some(*lower).filter(|lower| *lower != 0),
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::Controller(master) => link.master = Some(*master),
            LinkAttribute::LinkInfo(infos) => link_info(&mut link, infos),
            _ => {}
        }
    }
    if elsewhere {
        // The index is one of another namespace.
        link.lower = None;
    }
    link
}

fn link_info(link: &mut Link, infos: &[LinkInfo]) {
    for info in infos {
        match info {
            LinkInfo::Kind(kind) => link.kind = Some(kind.to_string()),
            LinkInfo::Data(InfoData::Vlan(data)) => {
                let mut vlan = Vlan { tpid: 0x8100, vid: 0 };
                for part in data {
                    match part {
                        InfoVlan::Id(vid) => vlan.vid = *vid,
                        InfoVlan::Protocol(tpid) => vlan.tpid = u16::from(*tpid),
                        _ => {}
                    }
                }
                link.vlan = Some(vlan);
            }
            _ => {}
        }
    }
}

pub(super) fn address(message: &AddressMessage) -> Option<Address> {
    let (mut local, mut subnet, mut tentative) = (None, None, false);
    let early = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
    tentative |= message.header.flags.intersects(early);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => subnet = Some(*address),
            AddressAttribute::Flags(flags) => {
                tentative |= flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed);
            }
            _ => {}
        }
    }
    Some(Address {
        ifindex: message.header.index,
        address: local.or(subnet)?,
        subnet: subnet.or(local)?,
        prefix_len: message.header.prefix_len,
        tentative,
    })
}

pub(super) fn neighbour(message: &NeighbourMessage) -> Option<Neighbour> {
    let (mut address, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(a)) => {
                address = Some((*a).into())
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(a)) => {
                address = Some((*a).into());
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.as_slice().try_into().ok(),
            _ => {}
        }
    }
    let state = match message.header.state {
        Nud::Reachable => NeighbourState::Reachable,
        Nud::Stale => NeighbourState::Stale,
        Nud::Delay => NeighbourState::Delay,
        Nud::Probe => NeighbourState::Probe,
        Nud::Permanent | Nud::Noarp => NeighbourState::Permanent,
        Nud::Incomplete => NeighbourState::Incomplete,
        Nud::Failed => NeighbourState::Failed,
        _ => NeighbourState::None,
    };
    Some(Neighbour { ifindex: message.header.ifindex, address: address?, mac, state })
}

/// A route of a table that the default rules look at.
pub(super) fn route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let ipv4 = header.address_family == AddressFamily::Inet;
    let mut table = u32::from(header.table);
    let mut route = Route {
        destination: unspecified(header),
        prefix_len: header.destination_prefix_length,
        table: Table::Main,
        kind: kind(header.kind),
        metric: 0,
        hops: Hops::None,
        mtu: None,
        selective: header.source_prefix_length != 0 || header.tos != 0,
    };
    let (mut oif, mut gateway, mut several) = (None, None, None);
    let mut odd = header.flags.intersects(RouteFlags::Dead | RouteFlags::Linkdown);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(address) => route.destination = ip(address)?,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Oif(ifindex) => oif = Some(*ifindex),
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => {
                gateway = router(attribute);
                odd |= gateway.is_none();
            }
            RouteAttribute::MultiPath(hops) => {
                let alive = |flags: RouteNextHopFlags| {
                    !flags.intersects(RouteNextHopFlags::Dead | RouteNextHopFlags::Linkdown)
                };
                let hops = hops.iter().filter(|hop| alive(hop.flags));
                several = Some(
                    hops.map(|hop| (hop.interface_index, hop.attributes.iter().find_map(router)))
                        .collect(),
                );
            }
            RouteAttribute::Metrics(metrics) => {
                route.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some(*mtu),
                    _ => None,
                });
            }
            RouteAttribute::Encap(_) | RouteAttribute::EncapType(_) => odd = true,
            RouteAttribute::Source(_) => route.selective = true,
            _ => {}
        }
    }
    route.table = match table {
        TABLE_LOCAL => Table::Local,
        TABLE_MAIN => Table::Main,
        TABLE_DEFAULT if ipv4 => Table::Default,
        _ => return None,
    };
    // Copies that the kernel keeps for single destinations (path MTU) are not routes.
    if header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    route.hops = match (several, oif, gateway) {
        _ if odd => Hops::Odd,
        (Some(several), ..) => Hops::Multipath(several),
        (None, Some(ifindex), Some(address)) => Hops::Gateway { ifindex, address },
        (None, Some(ifindex), None) => Hops::OnLink { ifindex },
        (None, None, _) => Hops::None,
    };
    Some(route)
}

fn unspecified(header: &RouteHeader) -> IpAddr {
    match header.address_family {
        AddressFamily::Inet => IpAddr::from([0; 4]),
        _ => IpAddr::from([0; 16]),
    }
}

fn kind(kind: RouteType) -> RouteKind {
    match kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::Local | RouteType::Anycast => RouteKind::Local,
        RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit => RouteKind::Refused,
        _ => RouteKind::Other,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

fn router(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    }
}

/// Priority and table of a rule that looks at the destination alone, else `None`.
pub(super) fn plain_rule(rule: &RuleMessage) -> Option<(u32, u32)> {
    let header = &rule.header;
    let any = header.src_len == 0 && header.dst_len == 0 && header.tos == 0;
    let straight = !header.flags.contains(RuleFlags::Invert);
    if !any || !straight || header.action != RuleAction::ToTable {
        return None;
    }
    let (mut priority, mut table) = (0, u32::from(header.table));
    for attribute in &rule.attributes {
        match attribute {
            RuleAttribute::Priority(number) => priority = *number,
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Protocol(_) | RuleAttribute::SuppressPrefixLen(u32::MAX) => {}
            _ => return None,
        }
    }
    Some((priority, table))
}
