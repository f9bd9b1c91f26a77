//! Next hops: precomputed, or else from the cache that the kernel's own lookup fills.

use aya_ebpf::bindings::xdp_md;
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
    address: &Address,
    source: Option<&Address>,
) -> Result<&'static Hop, Reason> {
    let hot = frame.hot;
    // SAFETY: the agent stores to the deadline meanwhile; reading the time is always possible.
    let trusted = unsafe { bpf_jiffies64() <= (&raw const hot.control.deadline).read_volatile() };
    if compiled != HOP_FINER && trusted {
        return Ok(&hot.hops[usize::from(compiled) & (HOPS - 1)]);
    }
    let question = Question {
        address: *address,
        source: source.copied().unwrap_or_default(),
        family: u64::from(F::SOCKET),
    };
    let answer = xlb_ask_cache(frame.ctx, &question);
    let Some(entry) = CACHE.get_ptr(answer & (CACHE_ENTRIES as u32 - 1)) else {
        return Err(Reason::Internal);
    };
    match answer >> 16 {
        // SAFETY: this CPU's own entry, just filled.
        cached::FORWARD => Ok(unsafe { &(*entry).hop }),
        cached::HAND_UP => Ok(&hot.hops[usize::from(HOP_HAND_UP)]),
        cached::PROHIBITED => Err(Reason::Prohibited),
        _ => Err(Reason::ToNode),
    }
}

/// What the cache is asked.
#[repr(C)]
pub struct Question {
    /// The destination.
    pub address: Address,
    /// The source, or zeroes if it does not matter.
    pub source: Address,
    /// `AF_INET` or `AF_INET6`.
    pub family: u64,
}

/// Makes sure that the cache holds the way to a destination, and says where (bits 0..16) and what
/// kind of way it is (from bit 16 on, one of [`cached`]).
///
/// A global function: the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xlb_ask_cache(ctx: *mut xdp_md, question: *const Question) -> u32 {
    // SAFETY: the verifier allows for a null pointer; there is none.
    let Some(&Question { address, source, family }) = (unsafe { question.as_ref() }) else {
        return 0;
    };
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
    let tag = source_tag(source);
    let mixed = (address[0] ^ family).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ address[1].wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    let place = (mixed >> 40) as u32 & (CACHE_ENTRIES as u32 - 1);
    let Some(entry) = CACHE.get_ptr_mut(place) else {
        return 0;
    };
    // SAFETY: this CPU's own entry, and a program is not interrupted by another on its CPU.
    let entry = unsafe { &mut *entry };
    if entry.generation == generation
        && entry.expires > now
        && entry.ingress == ingress
        && entry.source == tag
        && entry.address == address
    {
        return place | entry.outcome << 16;
    }
    let mut lookup = Lookup::new(family as u8, ingress, source, address);
    // SAFETY: the context is valid, and so is the question, whose size is given.
    let answer = unsafe {
        bpf_fib_lookup(ctx.cast(), (&raw mut lookup).cast(), size_of::<Lookup>() as i32, 0)
    };
    entry.outcome = match answer as u32 {
        0 => outcome(entry, &lookup),
        1..=3 => cached::PROHIBITED,
        4 => cached::NOT_FORWARDED,
        _ => cached::HAND_UP,
    };
    entry.address = address;
    entry.source = tag;
    entry.ingress = ingress;
    entry.generation = generation;
    // A neighbour that is not known yet will be soon: ask again for the next packet.
    entry.expires = if answer == 7 { now } else { now + control.cache_jiffies };
    place | entry.outcome << 16
}

/// The kernel's `struct bpf_fib_lookup`, in words: the stack must be accessed aligned, and the MACs
/// in that struct are not.
#[repr(transparent)]
struct Lookup([u64; 8]);

impl Lookup {
    #[inline(always)]
    fn new(family: u8, ingress: u32, source: Address, destination: Address) -> Self {
        let [a, b, c, d] = ingress.to_ne_bytes();
        Self([
            u64::from_ne_bytes([family, 0, 0, 0, 0, 0, 0, 0]),
            u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]),
            source[0],
            source[1],
            destination[0],
            destination[1],
            0,
            0,
        ])
    }

    /// The interface to send from.
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        let [a, b, c, d, ..] = self.0[1].to_ne_bytes();
        u32::from_ne_bytes([a, b, c, d])
    }

    /// The route's MTU, or 0 on kernels that don't tell (before 5.12).
    #[inline(always)]
    fn mtu(&self) -> u32 {
        let [.., a, b] = self.0[0].to_ne_bytes();
        u32::from(u16::from_ne_bytes([a, b]))
    }

    /// Destination and source MAC, as the words of a [`Hop`].
    #[inline(always)]
    fn macs(&self) -> (u64, u32) {
        let [_, _, _, _, s0, s1, s2, s3] = self.0[6].to_ne_bytes();
        let [s4, s5, dst @ ..] = self.0[7].to_ne_bytes();
        Hop::mac_words(dst, [s0, s1, s2, s3, s4, s5])
    }
}

/// The kernel knows the way: writes it down, if XDP can send from that interface.
#[inline(always)]
fn outcome(entry: &mut CachedHop, answer: &Lookup) -> u32 {
    // SAFETY: the value is copied; a change meanwhile gives an entry of a past generation.
    let Some(egress) = (unsafe { EGRESS.get(answer.ifindex()) }) else {
        return cached::HAND_UP;
    };
    let mtu = answer.mtu();
    (entry.hop.mac_low, entry.hop.mac_high) = answer.macs();
    entry.hop.ifindex = egress.ifindex;
    entry.hop.mtu = if mtu == 0 || mtu > egress.mtu { egress.mtu } else { mtu };
    entry.hop.tag_bytes = egress.tag_bytes;
    entry.hop.tags = egress.tags;
    cached::FORWARD
}
