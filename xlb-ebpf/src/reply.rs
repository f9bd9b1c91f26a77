//! A reply: from a backend's service port, back to a client.
//!
//! Replies are known by the backend's address and port alone, so they are fenced: what goes to this
//! node itself, what a backend opens by itself, and what clients have directly with a backend pass
//! as they are.

use aya_ebpf::btf_maps::lpm_trie::Key;
use xlb_common::layout::{DirectKey, REPLY_DIRECT, Reply, TARGETS};
use xlb_common::reason::Reason;

use crate::count::{self, verdict};
use crate::family::{ACK, Family, Packet, SYN, Transport};
use crate::frame::Frame;
use crate::maps::{DIRECT, TARGET};
use crate::send::Direction;
use crate::{hop, send};

/// Gives the packet its VIP back and sends it to the client.
#[inline(always)]
pub fn forward<F: Family, T: Transport>(frame: &Frame, packet: &Packet<T>, reply: &Reply) -> u32 {
    if packet.flags() & (SYN | ACK) == SYN {
        return verdict(Reason::BackendsOwn);
    }
    // SAFETY: the context is the one the program was called with.
    let ingress = unsafe { (*frame.ctx).ingress_ifindex };
    if reply.ifindex != 0 && reply.ifindex != ingress {
        return verdict(Reason::Spoofed);
    }
    if reply.flags & REPLY_DIRECT != 0 && is_direct::<F, T>(packet, reply.target) {
        return verdict(Reason::Direct);
    }
    if packet.first_fragment {
        return verdict(Reason::FirstFragment);
    }
    let target = &TARGET.get()[usize::from(reply.target) & (TARGETS - 1)];
    // First of all, for the route says whether the packet is for this node.
    let hop = match hop::find::<F>(
        frame,
        F::compiled_route(packet),
        &F::destination(packet),
        Some(&target.vip),
    ) {
        Ok(hop) => hop,
        Err(reason) => return verdict(reason),
    };
    if F::ttl(packet) <= 1 {
        return verdict(Reason::TtlExpired);
    }
    let Some(counters) = count::target(reply.target) else {
        return verdict(Reason::Internal);
    };
    send::translated::<F, T>(frame, packet, target, hop, Direction::Reply, counters)
}

/// Whether the client is listed as talking to the backend directly.
#[inline(always)]
fn is_direct<F: Family, T: Transport>(packet: &Packet<T>, target: u16) -> bool {
    xlb_listed(u64::from(target), F::destination(packet)[0], F::destination(packet)[1]) != 0
}

/// A global function: the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xlb_listed(target: u64, high: u64, low: u64) -> u32 {
    let key = DirectKey {
        target: target as u32,
        address: [high as u32, (high >> 32) as u32, low as u32, (low >> 32) as u32],
    };
    DIRECT.get(&Key::new(8 * size_of::<DirectKey>() as u32, key)).is_some().into()
}
