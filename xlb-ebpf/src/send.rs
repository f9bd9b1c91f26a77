//! A packet leaves: translated, counted, and sent, or handed to the kernel.

use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::helpers::generated::{bpf_redirect_map, bpf_xdp_adjust_head};
use xlb_common::layout::{Hop, Target, TargetCounters};
use xlb_common::reason::Reason;

use crate::count::verdict;
use crate::family::{Family, Packet, Transport};
use crate::frame::{ETHERNET, Frame, store};
use crate::maps::DEVMAP;

/// Which way a packet goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a client to a backend.
    Request,
    /// From a backend to a client.
    Reply,
}

/// Translates the packet and sends it to `hop`.
///
/// What is handed up keeps its TTL and MACs: the kernel forwards it, and counts down itself.
#[inline(always)]
pub fn translated<F: Family, T: Transport>(
    frame: &Frame,
    packet: &Packet<T>,
    target: &Target,
    hop: &Hop,
    direction: Direction,
    counters: &mut TargetCounters,
) -> u32 {
    if hop.ifindex == 0 || packet.length > hop.mtu {
        return by_the_kernel::<F, T>(packet, target, hop, direction, counters);
    }
    rewrite::<F, T>(packet, target, direction, counters, true);
    if hop.tag_bytes | frame.tag_bytes != 0 {
        if !tagged(frame.ctx, hop, frame.tag_bytes, F::ETHERTYPE) {
            return verdict(Reason::NoHeadroom);
        }
    } else {
        // SAFETY: the Ethernet header was checked when the frame came in.
        unsafe {
            store(frame.start, hop.mac_low);
            store(frame.start + 8, hop.mac_high);
        }
    }
    // SAFETY: the context is the one the program was called with, the map is a device map.
    unsafe {
        if (*frame.ctx).ingress_ifindex == hop.ifindex {
            return xdp_action::XDP_TX;
        }
        let map = (&raw const DEVMAP).cast_mut().cast();
        let action = bpf_redirect_map(map, u64::from(hop.ifindex), 0) as u32;
        if action != xdp_action::XDP_REDIRECT {
            return verdict(Reason::RedirectFailed);
        }
        action
    }
}

/// Translates the packet for the kernel, which forwards it; drops what it would have to refuse.
///
/// Apart from the other way, so that neither asks at each step which of the two it is.
#[inline(always)]
fn by_the_kernel<F: Family, T: Transport>(
    packet: &Packet<T>,
    target: &Target,
    hop: &Hop,
    direction: Direction,
    counters: &mut TargetCounters,
) -> u32 {
    let known = hop.ifindex != 0;
    if known && !F::may_fragment(packet) {
        return verdict(Reason::OverMtu);
    }
    rewrite::<F, T>(packet, target, direction, counters, false);
    verdict(if known { Reason::HandedUpToFragment } else { Reason::HandedUp })
}

/// Counts the packet and writes what is new in it.
#[inline(always)]
fn rewrite<F: Family, T: Transport>(
    packet: &Packet<T>,
    target: &Target,
    direction: Direction,
    counters: &mut TargetCounters,
    count_ttl: bool,
) {
    match direction {
        Direction::Request => {
            counters.request_packets += 1;
            counters.request_bytes += u64::from(packet.length);
            F::rewrite_destination(packet, target, count_ttl);
            packet.rewrite_transport(2, target.backend_port, target.request_l4_diff);
        }
        Direction::Reply => {
            counters.reply_packets += 1;
            counters.reply_bytes += u64::from(packet.length);
            F::rewrite_source(packet, target, count_ttl);
            packet.rewrite_transport(0, target.vip_port, target.reply_l4_diff);
        }
    }
}

/// Writes a header with the tags of the next hop, where it or the frame has any.
#[inline(never)]
fn tagged(ctx: *mut xdp_md, hop: &Hop, have: u32, ethertype: u16) -> bool {
    let want = hop.tag_bytes;
    // SAFETY: the context is the one the program was called with; what is written is checked
    // against the frame's end after the last change of its size.
    unsafe {
        if want != have && bpf_xdp_adjust_head(ctx, have as i32 - want as i32) != 0 {
            return false;
        }
        let (start, end) = ((*ctx).data as usize, (*ctx).data_end as usize);
        if start + ETHERNET + 8 > end {
            return false;
        }
        store(start, hop.mac_low);
        store(start + 8, hop.mac_high);
        match want {
            0 => store(start + 12, ethertype),
            4 => {
                store(start + 12, hop.tags[0]);
                store(start + 16, ethertype);
            }
            _ => {
                store(start + 12, hop.tags[0]);
                store(start + 16, hop.tags[1]);
                store(start + 20, ethertype);
            }
        }
    }
    true
}
