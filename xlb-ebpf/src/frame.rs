//! A frame comes in: Ethernet and VLAN headers, and raw access to its bytes.

use aya_ebpf::bindings::xdp_md;
use xlb_common::layout::Hot;
use xlb_common::reason::Reason;

use crate::count::{pass, verdict};
use crate::family::{Family, Headers, Ipv4, Ipv6, Packet, TCP, Tcp, Transport, UDP, Udp};
use crate::maps::HOT;
use crate::unusual::{Place, xlb_locate};
use crate::{reply, request};

/// Bytes of an Ethernet header without tags.
pub const ETHERNET: usize = 14;
/// Ethertypes, raw.
pub const IPV4: u16 = 0x0800u16.to_be();
pub const IPV6: u16 = 0x86ddu16.to_be();
pub const VLAN: u16 = 0x8100u16.to_be();
pub const QINQ: u16 = 0x88a8u16.to_be();

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
    /// The tables, at an address that the compiler keeps in a register.
    pub hot: &'static Hot,
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
    let frame = Frame { ctx, start, end, tag_bytes: 0, hot: HOT.get_opaque() };
    let network = start + ETHERNET;
    if network + Ipv4::HEADER <= end {
        // SAFETY: checked above.
        let ethertype: u16 = unsafe { load(start + 12) };
        if ethertype == IPV4 {
            if let Some(headers) = Ipv4::plain(network) {
                return family::<Ipv4, PIECES>(&frame, headers);
            }
        } else if ethertype == IPV6
            && network + Ipv6::HEADER <= end
            && let Some(headers) = Ipv6::plain(network)
        {
            return family::<Ipv6, PIECES>(&frame, headers);
        }
    }
    unusual::<PIECES>(frame)
}

/// Anything but a plain packet without tags.
#[inline(always)]
fn unusual<const PIECES: bool>(frame: Frame) -> u32 {
    let place = Place(xlb_locate(frame.ctx));
    if !place.found() {
        return pass(place.reason());
    }
    // The verifier does not know what was checked in there.
    if frame.start + ETHERNET > frame.end {
        return verdict(Reason::Malformed);
    }
    let network = frame.start + place.network();
    let transport = frame.start + place.transport();
    let tag_bytes = (place.network() - ETHERNET) as u32 & 12;
    let frame = Frame { tag_bytes, ..frame };
    let (protocol, first_fragment) = (place.protocol(), place.first_fragment());
    if place.is_ipv6() {
        if network + Ipv6::HEADER > frame.end {
            return verdict(Reason::Malformed);
        }
        // SAFETY: checked above.
        let length = host_order(unsafe { load(network + 4) }) + 40;
        let headers = Headers { network, transport, length, protocol, first_fragment };
        return family::<Ipv6, PIECES>(&frame, headers);
    }
    if network + Ipv4::HEADER > frame.end {
        return verdict(Reason::Malformed);
    }
    // SAFETY: checked above.
    let length = host_order(unsafe { load(network + 2) });
    let headers = Headers { network, transport, length, protocol, first_fragment };
    family::<Ipv4, PIECES>(&frame, headers)
}

#[inline(always)]
fn family<F: Family, const PIECES: bool>(frame: &Frame, headers: Headers) -> u32 {
    match headers.protocol {
        TCP => route::<F, Tcp, PIECES>(frame, headers),
        UDP => route::<F, Udp, PIECES>(frame, headers),
        _ => verdict(Reason::NotOurs),
    }
}

/// A request, a reply, or none of ours.
#[inline(always)]
fn route<F: Family, T: Transport, const PIECES: bool>(frame: &Frame, headers: Headers) -> u32 {
    let Some(packet) = Packet::<T>::check::<PIECES>(frame, headers) else {
        return verdict(Reason::Malformed);
    };
    if let Some(service) = F::find_service(&packet) {
        request::forward::<F, T>(frame, &packet, service)
    } else if let Some(reply) = F::find_reply(&packet) {
        reply::forward::<F, T>(frame, &packet, reply)
    } else {
        verdict(Reason::NotOurs)
    }
}

/// A length from a header, in host order, with bounds that every verifier sees.
///
/// Linux 6.1 and 6.12 forget all bounds of a number when its bytes are swapped, and the compiler
/// drops a mask that it can tell to be superfluous: so the mask is hidden from it.
#[inline(always)]
pub fn host_order(raw: u16) -> u32 {
    let mut length = u64::from(u16::from_be(raw));
    // SAFETY: it changes nothing but the register.
    unsafe { core::arch::asm!("{0} &= 65535", inout(reg) length, options(pure, nomem, nostack)) };
    length as u32
}
