//! IPv4 and IPv6: where their headers' fields are, and what differs between the two.

use aya_ebpf::helpers::generated::bpf_xdp_get_buff_len;
use xlb_common::index::{self, Key6};
use xlb_common::layout::*;
use xlb_common::reason::Reason;
use xlb_common::{checksum, toeplitz};

use crate::frame::{self, Frame, load, store};
use crate::maps::{HOT, REPLIES4, REPLIES6};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
/// Flags of a TCP header's byte 13 (RFC 9293).
pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

/// A TCP or UDP packet whose headers are within the frame: 20 bytes of TCP, or 8 of UDP.
pub struct Packet {
    /// Address of the IP header.
    pub network: usize,
    /// Address of the TCP or UDP header.
    pub transport: usize,
    /// Bytes from the IP header on, as that header says.
    pub length: u32,
    /// [`TCP`] or [`UDP`].
    pub protocol: u8,
    /// More fragments follow, without ports.
    pub first_fragment: bool,
}

impl Packet {
    /// Source port, raw.
    #[inline(always)]
    pub fn source_port(&self) -> u16 {
        // SAFETY: within the transport header.
        unsafe { load(self.transport) }
    }

    /// Destination port, raw.
    #[inline(always)]
    pub fn destination_port(&self) -> u16 {
        // SAFETY: within the transport header.
        unsafe { load(self.transport + 2) }
    }

    /// Flags of a TCP packet; none of a UDP packet.
    #[inline(always)]
    pub fn flags(&self) -> u8 {
        if self.protocol == TCP {
            // SAFETY: within the TCP header.
            unsafe { load(self.transport + 13) }
        } else {
            0
        }
    }

    /// Sequence number of a TCP packet, host order.
    #[inline(always)]
    pub fn sequence(&self) -> u32 {
        // SAFETY: TCP or UDP, 8 bytes are there.
        u32::from_be(unsafe { load(self.transport + 4) })
    }

    /// Writes a port and puts the checksum right.
    #[inline(always)]
    pub fn rewrite_transport(&self, port_offset: usize, port: u16, difference: u16) {
        // SAFETY: within the transport header; the checksum is at byte 16 of TCP and 6 of UDP.
        unsafe {
            store(self.transport + port_offset, port);
            if self.protocol == TCP {
                let old: u16 = load(self.transport + 16);
                store(self.transport + 16, checksum::update(old, difference));
            } else {
                let old: u16 = load(self.transport + 6);
                store(self.transport + 6, checksum::update_udp(old, difference));
            }
        }
    }
}

/// What differs between IPv4 and IPv6.
pub trait Family {
    /// Ethertype, raw.
    const ETHERTYPE: u16;
    /// `AF_INET` or `AF_INET6`.
    const SOCKET: u8;

    fn parse<const PIECES: bool>(frame: &Frame, network: usize) -> Result<Packet, Reason>;
    fn find_service(packet: &Packet) -> Option<&'static Service>;
    fn find_reply(packet: &Packet) -> Option<&'static Reply>;
    /// The client's share of the hash of a request.
    fn client_hash(packet: &Packet) -> u32;
    /// Raw; IPv4 in the first word, the others zero.
    fn source(packet: &Packet) -> [u32; 4];
    fn destination(packet: &Packet) -> [u32; 4];
    fn same_source(packet: &Packet, address: &[u32; 4]) -> bool;
    /// TTL or hop limit.
    fn ttl(packet: &Packet) -> u8;
    /// Whether a router may fragment the packet.
    fn may_fragment(packet: &Packet) -> bool;
    /// The precomputed next hop to the packet's destination.
    fn compiled_route(packet: &Packet) -> u16;
    fn rewrite_destination(packet: &Packet, target: &Target, count_ttl: bool);
    fn rewrite_source(packet: &Packet, target: &Target, count_ttl: bool);
}

/// Whether `length` bytes from `network` on are there. A frame in pieces is asked for its size.
#[inline(always)]
fn complete<const PIECES: bool>(frame: &Frame, network: usize, length: u32) -> bool {
    if network + length as usize <= frame.end {
        return true;
    }
    // SAFETY: the context is the one the program was called with.
    PIECES && {
        let all = unsafe { bpf_xdp_get_buff_len(frame.ctx) };
        (frame::ETHERNET as u32 + frame.tag_bytes + length) as u64 <= all
    }
}

