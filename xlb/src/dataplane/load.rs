//! Loading: maps are made or taken over, programs are loaded or taken over.
//!
//! Sections of global data must be made before aya loads the object, because aya makes them without
//! `BPF_F_MMAPABLE`; it takes over what it finds pinned. It also writes zeroes over them, so that an
//! object is only ever loaded over fresh sections. Who takes a running data path over loads nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use aya::maps::{DevMapHash, HashMap, LpmTrie, Map, MapData, PerCpuArray, ProgramArray};
use aya::programs::Xdp;
use aya::{Ebpf, EbpfLoader};
use aya_obj::maps::{LegacyMap, bpf_map_def};
use aya_obj::programs::XdpAttachType;
use xlb_common::layout::*;

use super::pod::Raw;
use super::shared::Shared;

/// The eBPF object, built with this binary.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/xlb-ebpf"));

/// Sizes of the maps whose size is chosen when they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Slots of all services together.
    pub slots: u32,
    /// Flows remembered while slots change.
    pub flows: u32,
    /// Handshakes remembered while slots change.
    pub pending: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { slots: DEFAULT_SLOT_CAPACITY, flows: DEFAULT_FLOWS, pending: DEFAULT_PENDING }
    }
}

/// Typed handles of all maps.
pub struct Maps {
    pub(super) hot: Shared<Hot>,
    pub(super) targets: Shared<Target>,
    pub(super) replies4: Shared<Replies4>,
    pub(super) replies6: Shared<Replies6>,
    pub(super) refused: Shared<u64>,
    pub(super) near_slots: Shared<u32>,
    pub(super) far_slots: Shared<SlotLine>,
    pub(super) counters: PerCpuArray<MapData, Raw<TargetCounters>>,
    pub(super) reasons: PerCpuArray<MapData, Raw<[u64; REASONS]>>,
    pub(super) egress: HashMap<MapData, u32, Raw<Egress>>,
    pub(super) devices: DevMapHash<MapData>,
    pub(super) direct: LpmTrie<MapData, Raw<DirectKey>, u32>,
    pub(super) flows: HashMap<MapData, Raw<FlowKey>, Raw<Flow>>,
    pub(super) pending: HashMap<MapData, Raw<FlowKey>, Raw<Pending>>,
}

/// A loaded program and its maps.
pub struct Datapath {
    pub(super) maps: Maps,
    /// The load balancer.
    pub program: Xdp,
    /// Tells the time in jiffies.
    pub clock: Xdp,
    /// Name of the program's entry point.
    pub entry: &'static str,
}

/// The sections and their sizes.
const SECTIONS: [(&str, usize); 6] = [
    (".bss.hot", size_of::<Hot>()),
    (".bss.targets", size_of::<Targets>()),
    (".bss.slots", size_of::<NearSlots>()),
    (".bss.replies4", size_of::<Replies4>()),
    (".bss.replies6", size_of::<Replies6>()),
    (".bss.refused", size_of::<Refused>()),
];
/// The section that only the benchmark writes.
const BENCH_SECTION: (&str, usize) = (".bss.bench", size_of::<xlb_common::layout::Bench>());
/// The maps proper, by the names of their pins.
const MAPS: [&str; 8] =
    ["SLOTS", "COUNTERS", "REASON_COUNTS", "CACHE", "EGRESS", "DEVMAP", "DIRECT", "FLOWS"];
const PENDING: &str = "PENDING";

/// The program that tells the time.
const CLOCK: &str = "xlb_clock";
/// Entry points: the first one that the kernel takes is used.
const ENTRIES: [&str; 2] = ["xlb_frags", "xlb"];

/// A data path with everything that the benchmark needs beside it.
pub struct Bench {
    /// The data path under test.
    pub datapath: Datapath,
    /// The wrapper, of the program's kind.
    pub wrapper: Xdp,
    /// The floor, of the program's kind.
    pub floor: Xdp,
    /// What the wrapper calls.
    pub under_test: ProgramArray<MapData>,
    /// What the wrapper writes into frames.
    pub settings: Shared<xlb_common::layout::Bench>,
}

