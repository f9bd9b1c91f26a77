//! Watched slots: the slot automaton over the flow tables.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use xlb_common::automaton::{self, Kind, Tables};
use xlb_common::layout::{Flow, FlowKey, Pending, SERVICES, Service, TARGETS};
use xlb_common::slot::SlotWord;

use crate::family::{ACK, FIN, Family, Packet, RST, SYN, TCP, Transport};
use crate::maps::{FLOWS, HOT, PENDING, REFUSED, TARGET};

/// Where a packet of a watched slot goes.
#[inline(always)]
pub fn follow<F: Family, T: Transport>(
    packet: &Packet<T>,
    service: &Service,
    word: SlotWord,
) -> u16 {
    let key = FlowKey {
        client: F::source(packet),
        port: packet.source_port(),
        service: service.id,
        reserved: 0,
    };
    let flags = if T::PROTOCOL == TCP { u64::from(packet.flags()) } else { DATAGRAM };
    xlb_follow(word.0, &key, flags << 32 | u64::from(packet.sequence())) as u16
}

/// Stands in for the flags of a packet that is not TCP.
const DATAGRAM: u64 = 1 << 8;

/// A global function: the verifier looks at it once, and the hot path does not pay for it in
/// registers and stack.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xlb_follow(word: u32, key: *const FlowKey, packet: u64) -> u32 {
    // SAFETY: the verifier allows for a null pointer; there is none. The tables want the key on
    // this function's own stack.
    let Some(&key) = (unsafe { key.as_ref() }) else {
        return 0;
    };
    let sequence = packet as u32;
    let flags = (packet >> 32) as u8;
    let kind = if packet >> 32 & DATAGRAM != 0 {
        Kind::Datagram
    } else if flags & (SYN | ACK | RST | FIN) == SYN {
        Kind::Syn(sequence)
    } else {
        Kind::Segment { sequence, closing: flags & (FIN | RST) != 0, reset: flags & RST != 0 }
    };
    // SAFETY: reading the time is always possible.
    let now = unsafe { bpf_jiffies64() };
    // The cache's lifetime is the one constant of time that the program has: two seconds.
    let second = HOT.get().control.cache_jiffies / 2;
    automaton::follow(&mut Maps, SlotWord(word), &key, kind, now, second).into()
}

struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn flow(&mut self, key: &FlowKey) -> Option<&mut Flow> {
        // SAFETY: an entry's memory stays the map's, and its fields are words: who reads one that
        // another CPU has just reused reads a flow of another key once, as if it had come earlier.
        FLOWS.get_ptr_mut(key).map(|flow| unsafe { &mut *flow })
    }

    #[inline(always)]
    fn insert_flow(&mut self, key: &FlowKey, flow: Flow) -> bool {
        // Another CPU may have inserted the same flow meanwhile, which is no lack of room.
        FLOWS.insert(key, flow, u64::from(BPF_NOEXIST)).is_ok() || FLOWS.get_ptr(key).is_some()
    }

    #[inline(always)]
    fn remove_flow(&mut self, key: &FlowKey) {
        // Gone already is as good.
        let _ = FLOWS.remove(key);
    }

    #[inline(always)]
    fn pending(&mut self, key: &FlowKey) -> Option<&mut Pending> {
        // SAFETY: as for flows.
        PENDING.get_ptr_mut(key).map(|pending| unsafe { &mut *pending })
    }

    #[inline(always)]
    fn insert_pending(&mut self, key: &FlowKey, pending: Pending) -> bool {
        PENDING.insert(key, pending, u64::from(BPF_NOEXIST)).is_ok()
            || PENDING.get_ptr(key).is_some()
    }

    #[inline(always)]
    fn remove_pending(&mut self, key: &FlowKey) {
        let _ = PENDING.remove(key);
    }

    #[inline(always)]
    fn exists(&self, target: u16) -> bool {
        TARGET.get()[usize::from(target) & (TARGETS - 1)].backend_port != 0
    }

    #[inline(always)]
    fn refused(&mut self, service: u16, now: u64) {
        // SAFETY: one aligned word within the section.
        unsafe {
            let times = REFUSED.as_ptr().cast::<u64>();
            times.add(usize::from(service) & (SERVICES - 1)).write_volatile(now);
        }
    }
}
