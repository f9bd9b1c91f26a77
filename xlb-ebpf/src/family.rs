//! IPv4 and IPv6: where their headers' fields are, and what differs between the two.

use core::marker::PhantomData;

use aya_ebpf::helpers::generated::bpf_xdp_get_buff_len;
use xlb_common::index::{self, Key6};
use xlb_common::layout::*;
use xlb_common::{checksum, toeplitz};

use crate::frame::{self, Frame, host_order, load, store};
use crate::maps::{REPLIES4, REPLIES6};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
/// Flags of a TCP header's byte 13 (RFC 9293).
pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

/// Where a packet's headers are, before its transport header has been looked at.
pub struct Headers {
    /// Address of the IP header.
    pub network: usize,
    /// Address of the TCP or UDP header.
    pub transport: usize,
    /// Bytes from the IP header on, as that header says.
    pub length: u32,
    /// Protocol of the transport header: [`TCP`] or [`UDP`].
    pub protocol: u8,
    /// More fragments follow, without ports.
    pub first_fragment: bool,
}

/// What differs between TCP and UDP. Each has its own copy of the path: no branch asks twice.
pub trait Transport {
    /// Protocol number.
    const PROTOCOL: u8;
    /// Bytes of the header without options.
    const HEADER: usize;
    /// Where the checksum is in it.
    const CHECKSUM: usize;
    /// The checksum after a change.
    fn update(checksum: u16, difference: u16) -> u16;
}

pub struct Tcp;

impl Transport for Tcp {
    const PROTOCOL: u8 = TCP;
    const HEADER: usize = 20;
    const CHECKSUM: usize = 16;

    #[inline(always)]
    fn update(checksum: u16, difference: u16) -> u16 {
        checksum::update(checksum, difference)
    }
}

pub struct Udp;

impl Transport for Udp {
    const PROTOCOL: u8 = UDP;
    const HEADER: usize = 8;
    const CHECKSUM: usize = 6;

    #[inline(always)]
    fn update(checksum: u16, difference: u16) -> u16 {
        checksum::update_udp(checksum, difference)
    }
}

/// A packet whose headers, up to and with the transport's, are within the frame.
pub struct Packet<T> {
    /// Address of the IP header.
    pub network: usize,
    /// Address of the TCP or UDP header.
    pub transport: usize,
    /// Bytes from the IP header on, as that header says.
    pub length: u32,
    /// More fragments follow, without ports.
    pub first_fragment: bool,
    /// See [`Frame::hot`].
    pub hot: &'static Hot,
    protocol: PhantomData<T>,
}

impl<T: Transport> Packet<T> {
    /// Checks that the packet is whole: the transport header in the frame, all the packet's bytes
    /// there, and the transport header among them.
    #[inline(always)]
    pub fn check<const PIECES: bool>(frame: &Frame, headers: Headers) -> Option<Self> {
        let Headers { network, transport, length, protocol: _, first_fragment } = headers;
        let whole = transport + T::HEADER <= frame.end
            && length as usize >= transport - network + T::HEADER
            && complete::<PIECES>(frame, network, length);
        let hot = frame.hot;
        whole.then_some(Self {
            network,
            transport,
            length,
            first_fragment,
            hot,
            protocol: PhantomData,
        })
    }

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
        if T::PROTOCOL == TCP {
            // SAFETY: within the TCP header.
            unsafe { load(self.transport + 13) }
        } else {
            0
        }
    }

    /// Sequence number of a TCP packet, host order.
    #[inline(always)]
    pub fn sequence(&self) -> u32 {
        // SAFETY: 8 bytes are there, of TCP and of UDP.
        u32::from_be(unsafe { load(self.transport + 4) })
    }

    /// Writes a port at `offset` and puts the checksum right.
    #[inline(always)]
    pub fn rewrite_transport(&self, offset: usize, port: u16, difference: u16) {
        // SAFETY: within the transport header.
        unsafe {
            store(self.transport + offset, port);
            let old: u16 = load(self.transport + T::CHECKSUM);
            store(self.transport + T::CHECKSUM, T::update(old, difference));
        }
    }
}