/// Makes sure that there is a bpffs at or above `directory`, and the directory itself.
///
/// # Errors
///
/// The directory can't be made, or is not on a bpffs and can't be.
pub fn prepare_pins(directory: &Path) -> Result<()> {
    const BPFFS: &str = "/sys/fs/bpf";
    if directory.starts_with(BPFFS) && !is_bpffs(Path::new(BPFFS)) {
        nix::mount::mount(
            Some("bpffs"),
            BPFFS,
            Some("bpf"),
            nix::mount::MsFlags::empty(),
            Some("mode=0700"),
        )
        .with_context(|| {
            format!("no BPF file system at {BPFFS}, and mounting one failed; as root: mount -t bpf bpffs {BPFFS}")
        })?;
        tracing::info!("mounted a BPF file system at {BPFFS}");
    }
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the directory {} for pins", directory.display()))?;
    ensure!(
        is_bpffs(directory),
        "{} is not on a BPF file system, where maps can be pinned; expected a directory below {BPFFS}, or mount one there: mount -t bpf bpffs DIRECTORY",
        directory.display()
    );
    Ok(())
}

fn is_bpffs(path: &Path) -> bool {
    nix::sys::statfs::statfs(path)
        .is_ok_and(|fs| fs.filesystem_type() == nix::sys::statfs::BPF_FS_MAGIC)
}

/// A directory of pins that goes away with its owner; the maps live on with who holds them.
struct TemporaryPins(PathBuf);

