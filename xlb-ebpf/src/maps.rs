//! Every map: the sections of global data, which are addressed directly, and the maps proper.
//!
//! The agent writes all of it but the counters, the cache and the flow tables; see
//! `xlb_common::layout` for shapes and rules.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::btf_maps::{Array, DevMapHash, HashMap, LpmTrie, PerCpuArray, ProgramArray};
use aya_ebpf::macros::btf_map;
use xlb_common::layout::*;

/// Zeroed global data that the agent maps into its memory and writes.
#[repr(transparent)]
pub struct Section<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: the program only reads, but for counters of one word; what the agent writes meanwhile is
// either not reachable yet or one aligned word (see `layout`).
unsafe impl<T> Sync for Section<T> {}

impl<T> Section<T> {
    const fn zeroed() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    /// The section's address.
    ///
    /// Sections are exported (`no_mangle`), so that the compiler takes nothing for granted about what is
    /// in them: others write there.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut T {
        self.0.get().cast()
    }

    /// The section, for reading, as something that the compiler knows no address of.
    ///
    /// A constant address is put into a register anew before each of the many table lookups of a
    /// packet, which is an instruction each.
    #[inline(always)]
    pub fn get_opaque(&self) -> &T {
        let mut address = self.as_ptr() as usize;
        // SAFETY: copies a register to itself, so that it is the section's address still.
        unsafe {
            core::arch::asm!("{0} = {0}", inout(reg) address, options(pure, nomem, nostack));
            &*(address as *const T)
        }
    }

    /// The section, for reading.
    #[inline(always)]
    pub fn get(&self) -> &T {
        // SAFETY: zeroed bytes are a valid value of all our layouts, and the kernel keeps the
        // section as long as the program.
        unsafe { &*self.as_ptr() }
    }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.hot")]
pub static HOT: Section<Hot> = Section::zeroed();

#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.targets")]
pub static TARGET: Section<Targets> = Section::zeroed();

#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.slots")]
pub static NEAR_SLOT: Section<NearSlots> = Section::zeroed();

#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.replies4")]
pub static REPLIES4: Section<Replies4> = Section::zeroed();

#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.replies6")]
pub static REPLIES6: Section<Replies6> = Section::zeroed();

#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.refused")]
pub static REFUSED: Section<Refused> = Section::zeroed();

#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.bench")]
pub static BENCH: Section<Bench> = Section::zeroed();

/// Lines of slots beyond those of the section.
const FAR_LINES: usize = (DEFAULT_SLOT_CAPACITY - NEAR_SLOTS) as usize / SLOTS_PER_LINE;

/// Slot words beyond those of the section. Its lookup is inlined.
#[btf_map]
pub static SLOTS: Array<SlotLine, FAR_LINES, { BPF_F_MMAPABLE as usize }> = Array::new();

/// Counters by target. Its lookup is inlined from Linux 6.10 on.
#[btf_map]
pub static COUNTERS: PerCpuArray<TargetCounters, TARGETS> = PerCpuArray::new();

/// Counters by reason.
#[btf_map]
pub static REASON_COUNTS: PerCpuArray<[u64; REASONS], 1> = PerCpuArray::new();

/// Next hops that the kernel was asked for.
#[btf_map]
pub static CACHE: PerCpuArray<CachedHop, CACHE_ENTRIES> = PerCpuArray::new();

/// How to send from an interface, by its index.
#[btf_map]
pub static EGRESS: HashMap<u32, Egress, { DEVICES as usize }> = HashMap::new();

/// Interfaces that packets are redirected to, by their index.
#[btf_map]
pub static DEVMAP: DevMapHash<{ DEVICES as usize }> = DevMapHash::new();

/// Clients that talk to a backend directly.
#[btf_map]
pub static DIRECT: LpmTrie<DirectKey, u32, { DIRECT_ENTRIES as usize }> = LpmTrie::new();

/// Live flows of slots that change.
#[btf_map]
pub static FLOWS: HashMap<FlowKey, Flow, { DEFAULT_FLOWS as usize }> = HashMap::new();

/// Flows of slots that change, of which only SYNs have been seen.
#[btf_map]
pub static PENDING: HashMap<FlowKey, Pending, { DEFAULT_PENDING as usize }> = HashMap::new();

/// What the benchmark's wrapper calls: the program under test.
#[btf_map]
pub static UNDER_TEST: ProgramArray<1> = ProgramArray::new();