/// Whether the transport header is there.
#[inline(always)]
fn transport_fits(frame: &Frame, transport: usize, protocol: u8) -> bool {
    if protocol == TCP { transport + 20 <= frame.end } else { transport + 8 <= frame.end }
}

pub struct Ipv4;

const MORE_FRAGMENTS: u16 = 0x2000u16.to_be();
const DONT_FRAGMENT: u16 = 0x4000u16.to_be();
const FRAGMENT_OFFSET: u16 = 0x1fffu16.to_be();

impl Ipv4 {
    #[inline(always)]
    fn source_word(packet: &Packet) -> u32 {
        // SAFETY: within the IPv4 header.
        unsafe { load(packet.network + 12) }
    }

    #[inline(always)]
    fn destination_word(packet: &Packet) -> u32 {
        // SAFETY: within the IPv4 header.
        unsafe { load(packet.network + 16) }
    }

    /// Writes an address at `offset` and puts the checksum right, and counts the TTL down.
    #[inline(always)]
    fn rewrite(packet: &Packet, offset: usize, address: u32, difference: u16, count_ttl: bool) {
        // SAFETY: within the IPv4 header.
        unsafe {
            let old: u16 = load(packet.network + 10);
            let difference =
                if count_ttl { difference } else { checksum::without_ttl(difference) };
            store(packet.network + 10, checksum::update(old, difference));
            if count_ttl {
                let ttl: u8 = load(packet.network + 8);
                store(packet.network + 8, ttl - 1);
            }
            store(packet.network + offset, address);
        }
    }
}

impl Family for Ipv4 {
    const ETHERTYPE: u16 = frame::IPV4;
    const SOCKET: u8 = 2;

    #[inline(always)]
    fn parse<const PIECES: bool>(frame: &Frame, network: usize) -> Result<Packet, Reason> {
        if network + 20 > frame.end {
            return Err(Reason::Malformed);
        }
        // SAFETY: the 20 bytes of the header without options have been checked.
        let (version, length, fragment, protocol) = unsafe {
            (
                load::<u8>(network),
                u32::from(u16::from_be(load(network + 2))),
                load::<u16>(network + 6),
                load::<u8>(network + 9),
            )
        };
        if protocol != TCP && protocol != UDP {
            return Err(Reason::NotOurs);
        }
        let mut transport = network + 20;
        if version != 0x45 {
            // Options. A header of less than 20 bytes, or of another version, is none.
            if version < 0x45 || version > 0x4f {
                return Err(Reason::Malformed);
            }
            transport = network + (usize::from(version) & 0xf) * 4;
        }
        if fragment & FRAGMENT_OFFSET != 0 {
            return Err(Reason::Fragment);
        }
        if !transport_fits(frame, transport, protocol) || !complete::<PIECES>(frame, network, length)
        {
            return Err(Reason::Malformed);
        }
        let first_fragment = fragment & MORE_FRAGMENTS != 0;
        Ok(Packet { network, transport, length, protocol, first_fragment })
    }

