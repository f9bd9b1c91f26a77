//! Small programs beside the load balancer: for the agent, the benchmark, labs and tests.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use xlb_common::layout::{BENCH_WORDS, Bench};

use crate::frame::{ETHERNET, store};
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

#[inline(always)]
fn bench(ctx: XdpContext) -> u32 {
    let bench: *mut Bench = BENCH.as_ptr();
    let (start, end) = (ctx.data(), ctx.data_end());
    let packet = start + ETHERNET;
    if packet + 8 * BENCH_WORDS > end {
        return xdp_action::XDP_ABORTED;
    }
    // SAFETY: the frame's size is checked, the section is as long as the program, and test runs of
    // one benchmark don't overlap.
    unsafe {
        let [low, high] = (*bench).ethernet;
        store(start, low);
        store(start + 8, high as u32);
        store(start + 12, (high >> 32) as u16);
        let mut i = 0;
        while i < BENCH_WORDS {
            store(packet + 8 * i, (*bench).packet[i]);
            i += 1;
        }
        let counter = (*bench).counter.wrapping_add(1);
        (*bench).counter = counter;
        // An odd factor visits every flow once before any comes again, in an order without locality.
        let flow = (counter as u32).wrapping_mul(0x9e37_79b1) & (*bench).flow_mask;
        let varied = (*bench).varied_word as usize & (BENCH_WORDS - 1);
        let word = (*bench).packet[varied];
        let number = u64::from(flow.to_be()) << ((*bench).varied_shift & 32);
        let place = packet + 8 * varied;
        // The verifier wants its own check of an offset that it does not know.
        if place + 8 > end {
            return xdp_action::XDP_ABORTED;
        }
        store(place, word.wrapping_add(number));
        UNDER_TEST.tail_call(&ctx, 0);
    }
    xdp_action::XDP_ABORTED
}
