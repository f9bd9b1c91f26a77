//! The frames that look for a duplicate of a VIP and announce it: ARP and neighbour discovery.
//!
//! Pure: bytes in, bytes out. IPv4 follows RFC 5227 (ARP probe and announcement), IPv6 RFC 4861 and
//! RFC 4862 (neighbour solicitation from the unspecified address, unsolicited advertisement).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::view::Mac;

/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

const BROADCAST: Mac = [0xff; 6];
const ETHERNET_HEADER: usize = 14;
const IPV6_HEADER: usize = 40;
const ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Asks whether anybody has `vip`, without claiming it.
pub fn probe(mac: Mac, vip: IpAddr) -> Vec<u8> {
    match vip {
        IpAddr::V4(vip) => arp_request(mac, Ipv4Addr::UNSPECIFIED, vip),
        IpAddr::V6(vip) => {
            let [.., a, b, c] = vip.octets();
            let low = u16::from_be_bytes([b, c]);
            let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low);
            let message = discovery(NEIGHBOUR_SOLICITATION, 0, vip);
            ipv6_multicast(mac, Ipv6Addr::UNSPECIFIED, group, message)
        }
    }
}

/// Tells everybody that `vip` is at `mac` from now on.
pub fn announcement(mac: Mac, vip: IpAddr) -> Vec<u8> {
    match vip {
        IpAddr::V4(vip) => arp_request(mac, vip, vip),
        IpAddr::V6(vip) => {
            // The override flag makes neighbours replace what they have.
            let mut message = discovery(NEIGHBOUR_ADVERTISEMENT, 0x20, vip);
            message.extend([TARGET_LINK_LAYER_ADDRESS, 1]);
            message.extend(mac);
            ipv6_multicast(mac, vip, ALL_NODES, message)
        }
    }
}

/// Who else has `vip` or is about to take it, if that is what a received frame says.
///
/// `own` are this node's MACs: what they say is no conflict.
pub fn claimant(frame: &[u8], vip: IpAddr, own: &[Mac]) -> Option<Mac> {
    let (ethernet, payload) = frame.split_at_checked(ETHERNET_HEADER)?;
    let ethertype = u16::from_be_bytes([ethernet[12], ethernet[13]]);
    let claimant = match (vip, ethertype) {
        (IpAddr::V4(vip), ETHERTYPE_ARP) => arp_claimant(payload, vip)?,
        (IpAddr::V6(vip), ETHERTYPE_IPV6) => {
            discovery_claimant(payload, vip, ethernet[6..12].try_into().ok()?)?
        }
        _ => return None,
    };
    (!own.contains(&claimant)).then_some(claimant)
}

fn ethernet(destination: Mac, source: Mac, ethertype: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(96);
    frame.extend(destination);
    frame.extend(source);
    frame.extend(ethertype.to_be_bytes());
    frame
}

fn arp_request(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, mac, ETHERTYPE_ARP);
    // Ethernet, IPv4, their address sizes, request.
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(sender.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

fn arp_claimant(packet: &[u8], vip: Ipv4Addr) -> Option<Mac> {
    let (header, body) = packet.split_at_checked(8)?;
    if header[..6] != [0, 1, 8, 0, 6, 4] || body.len() < 20 {
        return None;
    }
    let mac: Mac = body[..6].try_into().ok()?;
    let (sender, target) = (&body[6..10], &body[16..20]);
    let request = header[6..] == [0, 1];
    let probes = request && sender == [0; 4] && target == vip.octets();
    (sender == vip.octets() || probes).then_some(mac)
}

/// A neighbour discovery message with its checksum still zero.
fn discovery(kind: u8, flags: u8, target: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.octets());
    message
}

