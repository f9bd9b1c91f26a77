//! The clients, and what to expect of the backends.
//!
//! A backend's expected share of a service's flows is the mean of the shares that xlb promised it,
//! each weighed by the flows of its time.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;
use xlb_tests::load::{Load, Plan, Report};

use super::scene::Scene;

/// Requests at a time, for each service.
const WORKERS: u16 = 8;
/// Nothing is sent again: a request that fails has failed.
const RETRIES: u16 = 0;

/// A running client for each service.
pub struct Traffic(Vec<Client>);

struct Client {
    load: Load,
    expectation: Expectation,
}

/// What is expected of a service's backends, by their names.
#[derive(Debug, Default)]
struct Expectation {
    shares: BTreeMap<String, f64>,
    flows_before: u64,
    flows: BTreeMap<String, f64>,
}

/// What came of a service.
pub struct Outcome {
    /// Its name.
    pub service: &'static str,
    /// What its client saw.
    pub report: Report,
    /// Flows that were expected to go to each backend.
    pub expected: BTreeMap<String, f64>,
}

impl Traffic {
    /// Starts all clients.
    pub fn start(scene: &Scene, rate: u32) -> Result<Self> {
        let clients = scene.services.iter().map(|service| {
            let plan = Plan {
                kind: service.kind,
                target: service.vip,
                workers: WORKERS,
                rate,
                retries: RETRIES,
            };
            let load = Load::start(&scene.topology.client, service.name, plan)?;
            Ok(Client { load, expectation: Expectation::default() })
        });
        let mut this = Self(clients.collect::<Result<_>>()?);
        this.shares_changed(scene)?;
        Ok(this)
    }

    /// To be called when a changed pool is in force: the time of the old shares ends, that of the
    /// new ones begins. Not so for UDP, which has no SYN: until a whole idle timeout has passed, an
    /// unknown flow of a slot that moves may be an old one, and stays with the old backend.
    pub fn shares_changed(&mut self, scene: &Scene) -> Result<()> {
        for (client, service) in self.0.iter_mut().zip(&scene.services) {
            if service.is_tcp() {
                client.expectation.close(&client.load.report());
            }
        }
        let stats = scene.stats()?;
        for (client, service) in self.0.iter_mut().zip(&scene.services) {
            if service.is_tcp() || client.expectation.shares.is_empty() {
                client.expectation.shares = shares(scene, &stats, service.name)
                    .with_context(|| format!("xlb stats --json does not show {}", service.name))?;
            }
        }
        Ok(())
    }

    /// What the clients have seen so far, in the order of the services.
    pub fn reports(&self) -> Vec<Report> {
        self.0.iter().map(|client| client.load.report()).collect()
    }

    /// Ends all clients; what came of each service.
    pub fn stop(self, scene: &Scene) -> Result<Vec<Outcome>> {
        let outcomes = self.0.into_iter().zip(&scene.services).map(|(client, service)| {
            let Client { load, mut expectation } = client;
            let report = load.stop()?;
            expectation.close(&report);
            Ok(Outcome { service: service.name, report, expected: expectation.flows })
        });
        outcomes.collect()
    }
}

impl Expectation {
    fn close(&mut self, report: &Report) {
        let flows: u64 = report.flows.values().sum();
        let during = flows.saturating_sub(self.flows_before) as f64;
        for (backend, share) in &self.shares {
            *self.flows.entry(backend.clone()).or_default() += during * share;
        }
        self.flows_before = flows;
    }
}

/// The shares that xlb promises the backends of a service.
fn shares(scene: &Scene, stats: &Value, service: &str) -> Option<BTreeMap<String, f64>> {
    let services = stats["services"].as_array()?;
    let service = services.iter().find(|candidate| candidate["name"] == service)?;
    let backends = service["backends"].as_array()?.iter().map(|backend| {
        let name = scene.backend_name(backend["address"].as_str()?)?;
        Some((name.to_owned(), backend["share"].as_f64()?))
    });
    backends.collect()
}
