//! The cabling of the labs that tests and the demo use.
//!
//! ```text
//! two arms:   client eth0 ── front [lb] back ── switch ──┬── eth0 [b1]
//!                                                        └── eth0 [b2] …
//! one arm:    client eth0 ── switch ──┬── front [lb]
//!                                     ├── eth0 [b1]
//!                                     └── eth0 [b2] …
//! ```
//!
//! Clients are in 192.0.2.0/24 and 2001:db8:1::/64, where the VIPs are, too; backends are in
//! 198.51.100.0/24 and 2001:db8:2::/64 with the load balancer as their gateway. Nothing is
//! configured in `lb` but its addresses: the rest is the agent's work.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
};

use anyhow::Result;

use crate::{lab::Lab, namespace::Namespace};

/// The address of all services over IPv4.
pub const VIP4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80));
/// The address of all services over IPv6.
pub const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x80));

/// How the load balancer is cabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arms {
    /// One interface, for clients and backends: packets leave where they came in.
    One,
    /// One interface for clients and one for backends.
    Two,
}

/// What to build.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How the load balancer is cabled.
    pub arms: Arms,
    /// How many backends, at most 100.
    pub backends: u8,
    /// The MTU of every interface.
    pub mtu: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { arms: Arms::Two, backends: 3, mtu: 1500 }
    }
}

/// A backend's place; what serves there is up to the caller.
#[derive(Clone, Debug)]
pub struct Backend {
    /// `b1`, `b2`, …
    pub name: String,
    /// Its namespace; its interface is `eth0`.
    pub namespace: Namespace,
    /// Its address over IPv4.
    pub ip4: IpAddr,
    /// Its address over IPv6.
    pub ip6: IpAddr,
}

/// A network with clients, a load balancer and backends.
#[derive(Debug)]
pub struct Topology {
    /// The clients' namespace; its interface is `eth0`.
    pub client: Namespace,
    /// The load balancer's namespace.
    pub lb: Namespace,
    /// The interfaces of `lb` that xlb is to be attached to: `front`, and `back` with two arms.
    pub interfaces: Vec<&'static str>,
    /// The backends, in order.
    pub backends: Vec<Backend>,
    /// What the load balancer's last interface and the backends are plugged into: the bridge
    /// `switch`, whose ports have the names of what is at their other end.
    pub switch: Namespace,
    _passing: Vec<OwnedFd>,
}

impl Topology {
    /// Builds it.
    pub fn new(lab: &Lab, plan: Plan) -> Result<Self> {
        let client = lab.namespace("client")?;
        let lb = lab.namespace("lb")?;
        let switch = lab.namespace("switch")?;
        let mtu = plan.mtu;
        switch.ip(&format!("link add switch mtu {mtu} type bridge mcast_snooping 0"))?;
        switch.ip("link set switch up")?;
        let plug = |namespace: &Namespace, interface: &str, port: &str| -> Result<()> {
            namespace.cable(interface, &switch, port)?;
            namespace.ip(&format!("link set {interface} mtu {mtu}"))?;
            switch.ip(&format!("link set {port} mtu {mtu} master switch"))?;
            Ok(())
        };

        let mut passing = Vec::new();
        let interfaces = match plan.arms {
            Arms::One => {
                plug(&client, "eth0", "client")?;
                plug(&lb, "front", "front")?;
                passing.push(switch.attach_pass("front")?);
                vec!["front"]
            }
            Arms::Two => {
                client.cable("eth0", &lb, "front")?;
                client.ip(&format!("link set eth0 mtu {mtu}"))?;
                lb.ip(&format!("link set front mtu {mtu}"))?;
                plug(&lb, "back", "back")?;
                passing.push(client.attach_pass("eth0")?);
                passing.push(switch.attach_pass("back")?);
                vec!["front", "back"]
            }
        };
        let inner = interfaces.last().copied().unwrap_or("front");
        client.ip("addr add 192.0.2.10/24 dev eth0")?;
        client.ip("addr add 2001:db8:1::10/64 dev eth0 nodad")?;
        lb.ip("addr add 192.0.2.1/24 dev front")?;
        lb.ip("addr add 2001:db8:1::1/64 dev front nodad")?;
        lb.ip(&format!("addr add 198.51.100.1/24 dev {inner}"))?;
        lb.ip(&format!("addr add 2001:db8:2::1/64 dev {inner} nodad"))?;

        let backends = (1..=plan.backends).map(|number| {
            let name = format!("b{number}");
            let namespace = lab.namespace(&name)?;
            plug(&namespace, "eth0", &name)?;
            let host = 10 + number;
            let ip4 = Ipv4Addr::new(198, 51, 100, host);
            let ip6 = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, u16::from(host));
            namespace.ip(&format!("addr add {ip4}/24 dev eth0"))?;
            namespace.ip(&format!("addr add {ip6}/64 dev eth0 nodad"))?;
            namespace.ip("route add default via 198.51.100.1")?;
            namespace.ip("route add default via 2001:db8:2::1")?;
            Ok(Backend { name, namespace, ip4: ip4.into(), ip6: ip6.into() })
        });
        let backends = backends.collect::<Result<_>>()?;
        Ok(Self { client, lb, interfaces, backends, switch, _passing: passing })
    }
}
