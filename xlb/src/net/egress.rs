//! Which interfaces a program can send from, and how a frame for a next hop looks there.
//!
//! A redirect goes to a driver, below VLAN devices: their tags are written into the frame here.
//! Whatever is not known to work (bridges, tunnels, macvlan and so on) is left out, so that the
//! kernel forwards such packets.

use super::routes::Via;
use super::view::{Link, NetView};
use xlb_common::layout;

/// Bytes of a VLAN tag.
const TAG_BYTES: u32 = 4;

/// Every interface that a program can send from, by index.
pub fn egress(view: &NetView) -> Vec<(u32, layout::Egress)> {
    let resolved = view.links.iter().map(|link| (link.index, resolve(view, link)));
    resolved.filter_map(|(index, egress)| Some((index, egress?))).collect()
}

/// What the program needs to send to a next hop.
///
/// `None` if the neighbour has no usable MAC (the kernel must ask for it) or a program can't send
/// from the interface: then the kernel forwards.
pub fn hop_of(view: &NetView, via: &Via) -> Option<layout::Hop> {
    let link = view.link(via.ifindex)?;
    let egress = resolve(view, link)?;
    let (mac_low, mac_high) = layout::Hop::mac_words(via.mac?, link.mac?);
    Some(layout::Hop {
        mac_low,
        mac_high,
        ifindex: egress.ifindex,
        mtu: egress.mtu.min(via.mtu),
        tag_bytes: egress.tag_bytes,
        tags: egress.tags,
    })
}

/// Follows VLAN devices down to the interface that carries the frames.
fn resolve(view: &NetView, link: &Link) -> Option<layout::Egress> {
    let mut tags = Vec::new();
    let mut lowest = link;
    while let Some(vlan) = lowest.vlan {
        if !lowest.up || tags.len() == 2 {
            return None;
        }
        let [t0, t1] = vlan.tpid.to_be_bytes();
        let [v0, v1] = vlan.vid.to_be_bytes();
        // From the top device down: each tag belongs before those that were there.
        tags.insert(0, u32::from_ne_bytes([t0, t1, v0, v1]));
        lowest = view.link(lowest.lower?)?;
    }
    if !carries_frames(lowest) {
        return None;
    }
    let tag_bytes = TAG_BYTES * tags.len() as u32;
    // A driver takes its MTU, the Ethernet header and one tag; a second one is at the packet's cost.
    let fits = (lowest.mtu + TAG_BYTES).saturating_sub(tag_bytes);
    Some(layout::Egress {
        ifindex: lowest.index,
        mtu: if tags.is_empty() { lowest.mtu } else { link.mtu.min(fits) },
        tag_bytes,
        tags: [tags.first().copied().unwrap_or(0), tags.get(1).copied().unwrap_or(0)],
    })
}

/// Whether a program can send from this very interface.
fn carries_frames(link: &Link) -> bool {
    let known = matches!(link.kind.as_deref(), None | Some("veth" | "tun" | "bond"));
    known && link.ethernet && link.up && link.mac.is_some()
}

#[cfg(test)]
mod tests {
    use super::super::view::Vlan;
    use super::*;

    fn link(index: u32, kind: Option<&str>) -> Link {
        Link {
            index,
            kind: kind.map(str::to_owned),
            ethernet: true,
            mac: Some([2, 0, 0, 0, 0, index as u8]),
            mtu: 1500,
            up: true,
            ..Link::default()
        }
    }

    fn vlan(index: u32, lower: u32, tpid: u16, vid: u16) -> Link {
        Link { lower: Some(lower), vlan: Some(Vlan { tpid, vid }), ..link(index, Some("vlan")) }
    }

    fn view(links: Vec<Link>) -> NetView {
        NetView { links, ..NetView::default() }
    }

