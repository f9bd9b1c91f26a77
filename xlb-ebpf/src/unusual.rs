//! Packets with VLAN tags, IPv4 options, IPv6 extension headers or fragments: where their headers are.
//!
//! This is a global function, which the verifier looks at once, by itself: it may call no pointer
//! into the frame its result, only offsets, and the ways through it don't multiply with those
//! through the rest of the program.

use aya_ebpf::bindings::xdp_md;
use xlb_common::reason::Reason;

use crate::family::{FRAGMENT_OFFSET, MORE_FRAGMENTS, TCP, UDP};
use crate::frame::{ETHERNET, IPV4, IPV6, QINQ, VLAN, load};

/// How many extension headers are walked before the packet is passed.
const EXTENSION_HEADERS: usize = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT_HEADER: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Where the headers are, packed into a word.
///
/// Bits 0..8: offset of the IP header. 8..24: offset of the transport header. 24..32: protocol.
/// 32: IPv6. 33: first fragment. 40..48: if not zero, 1 + the reason why there is nothing to find.
#[derive(Clone, Copy)]
pub struct Place(pub u64);

impl Place {
    /// Offset of the IP header from the frame's start, at most 63.
    pub const fn network(self) -> usize {
        (self.0 & 0x3f) as usize
    }

    /// Offset of the transport header from the frame's start, at most 2047.
    pub const fn transport(self) -> usize {
        (self.0 >> 8 & 0x7ff) as usize
    }

    pub const fn protocol(self) -> u8 {
        (self.0 >> 24) as u8
    }

    pub const fn is_ipv6(self) -> bool {
        self.0 >> 32 & 1 != 0
    }

    pub const fn first_fragment(self) -> bool {
        self.0 >> 33 & 1 != 0
    }

    /// Whether there is something to find.
    pub const fn found(self) -> bool {
        self.0 >> 40 == 0
    }

    /// Id of the reason why not.
    pub const fn reason(self) -> u32 {
        (self.0 >> 40) as u32 - 1
    }
}

const fn none(reason: Reason) -> u64 {
    (reason as u64 + 1) << 40
}

/// Finds the headers of any frame.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xlb_locate(ctx: *mut xdp_md) -> u64 {
    // SAFETY: the kernel hands a valid context over.
    let (start, end) = unsafe { ((*ctx).data as usize, (*ctx).data_end as usize) };
    let mut network = ETHERNET;
    if start + network > end {
        return none(Reason::Malformed);
    }
    // SAFETY: checked above.
    let mut ethertype: u16 = unsafe { load(start + 12) };
    let mut tags = 0;
    while tags < 2 && (ethertype == VLAN || ethertype == QINQ) {
        if start + network + 4 > end {
            return none(Reason::Malformed);
        }
        // SAFETY: checked above.
        ethertype = unsafe { load(start + network + 2) };
        network += 4;
        tags += 1;
    }
    match ethertype {
        IPV4 => ipv4(start, end, network),
        IPV6 => ipv6(start, end, network),
        _ => none(Reason::NotIp),
    }
}

#[inline(always)]
fn ipv4(start: usize, end: usize, network: usize) -> u64 {
    let header = start + network;
    if header + 20 > end {
        return none(Reason::Malformed);
    }
    // SAFETY: checked above.
    let (version, fragment, protocol) =
        unsafe { (load::<u8>(header), load::<u16>(header + 6), load::<u8>(header + 9)) };
    // A header of less than 20 bytes, or of another version, is none.
    if !(0x45..=0x4f).contains(&version) {
        return none(Reason::Malformed);
    }
    if protocol != TCP && protocol != UDP {
        return none(Reason::NotOurs);
    }
    if fragment & FRAGMENT_OFFSET != 0 {
        return none(Reason::Fragment);
    }
    let transport = network + (usize::from(version) & 0xf) * 4;
    let first_fragment = fragment & MORE_FRAGMENTS != 0;
    network as u64
        | (transport as u64) << 8
        | u64::from(protocol) << 24
        | u64::from(first_fragment) << 33
}

#[inline(always)]
fn ipv6(start: usize, end: usize, network: usize) -> u64 {
    let header = start + network;
    if header + 40 > end {
        return none(Reason::Malformed);
    }
    // SAFETY: checked above.
    let (version, mut next) = unsafe { (load::<u8>(header) >> 4, load::<u8>(header + 6)) };
    if version != 6 {
        return none(Reason::Malformed);
    }
    let mut offset = network + 40;
    let mut first_fragment = false;
    let mut walked = 0;
    while next != TCP && next != UDP {
        // Below 2048 there is room for six headers of the usual sizes; longer ones are attacks.
        if walked == EXTENSION_HEADERS || offset > 1024 {
            return none(Reason::ExtensionHeader);
        }
        walked += 1;
        let extension = start + offset;
        if extension + 8 > end {
            return none(Reason::Malformed);
        }
        // SAFETY: checked above.
        let (following, length, field) = unsafe {
            (load::<u8>(extension), load::<u8>(extension + 1), u16::from_be(load(extension + 2)))
        };
        match next {
            // Lengths are in units of 8 bytes, less one (RFC 8200, section 4).
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                // With segments left this address is a stop on the way, and the transport's
                // checksum is for another one (RFC 8200, section 8.1).
                if next == ROUTING && field & 0xff != 0 {
                    return none(Reason::ExtensionHeader);
                }
                offset += (usize::from(length) + 1) * 8;
                if offset > 1024 {
                    return none(Reason::ExtensionHeader);
                }
            }
            FRAGMENT_HEADER => {
                if field & 0xfff8 != 0 {
                    return none(Reason::Fragment);
                }
                first_fragment |= field & 1 != 0;
                offset += 8;
            }
            // With no extension header before it, this is simply another protocol.
            _ if walked == 1 => return none(Reason::NotOurs),
            _ => return none(Reason::ExtensionHeader),
        }
        next = following;
    }
    network as u64
        | (offset as u64) << 8
        | u64::from(next) << 24
        | 1 << 32
        | u64::from(first_fragment) << 33
}
