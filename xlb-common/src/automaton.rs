//! The slot automaton: where the packets of a watched slot go.
//!
//! A slot is watched while its backend changes, so that no live flow is moved. What is asked here
//! is two tables: *flows*, which have sent something other than a SYN, and *pending* ones, of which
//! only SYNs have been seen. Neither ever evicts: an insert that finds no room sends the packet to
//! the slot's `previous` target and is noted, and the control plane then lets the slot wait longer.
//!
//! | slot | a packet that is not a SYN | a SYN |
//! |---|---|---|
//! | moving | flow; else pending, promoted; else `previous`, noted | open flow; else pending; else the choice, noted |
//! | settled | flow; else pending, promoted; else `current` | open flow; else pending; else `current` |
//!
//! The choice is `previous` while the slot holds, then `current`.

use crate::layout::{Flow, FlowKey, Pending};
use crate::slot::SlotWord;

/// How far behind a SYN's sequence number a packet may be to belong to it, in bytes.
///
/// So neither a spoofed nor a late SYN can move a live connection: its packets are elsewhere in the
/// sequence space.
pub const SEQUENCE_WINDOW: u32 = 64 << 10;

/// How long a pending flow also takes SYNs with new sequence numbers, in seconds.
pub const FRESH_SECONDS: u64 = 4;

/// What kind of packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP with SYN, without ACK, RST and FIN; with its sequence number.
    Syn(u32),
    /// Any other TCP segment.
    Segment {
        /// Its sequence number.
        sequence: u32,
        /// FIN or RST is set: the client closes.
        closing: bool,
        /// RST is set: such a packet never makes an entry.
        reset: bool,
    },
    /// UDP: has no beginning and no end.
    Datagram,
}

/// What is remembered. `&mut` of an entry is the entry itself: a change is a write to it.
pub trait Tables {
    /// The flow's entry.
    fn flow(&mut self, key: &FlowKey) -> Option<&mut Flow>;
    /// Makes an entry; false if there is no room.
    fn insert_flow(&mut self, key: &FlowKey, flow: Flow) -> bool;
    /// Deletes an entry.
    fn remove_flow(&mut self, key: &FlowKey);
    /// The pending flow's entry.
    fn pending(&mut self, key: &FlowKey) -> Option<&mut Pending>;
    /// Makes an entry; false if there is no room.
    fn insert_pending(&mut self, key: &FlowKey, pending: Pending) -> bool;
    /// Deletes an entry.
    fn remove_pending(&mut self, key: &FlowKey);
    /// Whether a target still exists. A hit on one that is gone counts as a miss.
    fn exists(&self, target: u16) -> bool;
    /// Notes that a flow of this service found no room at this time.
    fn refused(&mut self, service: u16, now: u64);
}

/// Where a packet of a watched slot goes. Times are in ticks, `second` of which make a second.
#[inline(always)]
pub fn follow<T: Tables>(
    tables: &mut T,
    word: SlotWord,
    key: &FlowKey,
    kind: Kind,
    now: u64,
    second: u64,
) -> u16 {
    match kind {
        Kind::Syn(sequence) => follow_syn(tables, word, key, sequence, now, second),
        Kind::Segment { sequence, closing, reset } => {
            if let Some(target) = known_flow(tables, key, closing, now, second) {
                return target;
            }
            if let Some(target) = promoted(tables, key, sequence, closing, reset, now) {
                return target;
            }
            unknown(tables, word, key, closing, reset, now)
        }
        Kind::Datagram => match known_flow(tables, key, false, now, second) {
            Some(target) => target,
            None => unknown(tables, word, key, false, false, now),
        },
    }
}

/// The target of a flow that is written down.
#[inline(always)]
fn known_flow<T: Tables>(
    tables: &mut T,
    key: &FlowKey,
    closing: bool,
    now: u64,
    second: u64,
) -> Option<u16> {
    let flow = tables.flow(key)?;
    let target = flow.target;
    if closing {
        flow.closed = 1;
    }
    // At most one write a second, so that a busy flow's line is not torn between CPUs.
    if now.wrapping_sub(flow.seen) >= second {
        flow.seen = now;
    }
    tables.exists(target).then_some(target)
}

/// The target of a pending flow whose handshake this packet ends; it becomes a flow.
#[inline(always)]
fn promoted<T: Tables>(
    tables: &mut T,
    key: &FlowKey,
    sequence: u32,
    closing: bool,
    reset: bool,
    now: u64,
) -> Option<u16> {
    let pending = tables.pending(key)?;
    let target = pending.target;
    let follows = |syn: u32| sequence.wrapping_sub(syn) <= SEQUENCE_WINDOW;
    if !follows(pending.sequences[0]) && !follows(pending.sequences[1]) {
        return None;
    }
    pending.seen = now;
    if !tables.exists(target) {
        return None;
    }
    if !reset {
        let flow = Flow { seen: now, target, closed: closing.into(), reserved: 0 };
        // In this order, so that a scan of pending flows and then of flows can't miss it.
        if tables.insert_flow(key, flow) {
            tables.remove_pending(key);
        } else {
            // It stays here, as what it now is: its next packets follow this one.
            if let Some(pending) = tables.pending(key) {
                pending.sequences = [sequence; 2];
                pending.established = 1;
            }
            tables.refused(key.service, now);
        }
    }
    Some(target)
}