impl TemporaryPins {
    fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/sys/fs/bpf/xlb-private-{}-{count}", std::process::id()));
        prepare_pins(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryPins {
    fn drop(&mut self) {
        // Nothing to do about a failure; the next one has another name.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Datapath {
    /// Loads a data path of one's own, pinned nowhere: for benchmarks and tests.
    ///
    /// # Errors
    ///
    /// What [`Datapath::create`] says.
    pub fn private(limits: Limits) -> Result<Self> {
        Self::create(&TemporaryPins::new()?.0, limits)
    }

    /// Makes maps and programs and pins them in `pins`.
    ///
    /// # Errors
    ///
    /// A capability is missing, the kernel is too old, or there is no memory for the maps.
    pub fn create(pins: &Path, limits: Limits) -> Result<Self> {
        let mut object = load_object(pins, limits)?;
        load_entry(&mut object, pins)?;
        load_program(&mut object, CLOCK, pins)?;
        let datapath = Self::adopt(pins)?;
        // Whatever its size, the kernel takes it.
        let hand_up = Hop { mtu: u32::MAX, ..Hop::default() };
        datapath.write_hop(HOP_HAND_UP, hand_up);
        Ok(datapath)
    }

    /// Loads a data path of one's own and the benchmark's programs.
    ///
    /// # Errors
    ///
    /// What [`Datapath::create`] says.
    pub fn bench() -> Result<Bench> {
        let pins = TemporaryPins::new()?;
        let pins = pins.0.as_path();
        let mut object = load_object(pins, Limits::default())?;
        let [wrapper, floor] = match load_entry(&mut object, pins)? {
            "xlb_frags" => ["xlb_bench_frags", "xlb_floor_frags"],
            _ => ["xlb_bench", "xlb_floor"],
        };
        for name in [CLOCK, wrapper, floor] {
            load_program(&mut object, name, pins)?;
        }
        let under_test = object.take_map("UNDER_TEST").context("the object has no UNDER_TEST")?;
        Ok(Bench {
            datapath: Self::adopt(pins)?,
            wrapper: pinned_program(pins, wrapper)?,
            floor: pinned_program(pins, floor)?,
            under_test: ProgramArray::try_from(under_test)?,
            settings: open_section(pins, BENCH_SECTION.0, 1)?,
        })
    }

    /// Takes over what is pinned in `pins`.
    ///
    /// # Errors
    ///
    /// A pin is missing or has another layout than this binary's.
    pub fn adopt(pins: &Path) -> Result<Self> {
        let maps = Maps::open(pins)?;
        let clock = pinned_program(pins, CLOCK)?;
        for entry in ENTRIES {
            if pins.join(entry).exists() {
                return Ok(Self { maps, program: pinned_program(pins, entry)?, clock, entry });
            }
        }
        bail!("no program is pinned in {}", pins.display())
    }

    /// How many slots there is room for.
    pub fn slot_capacity(&self) -> u32 {
        NEAR_SLOTS + (self.maps.far_slots.len() * SLOTS_PER_LINE) as u32
    }
}

impl Maps {
    fn open(pins: &Path) -> Result<Self> {
        let slots = pinned(pins, "SLOTS")?;
        let lines = slots.info().context("cannot ask for the size of SLOTS")?.max_entries();
        Ok(Self {
            hot: open_section(pins, ".bss.hot", 1)?,
            targets: open_section(pins, ".bss.targets", TARGETS)?,
            replies4: open_section(pins, ".bss.replies4", 1)?,
            replies6: open_section(pins, ".bss.replies6", 1)?,
            refused: open_section(pins, ".bss.refused", SERVICES)?,
            near_slots: open_section(pins, ".bss.slots", NEAR_SLOTS as usize)?,
            far_slots: Shared::map(slots.fd(), lines as usize).context("cannot map SLOTS")?,
            counters: PerCpuArray::try_from(Map::PerCpuArray(pinned(pins, "COUNTERS")?))?,
            reasons: PerCpuArray::try_from(Map::PerCpuArray(pinned(pins, "REASON_COUNTS")?))?,
            egress: HashMap::try_from(Map::HashMap(pinned(pins, "EGRESS")?))?,
            devices: DevMapHash::try_from(Map::DevMapHash(pinned(pins, "DEVMAP")?))?,
            direct: LpmTrie::try_from(Map::LpmTrie(pinned(pins, "DIRECT")?))?,
            flows: HashMap::try_from(Map::HashMap(pinned(pins, "FLOWS")?))?,
            pending: HashMap::try_from(Map::HashMap(pinned(pins, PENDING)?))?,
        })
    }
}

/// The name of a section's pin: a bpffs takes no dots.
fn section_pin(name: &str) -> &str {
    name.trim_start_matches(".bss.")
}

fn pinned(pins: &Path, name: &str) -> Result<MapData> {
    MapData::from_pin(pins.join(name))
        .with_context(|| format!("cannot open the pinned map {name} in {}", pins.display()))
}

/// Maps a pinned section of `count` values, after a look at its size.
fn open_section<T: Copy>(pins: &Path, name: &str, count: usize) -> Result<Shared<T>> {
    let map = pinned(pins, section_pin(name))?;
    let size =
        map.info().with_context(|| format!("cannot ask for the size of {name}"))?.value_size();
    ensure!(
        size as usize == count * size_of::<T>(),
        "the pinned map {name} in {} has {size} bytes instead of {}: it belongs to another version of xlb",
        pins.display(),
        count * size_of::<T>()
    );
    Shared::map(map.fd(), count).with_context(|| format!("cannot map {name}"))
}

/// Makes the sections, pins them, and loads the object over them.
fn load_object(pins: &Path, limits: Limits) -> Result<Ebpf> {
    for (name, size) in SECTIONS.into_iter().chain([BENCH_SECTION]) {
        let definition = bpf_map_def {
            map_type: aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY as u32,
            key_size: size_of::<u32>() as u32,
            value_size: size as u32,
            max_entries: 1,
            map_flags: aya_obj::generated::BPF_F_MMAPABLE,
            ..bpf_map_def::default()
        };
        let map = aya_obj::Map::Legacy(LegacyMap {
            def: definition,
            inner_def: None,
            section_index: 0,
            section_kind: aya_obj::EbpfSectionKind::Bss,
            symbol_index: None,
            data: Vec::new(),
        });
        MapData::create(map, name, None)
            .map_err(explain_creation)?
            .pin(pins.join(section_pin(name)))
            .with_context(|| format!("cannot pin the map {name} in {}", pins.display()))?;
    }
    let mut loader = EbpfLoader::new();
    for (name, _) in SECTIONS.into_iter().chain([BENCH_SECTION]) {
        loader.map_pin_path(name, pins.join(section_pin(name)));
    }
    for name in MAPS.into_iter().chain([PENDING]) {
        loader.map_pin_path(name, pins.join(name));
    }
    loader
        .map_max_entries(
            "SLOTS",
            limits.slots.saturating_sub(NEAR_SLOTS).div_ceil(SLOTS_PER_LINE as u32).max(1),
        )
        .map_max_entries("FLOWS", limits.flows)
        .map_max_entries(PENDING, limits.pending)
        .load(OBJECT)
        .context("cannot load the eBPF object")
}

/// Says what a failure to make the first map usually means.
fn explain_creation(error: aya::maps::MapError) -> anyhow::Error {
    let help = match &error {
        aya::maps::MapError::CreateError { io_error, .. } => match io_error.raw_os_error() {
            Some(libc::EPERM) => {
                "the kernel refused to make a BPF map; needed: root, or the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
            }
            Some(libc::ENOMEM) => {
                "no memory for a BPF map; raise the memory limit of this service or cgroup, or ask for fewer slots"
            }
            Some(libc::E2BIG) => {
                "the kernel does not take maps of this size; needed: Linux 5.15 or newer"
            }
            _ => {
                "the kernel refused to make a BPF map; needed: Linux 5.15 or newer, with CONFIG_BPF_SYSCALL"
            }
        },
        _ => "cannot make a BPF map",
    };
    anyhow::Error::new(error).context(help)
}

/// Loads and pins the first entry point that the kernel takes, and says which.
fn load_entry(object: &mut Ebpf, pins: &Path) -> Result<&'static str> {
    let mut refusal = None;
    for entry in ENTRIES {
        match load_program(object, entry, pins) {
            Ok(()) => return Ok(entry),
            // Multi-buffer programs need Linux 5.18; the last answer is the one that counts.
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) => Err(error.context(
            "the kernel refused the program; needed: Linux 5.15 or newer with CONFIG_BPF_JIT",
        )),
        None => bail!("the eBPF object has no entry point"),
    }
}

fn load_program(object: &mut Ebpf, name: &str, pins: &Path) -> Result<()> {
    let program: &mut Xdp = object
        .program_mut(name)
        .with_context(|| format!("the eBPF object has no program {name}"))?
        .try_into()
        .with_context(|| format!("{name} is not an XDP program"))?;
    program.load().with_context(|| format!("the kernel refused to load {name}"))?;
    program
        .pin(pins.join(name))
        .with_context(|| format!("cannot pin the program {name} in {}", pins.display()))
}

fn pinned_program(pins: &Path, name: &str) -> Result<Xdp> {
    Xdp::from_pin(pins.join(name), XdpAttachType::Interface)
        .with_context(|| format!("cannot open the pinned program {name} in {}", pins.display()))
}

/// Whether a data path is pinned in `pins`, whole: the clock is pinned last.
pub fn is_running(pins: &Path) -> bool {
    pins.join(CLOCK).exists()
}

/// Removes all pins: what an agent left that did not get to the end of its start.
pub fn remove_pins(pins: &Path) {
    for entry in fs::read_dir(pins).into_iter().flatten().flatten() {
        if let Err(error) = fs::remove_file(entry.path()) {
            tracing::warn!("cannot remove the pin {}: {error}", entry.path().display());
        }
    }
}
