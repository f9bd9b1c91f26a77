//! Every struct, capacity and map that both sides see: the only place a byte layout is defined.
//!
//! # Rules
//!
//! - Every struct is `repr(C)`, has no implicit padding and a size that is checked below.
//! - Addresses, ports and VLAN tags are *raw*: the bytes of the packet, read as an integer of the
//!   machine (`u32::from_ne_bytes(octets)`), so that the program compares and stores them without
//!   swapping. See `Address`.
//! - `Hot`, `Targets`, `NearSlots`, `Replies4`, `Replies6` and `Refused` are sections of zeroed global data, which
//!   the kernel keeps as array maps of one element. The program addresses them directly, with no
//!   lookup at all; the agent maps them into its memory (`BPF_F_MMAPABLE`) and writes them there.
//!   Linux 5.15 limits such a value to 4 MiB.
//! - What is published never changes in place, but for the fields that are called *live*: those are
//!   aligned words that are written with one store.

/// Version of everything in this file. Maps of another version are never reused.
pub const LAYOUT_VERSION: u32 = 1;

/// How many services there can be.
pub const SERVICES: usize = 4096;
/// Entries in a half of a service index: twice the services, so that building one is quick.
pub const SERVICE_ENTRIES: usize = 2 * SERVICES;
/// Displacements in a half of a service index.
pub const SERVICE_BUCKETS: usize = SERVICES / 2;

/// How many targets there can be, counting [`NO_TARGET`]. A slot word has 15 bits for one.
pub const TARGETS: usize = 1 << 15;
/// Entries in a half of a reply index.
pub const REPLY_ENTRIES: usize = 2 * TARGETS;
/// Displacements in a half of a reply index.
pub const REPLY_BUCKETS: usize = TARGETS / 2;

/// How many next hops there can be, counting [`HOP_HAND_UP`].
pub const HOPS: usize = 1 << 15;
/// Entries in a half of the list of IPv6 routes.
pub const ROUTES6: usize = 16;

/// The target of a slot with no backend: the packet is dropped under a name.
pub const NO_TARGET: u16 = 0;
/// Next hop 0: rewrite the packet and let the kernel forward it.
pub const HOP_HAND_UP: u16 = 0;
/// Not a next hop: the cache, and behind it the kernel's own lookup, must be asked.
pub const HOP_FINER: u16 = u16::MAX;

/// How many slot words make an element of the slot map: one cache line.
///
/// The kernel rounds an array's elements up to 8 bytes, so single words would waste half of it.
pub const SLOTS_PER_LINE: usize = 16;
/// Default number of slots of a service: a prime, as Maglev's tables want.
pub const DEFAULT_SLOTS: u32 = 65_537;
/// The smallest and largest number of slots a service can have.
pub const SLOT_RANGE: core::ops::RangeInclusive<u32> = 7..=1_048_573;

/// Entries of the per-CPU cache of next hops; a power of two.
pub const CACHE_ENTRIES: usize = 2048;

/// Bits of [`Control::word`].
pub mod control {
    /// Which half of all four indexes is in force.
    pub const INDEX_HALF: u64 = 1;
    /// Which half of the IPv6 route list is in force.
    pub const ROUTES6_HALF: u64 = 2;
    /// How far the seed of the index in force is shifted.
    pub const SEED_SHIFT: u32 = 32;
}

/// An address, raw: the two halves of an IPv6 address, or an IPv4 address and zero.
///
/// Halves, because the kernel wants the program's stack to be accessed aligned, and whole words are
/// what a compiler makes of two neighbouring half words.
pub type Address = [u64; 2];

/// What a packet reads first.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct Control {
    /// Live. Halves and seed in force; see [`control`].
    pub word: u64,
    /// Live. Time in jiffies after which precomputed next hops are not trusted: the agent moves it
    /// on with every heartbeat.
    pub deadline: u64,
    /// Live. Generation of the cache of next hops: entries of another one are stale.
    pub generation: u64,
    /// Jiffies a cached next hop lives.
    pub cache_jiffies: u64,
    /// Room for what later versions need without another layout.
    pub reserved: [u64; 4],
}

/// What a packet needs to know of its service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Service {
    /// The Toeplitz hash of the VIP and its port, with zeroes for the client.
    pub hash: u32,
    /// The service's first slot; a multiple of [`SLOTS_PER_LINE`].
    pub first_slot: u32,
    /// How many slots the service has.
    pub slots: u32,
    /// The service's id, which the keys of remembered flows contain.
    pub id: u16,
    /// Reserved: zero.
    pub flags: u16,
}

