//! Small programs beside the load balancer: for the agent, the benchmark, labs and tests.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use xlb_common::layout::Bench;

use crate::frame::{load, store};
use crate::maps::{BENCH, UNDER_TEST};

/// Writes the time in jiffies over the frame's first 8 bytes. The agent calls it by test run.
#[xdp]
pub fn xlb_clock(ctx: XdpContext) -> u32 {
    if ctx.data() + 8 > ctx.data_end() {
        return xdp_action::XDP_ABORTED;
    }
    // SAFETY: checked above; reading the time is always possible.
    unsafe { store(ctx.data(), bpf_jiffies64()) };
    xdp_action::XDP_PASS
}

/// Passes everything. The far end of a veth needs some XDP program before frames can be sent to it.
#[xdp]
pub fn xlb_pass(_: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// The least a program can do: the floor that the benchmark measures beside the load balancer.
#[xdp]
pub fn xlb_floor(_: XdpContext) -> u32 {
    xdp_action::XDP_TX
}

/// [`xlb_floor`] for frames in several pieces: a tail call must not mix the two kinds.
#[xdp(frags)]
pub fn xlb_floor_frags(_: XdpContext) -> u32 {
    xdp_action::XDP_TX
}

/// Restores a frame that the program under test rewrote, varies its flow, and calls it again.
#[xdp]
pub fn xlb_bench(ctx: XdpContext) -> u32 {
    bench(ctx)
}

/// [`xlb_bench`] for frames in several pieces.
#[xdp(frags)]
pub fn xlb_bench_frags(ctx: XdpContext) -> u32 {
    bench(ctx)
}

/// Bytes of the template that are restored: Ethernet, IPv6 and most of TCP, or all of IPv4's.
const RESTORED: usize = 80;

#[inline(always)]
fn bench(ctx: XdpContext) -> u32 {
    let bench: *mut Bench = BENCH.as_ptr();
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + RESTORED > end {
        return xdp_action::XDP_ABORTED;
    }
    // SAFETY: the frame's size is checked, the section is as long as the program, and test runs of
    // one benchmark don't overlap.
    unsafe {
        let mut i = 0;
        while i < RESTORED / 8 {
            store(start + 8 * i, (*bench).template[i]);
            i += 1;
        }
        let counter = (&raw const (*bench).counter).read_volatile();
        (&raw mut (*bench).counter).write_volatile(counter.wrapping_add(1));
        // An odd factor visits every flow once before any comes again, in an order without locality.
        let flow = (counter as u32).wrapping_mul(0x9e37_79b1) & (*bench).flow_mask;
        let address = start + ((*bench).address_offset as usize & 63);
        if address + 4 > end {
            return xdp_action::XDP_ABORTED;
        }
        let word: u32 = load(address);
        store(address, word.wrapping_add(flow.to_be()));
        UNDER_TEST.tail_call(&ctx, 0);
    }
    xdp_action::XDP_ABORTED
}
