//! Next hops: precomputed, or else from the cache that the kernel's own lookup fills.

use aya_ebpf::bindings::{bpf_fib_lookup as FibLookup, xdp_md};
use aya_ebpf::helpers::generated::{bpf_fib_lookup, bpf_jiffies64};
use xlb_common::layout::*;
use xlb_common::reason::Reason;

use crate::family::Family;
use crate::frame::Frame;
use crate::maps::{CACHE, EGRESS, HOT};

/// The way to `address`: the compiled one while the agent is there to keep it true.
///
/// # Errors
///
/// [`Reason::ToNode`] if the kernel would not forward such a packet, [`Reason::Prohibited`] if a
/// route forbids it.
#[inline(always)]
pub fn find<F: Family>(
    frame: &Frame,
    compiled: u16,
    address: &[u32; 4],
    source: Option<&[u32; 4]>,
) -> Result<&'static Hop, Reason> {
    let hot = HOT.get();
    // SAFETY: the agent stores to the deadline meanwhile; reading the time is always possible.
    let trusted = unsafe { bpf_jiffies64() <= (&raw const hot.control.deadline).read_volatile() };
    if compiled != HOP_FINER && trusted {
        return Ok(&hot.hops[usize::from(compiled) & (HOPS - 1)]);
    }
    let entry = cached(frame.ctx, address, source, F::SOCKET).ok_or(Reason::Internal)?;
    match entry.outcome {
        cached::FORWARD => Ok(&entry.hop),
        cached::HAND_UP => Ok(&hot.hops[usize::from(HOP_HAND_UP)]),
        cached::PROHIBITED => Err(Reason::Prohibited),
        _ => Err(Reason::ToNode),
    }
}

/// The cache's entry for `address`, renewed if it is not this very question's or too old.
#[inline(never)]
fn cached(
    ctx: *mut xdp_md,
    address: &[u32; 4],
    source: Option<&[u32; 4]>,
    family: u8,
) -> Option<&'static CachedHop> {
    let control = &HOT.get().control;
    // SAFETY: the context is the one the program was called with; reading the time is always
    // possible; the agent stores to the generation meanwhile.
    let (ingress, now, generation) = unsafe {
        (
            (*ctx).ingress_ifindex,
            bpf_jiffies64(),
            (&raw const control.generation).read_volatile() + 1,
        )
    };
    let tag = source.map_or(0, |source| source_tag(*source));
    let mixed = address.iter().fold(family as u32, |mixed, word| {
        (mixed ^ word).wrapping_mul(0x9e37_79b1)
    });
    let entry = CACHE.get_ptr_mut((mixed >> 16) & (CACHE_ENTRIES as u32 - 1))?;
    // SAFETY: this CPU's own entry, and a program is not interrupted by another on its CPU.
    let entry = unsafe { &mut *entry };
    if entry.generation == generation
        && entry.expires > now
        && entry.ingress == ingress
        && entry.source == tag
        && entry.address == *address
    {
        return Some(entry);
    }
    // SAFETY: all-zero is a valid value of the kernel's struct.
    let mut question: FibLookup = unsafe { core::mem::zeroed() };
    question.family = family;
    question.ifindex = ingress;
    question.__bindgen_anon_4.ipv6_dst = *address;
    if let Some(source) = source {
        question.__bindgen_anon_3.ipv6_src = *source;
    }
    // SAFETY: the context and the question are valid, and the size is the question's.
    let answer = unsafe {
        bpf_fib_lookup(ctx.cast(), &mut question, size_of::<FibLookup>() as i32, 0)
    };
    entry.outcome = match answer as u32 {
        0 => outcome(entry, &question),
        1..=3 => cached::PROHIBITED,
        4 => cached::NOT_FORWARDED,
        _ => cached::HAND_UP,
    };
    entry.address = *address;
    entry.source = tag;
    entry.ingress = ingress;
    entry.generation = generation;
    // A neighbour that is not known yet will be soon: ask again for the next packet.
    entry.expires = if answer == 7 { now } else { now + control.cache_jiffies };
    Some(entry)
}

/// The kernel knows the way: writes it down, if XDP can send from that interface.
#[inline(always)]
fn outcome(entry: &mut CachedHop, answer: &FibLookup) -> u32 {
    // SAFETY: the value is copied; a change meanwhile gives an entry of a past generation.
    let Some(egress) = (unsafe { EGRESS.get(answer.ifindex) }) else {
        return cached::HAND_UP;
    };
    let (mac_low, mac_high) = Hop::mac_words(answer.dmac, answer.smac);
    // SAFETY: the kernel has written the route's MTU over the length it was asked about.
    let mtu = u32::from(unsafe { answer.__bindgen_anon_1.mtu_result });
    entry.hop.mac_low = mac_low;
    entry.hop.mac_high = mac_high;
    entry.hop.ifindex = egress.ifindex;
    entry.hop.mtu = if mtu == 0 || mtu > egress.mtu { egress.mtu } else { mtu };
    entry.hop.tag_bytes = egress.tag_bytes;
    entry.hop.tags = egress.tags;
    cached::FORWARD
}