/// What differs between IPv4 and IPv6.
pub trait Family {
    /// Ethertype, raw.
    const ETHERTYPE: u16;
    /// `AF_INET` or `AF_INET6`.
    const SOCKET: u8;

    /// Bytes of the IP header without options.
    const HEADER: usize;

    /// The headers of a packet without options, extension headers and fragments, whose IP header
    /// has been checked to be there. `None`: somebody must look more closely.
    fn plain(network: usize) -> Option<Headers>;
    fn find_service<T: Transport>(packet: &Packet<T>) -> Option<&'static Service>;
    fn find_reply<T: Transport>(packet: &Packet<T>) -> Option<&'static Reply>;
    /// The client's share of the hash of a request.
    fn client_hash<T: Transport>(packet: &Packet<T>) -> u32;
    fn source<T: Transport>(packet: &Packet<T>) -> Address;
    fn destination<T: Transport>(packet: &Packet<T>) -> Address;
    fn same_source<T: Transport>(packet: &Packet<T>, address: &Address) -> bool;
    /// TTL or hop limit.
    fn ttl<T: Transport>(packet: &Packet<T>) -> u8;
    /// Whether a router may fragment the packet.
    fn may_fragment<T: Transport>(packet: &Packet<T>) -> bool;
    /// The precomputed next hop to the packet's destination.
    fn compiled_route<T: Transport>(packet: &Packet<T>) -> u16;
    fn rewrite_destination<T: Transport>(packet: &Packet<T>, target: &Target, count_ttl: bool);
    fn rewrite_source<T: Transport>(packet: &Packet<T>, target: &Target, count_ttl: bool);
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

/// The share of the hash of `N` bytes from `address` on, the first of which is at `position` of the
/// hash's input. Each byte is loaded by itself: taking words apart costs two instructions a byte.
#[inline(always)]
fn share<const N: usize>(hot: &Hot, position: usize, address: usize) -> u32 {
    let mut bytes = [0; N];
    let mut i = 0;
    while i < N {
        // SAFETY: within the headers that were checked. Volatile, so that it stays a byte.
        bytes[i] = unsafe { ((address + i) as *const u8).read_volatile() };
        i += 1;
    }
    toeplitz::share(&hot.toeplitz, position, bytes)
}

pub struct Ipv4;

pub const MORE_FRAGMENTS: u16 = 0x2000u16.to_be();
const DONT_FRAGMENT: u16 = 0x4000u16.to_be();
pub const FRAGMENT_OFFSET: u16 = 0x1fffu16.to_be();

impl Ipv4 {
    #[inline(always)]
    fn source_word<T: Transport>(packet: &Packet<T>) -> u32 {
        // SAFETY: within the IPv4 header.
        unsafe { load(packet.network + 12) }
    }

    #[inline(always)]
    fn destination_word<T: Transport>(packet: &Packet<T>) -> u32 {
        // SAFETY: within the IPv4 header.
        unsafe { load(packet.network + 16) }
    }