    #[test]
    fn only_what_carries_frames_is_an_egress() {
        let loopback = Link { ethernet: false, ..link(1, None) };
        let tun = Link { ethernet: false, ..link(6, Some("tun")) };
        let down = Link { up: false, ..link(7, None) };
        let mut links = vec![loopback, link(2, None), link(3, Some("veth")), link(4, Some("bond"))];
        links.extend([link(5, Some("tun")), tun, down]);
        let others =
            ["bridge", "dummy", "wireguard", "macvlan", "ipvlan", "vxlan", "gretap", "vrf"];
        links.extend(others.iter().zip(20..).map(|(kind, index)| link(index, Some(kind))));
        let found: Vec<u32> = egress(&view(links)).iter().map(|(index, _)| *index).collect();
        assert_eq!(found, [2, 3, 4, 5]);
    }

    #[test]
    fn tags_are_the_bytes_of_the_frame_outer_first() {
        let view = view(vec![link(1, None), vlan(2, 1, 0x88a8, 100), vlan(3, 2, 0x8100, 0xabc)]);
        let found = egress(&view);
        let raw = |bytes: [u8; 4]| u32::from_ne_bytes(bytes);
        let outer = raw([0x88, 0xa8, 0, 100]);
        let inner = raw([0x81, 0, 0x0a, 0xbc]);
        let expected = |mtu, tag_bytes, tags| layout::Egress { ifindex: 1, mtu, tag_bytes, tags };
        assert_eq!(found[0], (1, expected(1500, 0, [0, 0])));
        assert_eq!(found[1], (2, expected(1500, 4, [outer, 0])));
        assert_eq!(found[2], (3, expected(1496, 8, [outer, inner])));
    }

    #[test]
    fn vlan_devices_that_lead_nowhere_are_none() {
        let foreign = Link { lower: None, ..vlan(2, 1, 0x8100, 1) };
        let on_bridge = vlan(4, 3, 0x8100, 1);
        let below_is_down = Link { up: false, ..vlan(5, 1, 0x8100, 1) };
        let links = vec![foreign, link(3, Some("bridge")), on_bridge, below_is_down];
        assert_eq!(egress(&view(links)), []);
        let three = vec![
            link(1, None),
            vlan(2, 1, 0x8100, 1),
            vlan(3, 2, 0x8100, 2),
            vlan(4, 3, 0x8100, 3),
            // A loop can't be built, but a snapshot is not taken all at once.
            vlan(8, 9, 0x8100, 1),
            vlan(9, 8, 0x8100, 1),
        ];
        let found: Vec<u32> = egress(&view(three)).iter().map(|(index, _)| *index).collect();
        assert_eq!(found, [1, 2, 3]);
    }

    #[test]
    fn a_hop_has_the_vlan_devices_mac_and_the_smallest_mtu() {
        let mut upper = vlan(2, 1, 0x8100, 7);
        upper.mac = Some([2, 0, 0, 0, 9, 9]);
        upper.mtu = 1400;
        let view = view(vec![link(1, None), upper]);
        let mut via = Via {
            ifindex: 2,
            neighbour: "10.0.0.1".parse().unwrap(),
            mac: Some([6, 5, 4, 3, 2, 1]),
            mtu: 1500,
        };
        let hop = hop_of(&view, &via).unwrap();
        let header: Vec<u8> =
            [&hop.mac_low.to_ne_bytes()[..], &hop.mac_high.to_ne_bytes()].concat();
        assert_eq!(header, [6, 5, 4, 3, 2, 1, 2, 0, 0, 0, 9, 9]);
        assert_eq!((hop.ifindex, hop.mtu, hop.tag_bytes), (1, 1400, 4));
        via.mtu = 1280;
        assert_eq!(hop_of(&view, &via).unwrap().mtu, 1280);
        via.mac = None;
        assert_eq!(hop_of(&view, &via), None);
        via = Via { ifindex: 3, mac: Some([1; 6]), ..via };
        assert_eq!(hop_of(&view, &via), None);
    }
}
