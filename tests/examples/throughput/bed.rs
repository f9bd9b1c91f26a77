//! The network, the generator and the two programs; one measurement.
//!
//! Everything happens on the calling thread, which goes from namespace to namespace: what it
//! attaches, and where it sends from, is looked for in the one it is in.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use aya::TestRun as _;
use aya::maps::{MapData, MapInfo};
use aya::programs::{TestRunAttrs, TestRunOptions, XdpMode};
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use nix::time::{ClockId, clock_gettime};
use xlb::dataplane::load::Bench;
use xlb::dataplane::{Datapath, PlannedBackend, PlannedService, test_run};
use xlb_common::layout::{self, Egress, Hop};
use xlb_tests::lab::Lab;
use xlb_tests::namespace::Namespace;

const NODE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SINK_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
/// The last 20 bits are zero, for the client's number.
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 0);
/// How many clients there can be.
pub const MOST_CLIENTS: u32 = 1 << 20;
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PORT: u16 = 443;
const BACKENDS: u16 = 16;
const BACKEND_PORT: u16 = 8443;
const HOP: u16 = 1;

const ETHERNET: usize = 14;
const XDP_REDIRECT: u32 = 4;
/// Frames that the generator sends at once; a veth's ring takes 256.
const BATCH: u32 = 64;

/// What happened in one round, with one of the programs.
pub struct Sample {
    /// Million frames a second, by the clock.
    pub clock: f64,
    /// The same by the thread's CPU time.
    pub cpu: f64,
    /// How many frames came to the sink.
    pub arrived: u64,
}

/// Everything that measurements need.
pub struct Bed {
    generator: Namespace,
    lb: Namespace,
    /// Where the frames go; something must take them from `s0`.
    pub sink: Namespace,
    bench: Bench,
    frame: Vec<u8>,
    g0: u32,
    l0: u32,
    l1: u32,
}

impl Bed {
    /// Builds it, for this many clients: a power of two.
    pub fn new(lab: &Lab, clients: u32) -> Result<Self> {
        let (generator, lb) = (lab.namespace("gen")?, lab.namespace("lb")?);
        let sink = lab.namespace("sink")?;
        for namespace in [&generator, &lb, &sink] {
            // What the kernel itself sends over IPv6 would be counted, too.
            namespace.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        }
        generator.cable("g0", &lb, "l0")?;
        lb.cable("l1", &sink, "s0")?;
        enter(&generator)?;
        let g0 = if_nametoindex("g0")?;
        enter(&lb)?;
        let (l0, l1) = (if_nametoindex("l0")?, if_nametoindex("l1")?);
        let mut bench = Datapath::bench()?;
        prepare(&mut bench.datapath, l1)?;
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(CLIENT_MAC, NODE_MAC)
            .ipv4(CLIENT.octets(), VIP.octets(), 64)
            .tcp(40_000, PORT, 1, 0xffff)
            .ack(1)
            .write(&mut frame, &[0x5a; 40])?;
        generate(&mut bench, &frame, clients)?;
        Ok(Self { generator, lb, sink, bench, frame, g0, l0, l1 })
    }

    /// Makes sure that xlb sends a backend what came for the VIP.
    pub fn check_translation(&self) -> Result<()> {
        enter(&self.lb)?;
        let outcome = test_run::once(&self.bench.datapath.program, &self.frame)?;
        ensure!(outcome.verdict == XDP_REDIRECT, "xlb's verdict is {}", outcome.verdict);
        let sent = SlicedPacket::from_ethernet(&outcome.frame)?;
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) =
            (&sent.net, &sent.transport)
        else {
            bail!("xlb made something else of a TCP packet: {sent:?}");
        };
        ensure!(
            outcome.frame.starts_with(&SINK_MAC)
                && (0..BACKENDS).any(|i| backend(i).ip() == ip.header().destination_addr())
                && tcp.destination_port() == BACKEND_PORT,
            "xlb did not send the packet to a backend: {sent:?}"
        );
        Ok(())
    }

    /// Sends frames through a program that only redirects them.
    pub fn redirect_only(&self, packets: u32) -> Result<Sample> {
        let map = device_map(&self.bench.datapath)?;
        let _link = self.lb.attach_redirect("l0", map.fd().as_fd(), self.l1)?;
        self.measure(packets)
    }

    /// Sends frames through xlb.
    pub fn xlb(&mut self, packets: u32) -> Result<Sample> {
        enter(&self.lb)?;
        let link = self.bench.datapath.program.attach_to_if_index(self.l0, XdpMode::Driver)?;
        let before = self.translated()?;
        let sample = self.measure(packets)?;
        let translated = self.translated()? - before;
        self.bench.datapath.program.detach(link)?;
        ensure!(
            sample.arrived <= translated && translated <= u64::from(packets),
            "{packets} frames sent, {translated} translated, {} arrived",
            sample.arrived
        );
        Ok(sample)
    }

    /// Sends frames and counts those that arrive.
    fn measure(&self, packets: u32) -> Result<Sample> {
        let before = self.arrived()?;
        enter(&self.generator)?;
        let (begin, cpu_before) = (Instant::now(), cpu_time()?);
        self.bench
            .wrapper
            .test_run(TestRunOptions {
                data_in: Some(&self.frame),
                ctx_in: Some(&from(self.g0, self.frame.len())),
                repeat: packets,
                attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                ..TestRunOptions::new()
            })
            .context("the kernel refused to send live frames")?;
        let (clock, cpu) = (begin.elapsed(), cpu_time()? - cpu_before);
        let arrived = self.settled(before + u64::from(packets))? - before;
        // Less would measure how frames are lost.
        ensure!(
            arrived <= u64::from(packets) && arrived >= u64::from(packets) / 10 * 9,
            "of {packets} frames {arrived} arrived"
        );
        let rate = |time: Duration| arrived as f64 / time.as_secs_f64() / 1e6;
        Ok(Sample { clock: rate(clock), cpu: rate(cpu), arrived })
    }

    /// What has arrived at the sink once it is `all`, or no more comes.
    fn settled(&self, all: u64) -> Result<u64> {
        let begin = Instant::now();
        loop {
            let arrived = self.arrived()?;
            if arrived >= all || begin.elapsed() > Duration::from_millis(200) {
                return Ok(arrived);
            }
        }
    }

    fn arrived(&self) -> Result<u64> {
        let statistics = self.sink.run("ethtool", &["-S", "s0"])?;
        statistics
            .lines()
            .find_map(|line| line.trim().strip_prefix("rx_queue_0_xdp_drops: "))
            .and_then(|number| number.parse().ok())
            .context("ethtool -S s0 shows no rx_queue_0_xdp_drops")
    }

    fn translated(&self) -> Result<u64> {
        let totals = (1..=BACKENDS).map(|target| self.bench.datapath.target_total(target));
        totals.map(|total| Ok(total?.request_packets)).sum()
    }
}

