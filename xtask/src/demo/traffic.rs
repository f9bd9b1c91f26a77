//! The clients, and what to expect of the backends.
//!
//! A backend's expected share of a service's flows is the mean of the shares that were in force, each
//! weighed by the flows of its time. After a change of the pool, new flows do not follow at once: no
//! handshake is split, so TCP waits for `HOLD`; and an unknown UDP packet may belong to an old flow
//! until an idle timeout has passed, so UDP waits until no slot is moving any more.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use xlb_tests::{
    load::{Kind, Load, Plan, Report},
    scene::Scene,
};

/// Requests at a time, for each service.
const WORKERS: u16 = 8;
/// How long xlb sends new connections to the old backend after a change, and how often it looks at
/// the clock: about so long.
const HOLD: Duration = Duration::from_millis(4500);

/// A running client for each service.
pub struct Traffic(Vec<Client>);

struct Client {
    load: Load,
    expectation: Expectation,
}

/// What is expected of a service's backends, by their names.
#[derive(Debug, Default)]
struct Expectation {
    in_force: BTreeMap<String, f64>,
    /// Since when what has been promised is not in force yet.
    coming: Option<(Instant, BTreeMap<String, f64>)>,
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
                retries: 0,
            };
            let load = Load::start(&scene.topology.client, service.name, plan)?;
            Ok(Client { load, expectation: Expectation::default() })
        });
        let mut this = Self(clients.collect::<Result<_>>()?);
        this.promised(scene)?;
        this.0.iter_mut().for_each(Client::come_into_force);
        Ok(this)
    }

    /// To be called after the pool has changed: other shares are coming.
    pub fn promised(&mut self, scene: &Scene) -> Result<()> {
        let stats = scene.agent.json(&["stats"])?;
        for (client, service) in self.0.iter_mut().zip(&scene.services) {
            let shares = shares(scene, &stats, service.name)
                .with_context(|| format!("xlb stats --json does not show {}", service.name))?;
            client.expectation.coming = Some((Instant::now(), shares));
        }
        Ok(())
    }

    /// To be called often: the names of the services whose new shares have come into force.
    pub fn follow(&mut self, scene: &Scene) -> Result<Vec<&'static str>> {
        let mut changed = Vec::new();
        for (client, service) in self.0.iter_mut().zip(&scene.services) {
            let Some((since, _)) = &client.expectation.coming else { continue };
            let waited = since.elapsed() >= HOLD;
            if waited && (service.kind != Kind::Udp || scene.slots_moving(service.name)? == 0) {
                client.come_into_force();
                changed.push(service.name);
            }
        }
        Ok(changed)
    }

    /// Services for which a change is not in force yet.
    pub fn waiting(&self, scene: &Scene) -> Vec<&'static str> {
        let pairs = self.0.iter().zip(&scene.services);
        pairs.filter(|(c, _)| c.expectation.coming.is_some()).map(|(_, s)| s.name).collect()
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

impl Client {
    fn come_into_force(&mut self) {
        self.expectation.close(&self.load.report());
        if let Some((_, shares)) = self.expectation.coming.take() {
            self.expectation.in_force = shares;
        }
    }
}

impl Expectation {
    /// The time of the shares in force ends.
    fn close(&mut self, report: &Report) {
        let flows: u64 = report.flows.values().sum();
        let during = flows.saturating_sub(self.flows_before) as f64;
        for (backend, share) in &self.in_force {
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
