//! VIPs as addresses of this node: where one belongs, whether somebody else has it, putting it on
//! and taking it off, and telling the network.
//!
//! The order is the caller's: look for a duplicate before anything is promised, put the address on
//! when the program serves it (before that the kernel would refuse connections), then announce. An
//! address that was there already belongs to whoever put it there and is never removed.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use rtnetlink::Handle;
use tokio::time::{Instant, sleep, timeout_at};

use super::Error;
use super::frames::{self, ETHERTYPE_ARP, ETHERTYPE_IPV6};
use super::packet::PacketSocket;
use super::view::{Link, Mac, NetView};

/// How many probes, and how many announcements are sent: any one may be lost.
const REPEAT: u32 = 3;
/// How long answers to a probe are waited for. RFC 5227 allows for slow networks of hosts that boot
/// at once and takes seconds; here an operator waits, and a LAN answers in milliseconds.
const PROBE_WAIT: Duration = Duration::from_millis(250);
/// Time between announcements.
const ANNOUNCE_GAP: Duration = Duration::from_millis(250);

/// The interface that a VIP belongs on: the one, of those that are attached and what is stacked on
/// them, whose subnet contains it; else loopback, for VIPs that are routed to this node.
///
/// `None` if not even loopback is there.
pub fn place_for<'a>(view: &'a NetView, attached: &[u32], vip: IpAddr) -> Option<&'a Link> {
    let mut eligible: Vec<u32> = attached.to_vec();
    for index in attached {
        eligible.extend(view.vlans_on(*index).iter().map(|vlan| vlan.index));
        eligible.extend(view.link(*index).and_then(|link| link.master));
    }
    let host = if vip.is_ipv4() { 32 } else { 128 };
    let fits = view.addresses.iter().filter(|address| {
        address.prefix_len < host
            && eligible.contains(&address.ifindex)
            && address.subnet_contains(vip)
    });
    let on_link = fits.max_by_key(|a| a.prefix_len).and_then(|a| view.link(a.ifindex));
    on_link.filter(|link| link.up).or_else(|| view.links.iter().find(|link| link.loopback))
}

/// Asks on an interface whether another node has `vip`, and gives its MAC.
///
/// Takes under a second. On loopback there is nobody to ask. `own` are this node's MACs, see
/// [`own_macs`].
///
/// # Errors
///
/// If no packets can be sent from the interface.
pub async fn duplicate(link: &Link, own: &[Mac], vip: IpAddr) -> Result<Option<Mac>, Error> {
    let Some(mac) = speaker(link) else { return Ok(None) };
    ask(link.index, mac, own, vip).await.map_err(|source| failed(link, vip, source))
}

/// The MACs of this node's interfaces.
pub fn own_macs(view: &NetView) -> Vec<Mac> {
    view.links.iter().filter_map(|link| link.mac).collect()
}

/// Tells the network that `vip` is on this interface: gratuitous ARP or unsolicited neighbour
/// advertisements, a few. On loopback there is nobody to tell.
///
/// # Errors
///
/// If no packets can be sent from the interface.
pub async fn announce(link: &Link, vip: IpAddr) -> Result<(), Error> {
    let Some(mac) = speaker(link) else { return Ok(()) };
    let frame = frames::announcement(mac, vip);
    let socket = open(link.index, vip).map_err(|source| failed(link, vip, source))?;
    for round in 0..REPEAT {
        if round > 0 {
            sleep(ANNOUNCE_GAP).await;
        }
        socket.send(&frame).map_err(|source| failed(link, vip, source))?;
    }
    Ok(())
}

/// Puts `vip` on an interface. Returns whether it was done now: `false` if it was there already.
///
/// It has no subnet, so no route comes with it. Over IPv6 it is never chosen as a source address
/// (deprecated from the start) and the kernel does not look for duplicates itself.
///
/// # Errors
///
/// If the kernel refuses.
pub async fn add(handle: &Handle, link: &Link, vip: IpAddr) -> Result<bool, Error> {
    let mut request = handle.address().add(link.index, vip, host_bits(vip));
    *request.message_mut() = message(link.index, vip);
    match request.execute().await {
        Ok(()) => Ok(true),
        Err(source) if is(&source, libc::EEXIST) => Ok(false),
        Err(source) => {
            Err(Error::Address { doing: "put", vip, place: format!("on {}", link.name), source })
        }
    }
}