    /// Writes an address at `offset` and puts the checksum right, and counts the TTL down.
    #[inline(always)]
    fn rewrite<T: Transport>(
        packet: &Packet<T>,
        offset: usize,
        address: u32,
        difference: u16,
        count_ttl: bool,
    ) {
        // SAFETY: within the IPv4 header.
        unsafe {
            let old: u16 = load(packet.network + 10);
            let difference = if count_ttl { difference } else { checksum::without_ttl(difference) };
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
    const HEADER: usize = 20;

    #[inline(always)]
    fn plain(network: usize) -> Option<Headers> {
        // Version and header length, and fragment flags and offset: one look at eight bytes.
        const LOOK: u64 = u64::from_ne_bytes([0xff, 0, 0, 0, 0, 0, 0x3f, 0xff]);
        const PLAIN: u64 = u64::from_ne_bytes([0x45, 0, 0, 0, 0, 0, 0, 0]);
        // SAFETY: the caller has checked the 20 bytes of a header without options.
        let (first, protocol) = unsafe { (load::<u64>(network), load::<u8>(network + 9)) };
        let [_, _, high, low, ..] = first.to_ne_bytes();
        let length = host_order(u16::from_ne_bytes([high, low]));
        (first & LOOK == PLAIN).then_some(Headers {
            network,
            transport: network + 20,
            length,
            protocol,
            first_fragment: false,
        })
    }

    #[inline(always)]
    fn find_service<T: Transport>(packet: &Packet<T>) -> Option<&'static Service> {
        let hot = packet.hot;
        let word = hot.control.word;
        let half = (word & control::INDEX_HALF) as usize;
        let key =
            index::key4(Self::destination_word(packet), packet.destination_port(), T::PROTOCOL);
        let hash = index::hash4(key, (word >> control::SEED_SHIFT) as u32);
        let displacement = hot.service4_displacements[half][index::bucket(hash, SERVICE_BUCKETS)];
        let entry = &hot.services4[half][index::entry(hash, displacement, SERVICE_ENTRIES)];
        (entry.key == key).then_some(&entry.service)
    }

    #[inline(always)]
    fn find_reply<T: Transport>(packet: &Packet<T>) -> Option<&'static Reply> {
        let hot = packet.hot;
        let word = hot.control.word;
        let half = (word & control::INDEX_HALF) as usize;
        let key = index::key4(Self::source_word(packet), packet.source_port(), T::PROTOCOL);
        let hash = index::hash4(key, (word >> control::SEED_SHIFT) as u32);
        let displacement = hot.reply4_displacements[half][index::bucket(hash, REPLY_BUCKETS)];
        let entry = &REPLIES4.get()[half][index::entry(hash, displacement, REPLY_ENTRIES)];
        (entry.key == key).then_some(&entry.reply)
    }

    #[inline(always)]
    fn client_hash<T: Transport>(packet: &Packet<T>) -> u32 {
        share::<4>(packet.hot, toeplitz::v4::CLIENT, packet.network + 12)
            ^ share::<2>(packet.hot, toeplitz::v4::CLIENT_PORT, packet.transport)
    }

    #[inline(always)]
    fn source<T: Transport>(packet: &Packet<T>) -> Address {
        [u64::from(Self::source_word(packet)), 0]
    }

    #[inline(always)]
    fn destination<T: Transport>(packet: &Packet<T>) -> Address {
        [u64::from(Self::destination_word(packet)), 0]
    }

    #[inline(always)]
    fn same_source<T: Transport>(packet: &Packet<T>, address: &Address) -> bool {
        Self::source_word(packet) == address[0] as u32
    }

    #[inline(always)]
    fn ttl<T: Transport>(packet: &Packet<T>) -> u8 {
        // SAFETY: within the IPv4 header.
        unsafe { load(packet.network + 8) }
    }

    #[inline(always)]
    fn may_fragment<T: Transport>(packet: &Packet<T>) -> bool {
        // SAFETY: within the IPv4 header.
        unsafe { load::<u16>(packet.network + 6) & DONT_FRAGMENT == 0 }
    }

    #[inline(always)]
    fn compiled_route<T: Transport>(packet: &Packet<T>) -> u16 {
        // SAFETY: within the IPv4 header; the index is any u16.
        unsafe {
            let first_bytes: u16 = load(packet.network + 16);
            (&raw const packet.hot.routes4[usize::from(first_bytes)]).read_volatile()
        }
    }

    #[inline(always)]
    fn rewrite_destination<T: Transport>(packet: &Packet<T>, target: &Target, count_ttl: bool) {
        Self::rewrite(packet, 16, target.backend[0] as u32, target.request_ip_diff, count_ttl);
    }

    #[inline(always)]
    fn rewrite_source<T: Transport>(packet: &Packet<T>, target: &Target, count_ttl: bool) {
        Self::rewrite(packet, 12, target.vip[0] as u32, target.reply_ip_diff, count_ttl);
    }
}

pub struct Ipv6;

impl Ipv6 {
    #[inline(always)]
    fn address<T: Transport>(packet: &Packet<T>, offset: usize) -> Address {
        // SAFETY: within the IPv6 header.
        unsafe { [load(packet.network + offset), load(packet.network + offset + 8)] }
    }