fn ipv6_multicast(mac: Mac, source: Ipv6Addr, group: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let [.., a, b, c, d] = group.octets();
    let mut frame = ethernet([0x33, 0x33, a, b, c, d], mac, ETHERTYPE_IPV6);
    let sum = checksum(source, group, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    frame.extend([ICMPV6, 255]);
    frame.extend(source.octets());
    frame.extend(group.octets());
    frame.extend(message);
    frame
}

fn discovery_claimant(packet: &[u8], vip: Ipv6Addr, sender: Mac) -> Option<Mac> {
    let (header, message) = packet.split_at_checked(IPV6_HEADER)?;
    let address = |at: usize| <[u8; 16]>::try_from(&header[at..at + 16]).map(Ipv6Addr::from);
    let (source, destination) = (address(8).ok()?, address(24).ok()?);
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let message = message.get(..length)?;
    // A hop limit of 255 shows that no router has passed it on.
    let genuine = header[0] >> 4 == 6 && header[6..8] == [ICMPV6, 255];
    if !genuine || message.len() < 24 || message[1] != 0 || message[8..24] != vip.octets() {
        return None;
    }
    if checksum(source, destination, message) != 0 {
        return None;
    }
    match message[0] {
        // Another node that looks for duplicates of the same address.
        NEIGHBOUR_SOLICITATION if source.is_unspecified() => Some(sender),
        NEIGHBOUR_ADVERTISEMENT => match message.get(24..32) {
            Some([TARGET_LINK_LAYER_ADDRESS, 1, mac @ ..]) => mac.try_into().ok(),
            _ => Some(sender),
        },
        _ => None,
    }
}

/// ICMPv6's checksum (RFC 4443, section 2.3): 0 if the message holds the right one.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = message.len() as u32;
    let words = |bytes: &[u8]| -> u32 {
        let pairs = bytes.chunks(2);
        pairs.map(|p| u32::from(u16::from_be_bytes([p[0], *p.get(1).unwrap_or(&0)]))).sum()
    };
    let mut sum = words(&source.octets()) + words(&destination.octets()) + words(message);
    sum += length + u32::from(ICMPV6);
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 1];
    const OTHER: Mac = [2, 0, 0, 0, 0, 9];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_arp_probe_claims_nothing() {
        let mut expected = vec![0xff; 6];
        expected.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        expected.extend([2, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        expected.extend([0, 0, 0, 0, 0, 0, 192, 0, 2, 10]);
        assert_eq!(probe(MAC, ip("192.0.2.10")), expected);
    }

    #[test]
    fn an_arp_announcement_names_the_vip_as_sender_and_target() {
        let frame = announcement(MAC, ip("192.0.2.10"));
        assert_eq!(frame[28..32], [192, 0, 2, 10]);
        assert_eq!(frame[38..42], [192, 0, 2, 10]);
        assert_eq!(frame.len(), 42);
    }

    #[test]
    fn an_ipv6_probe_goes_to_the_solicited_node_group() {
        let frame = probe(MAC, ip("2001:db8::12:3456"));
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        let group: Ipv6Addr = "ff02::1:ff12:3456".parse().unwrap();
        assert_eq!(frame[22..38], [0; 16]);
        assert_eq!(frame[38..54], group.octets());
        assert_eq!((frame[20], frame[21], frame[54]), (58, 255, 135));
        assert_eq!(frame.len(), 14 + 40 + 24);
    }

    #[test]
    fn an_ipv6_announcement_overrides_and_carries_the_mac() {
        let frame = announcement(MAC, ip("2001:db8::10"));
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!((frame[54], frame[58]), (136, 0x20));
        assert_eq!(frame[78..], [2, 1, 2, 0, 0, 0, 0, 1]);
    }

    /// A neighbour solicitation as a Linux host sent it, with the checksum that it had.
    #[test]
    fn the_checksum_is_that_of_a_frame_seen_on_the_wire() {
        let source: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let group: Ipv6Addr = "ff02::1:ff00:2".parse().unwrap();
        let mut message = discovery(135, 0, "2001:db8::2".parse().unwrap());
        message.extend([1, 1, 2, 0, 0, 0, 0, 1]);
        assert_eq!(checksum(source, group, &message), 0x1c27);
    }

    #[test]
    fn an_answer_an_announcement_and_another_probe_are_claims() {
        for vip in [ip("192.0.2.10"), ip("2001:db8::10")] {
            for frame in [probe(OTHER, vip), announcement(OTHER, vip)] {
                assert_eq!(claimant(&frame, vip, &[MAC]), Some(OTHER));
                assert_eq!(claimant(&frame, vip, &[MAC, OTHER]), None);
            }
        }
    }

    #[test]
    fn other_addresses_and_mere_questions_are_no_claims() {
        let (vip4, vip6) = (ip("192.0.2.10"), ip("2001:db8::10"));
        assert_eq!(claimant(&announcement(OTHER, ip("192.0.2.11")), vip4, &[MAC]), None);
        assert_eq!(claimant(&announcement(OTHER, ip("2001:db8::11")), vip6, &[MAC]), None);
        let question = arp_request(OTHER, [192, 0, 2, 7].into(), [192, 0, 2, 10].into());
        assert_eq!(claimant(&question, vip4, &[MAC]), None);
        let mut passed_on = announcement(OTHER, vip6);
        passed_on[21] = 64;
        assert_eq!(claimant(&passed_on, vip6, &[MAC]), None);
        let mut damaged = announcement(OTHER, vip6);
        damaged[85] ^= 1;
        assert_eq!(claimant(&damaged, vip6, &[MAC]), None);
    }

    proptest! {
        #[test]
        fn no_frame_makes_it_panic(
            mut frame in prop::collection::vec(any::<u8>(), 0..120), ipv4: bool, cut in 0usize..120,
        ) {
            let vip = if ipv4 { ip("192.0.2.10") } else { ip("2001:db8::10") };
            claimant(&frame, vip, &[]);
            frame = announcement(OTHER, vip);
            frame.truncate(cut);
            claimant(&frame, vip, &[]);
        }

        #[test]
        fn what_is_sent_has_a_right_checksum(mac: Mac, vip: u128) {
            let vip = Ipv6Addr::from(vip);
            let frame = announcement(mac, vip.into());
            prop_assert_eq!(checksum(vip, ALL_NODES, &frame[54..]), 0);
        }
    }
}
