//! What the agent knows of this machine's network: plain data, with no netlink in it.
//!
//! `super::snapshot` fills a `NetView` from the kernel, `super::routes`, `super::egress` and
//! `super::announce` draw conclusions from it. Nothing here is ever wrong by being simplified:
//! what the model has no words for is marked as odd (`Hops::Odd`, `NetView::custom_rules`), and
//! then the kernel is asked for each packet instead.

use std::net::IpAddr;

/// A MAC address.
pub type Mac = [u8; 6];

/// A network namespace, as far as it concerns where packets go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetView {
    /// Interfaces.
    pub links: Vec<Link>,
    /// Addresses of this node.
    pub addresses: Vec<Address>,
    /// Routes of the tables that the default rules look at. Empty if there are custom rules.
    pub routes: Vec<Route>,
    /// Neighbours, both families.
    pub neighbours: Vec<Neighbour>,
    /// Whether routing depends on more than the destination: there is any policy rule beside the
    /// default ones (a VRF makes one), or one of those is gone.
    pub custom_rules: bool,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Index: what the kernel calls it by.
    pub index: u32,
    /// Name.
    pub name: String,
    /// What kind of virtual device it is (`veth`, `vlan`, `bridge`); hardware has none.
    pub kind: Option<String>,
    /// Whether frames on it have an Ethernet header. Not so for loopback, tunnels and `tun`.
    pub ethernet: bool,
    /// Whether it is the loopback interface.
    pub loopback: bool,
    /// Its MAC address, if it has one.
    pub mac: Option<Mac>,
    /// Largest IP packet, in bytes.
    pub mtu: u32,
    /// Whether it is switched on; it may still lack a carrier.
    pub up: bool,
    /// The interface below it (VLAN devices) or at the other end (veth), if it is in this namespace.
    pub lower: Option<u32>,
    /// The tag of a VLAN device.
    pub vlan: Option<Vlan>,
    /// The bridge, bond or VRF that it belongs to.
    pub master: Option<u32>,
}

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// The tag's EtherType: 0x8100 or 0x88a8.
    pub tpid: u16,
    /// VLAN id, 12 bits.
    pub vid: u16,
}

/// An address of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface it is on.
    pub ifindex: u32,
    /// The address.
    pub address: IpAddr,
    /// What the prefix length refers to: the address itself, or the other end's.
    pub subnet: IpAddr,
    /// Prefix length of the subnet.
    pub prefix_len: u8,
    /// Whether it can't be used yet, or not at all (duplicate address detection).
    pub tentative: bool,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its prefix.
    pub destination: IpAddr,
    /// Bits of the prefix.
    pub prefix_len: u8,
    /// Which table it is in.
    pub table: Table,
    /// What becomes of packets.
    pub kind: RouteKind,
    /// The lower, the better. 0 is best.
    pub metric: u32,
    /// Where packets go.
    pub hops: Hops,
    /// Its own limit for packets, beside the interface's.
    pub mtu: Option<u32>,
    /// Whether it is for some packets to its destination only (source prefix, type of service).
    pub selective: bool,
}

/// The routing tables that the default rules look at, in the order in which they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// This node's own addresses and what goes with them.
    Local,
    /// The usual one.
    Main,
    /// The last one, usually empty; IPv4 only.
    Default,
}

/// What becomes of a packet that a route matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// It is sent on.
    Unicast,
    /// It is for this node.
    Local,
    /// It is dropped or refused: blackhole, unreachable, prohibit.
    Refused,
    /// Anything else: broadcast, multicast, throw.
    Other,
}

/// Where a route sends packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hops {
    /// Nowhere: the route's kind says all.
    None,
    /// The destination is a neighbour on this interface.
    OnLink {
        /// The interface.
        ifindex: u32,
    },
    /// A router on this interface. It may be of the other family.
    Gateway {
        /// The interface.
        ifindex: u32,
        /// The router's address.
        address: IpAddr,
    },
    /// One of several, chosen by the kernel for each flow. The interface, and the router if any.
    Multipath(Vec<(u32, Option<IpAddr>)>),
    /// Encapsulated, dead, or otherwise more than can be said here.
    Odd,
}

/// A neighbour: what is known of an address's MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The interface it is on.
    pub ifindex: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC, if known.
    pub mac: Option<Mac>,
    /// How far it can be believed.
    pub state: NeighbourState,
}

/// State of a neighbour, as the kernel calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// Its MAC was confirmed not long ago.
    Reachable,
    /// Its MAC was not confirmed for a while; used until it proves wrong.
    Stale,
    /// As stale, and about to be asked.
    Delay,
    /// As stale, and being asked.
    Probe,
    /// Set by the administrator, or on an interface that needs no asking (`NOARP`).
    Permanent,
    /// Being asked for the first time.
    Incomplete,
    /// Did not answer.
    Failed,
    /// Nothing is known and nobody asks.
    None,
}

