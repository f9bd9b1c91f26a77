//! Changes of services and backends.
//!
//! The order: check and reserve; write what no packet sees yet; save the state; then publish, by
//! stores that can't fail; then, after a grace period, clear what is out of use.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use xlb_common::slot::{self, SlotWord};

use super::actor::Actor;
use super::plan::plan;
use crate::api::request::{Problem, ProblemKind};
use crate::api::types::Changed;
use crate::dataplane::PlannedService;
use crate::dataplane::tables::Indexes;
use crate::model::{Effect, Model, Rejection, Service};
use crate::net::Fib;
use crate::state::State;

/// A problem that is neither the request's nor the state's.
pub fn failed(error: &anyhow::Error) -> Problem {
    Problem { kind: ProblemKind::Failed, error: format!("{error:#}"), help: None }
}

impl Actor {
    /// Carries out a change of the desired services, whole or not at all.
    pub(super) async fn change(
        &mut self,
        edit: impl FnOnce(&mut Model) -> Result<Effect, Rejection>,
    ) -> Result<Changed, Problem> {
        let mut model = self.state.model.clone();
        let effect = edit(&mut model)?;
        if effect.changes.is_empty() {
            return Ok(effect.into());
        }
        let warnings = self.install(model).await.map_err(|error| failed(&error))?;
        for change in &effect.changes {
            tracing::info!("{change}");
        }
        let mut changed = Changed::from(effect);
        changed.warnings.extend(warnings);
        Ok(changed)
    }

    /// Brings the data path from the present state to one with `model`.
    pub(super) async fn install(&mut self, model: Model) -> Result<Vec<String>> {
        let before = targets(&self.state.model);
        let after = targets(&model);
        let fib = Fib::new(&self.view);
        let planned = plan(&model, &self.view, &fib, &mut self.hops, &self.datapath);
        let indexes = Indexes::build(&planned, &self.datapath.hash_tables())
            .context("two services or two backends have the same address, port and protocol")?;
        let wanted: Vec<Vec<u16>> = planned.iter().map(PlannedService::slot_targets).collect();

        // Nothing of this is seen by a packet yet: new targets, and slots of new services.
        for target in after.difference(&before) {
            self.datapath.clear_counters(*target)?;
        }
        self.datapath.write_targets(&planned);
        self.datapath.add_direct(&planned)?;
        let old: BTreeSet<u16> = self.state.model.services().map(|service| service.id).collect();
        for (service, wanted) in planned.iter().zip(&wanted) {
            if !old.contains(&service.id) {
                for (slot, target) in (service.first_slot..).zip(wanted) {
                    self.datapath.set_slot(slot, SlotWord::stable(*target));
                }
            }
        }
        let gone: Vec<Arc<Service>> = self
            .state
            .model
            .services()
            .filter(|service| model.service(&service.name).is_err())
            .cloned()
            .collect();
        let state = State { model, ..self.state.clone() };
        self.directory.save(&state).map_err(|error| anyhow!("{error}; {}", error.help()))?;

        // From here on nothing can fail.
        self.keep_removed_counters(&after);
        self.state = state;
        self.datapath.write_indexes(&indexes);
        for (service, wanted) in planned.iter().zip(&wanted) {
            // A region may have been another service's before: only this one's targets count.
            let exists = |target: u16| service.backends.iter().any(|b| b.target == target);
            let mut moving = 0;
            for (slot, target) in (service.first_slot..).zip(wanted) {
                let word = self.datapath.slot(slot);
                let turned = slot::turn(word, *target, exists);
                if turned != word {
                    self.datapath.set_slot(slot, turned);
                    moving += u32::from(turned.is_moving());
                }
            }
            if moving > 0 {
                self.moves.begin(service.id);
            }
        }
        self.planned = planned;
        self.grace().await;
        self.settle_unused();
        for target in before.difference(&after) {
            self.datapath.clear_target(*target);
        }
        self.forget_flows(|service, target| {
            gone.iter().any(|removed| removed.id == service) || !after.contains(&target)
        });
        for service in &gone {
            self.moves.end(service.id);
            self.removed.remove(&service.name);
        }
        self.datapath.trim_direct(&self.planned);
        self.state.model.release_retired();
        Ok(self.update_vips().await)
    }

    /// Settles slots that move away from targets which no packet has ever gone to: nobody is there
    /// to be kept. So a pool that is put together by several commands is in force at once.
    ///
    /// After a grace period: a packet that saw the slot before it moved is counted by now, and one
    /// that comes while this looks is written down, which a settled slot honours.
    fn settle_unused(&self) {
        let unused: BTreeSet<u16> = targets(&self.state.model)
            .into_iter()
            .filter(|target| {
                self.datapath.target_total(*target).is_ok_and(|total| total.request_packets == 0)
            })
            .collect();
        if unused.is_empty() {
            return;
        }
        for service in &self.planned {
            for i in service.first_slot..service.first_slot + service.slots {
                let word = self.datapath.slot(i);
                if word.is_moving() && unused.contains(&word.previous()) {
                    self.datapath.set_slot(i, slot::settle(word));
                }
            }
        }
    }

    /// Forgets remembered flows of which `which` says so, by service id and target.
    pub(super) fn forget_flows(&mut self, which: impl Fn(u16, u16) -> bool) {
        let (pending, flows) = self.datapath.remembered();
        for (key, pending) in &pending {
            if which(key.service, pending.target) {
                self.datapath.forget_pending(key);
            }
        }
        for (key, flow) in &flows {
            if which(key.service, flow.target) {
                self.datapath.forget_flow(key);
            }
        }
    }
}

/// All targets that a model has in use.
fn targets(model: &Model) -> BTreeSet<u16> {
    model.services().flat_map(|service| service.backends.iter().map(|b| b.target)).collect()
}