    #[inline(always)]
    fn find_service(packet: &Packet) -> Option<&'static Service> {
        let hot = HOT.get();
        let word = hot.control.word;
        let half = (word & control::INDEX_HALF) as usize;
        let key = index::key4(
            Self::destination_word(packet),
            packet.destination_port(),
            packet.protocol,
        );
        let hash = index::hash4(key, (word >> control::SEED_SHIFT) as u32);
        let displacement =
            hot.service4_displacements[half][index::bucket(hash, SERVICE_BUCKETS)];
        let entry = &hot.services4[half][index::entry(hash, displacement, SERVICE_ENTRIES)];
        (entry.key == key).then_some(&entry.service)
    }

    #[inline(always)]
    fn find_reply(packet: &Packet) -> Option<&'static Reply> {
        let hot = HOT.get();
        let word = hot.control.word;
        let half = (word & control::INDEX_HALF) as usize;
        let key =
            index::key4(Self::source_word(packet), packet.source_port(), packet.protocol);
        let hash = index::hash4(key, (word >> control::SEED_SHIFT) as u32);
        let displacement = hot.reply4_displacements[half][index::bucket(hash, REPLY_BUCKETS)];
        let entry = &REPLIES4.get()[half][index::entry(hash, displacement, REPLY_ENTRIES)];
        (entry.key == key).then_some(&entry.reply)
    }

    #[inline(always)]
    fn client_hash(packet: &Packet) -> u32 {
        toeplitz::client4(&HOT.get().toeplitz, Self::source_word(packet), packet.source_port())
    }

    #[inline(always)]
    fn source(packet: &Packet) -> [u32; 4] {
        [Self::source_word(packet), 0, 0, 0]
    }

    #[inline(always)]
    fn destination(packet: &Packet) -> [u32; 4] {
        [Self::destination_word(packet), 0, 0, 0]
    }

    #[inline(always)]
    fn same_source(packet: &Packet, address: &[u32; 4]) -> bool {
        Self::source_word(packet) == address[0]
    }

    #[inline(always)]
    fn ttl(packet: &Packet) -> u8 {
        // SAFETY: within the IPv4 header.
        unsafe { load(packet.network + 8) }
    }

    #[inline(always)]
    fn may_fragment(packet: &Packet) -> bool {
        // SAFETY: within the IPv4 header.
        unsafe { load::<u16>(packet.network + 6) & DONT_FRAGMENT == 0 }
    }

    #[inline(always)]
    fn compiled_route(packet: &Packet) -> u16 {
        // SAFETY: within the IPv4 header; the index is any u16.
        unsafe {
            let first_bytes: u16 = load(packet.network + 16);
            (&raw const HOT.get().routes4[usize::from(first_bytes)]).read_volatile()
        }
    }

    #[inline(always)]
    fn rewrite_destination(packet: &Packet, target: &Target, count_ttl: bool) {
        Self::rewrite(packet, 16, target.backend[0], target.request_ip_diff, count_ttl);
    }

    #[inline(always)]
    fn rewrite_source(packet: &Packet, target: &Target, count_ttl: bool) {
        Self::rewrite(packet, 12, target.vip[0], target.reply_ip_diff, count_ttl);
    }
}

pub struct Ipv6;

/// How many extension headers are walked before the packet is passed.
const EXTENSION_HEADERS: usize = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT_HEADER: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

impl Ipv6 {
    #[inline(always)]
    fn address(packet: &Packet, offset: usize) -> [u32; 4] {
        // SAFETY: within the IPv6 header.
        unsafe { load(packet.network + offset) }
    }

    #[inline(always)]
    fn key(packet: &Packet, offset: usize, port: u16) -> Key6 {
        // SAFETY: within the IPv6 header.
        let (high, low) =
            unsafe { (load(packet.network + offset), load(packet.network + offset + 8)) };
        Key6 { high, low, rest: Key6::new([0; 4], port, packet.protocol).rest }
    }

    #[inline(always)]
    fn rewrite(packet: &Packet, offset: usize, address: &[u32; 4], count_ttl: bool) {
        // SAFETY: within the IPv6 header.
        unsafe {
            if count_ttl {
                let hop_limit: u8 = load(packet.network + 7);
                store(packet.network + 7, hop_limit - 1);
            }
            store(packet.network + offset, index::word_pair(address[0], address[1]));
            store(packet.network + offset + 8, index::word_pair(address[2], address[3]));
        }
    }

    /// Walks extension headers: the transport header, its protocol, and whether fragments follow.
    #[inline(always)]
    fn walk(frame: &Frame, network: usize, first: u8) -> Result<(usize, u8, bool), Reason> {
        let mut offset = 40;
        let mut next = first;
        let mut first_fragment = false;
        for _ in 0..=EXTENSION_HEADERS {
            let header = network + offset;
            match next {
                TCP | UDP => return Ok((header, next, first_fragment)),
                HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                    if header + 8 > frame.end {
                        return Err(Reason::Malformed);
                    }
                    // SAFETY: checked above. The length is in units of 8 bytes, less one.
                    unsafe {
                        next = load(header);
                        offset += (usize::from(load::<u8>(header + 1)) + 1) * 8;
                    }
                }
                FRAGMENT_HEADER => {
                    if header + 8 > frame.end {
                        return Err(Reason::Malformed);
                    }
                    // SAFETY: checked above.
                    let field = unsafe {
                        next = load(header);
                        u16::from_be(load(header + 2))
                    };
                    if field & 0xfff8 != 0 {
                        return Err(Reason::Fragment);
                    }
                    first_fragment = field & 1 != 0;
                    offset += 8;
                }
                _ => return Err(Reason::ExtensionHeader),
            }
        }
        Err(Reason::ExtensionHeader)
    }
}

impl Family for Ipv6 {
    const ETHERTYPE: u16 = frame::IPV6;
    const SOCKET: u8 = 10;