/// Moves this thread to a namespace: what it attaches and sends is found there.
fn enter(namespace: &Namespace) -> Result<()> {
    let path = namespace.path();
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    setns(file, CloneFlags::CLONE_NEWNET)
        .with_context(|| format!("cannot enter {}", namespace.name()))
}

fn backend(i: u16) -> SocketAddr {
    (Ipv4Addr::new(198, 51, 100, 1 + i as u8), BACKEND_PORT).into()
}

/// Fills the tables: one service, whose backends are all behind `s0`.
fn prepare(datapath: &mut Datapath, l1: u32) -> Result<()> {
    datapath.set_hash_key(&xlb_common::toeplitz::STANDARD_KEY);
    let (mac_low, mac_high) = Hop::mac_words(SINK_MAC, NODE_MAC);
    let hop = Hop { mac_low, mac_high, ifindex: l1, mtu: 1500, tag_bytes: 0, tags: [0; 2] };
    datapath.write_hop(HOP, hop);
    let egress = Egress { ifindex: l1, mtu: 1500, tag_bytes: 0, tags: [0; 2] };
    datapath.write_egress(&[(l1, egress)])?;
    datapath.set_deadline(u64::MAX);
    let backends = (0..BACKENDS).map(|i| PlannedBackend {
        target: 1 + i,
        address: backend(i),
        weight: 1,
        interface: 0,
        hop: HOP,
    });
    datapath.write_fresh(&[PlannedService {
        id: 0,
        vip: (VIP, PORT).into(),
        protocol: 6,
        first_slot: 0,
        slots: layout::DEFAULT_SLOTS,
        direct: Vec::new(),
        backends: backends.collect(),
    }])
}

/// Makes the benchmark's wrapper write this frame, each time from another client, and send it.
fn generate(bench: &mut Bench, frame: &[u8], clients: u32) -> Result<()> {
    let word = |offset: usize| {
        u64::from_ne_bytes(std::array::from_fn(|i| frame.get(offset + i).copied().unwrap_or(0)))
    };
    // Where the client's address is in the IP packet.
    let client = 12;
    let settings = layout::Bench {
        ethernet: [word(0), word(8) & 0xffff_ffff_ffff],
        packet: std::array::from_fn(|i| word(ETHERNET + 8 * i)),
        varied_word: client / 8,
        varied_shift: client % 8 * 8,
        flow_mask: clients - 1,
        ..layout::Bench::default()
    };
    bench.settings.write(0, |whole: *mut layout::Bench| whole, settings);
    // Back out of the interface that the frame seems to come from.
    let send = bench.floor.fd()?;
    Ok(bench.under_test.set(0, send, 0)?)
}

/// `struct xdp_md` of a frame that seems to come from this interface.
fn from(ifindex: u32, length: usize) -> Vec<u8> {
    // data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
    [0, length as u32, 0, ifindex, 0, 0].iter().flat_map(|field| field.to_ne_bytes()).collect()
}

/// The map through which xlb sends.
fn device_map(datapath: &Datapath) -> Result<MapData> {
    for id in datapath.program.info()?.map_ids()?.context("this kernel tells no maps")? {
        if MapInfo::from_id(id)?.name_as_str() == Some("DEVMAP") {
            return Ok(MapData::from_id(id)?);
        }
    }
    bail!("the program has no map DEVMAP")
}

fn cpu_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