/// The target of a flow that nothing is known of.
#[inline(always)]
fn unknown<T: Tables>(
    tables: &mut T,
    word: SlotWord,
    key: &FlowKey,
    closing: bool,
    reset: bool,
    now: u64,
) -> u16 {
    if !word.is_moving() {
        return word.current();
    }
    let target = word.previous();
    let flow = Flow { seen: now, target, closed: closing.into(), reserved: 0 };
    if !reset && !tables.insert_flow(key, flow) {
        tables.refused(key.service, now);
    }
    target
}

#[inline(always)]
fn follow_syn<T: Tables>(
    tables: &mut T,
    word: SlotWord,
    key: &FlowKey,
    sequence: u32,
    now: u64,
    second: u64,
) -> u16 {
    if let Some(flow) = tables.flow(key) {
        let (target, closed) = (flow.target, flow.closed != 0);
        if !closed && tables.exists(target) {
            return target;
        }
        tables.remove_flow(key);
    }
    if let Some(pending) = tables.pending(key) {
        let target = pending.target;
        let again = pending.sequences.contains(&sequence);
        if again || now.wrapping_sub(pending.seen) < FRESH_SECONDS * second {
            if !again {
                pending.sequences = [pending.sequences[1], sequence];
            }
            pending.seen = now;
            if tables.exists(target) {
                return target;
            }
        }
        tables.remove_pending(key);
    }
    if !word.is_moving() {
        return word.current();
    }
    let target = if word.hold() && tables.exists(word.previous()) {
        word.previous()
    } else {
        word.current()
    };
    let pending =
        Pending { seen: now, sequences: [sequence; 2], target, established: 0, reserved: 0 };
    if tables.insert_pending(key, pending) {
        return target;
    }
    tables.refused(key.service, now);
    if tables.exists(word.previous()) { word.previous() } else { target }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[derive(Default)]
    struct Model {
        flows: HashMap<FlowKey, Flow>,
        pending: HashMap<FlowKey, Pending>,
        gone: Vec<u16>,
        refused: Vec<(u16, u64)>,
        full: bool,
    }

    impl Tables for Model {
        fn flow(&mut self, key: &FlowKey) -> Option<&mut Flow> {
            self.flows.get_mut(key)
        }
        fn insert_flow(&mut self, key: &FlowKey, flow: Flow) -> bool {
            !self.full && self.flows.insert(*key, flow).is_none()
        }
        fn remove_flow(&mut self, key: &FlowKey) {
            self.flows.remove(key);
        }
        fn pending(&mut self, key: &FlowKey) -> Option<&mut Pending> {
            self.pending.get_mut(key)
        }
        fn insert_pending(&mut self, key: &FlowKey, pending: Pending) -> bool {
            !self.full && self.pending.insert(*key, pending).is_none()
        }
        fn remove_pending(&mut self, key: &FlowKey) {
            self.pending.remove(key);
        }
        fn exists(&self, target: u16) -> bool {
            !self.gone.contains(&target)
        }
        fn refused(&mut self, service: u16, now: u64) {
            self.refused.push((service, now));
        }
    }

    const OLD: u16 = 1;
    const NEW: u16 = 2;
    const KEY: FlowKey = FlowKey { client: [9, 0], port: 7, service: 3, reserved: 0 };
    const MOVING: SlotWord = SlotWord::moving(OLD, NEW, false);
    const HOLDING: SlotWord = SlotWord::moving(OLD, NEW, true);
    const SETTLED: SlotWord = SlotWord::settled(NEW);

    fn send(model: &mut Model, word: SlotWord, kind: Kind, at: u64) -> u16 {
        follow(model, word, &KEY, kind, at, 1)
    }

    fn data(sequence: u32) -> Kind {
        Kind::Segment { sequence, closing: false, reset: false }
    }

    #[test]
    fn a_live_flow_stays_and_is_remembered_after_the_slot_has_settled() {
        let mut model = Model::default();
        assert_eq!(send(&mut model, MOVING, data(500), 0), OLD);
        assert_eq!(send(&mut model, SETTLED, data(501), 9), OLD);
        assert_eq!(model.flows[&KEY].seen, 9);
    }

    #[test]
    fn a_new_flow_goes_to_the_new_backend_and_its_data_follows() {
        let mut model = Model::default();
        assert_eq!(send(&mut model, MOVING, Kind::Syn(100), 0), NEW);
        assert_eq!(send(&mut model, MOVING, Kind::Syn(100), 1), NEW);
        assert_eq!(send(&mut model, MOVING, data(101), 2), NEW);
        assert!(model.pending.is_empty() && model.flows.len() == 1);
    }

    #[test]
    fn a_slot_that_holds_keeps_a_handshake_whole() {
        let mut model = Model::default();
        assert_eq!(send(&mut model, HOLDING, Kind::Syn(100), 0), OLD);
        assert_eq!(send(&mut model, MOVING, Kind::Syn(100), 5), OLD);
        assert_eq!(send(&mut model, MOVING, data(101), 5), OLD);
    }

    #[test]
    fn a_stray_syn_moves_no_live_connection() {
        let mut model = Model::default();
        // The spoofed SYN comes first, the live connection's next packet after it.
        assert_eq!(send(&mut model, MOVING, Kind::Syn(5), 0), NEW);
        assert_eq!(send(&mut model, MOVING, data(1 << 20), 1), OLD);
        // And a SYN on a flow that is written down goes where the flow is.
        assert_eq!(send(&mut model, MOVING, Kind::Syn(77), 2), OLD);
    }

    #[test]
    fn a_closed_flow_is_still_followed_until_a_syn_chooses_again() {
        let mut model = Model::default();
        let fin = Kind::Segment { sequence: 500, closing: true, reset: false };
        assert_eq!(send(&mut model, MOVING, fin, 0), OLD);
        assert_eq!(send(&mut model, MOVING, data(501), 1), OLD);
        assert_eq!(send(&mut model, MOVING, Kind::Syn(900), 2), NEW);
        assert!(model.flows.is_empty());
    }

    #[test]
    fn a_reset_writes_nothing() {
        let mut model = Model::default();
        let rst = Kind::Segment { sequence: 500, closing: true, reset: true };
        assert_eq!(send(&mut model, MOVING, rst, 0), OLD);
        assert!(model.flows.is_empty() && model.pending.is_empty());
    }

    #[test]
    fn a_settled_slot_writes_nothing_new() {
        let mut model = Model::default();
        assert_eq!(send(&mut model, SETTLED, data(1), 0), NEW);
        assert_eq!(send(&mut model, SETTLED, Kind::Syn(1), 0), NEW);
        assert_eq!(send(&mut model, SETTLED, Kind::Datagram, 0), NEW);
        assert!(model.flows.is_empty() && model.pending.is_empty());
    }

    #[test]
    fn full_tables_send_to_the_old_backend_and_say_so() {
        let mut model = Model { full: true, ..Model::default() };
        assert_eq!(send(&mut model, MOVING, Kind::Syn(1), 4), OLD);
        assert_eq!(send(&mut model, MOVING, data(2), 5), OLD);
        assert_eq!(model.refused, [(3, 4), (3, 5)]);
    }

    #[test]
    fn a_new_flow_that_finds_no_room_stays_where_it_began() {
        let mut model = Model::default();
        assert_eq!(send(&mut model, MOVING, Kind::Syn(100), 0), NEW);
        model.full = true;
        for (i, sequence) in (101..1 << 20).step_by(60_000).enumerate() {
            assert_eq!(send(&mut model, MOVING, data(sequence), i as u64), NEW, "{sequence}");
        }
        assert_eq!(model.pending[&KEY].established, 1);
        model.full = false;
        assert_eq!(send(&mut model, SETTLED, data(1 << 20), 99), NEW);
        assert!(model.pending.is_empty() && model.flows.len() == 1);
    }

    #[test]
    fn a_target_that_is_gone_is_a_miss() {
        let mut model = Model::default();
        assert_eq!(send(&mut model, MOVING, data(1), 0), OLD);
        model.gone.push(OLD);
        assert_eq!(send(&mut model, SETTLED, data(2), 1), NEW);
        assert_eq!(send(&mut model, SETTLED, Kind::Syn(3), 1), NEW);
    }

    #[test]
    fn a_datagram_of_an_unknown_flow_goes_to_the_old_backend_and_stays() {
        let mut model = Model::default();
        assert_eq!(send(&mut model, MOVING, Kind::Datagram, 0), OLD);
        assert_eq!(send(&mut model, SETTLED, Kind::Datagram, 1), OLD);
    }

    #[test]
    fn an_old_pending_entry_gives_way_to_a_syn_with_a_new_number() {
        let mut model = Model::default();
        assert_eq!(send(&mut model, HOLDING, Kind::Syn(1), 0), OLD);
        assert_eq!(send(&mut model, MOVING, Kind::Syn(2), FRESH_SECONDS - 1), OLD);
        assert_eq!(send(&mut model, MOVING, Kind::Syn(3), 2 * FRESH_SECONDS), NEW);
    }
}
