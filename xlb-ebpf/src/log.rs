//! A line of log for every packet that is dropped, compiled in by the feature `log` only.
//!
//! A verdict's reason is noted per CPU where it is known; the entry points, which know the frame,
//! say it when they come to their end. This is for development: it costs far more than the packet.

use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::btf_maps::PerCpuArray;
use aya_ebpf::macros::btf_map;
use aya_log_ebpf::info;
use xlb_common::layout::REASONS;
use xlb_common::reason::Reason;

use crate::family::{Family, Ipv4, Ipv6, TCP};
use crate::frame::load;
use crate::unusual::{Place, xlb_locate};

/// The reason of the last verdict.
#[btf_map]
static NOTED: PerCpuArray<u32, 1> = PerCpuArray::new();

/// Room for the longest name. A power of two: a mask bounds lengths for the verifier.
const NAME: usize = 32;

/// A reason's name, without a pointer: nobody would relocate one in a table.
#[derive(Clone, Copy)]
struct Name {
    bytes: [u8; NAME],
    length: usize,
}

static NAMES: [Name; REASONS] = names();

const fn names() -> [Name; REASONS] {
    let mut names = [Name { bytes: [0; NAME], length: 0 }; REASONS];
    let mut i = 0;
    while i < Reason::ALL.len() {
        let reason = Reason::ALL[i];
        let text = reason.name().as_bytes();
        assert!(text.len() < NAME);
        let name = &mut names[reason as usize];
        name.length = text.len();
        let mut j = 0;
        while j < text.len() {
            name.bytes[j] = text[j];
            j += 1;
        }
        i += 1;
    }
    names
}

/// Keeps the reason of a verdict.
#[inline(always)]
pub fn note(reason: Reason) {
    if let Some(noted) = NOTED.get_ptr_mut(0) {
        // SAFETY: this CPU's own value.
        unsafe { *noted = reason as u32 };
    }
}

/// Says what was dropped.
#[inline(always)]
pub fn verdict(ctx: *mut xdp_md, action: u32) {
    if action == xdp_action::XDP_DROP {
        xlb_log_drop(ctx);
    }
}

/// The frame is looked at as it is now: what was rewritten before the drop is seen rewritten.
///
/// A global function: the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xlb_log_drop(ctx: *mut xdp_md) -> u32 {
    let place = Place(xlb_locate(ctx));
    // SAFETY: the kernel hands a valid context over.
    let (start, end, interface) =
        unsafe { ((*ctx).data as usize, (*ctx).data_end as usize, (*ctx).ingress_ifindex) };
    let network = start + place.network();
    let transport = start + place.transport();
    // Nothing is dropped whose headers were not found.
    if !place.found() || transport + 4 > end {
        return 0;
    }
    let protocol = if place.protocol() == TCP { "tcp" } else { "udp" };
    // SAFETY: checked above.
    let (from, to) = unsafe { (u16::from_be(load(transport)), u16::from_be(load(transport + 2))) };
    if place.is_ipv6() {
        if network + Ipv6::HEADER > end {
            return 0;
        }
        // SAFETY: checked above.
        let (source, destination): ([u8; 16], [u8; 16]) =
            unsafe { (load(network + 8), load(network + 24)) };
        info!(
            ctx,
            "interface {}: {} [{:i}]:{} > [{:i}]:{} dropped: {}",
            interface,
            protocol,
            source,
            from,
            destination,
            to,
            reason()
        );
    } else {
        if network + Ipv4::HEADER > end {
            return 0;
        }
        // SAFETY: checked above.
        let (source, destination): ([u8; 4], [u8; 4]) =
            unsafe { (load(network + 12), load(network + 16)) };
        info!(
            ctx,
            "interface {}: {} {:i}:{} > {:i}:{} dropped: {}",
            interface,
            protocol,
            source,
            from,
            destination,
            to,
            reason()
        );
    }
    0
}

/// The name of the reason that was noted last.
#[inline(always)]
fn reason() -> &'static str {
    let noted = match NOTED.get_ptr(0) {
        // SAFETY: this CPU's own value.
        Some(noted) => unsafe { *noted },
        None => 0,
    };
    let name = &NAMES[noted as usize & (REASONS - 1)];
    // SAFETY: names are ASCII, and the mask keeps the length within the room.
    unsafe { core::str::from_utf8_unchecked(name.bytes.get_unchecked(..name.length & (NAME - 1))) }
}