    #[inline(always)]
    fn rewrite<T: Transport>(
        packet: &Packet<T>,
        offset: usize,
        address: &Address,
        count_ttl: bool,
    ) {
        // SAFETY: within the IPv6 header.
        unsafe {
            if count_ttl {
                let hop_limit: u8 = load(packet.network + 7);
                store(packet.network + 7, hop_limit - 1);
            }
            store(packet.network + offset, address[0]);
            store(packet.network + offset + 8, address[1]);
        }
    }
}

impl Family for Ipv6 {
    const ETHERTYPE: u16 = frame::IPV6;
    const SOCKET: u8 = 10;
    const HEADER: usize = 40;

    #[inline(always)]
    fn plain(network: usize) -> Option<Headers> {
        // SAFETY: the caller has checked the 40 bytes of the header.
        let (version, payload, protocol) = unsafe {
            (load::<u8>(network) >> 4, host_order(load(network + 4)), load::<u8>(network + 6))
        };
        (version == 6 && (protocol == TCP || protocol == UDP)).then_some(Headers {
            network,
            transport: network + 40,
            length: payload + 40,
            protocol,
            first_fragment: false,
        })
    }

    #[inline(always)]
    fn find_service<T: Transport>(packet: &Packet<T>) -> Option<&'static Service> {
        let hot = packet.hot;
        let word = hot.control.word;
        let half = (word & control::INDEX_HALF) as usize;
        let key = Key6::new(Self::address(packet, 24), packet.destination_port(), T::PROTOCOL);
        let hash = index::hash6(key, (word >> control::SEED_SHIFT) as u32);
        let displacement = hot.service6_displacements[half][index::bucket(hash, SERVICE_BUCKETS)];
        let entry = &hot.services6[half][index::entry(hash, displacement, SERVICE_ENTRIES)];
        (entry.key == key).then_some(&entry.service)
    }

    #[inline(always)]
    fn find_reply<T: Transport>(packet: &Packet<T>) -> Option<&'static Reply> {
        let hot = packet.hot;
        let word = hot.control.word;
        let half = (word & control::INDEX_HALF) as usize;
        let key = Key6::new(Self::address(packet, 8), packet.source_port(), T::PROTOCOL);
        let hash = index::hash6(key, (word >> control::SEED_SHIFT) as u32);
        let displacement = hot.reply6_displacements[half][index::bucket(hash, REPLY_BUCKETS)];
        let entry = &REPLIES6.get()[half][index::entry(hash, displacement, REPLY_ENTRIES)];
        (entry.key == key).then_some(&entry.reply)
    }

    #[inline(always)]
    fn client_hash<T: Transport>(packet: &Packet<T>) -> u32 {
        share::<16>(packet.hot, toeplitz::v6::CLIENT, packet.network + 8)
            ^ share::<2>(packet.hot, toeplitz::v6::CLIENT_PORT, packet.transport)
    }

    #[inline(always)]
    fn source<T: Transport>(packet: &Packet<T>) -> Address {
        Self::address(packet, 8)
    }

    #[inline(always)]
    fn destination<T: Transport>(packet: &Packet<T>) -> Address {
        Self::address(packet, 24)
    }

    #[inline(always)]
    fn same_source<T: Transport>(packet: &Packet<T>, address: &Address) -> bool {
        let [high, low] = Self::address(packet, 8);
        // The low half differs nearly always, so it is looked at first.
        low == address[1] && high == address[0]
    }

    #[inline(always)]
    fn ttl<T: Transport>(packet: &Packet<T>) -> u8 {
        // SAFETY: within the IPv6 header.
        unsafe { load(packet.network + 7) }
    }

    #[inline(always)]
    fn may_fragment<T: Transport>(_: &Packet<T>) -> bool {
        false
    }

    #[inline(always)]
    fn compiled_route<T: Transport>(packet: &Packet<T>) -> u16 {
        let hot = packet.hot;
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
    fn rewrite_destination<T: Transport>(packet: &Packet<T>, target: &Target, count_ttl: bool) {
        Self::rewrite(packet, 24, &target.backend, count_ttl);
    }

    #[inline(always)]
    fn rewrite_source<T: Transport>(packet: &Packet<T>, target: &Target, count_ttl: bool) {
        Self::rewrite(packet, 8, &target.vip, count_ttl);
    }
}
