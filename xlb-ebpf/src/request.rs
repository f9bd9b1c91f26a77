//! A request: from a client to a VIP.

use xlb_common::layout::{NEAR_SLOTS, NO_TARGET, SLOTS_PER_LINE, Service};
use xlb_common::reason::Reason;
use xlb_common::slot::{self, SlotWord};

use crate::count::{self, verdict};
use crate::family::{ACK, FIN, Family, Packet, RST, SYN, Transport};
use crate::frame::Frame;
use crate::maps::{NEAR_SLOT, SLOTS, TARGET};
use crate::send::Direction;
use crate::{flows, hop, send};

/// Sends the packet to the backend of its slot.
#[inline(always)]
pub fn forward<F: Family, T: Transport>(
    frame: &Frame,
    packet: &Packet<T>,
    service: &Service,
) -> u32 {
    if packet.first_fragment {
        return verdict(Reason::FirstFragment);
    }
    let hash = service.hash ^ together(F::client_hash(packet));
    let slot = u64::from(service.first_slot) + u64::from(slot::choose(hash, service.slots));
    let Some(word) = word(slot) else {
        return verdict(Reason::Internal);
    };
    let id =
        if word.watched() { flows::follow::<F, T>(packet, service, word) } else { word.current() };
    if id == NO_TARGET {
        return verdict(Reason::NoBackend);
    }
    let target = &TARGET.get()[usize::from(id) & (xlb_common::layout::TARGETS - 1)];
    if F::same_source(packet, &target.backend) {
        return verdict(Reason::Hairpin);
    }
    if F::same_source(packet, &target.vip) {
        return verdict(Reason::Martian);
    }
    if F::ttl(packet) <= 1 {
        return verdict(Reason::TtlExpired);
    }
    // SAFETY: the agent may store to this field meanwhile.
    let compiled = unsafe { (&raw const target.hop).read_volatile() } as u16;
    let hop = match hop::find::<F>(frame, compiled, &target.backend, None) {
        Ok(hop) => hop,
        // The backend is on this node, or nowhere: the kernel knows which.
        Err(Reason::ToNode) => &frame.hot.hops[0],
        Err(reason) => return verdict(reason),
    };
    let Some(counters) = count::target(id) else {
        return verdict(Reason::Internal);
    };
    let flags = packet.flags();
    if flags & (SYN | FIN | RST) != 0 {
        if flags & (FIN | RST) != 0 {
            counters.closed += 1;
        } else if flags & ACK == 0 {
            counters.opened += 1;
        }
    }
    send::translated::<F, T>(frame, packet, target, hop, Direction::Request, counters)
}

/// Reads a slot's word. (A slot of 64 bits, for what is compared must be what is used.)
#[inline(always)]
fn word(slot: u64) -> Option<SlotWord> {
    let place: *const u32 = if slot < u64::from(NEAR_SLOTS) {
        &raw const NEAR_SLOT.get()[slot as usize]
    } else {
        let far = slot as u32 - NEAR_SLOTS;
        let line = SLOTS.get(far / SLOTS_PER_LINE as u32)?;
        &raw const line.words[far as usize & (SLOTS_PER_LINE - 1)]
    };
    // SAFETY: a place within the section or the line; the agent may store to the word meanwhile.
    Some(SlotWord(unsafe { place.read_volatile() }))
}

/// Keeps the client's share of the hash together.
///
/// The compiler would mix its terms with the service's share, which is known last, and the packet
/// would wait for five more operations.
#[inline(always)]
fn together(mut share: u32) -> u32 {
    // SAFETY: copies a register to itself.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) share, options(pure, nomem, nostack)) };
    share
}
