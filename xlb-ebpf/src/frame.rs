//! A frame comes in: Ethernet and VLAN headers, and raw access to its bytes.

use aya_ebpf::bindings::xdp_md;
use xlb_common::reason::Reason;

use crate::count::verdict;
use crate::family::{Ipv4, Ipv6};
use crate::{reply, request};

/// Bytes of an Ethernet header without tags.
pub const ETHERNET: usize = 14;
/// Ethertypes, raw.
pub const IPV4: u16 = 0x0800u16.to_be();
pub const IPV6: u16 = 0x86ddu16.to_be();
const VLAN: u16 = 0x8100u16.to_be();
const QINQ: u16 = 0x88a8u16.to_be();

/// The frame that the program was called for.
#[derive(Clone, Copy)]
pub struct Frame {
    pub ctx: *mut xdp_md,
    /// Address of the first byte.
    pub start: usize,
    /// Address behind the last byte (of the first piece).
    pub end: usize,
    /// Bytes of VLAN tags: 0, 4 or 8.
    pub tag_bytes: u32,
}

/// Reads a value at an address that has been checked against the frame's end.
///
/// # Safety
///
/// `address..address + size_of::<T>()` is within the frame.
#[inline(always)]
pub unsafe fn load<T: Copy>(address: usize) -> T {
    // SAFETY: by the caller. Headers are only 2-byte aligned, so the read is unaligned.
    unsafe { (address as *const T).read_unaligned() }
}

/// Writes a value at an address that has been checked against the frame's end.
///
/// # Safety
///
/// `address..address + size_of::<T>()` is within the frame.
#[inline(always)]
pub unsafe fn store<T>(address: usize, value: T) {
    // SAFETY: by the caller.
    unsafe { (address as *mut T).write_unaligned(value) }
}

/// The program: from a frame to a verdict. `PIECES`: the frame may continue beyond its end.
#[inline(always)]
pub fn receive<const PIECES: bool>(ctx: *mut xdp_md) -> u32 {
    // SAFETY: the kernel hands a valid context over.
    let (start, end) = unsafe { ((*ctx).data as usize, (*ctx).data_end as usize) };
    if start + ETHERNET > end {
        return verdict(Reason::Malformed);
    }
    // SAFETY: within the checked Ethernet header.
    let mut ethertype: u16 = unsafe { load(start + 12) };
    let mut network = start + ETHERNET;
    let mut tag_bytes = 0;
    if ethertype == VLAN || ethertype == QINQ {
        if start + ETHERNET + 4 > end {
            return verdict(Reason::Malformed);
        }
        // SAFETY: checked above.
        ethertype = unsafe { load(start + 16) };
        network = start + ETHERNET + 4;
        tag_bytes = 4;
        if ethertype == VLAN || ethertype == QINQ {
            if start + ETHERNET + 8 > end {
                return verdict(Reason::Malformed);
            }
            // SAFETY: checked above.
            ethertype = unsafe { load(start + 20) };
            network = start + ETHERNET + 8;
            tag_bytes = 8;
        }
    }
    let frame = Frame { ctx, start, end, tag_bytes };
    match ethertype {
        IPV4 => route::<Ipv4, PIECES>(&frame, network),
        IPV6 => route::<Ipv6, PIECES>(&frame, network),
        _ => verdict(Reason::NotIp),
    }
}

/// A request, a reply, or none of ours.
#[inline(always)]
fn route<F: crate::family::Family, const PIECES: bool>(frame: &Frame, network: usize) -> u32 {
    let packet = match F::parse::<PIECES>(frame, network) {
        Ok(packet) => packet,
        Err(reason) => return verdict(reason),
    };
    if let Some(service) = F::find_service(&packet) {
        request::forward::<F>(frame, &packet, service)
    } else if let Some(reply) = F::find_reply(&packet) {
        reply::forward::<F>(frame, &packet, reply)
    } else {
        verdict(Reason::NotOurs)
    }
}