/// An entry of the IPv4 service index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Service4 {
    /// The VIP, its port and protocol; see [`crate::index::key4`]. Zero in an unused entry.
    pub key: u64,
    /// What the packet needs.
    pub service: Service,
    /// Rounds the entry up to half a cache line.
    pub reserved: u64,
}

/// An entry of the IPv6 service index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Service6 {
    /// The VIP, its port and protocol; see [`crate::index::Key6`]. Zero in an unused entry.
    pub key: crate::index::Key6,
    /// What the packet needs.
    pub service: Service,
    /// Rounds the entry up to a cache line.
    pub reserved: [u64; 3],
}

/// What a reply needs to know of the backend that sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Reply {
    /// The target whose backend sent the packet.
    pub target: u16,
    /// [`REPLY_DIRECT`] or zero.
    pub flags: u16,
    /// The interface that replies must come from, or 0 for any.
    pub ifindex: u32,
}

/// Capacity of the trie `DIRECT`.
pub const DIRECT_ENTRIES: u32 = 65_536;
/// Capacity of the maps `DEVICES` and `EGRESS`.
pub const DEVICES: u32 = 4096;
/// Default capacity of the map `FLOWS`; set when it is made.
pub const DEFAULT_FLOWS: u32 = 262_144;
/// Default capacity of the map `PENDING`; set when it is made.
pub const DEFAULT_PENDING: u32 = 65_536;
/// Slots in the section `.bss.slots`, which are read without a lookup: fifteen services of the
/// default size. It is as large as Linux 5.15 allows.
pub const NEAR_SLOTS: u32 = 1 << 20;
/// Default number of slots in all: those in the section and those in the map `SLOTS`, whose size is
/// set when it is made.
pub const DEFAULT_SLOT_CAPACITY: u32 = 4 << 20;

/// Flag of [`Reply`]: some clients talk to this backend directly; ask the list of prefixes.
pub const REPLY_DIRECT: u16 = 1;

/// An entry of the IPv4 reply index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Reply4 {
    /// The backend's address, port and protocol. Zero in an unused entry.
    pub key: u64,
    /// What the packet needs.
    pub reply: Reply,
}

/// An entry of the IPv6 reply index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Reply6 {
    /// The backend's address, port and protocol. Zero in an unused entry.
    pub key: crate::index::Key6,
    /// What the packet needs.
    pub reply: Reply,
}

/// An IPv6 route: the first match in the list counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Route6 {
    /// The address's first 8 bytes, raw, masked.
    pub prefix: u64,
    /// Mask of the bits that must match, raw.
    pub mask: u64,
    /// The next hop, [`HOP_HAND_UP`] or [`HOP_FINER`].
    pub hop: u64,
}

/// Where a packet leaves the node. Immutable while a target, a route or a cache refers to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Hop {
    /// The first 8 bytes of the Ethernet header: destination, and 2 bytes of the source. Raw.
    pub mac_low: u64,
    /// The other 4 bytes of the source. Raw.
    pub mac_high: u32,
    /// The interface to send from; 0 hands the rewritten packet to the kernel.
    pub ifindex: u32,
    /// Largest IP packet that fits, in bytes.
    pub mtu: u32,
    /// How many bytes of `tags` belong in the frame: 0, 4 or 8.
    pub tag_bytes: u32,
    /// VLAN tags as they are in the frame, TPID and TCI, outer first. Raw.
    pub tags: [u32; 2],
}

impl Hop {
    /// Splits a destination and a source MAC into the words that the program stores.
    #[inline(always)]
    pub const fn mac_words(dst: [u8; 6], src: [u8; 6]) -> (u64, u32) {
        (
            u64::from_ne_bytes([dst[0], dst[1], dst[2], dst[3], dst[4], dst[5], src[0], src[1]]),
            u32::from_ne_bytes([src[2], src[3], src[4], src[5]]),
        )
    }
}

/// All that is needed to translate the packets of one backend of one service, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Target {
    /// The VIP, raw.
    pub vip: Address,
    /// The backend's address, raw.
    pub backend: Address,
    /// The service's port, raw.
    pub vip_port: u16,
    /// The backend's port, raw.
    pub backend_port: u16,
    /// What a request adds to the complement of its IPv4 header checksum, TTL included.
    pub request_ip_diff: u16,
    /// What a reply adds to the complement of its IPv4 header checksum, TTL included.
    pub reply_ip_diff: u16,
    /// What a request adds to the complement of its TCP or UDP checksum.
    pub request_l4_diff: u16,
    /// What a reply adds to the complement of its TCP or UDP checksum.
    pub reply_l4_diff: u16,
    /// Live. The next hop to the backend, [`HOP_HAND_UP`] or [`HOP_FINER`].
    pub hop: u32,
    /// Room for what later versions need without another layout.
    pub reserved: [u32; 3],
}

