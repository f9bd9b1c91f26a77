//! A request: from a client to a VIP.

use xlb_common::layout::{NO_TARGET, SLOTS_PER_LINE, Service};
use xlb_common::reason::Reason;
use xlb_common::slot::{self, SlotWord};

use crate::count::{self, verdict};
use crate::family::{ACK, FIN, Family, Packet, RST, SYN};
use crate::frame::Frame;
use crate::maps::{HOT, SLOTS, TARGET};
use crate::send::Direction;
use crate::{flows, hop, send};

/// Sends the packet to the backend of its slot.
#[inline(always)]
pub fn forward<F: Family>(frame: &Frame, packet: &Packet, service: &Service) -> u32 {
    if packet.first_fragment {
        return verdict(Reason::FirstFragment);
    }
    let hash = service.hash ^ F::client_hash(packet);
    let slot = service.first_slot.wrapping_add(slot::choose(hash, service.slots));
    let Some(line) = SLOTS.get_ptr(slot / SLOTS_PER_LINE as u32) else {
        return verdict(Reason::Internal);
    };
    // SAFETY: the index is masked to the line's size; the agent may store to the word meanwhile.
    let word = SlotWord(unsafe {
        (&raw const (*line).words[slot as usize & (SLOTS_PER_LINE - 1)]).read_volatile()
    });
    let id = if word.watched() { flows::follow::<F>(packet, service, word) } else { word.current() };
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
        Err(Reason::ToNode) => &HOT.get().hops[0],
        Err(reason) => return verdict(reason),
    };
    let Some(counters) = count::target(id) else {
        return verdict(Reason::Internal);
    };
    let flags = packet.flags();
    if flags & (SYN | FIN | RST) != 0 {
        if flags & (SYN | ACK) == SYN {
            counters.opened += 1;
        } else if flags & (FIN | RST) != 0 {
            counters.closed += 1;
        }
    }
    send::translated::<F>(frame, packet, target, hop, Direction::Request, counters)
}
