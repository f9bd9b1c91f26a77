//! Flows that are remembered while slots change: the tables that the slot automaton asks.

use xlb_common::layout::{Flow, FlowKey, Pending};

use super::load::Datapath;
use super::shared::field;

/// Flows of which only SYNs have been seen, and the others.
pub type Remembered = (Vec<(FlowKey, Pending)>, Vec<(FlowKey, Flow)>);

impl Datapath {
    /// All remembered flows, those of which only SYNs have been seen first: a flow that becomes
    /// established meanwhile is then seen at least once.
    pub fn remembered(&self) -> Remembered {
        // An entry that is deleted while it is read can end an iteration early or repeat it; who
        // must not miss one asks again, as nothing is decided by absence but after a grace period.
        let pending = self.maps.pending.iter().filter_map(Result::ok);
        let pending = pending.map(|(key, value)| (key.0, value.0)).collect();
        let flows = self.maps.flows.iter().filter_map(Result::ok);
        let flows = flows.map(|(key, value)| (key.0, value.0)).collect();
        (pending, flows)
    }

    /// Forgets a flow. One that is gone already is as good.
    pub fn forget_flow(&mut self, key: &FlowKey) {
        let _ = self.maps.flows.remove(&super::pod::Raw(*key));
    }

    /// Forgets a flow of which only SYNs have been seen.
    pub fn forget_pending(&mut self, key: &FlowKey) {
        let _ = self.maps.pending.remove(&super::pod::Raw(*key));
    }

    /// When a flow of this service last found no room, in jiffies; 0 if never.
    pub fn refused_at(&self, service: u16) -> u64 {
        self.maps.refused.read(usize::from(service), field!(u64))
    }
}