/// The section `.bss.hot`: what a packet reads on its way to a target.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Hot {
    /// Read first.
    pub control: Control,
    /// Toeplitz tables by position in the hash's input; see [`crate::toeplitz`].
    pub toeplitz: crate::toeplitz::Tables,
    /// Displacements of the IPv4 service index, by half.
    pub service4_displacements: [[u16; SERVICE_BUCKETS]; 2],
    /// Displacements of the IPv6 service index, by half.
    pub service6_displacements: [[u16; SERVICE_BUCKETS]; 2],
    /// Displacements of the IPv4 reply index, by half.
    pub reply4_displacements: [[u16; REPLY_BUCKETS]; 2],
    /// Displacements of the IPv6 reply index, by half.
    pub reply6_displacements: [[u16; REPLY_BUCKETS]; 2],
    /// The IPv4 service index, by half.
    pub services4: [[Service4; SERVICE_ENTRIES]; 2],
    /// The IPv6 service index, by half.
    pub services6: [[Service6; SERVICE_ENTRIES]; 2],
    /// Live. Next hops by the first two bytes of an IPv4 address, raw.
    pub routes4: [u16; 1 << 16],
    /// Routes by the first eight bytes of an IPv6 address, by half. The last entry matches all.
    pub routes6: [[Route6; ROUTES6]; 2],
    /// Next hops; the first one is [`HOP_HAND_UP`].
    pub hops: [Hop; HOPS],
}

/// The section `.bss.targets`.
pub type Targets = [Target; TARGETS];
/// The section `.bss.replies4`, by half.
pub type Replies4 = [[Reply4; REPLY_ENTRIES]; 2];
/// The section `.bss.replies6`, by half.
pub type Replies6 = [[Reply6; REPLY_ENTRIES]; 2];

/// The section `.bss.refused`, by service id: when, in jiffies, a flow of it last found no room in
/// `FLOWS` or `PENDING`. Live, written by the program alone.
pub type Refused = [u64; SERVICES];

/// The section `.bss.slots`: the first [`NEAR_SLOTS`] slots' [`crate::slot::SlotWord`]s, each live.
pub type NearSlots = [u32; NEAR_SLOTS as usize];

/// Element of the map `SLOTS`, which holds the slots from [`NEAR_SLOTS`] on: words, each live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct SlotLine {
    /// The words.
    pub words: [u32; SLOTS_PER_LINE],
}

/// Element of the per-CPU map `COUNTERS`, by target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TargetCounters {
    /// Packets from clients, forwarded or handed up.
    pub request_packets: u64,
    /// Bytes of those packets, from their IP header on.
    pub request_bytes: u64,
    /// Packets from the backend, forwarded or handed up.
    pub reply_packets: u64,
    /// Bytes of those packets, from their IP header on.
    pub reply_bytes: u64,
    /// TCP SYNs from clients.
    pub opened: u64,
    /// TCP segments with FIN or RST from clients.
    pub closed: u64,
    /// Room for what later versions need without another layout.
    pub reserved: [u64; 2],
}

/// How many counters the per-CPU map `REASONS` has.
pub const REASONS: usize = 64;

/// Element of the per-CPU map `CACHE`: a next hop that the kernel was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CachedHop {
    /// Destination address.
    pub address: Address,
    /// [`Control::generation`] when the entry was written, plus one: zero is never valid.
    pub generation: u64,
    /// Time in jiffies when the entry ends.
    pub expires: u64,
    /// The interface that the packet came from, which the kernel's answer depends on.
    pub ingress: u32,
    /// One of [`cached`].
    pub outcome: u32,
    /// What [`source_tag`] makes of the source address: policy routing may depend on it.
    pub source: u64,
    /// Where to, if the outcome is [`cached::FORWARD`].
    pub hop: Hop,
}

/// Stands for a source address in [`CachedHop::source`].
///
/// Sources are VIPs, or none, so that the few bits of this are enough to tell them apart.
#[inline(always)]
pub const fn source_tag(address: Address) -> u64 {
    address[0] ^ address[1]
}

