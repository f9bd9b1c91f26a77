//! Following the network: next hops, routes and interfaces that packets can be sent from.

use anyhow::Result;
use xlb_common::layout::{HOP_FINER, ROUTES6, Route6};

use super::actor::Actor;
use super::plan::plan;
use crate::net::{self, Fib, hop_of};

impl Actor {
    /// Points targets and routes to the next hops of the present view.
    pub(super) async fn follow_network(&mut self) -> Result<()> {
        let egress = net::egress(&self.view);
        self.datapath.write_egress(&egress)?;

        let fib = Fib::new(&self.view);
        let planned = plan(&self.state.model, &self.view, &fib, &mut self.hops, &self.datapath);
        self.datapath.write_targets(&planned);

        let compiled = net::compile(&fib);
        let numbers: Vec<u16> = compiled
            .hops
            .iter()
            .map(|via| {
                hop_of(&self.view, via)
                    .map_or(HOP_FINER, |hop| self.hops.number(&self.datapath, hop))
            })
            .collect();
        let number = |hop: Option<u16>| {
            hop.and_then(|hop| numbers.get(usize::from(hop)).copied()).unwrap_or(HOP_FINER)
        };
        let mut changed = self.datapath.write_routes4(&compiled.routes4, number) > 0;
        let finer = Route6 { prefix: 0, mask: 0, hop: u64::from(HOP_FINER) };
        let mut routes6 = [finer; ROUTES6];
        for (place, prefix) in routes6.iter_mut().zip(&compiled.routes6) {
            *place = prefix.route6(number(prefix.hop));
        }
        changed |= self.datapath.write_routes6(&routes6);
        self.planned = planned;

        let left = self.hops.settle();
        if changed || !left.is_empty() {
            self.grace().await;
        }
        self.hops.free(left);
        // What the cache holds may come from routes and neighbours as they were before.
        self.datapath.forget_cache();
        Ok(())
    }

    /// Waits until no packet sees what was taken out of sight.
    pub(super) async fn grace(&self) {
        // A failure to join means that the runtime ends, and then nothing is used again.
        let _ = tokio::task::spawn_blocking(crate::dataplane::grace::wait).await;
    }
}