impl NeighbourState {
    /// Whether the kernel itself would send to the MAC.
    pub fn is_usable(self) -> bool {
        match self {
            Self::Reachable | Self::Stale | Self::Delay | Self::Probe | Self::Permanent => true,
            Self::Incomplete | Self::Failed | Self::None => false,
        }
    }
}

impl NetView {
    /// The interface with this index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The interface with this name.
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// Whether `address` is one of this node's own.
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.address == address)
    }

    /// The VLAN devices on top of an interface, also the stacked ones.
    ///
    /// Tagged packets that are handed up from the interface enter the kernel through them.
    pub fn vlans_on(&self, index: u32) -> Vec<&Link> {
        let mut found: Vec<&Link> = Vec::new();
        let mut below = vec![index];
        while let Some(lower) = below.pop() {
            for link in &self.links {
                let on_it = link.vlan.is_some() && link.lower == Some(lower);
                if on_it && !found.iter().any(|known| known.index == link.index) {
                    found.push(link);
                    below.push(link.index);
                }
            }
        }
        found
    }
}

impl Address {
    /// Whether `address` is in this address's subnet.
    pub fn subnet_contains(&self, address: IpAddr) -> bool {
        match (self.subnet, address) {
            (IpAddr::V4(subnet), IpAddr::V4(address)) => {
                let differ = u32::from(subnet) ^ u32::from(address);
                differ.checked_shr(32 - u32::from(self.prefix_len.min(32))).unwrap_or(0) == 0
            }
            (IpAddr::V6(subnet), IpAddr::V6(address)) => {
                let differ = u128::from(subnet) ^ u128::from(address);
                differ.checked_shr(128 - u32::from(self.prefix_len.min(128))).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl Neighbour {
    /// Its MAC, if the kernel itself would send to it.
    pub fn usable_mac(&self) -> Option<Mac> {
        let mac = self.mac.filter(|mac| *mac != [0; 6])?;
        self.state.is_usable().then_some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(subnet: &str, prefix_len: u8) -> Address {
        let subnet = subnet.parse().unwrap();
        Address { ifindex: 1, address: subnet, subnet, prefix_len, tentative: false }
    }

    #[test]
    fn a_subnet_contains_what_shares_its_prefix() {
        for (subnet, len, inside, outside) in [
            ("10.1.2.3", 24, "10.1.2.255", "10.1.3.0"),
            ("10.1.2.3", 32, "10.1.2.3", "10.1.2.2"),
            ("10.1.2.3", 31, "10.1.2.2", "10.1.2.4"),
            ("2001:db8::1", 64, "2001:db8::ffff:0:0:1", "2001:db8:0:1::1"),
            ("2001:db8::1", 128, "2001:db8::1", "2001:db8::"),
        ] {
            assert!(address(subnet, len).subnet_contains(inside.parse().unwrap()), "{inside}");
            assert!(!address(subnet, len).subnet_contains(outside.parse().unwrap()), "{outside}");
        }
        assert!(address("0.0.0.0", 0).subnet_contains("255.1.2.3".parse().unwrap()));
        assert!(!address("0.0.0.0", 0).subnet_contains("::1".parse().unwrap()));
    }

    #[test]
    fn vlan_devices_are_found_also_stacked() {
        let vlan = |index, lower| Link {
            index,
            lower: Some(lower),
            vlan: Some(Vlan { tpid: 0x8100, vid: 5 }),
            ..Link::default()
        };
        let veth = Link { index: 9, lower: Some(1), ..Link::default() };
        let view =
            NetView { links: vec![vlan(3, 2), vlan(2, 1), vlan(5, 4), veth], ..NetView::default() };
        let mut found: Vec<u32> = view.vlans_on(1).iter().map(|link| link.index).collect();
        found.sort_unstable();
        assert_eq!(found, [2, 3]);
        assert!(view.vlans_on(3).is_empty());
    }

    #[test]
    fn a_mac_is_usable_only_if_the_kernel_would_use_it() {
        let mut neighbour = Neighbour {
            ifindex: 1,
            address: "10.0.0.1".parse().unwrap(),
            mac: Some([2, 0, 0, 0, 0, 1]),
            state: NeighbourState::Stale,
        };
        assert_eq!(neighbour.usable_mac(), Some([2, 0, 0, 0, 0, 1]));
        neighbour.state = NeighbourState::Failed;
        assert_eq!(neighbour.usable_mac(), None);
        neighbour = Neighbour { mac: Some([0; 6]), state: NeighbourState::Stale, ..neighbour };
        assert_eq!(neighbour.usable_mac(), None);
    }
}
