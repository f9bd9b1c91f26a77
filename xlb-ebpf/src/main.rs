//! xlb's eBPF programs.
//!
//! A packet goes through these files in this order: `frame` and `family` find its headers
//! (and `unusual`, where they are not in their usual places),
//! `request` or `reply` knows it and decides where it goes, `flows` is asked only for slots
//! that change, `hop` only for next hops that are not precomputed, `send` puts it on its way.
//!
//! On the hot path there is no helper call but the redirect, no hash map, and no memory of flows.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod count;
mod family;
mod flows;
mod frame;
mod hop;
#[cfg(feature = "log")]
mod log;
mod maps;
mod reply;
mod request;
mod send;
mod tools;
mod unusual;

use aya_ebpf::{macros::xdp, programs::XdpContext};

/// The load balancer, for frames in one piece.
#[xdp]
#[inline(always)]
pub fn xlb(ctx: XdpContext) -> u32 {
    let action = frame::receive::<false>(ctx.ctx);
    #[cfg(feature = "log")]
    log::verdict(ctx.ctx, action);
    action
}

/// The load balancer, for frames that may come in several pieces (jumbo). Needs Linux 5.18.
#[xdp(frags)]
#[inline(always)]
pub fn xlb_frags(ctx: XdpContext) -> u32 {
    let action = frame::receive::<true>(ctx.ctx);
    #[cfg(feature = "log")]
    log::verdict(ctx.ctx, action);
    action
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier proves that this is never reached: a loop without an end would not load.
    loop {}
}

/// The kernel gives some helpers to programs under a GPL-compatible licence only.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
