//! Counting: per CPU, so that nothing is shared.

use aya_ebpf::bindings::xdp_action;
use xlb_common::layout::TargetCounters;
use xlb_common::reason::{Action, Reason};

use crate::maps::{COUNTERS, REASON_COUNTS};

/// Counts a packet under `reason` and returns what happens to it.
#[inline(always)]
pub fn verdict(reason: Reason) -> u32 {
    count(reason as u32);
    #[cfg(feature = "log")]
    crate::log::note(reason);
    match reason.action() {
        Action::Pass | Action::HandUp => xdp_action::XDP_PASS,
        Action::Drop => xdp_action::XDP_DROP,
    }
}

/// Counts a packet under the reason with this id, which is one to pass it for.
#[inline(always)]
pub fn pass(reason: u32) -> u32 {
    count(reason);
    xdp_action::XDP_PASS
}

/// One copy of the code for all the reasons: none of them is on the hot path.
#[inline(never)]
fn count(reason: u32) {
    if let Some(counts) = REASON_COUNTS.get_ptr_mut(0) {
        // SAFETY: this CPU's own counters; the index is masked to the array's size.
        unsafe { (*counts)[reason as usize & (xlb_common::layout::REASONS - 1)] += 1 };
    }
}

/// This CPU's counters of a target.
#[inline(always)]
pub fn target(id: u16) -> Option<&'static mut TargetCounters> {
    // SAFETY: this CPU's own counters, and a program is not interrupted by another on its CPU.
    COUNTERS.get_ptr_mut(u32::from(id)).map(|counters| unsafe { &mut *counters })
}