/// Takes `vip` off an interface. It is no error if it is gone, or the interface is.
///
/// # Errors
///
/// If the kernel refuses.
pub async fn remove(handle: &Handle, ifindex: u32, vip: IpAddr) -> Result<(), Error> {
    match handle.address().del(message(ifindex, vip)).execute().await {
        Ok(()) => Ok(()),
        Err(source) if is(&source, libc::EADDRNOTAVAIL) || is(&source, libc::ENODEV) => Ok(()),
        Err(source) => {
            let place = format!("off interface {ifindex}");
            Err(Error::Address { doing: "take", vip, place, source })
        }
    }
}

/// The MAC to speak from, on interfaces where somebody listens.
fn speaker(link: &Link) -> Option<Mac> {
    link.mac.filter(|_| link.ethernet && link.up && !link.loopback)
}

fn open(ifindex: u32, vip: IpAddr) -> io::Result<PacketSocket> {
    PacketSocket::open(ifindex, if vip.is_ipv4() { ETHERTYPE_ARP } else { ETHERTYPE_IPV6 })
}

async fn ask(ifindex: u32, mac: Mac, own: &[Mac], vip: IpAddr) -> io::Result<Option<Mac>> {
    let socket = open(ifindex, vip)?;
    for _ in 0..REPEAT {
        socket.send(&frames::probe(mac, vip))?;
        let deadline = Instant::now() + PROBE_WAIT;
        while let Ok(frame) = timeout_at(deadline, socket.receive()).await {
            if let Some(other) = frames::claimant(&frame?, vip, own) {
                return Ok(Some(other));
            }
        }
    }
    Ok(None)
}

fn failed(link: &Link, vip: IpAddr, source: io::Error) -> Error {
    Error::Packets { link: link.name.clone(), vip, source }
}

fn host_bits(vip: IpAddr) -> u8 {
    if vip.is_ipv4() { 32 } else { 128 }
}

fn message(ifindex: u32, vip: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = ifindex;
    message.header.prefix_len = host_bits(vip);
    message.header.scope = AddressScope::Universe;
    message.attributes = vec![AddressAttribute::Address(vip), AddressAttribute::Local(vip)];
    if vip.is_ipv4() {
        message.header.family = AddressFamily::Inet;
    } else {
        message.header.family = AddressFamily::Inet6;
        let flags = AddressFlags::Nodad | AddressFlags::Noprefixroute;
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_valid = u32::MAX;
        message.attributes.push(AddressAttribute::Flags(flags));
        message.attributes.push(AddressAttribute::CacheInfo(lifetime));
    }
    message
}

fn is(error: &rtnetlink::Error, errno: i32) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -errno)
}

#[cfg(test)]
mod tests {
    use super::super::view::{Address, Vlan};
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link { index, name: name.to_owned(), up: true, ..Link::default() }
    }

    fn address(ifindex: u32, subnet: &str, prefix_len: u8) -> Address {
        let subnet = subnet.parse().unwrap();
        Address { ifindex, address: subnet, subnet, prefix_len, tentative: false }
    }

    fn place(view: &NetView, attached: &[u32], vip: &str) -> Option<String> {
        place_for(view, attached, vip.parse().unwrap()).map(|link| link.name.clone())
    }

    #[test]
    fn a_vip_goes_where_its_subnet_is_else_on_loopback() {
        let mut port = link(2, "port");
        port.master = Some(5);
        let mut vlan = link(3, "port.7");
        (vlan.lower, vlan.vlan) = (Some(2), Some(Vlan { tpid: 0x8100, vid: 7 }));
        let mut lo = link(1, "lo");
        lo.loopback = true;
        let view = NetView {
            links: vec![lo, port, vlan, link(4, "other"), link(5, "bridge"), link(6, "eth0")],
            addresses: vec![
                address(1, "127.0.0.1", 8),
                address(3, "10.7.0.1", 24),
                address(4, "10.4.0.1", 24),
                address(5, "10.5.0.1", 24),
                address(6, "10.6.0.1", 16),
                address(6, "2001:db8::1", 64),
                address(2, "10.6.0.1", 24),
                address(6, "192.0.2.1", 32),
            ],
            ..NetView::default()
        };
        for (vip, expected) in [
            ("10.7.0.9", "port.7"),
            ("10.5.0.9", "bridge"),
            ("10.4.0.9", "lo"),
            ("10.6.1.9", "eth0"),
            ("10.6.0.9", "port"),
            ("2001:db8::9", "eth0"),
            ("192.0.2.1", "lo"),
            ("203.0.113.1", "lo"),
        ] {
            assert_eq!(place(&view, &[2, 6], vip).as_deref(), Some(expected), "{vip}");
        }
        assert_eq!(place(&NetView::default(), &[], "10.0.0.1"), None);
    }
}