    #[inline(always)]
    fn parse<const PIECES: bool>(frame: &Frame, network: usize) -> Result<Packet, Reason> {
        if network + 40 > frame.end {
            return Err(Reason::Malformed);
        }
        // SAFETY: the 40 bytes of the header have been checked.
        let (version, payload, next) = unsafe {
            (
                load::<u8>(network) >> 4,
                u32::from(u16::from_be(load(network + 4))),
                load::<u8>(network + 6),
            )
        };
        if version != 6 {
            return Err(Reason::Malformed);
        }
        let mut transport = network + 40;
        let mut protocol = next;
        let mut first_fragment = false;
        if next != TCP && next != UDP {
            match next {
                HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | FRAGMENT_HEADER => {
                    (transport, protocol, first_fragment) = Self::walk(frame, network, next)?;
                }
                _ => return Err(Reason::NotOurs),
            }
        }
        let length = payload + 40;
        if !transport_fits(frame, transport, protocol) || !complete::<PIECES>(frame, network, length)
        {
            return Err(Reason::Malformed);
        }
        Ok(Packet { network, transport, length, protocol, first_fragment })
    }

    #[inline(always)]
    fn find_service(packet: &Packet) -> Option<&'static Service> {
        let hot = HOT.get();
        let word = hot.control.word;
        let half = (word & control::INDEX_HALF) as usize;
        let key = Self::key(packet, 24, packet.destination_port());
        let hash = index::hash6(key, (word >> control::SEED_SHIFT) as u32);
        let displacement =
            hot.service6_displacements[half][index::bucket(hash, SERVICE_BUCKETS)];
        let entry = &hot.services6[half][index::entry(hash, displacement, SERVICE_ENTRIES)];
        (entry.key == key).then_some(&entry.service)
    }

    #[inline(always)]
    fn find_reply(packet: &Packet) -> Option<&'static Reply> {
        let hot = HOT.get();
        let word = hot.control.word;
        let half = (word & control::INDEX_HALF) as usize;
        let key = Self::key(packet, 8, packet.source_port());
        let hash = index::hash6(key, (word >> control::SEED_SHIFT) as u32);
        let displacement = hot.reply6_displacements[half][index::bucket(hash, REPLY_BUCKETS)];
        let entry = &REPLIES6.get()[half][index::entry(hash, displacement, REPLY_ENTRIES)];
        (entry.key == key).then_some(&entry.reply)
    }

    #[inline(always)]
    fn client_hash(packet: &Packet) -> u32 {
        toeplitz::client6(&HOT.get().toeplitz, Self::address(packet, 8), packet.source_port())
    }

    #[inline(always)]
    fn source(packet: &Packet) -> [u32; 4] {
        Self::address(packet, 8)
    }

    #[inline(always)]
    fn destination(packet: &Packet) -> [u32; 4] {
        Self::address(packet, 24)
    }

    #[inline(always)]
    fn same_source(packet: &Packet, address: &[u32; 4]) -> bool {
        // SAFETY: within the IPv6 header.
        let (high, low): (u64, u64) =
            unsafe { (load(packet.network + 8), load(packet.network + 16)) };
        // The low half differs nearly always, so it is looked at first.
        low == index::word_pair(address[2], address[3])
            && high == index::word_pair(address[0], address[1])
    }

    #[inline(always)]
    fn ttl(packet: &Packet) -> u8 {
        // SAFETY: within the IPv6 header.
        unsafe { load(packet.network + 7) }
    }

    #[inline(always)]
    fn may_fragment(_: &Packet) -> bool {
        false
    }

    #[inline(always)]
    fn compiled_route(packet: &Packet) -> u16 {
        let hot = HOT.get();
        let half = (hot.control.word & control::ROUTES6_HALF != 0) as usize;
        // SAFETY: within the IPv6 header.
        let prefix: u64 = unsafe { load(packet.network + 24) };
        for route in &hot.routes6[half] {
            if prefix & route.mask == route.prefix {
                return route.hop as u16;
            }
        }
        HOP_FINER
    }

    #[inline(always)]
    fn rewrite_destination(packet: &Packet, target: &Target, count_ttl: bool) {
        Self::rewrite(packet, 24, &target.backend, count_ttl);
    }

    #[inline(always)]
    fn rewrite_source(packet: &Packet, target: &Target, count_ttl: bool) {
        Self::rewrite(packet, 8, &target.vip, count_ttl);
    }
}