/// Values of [`CachedHop::outcome`].
pub mod cached {
    /// Send it to the hop.
    pub const FORWARD: u32 = 1;
    /// The kernel must do it: no neighbour yet, or an interface that XDP can't send from.
    pub const HAND_UP: u32 = 2;
    /// The kernel would not forward it: the address is this node's own, or there is no route.
    pub const NOT_FORWARDED: u32 = 3;
    /// A route says that such packets must not go anywhere.
    pub const PROHIBITED: u32 = 4;
}

/// Value of the map `EGRESS`, by interface index: how to send from that interface.
///
/// Interfaces that XDP can't send from are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Egress {
    /// The physical interface under it: itself, but for a VLAN device.
    pub ifindex: u32,
    /// Largest IP packet that fits, in bytes.
    pub mtu: u32,
    /// How many bytes of `tags` belong in the frame: 0, 4 or 8.
    pub tag_bytes: u32,
    /// VLAN tags as they are in the frame, TPID and TCI, outer first. Raw.
    pub tags: [u32; 2],
}

/// Key of the LPM trie `DIRECT`, after the prefix length: clients that talk to a backend directly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DirectKey {
    /// The target whose backend sent the packet; always matched whole.
    pub target: u32,
    /// The client's address, raw, in words; IPv4 in the first. (The trie's key is packed.)
    pub address: [u32; 4],
}

/// Key of the maps `FLOWS` and `PENDING`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey {
    /// The client's address.
    pub client: Address,
    /// The client's port, raw.
    pub port: u16,
    /// [`Service::id`], which stands for VIP, port and protocol.
    pub service: u16,
    /// Zero.
    pub reserved: u32,
}

/// Value of the map `FLOWS`: where a live flow of a watched slot goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// When the flow was last seen, in jiffies; written at most once a second.
    pub seen: u64,
    /// Its target.
    pub target: u16,
    /// 1 once the client has sent FIN or RST.
    pub closed: u16,
    /// Zero.
    pub reserved: u32,
}

/// Value of the map `PENDING`: where a flow goes of which only SYNs have been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Pending {
    /// When a SYN was last seen, in jiffies.
    pub seen: u64,
    /// The sequence numbers of the last two SYNs that differ, host order.
    pub sequences: [u32; 2],
    /// Its target.
    pub target: u16,
    /// 1 if the flow has sent more than SYNs, but found no room in `FLOWS`.
    pub established: u16,
    /// Zero.
    pub reserved: u32,
}

/// The section `.bss.bench`: what the benchmark's wrapper writes into a frame before each run.
///
/// In pieces that no field of a header straddles: a load that spans two recent stores waits for
/// both, which a packet that a NIC has written does not cost.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct Bench {
    /// The Ethernet header, and two bytes of nothing.
    pub ethernet: [u64; 2],
    /// The first bytes of the IP packet.
    pub packet: [u64; BENCH_WORDS],
    /// Which word of `packet` differs from flow to flow.
    pub varied_word: u32,
    /// How far the flow's number is shifted in it.
    pub varied_shift: u32,
    /// The number of flows less one; the number is a power of two.
    pub flow_mask: u32,
    /// Zero.
    pub reserved: u32,
    /// Live: counts frames.
    pub counter: u64,
}

/// Words of the IP packet that the benchmark's wrapper restores.
pub const BENCH_WORDS: usize = 8;

const _: () = {
    assert!(size_of::<Control>() == 64);
    assert!(size_of::<Service>() == 16);
    assert!(size_of::<Service4>() == 32);
    assert!(size_of::<Service6>() == 64);
    assert!(size_of::<Reply>() == 8);
    assert!(size_of::<Reply4>() == 16);
    assert!(size_of::<Reply6>() == 32);
    assert!(size_of::<Route6>() == 24);
    assert!(size_of::<Hop>() == 32);
    assert!(size_of::<Target>() == 64);
    assert!(size_of::<SlotLine>() == 64);
    assert!(size_of::<TargetCounters>() == 64);
    assert!(size_of::<CachedHop>() == 80);
    assert!(size_of::<Egress>() == 20);
    assert!(size_of::<DirectKey>() == 20);
    assert!(size_of::<FlowKey>() == 24);
    assert!(size_of::<Flow>() == 16);
    assert!(size_of::<Pending>() == 24);
    // Linux 5.15's limit for an array's value.
    assert!(size_of::<Hot>() <= 4 << 20);
    assert!(size_of::<Targets>() <= 4 << 20);
    assert!(size_of::<NearSlots>() <= 4 << 20);
    assert!(size_of::<Replies4>() <= 4 << 20);
    assert!(size_of::<Replies6>() <= 4 << 20);
};
