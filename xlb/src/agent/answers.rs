//! What status and statistics are made of.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use xlb_common::layout::TargetCounters;
use xlb_common::reason::Reason;

use super::actor::Actor;
use super::change::failed;
use crate::api::request::Problem;
use crate::api::types::{
    BackendStats, BackendStatus, Counters, ProgramStatus, ReasonCount, SCHEMA, ServiceList,
    ServiceStats, ServiceStatus, Stats, Status,
};
use crate::dataplane::PlannedService;
use crate::model::Service;
use crate::net::{Fib, NextHop};

impl Actor {
    pub(super) fn status(&self) -> Result<Status, Problem> {
        let info = self.datapath.program.info().context("cannot ask for the program's facts");
        let info = info.map_err(|error| failed(&error))?;
        let program = ProgramStatus {
            id: info.id(),
            entry: self.datapath.entry.to_owned(),
            verified_instructions: info.verified_instruction_count().unwrap_or(0),
        };
        let interfaces = self.interface_status();
        let services = self.service_statuses();
        let mut warnings = self.notes.clone();
        warnings.extend(self.vip_warnings.values().cloned());
        if interfaces.is_empty() {
            warnings.push("not attached to any interface: `xlb attach IFACE`".to_owned());
        }
        for service in &services {
            if service.backends.iter().all(|backend| backend.weight == 0) {
                warnings.push(format!(
                    "service {} has no backend with a weight: packets to it are dropped",
                    service.name
                ));
            }
        }
        Ok(Status {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            adopted: self.adopted,
            program,
            interfaces,
            services,
            slots_used: self.state.model.slots_used().into(),
            slots_capacity: self.state.model.slots_capacity().into(),
            warnings,
        })
    }

    pub(super) fn list_services(&self) -> Result<ServiceList, Problem> {
        Ok(ServiceList { schema: SCHEMA, services: self.service_statuses() })
    }

    pub(super) fn show_service(&self, name: &str) -> Result<ServiceStatus, Problem> {
        let name = &self.state.model.service(name)?.name;
        let mut statuses = self.service_statuses();
        statuses.retain(|status| status.name == *name);
        statuses.pop().context("the service is not in the data path").map_err(|e| failed(&e))
    }

    fn service_statuses(&self) -> Vec<ServiceStatus> {
        let fib = Fib::new(&self.view);
        self.planned_services()
            .map(|(service, planned)| {
                let watched = self.watched(planned);
                let shares = self.shares(planned);
                ServiceStatus {
                    name: service.name.clone(),
                    vip: service.vip,
                    protocol: service.protocol,
                    mode: service.mode,
                    announce: service.announce,
                    direct: service.direct.iter().map(ToString::to_string).collect(),
                    slots: service.slots,
                    slots_moving: watched.moving,
                    slots_settled: watched.settled,
                    backends: service
                        .backends
                        .iter()
                        .map(|backend| {
                            let (next_hop, via) = self.describe_hop(&fib, backend.address.ip());
                            BackendStatus {
                                address: backend.address,
                                weight: backend.weight,
                                interface: backend.interface.clone(),
                                share: shares(backend.target),
                                next_hop,
                                via,
                            }
                        })
                        .collect(),
                }
            })
            .collect()
    }

    fn planned_services(&self) -> impl Iterator<Item = (&Service, &PlannedService)> {
        self.state.model.services().filter_map(|service| {
            let planned = self.planned.iter().find(|planned| planned.id == service.id)?;
            Some((service.as_ref(), planned))
        })
    }

    /// The share of a service's slots that lead new flows to a target.
    fn shares(&self, service: &PlannedService) -> impl Fn(u16) -> f64 + use<> {
        let mut counts = std::collections::HashMap::<u16, u32>::new();
        for slot in service.first_slot..service.first_slot + service.slots {
            *counts.entry(self.datapath.slot(slot).current()).or_default() += 1;
        }
        let slots = f64::from(service.slots);
        move |target| counts.get(&target).map_or(0.0, |count| f64::from(*count) / slots)
    }

    fn describe_hop(&self, fib: &Fib<'_>, address: std::net::IpAddr) -> (String, Option<String>) {
        match fib.next_hop(address) {
            NextHop::NoRoute => ("no route".to_owned(), None),
            NextHop::Local | NextHop::Finer => ("kernel".to_owned(), None),
            NextHop::Via(via) => {
                let name = self.view.link(via.ifindex).map_or("?", |link| link.name.as_str());
                match (via.mac, crate::net::hop_of(&self.view, &via)) {
                    (Some(mac), Some(_)) => {
                        let mac: Vec<String> = mac.iter().map(|b| format!("{b:02x}")).collect();
                        ("resolved".to_owned(), Some(format!("{name} {}", mac.join(":"))))
                    }
                    _ => ("kernel".to_owned(), Some(name.to_owned())),
                }
            }
        }
    }

    pub(super) fn stats(&self) -> Result<Stats, Problem> {
        self.read_stats().map_err(|error| failed(&error))
    }

    fn read_stats(&self) -> Result<Stats> {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).context("cannot read the clock")?;
        let at_ns = std::time::Duration::from(now).as_nanos() as u64;
        let mut total = Counters::default();
        let mut cpus = super::cpus::times()?;
        let mut services = Vec::new();
        for (service, planned) in self.planned_services() {
            let shares = self.shares(planned);
            let mut sum = self.removed.get(&service.name).copied().unwrap_or_default();
            let mut backends = Vec::new();
            for backend in &service.backends {
                let mut counters = Counters::default();
                for (cpu, part) in self.datapath.target_counters(backend.target)?.iter().enumerate()
                {
                    add(&mut counters, part);
                    if let Some(cpu) = cpus.get_mut(cpu) {
                        cpu.packets += part.request_packets + part.reply_packets;
                        cpu.bytes += part.request_bytes + part.reply_bytes;
                    }
                }
                join(&mut sum, &counters);
                backends.push(BackendStats {
                    address: backend.address,
                    weight: backend.weight,
                    share: shares(backend.target),
                    counters,
                });
            }
            join(&mut total, &sum);
            services.push(ServiceStats {
                name: service.name.clone(),
                vip: service.vip,
                protocol: service.protocol,
                counters: sum,
                backends,
            });
        }
        let counts = self.datapath.reasons()?;
        let reasons = Reason::ALL
            .iter()
            .map(|reason| ReasonCount {
                reason: reason.name().to_owned(),
                action: reason.action().name().to_owned(),
                description: reason.description().to_owned(),
                packets: counts[*reason as usize],
            })
            .collect();
        Ok(Stats { schema: SCHEMA, at_ns, total, services, reasons, cpus })
    }

    /// Keeps what removed backends have counted in their service's sums.
    pub(super) fn keep_removed_counters(&mut self, after: &BTreeSet<u16>) {
        let mut kept = Vec::new();
        for (service, _) in self.planned_services() {
            for backend in &service.backends {
                if !after.contains(&backend.target)
                    && let Ok(total) = self.datapath.target_total(backend.target)
                {
                    kept.push((service.name.clone(), total));
                }
            }
        }
        for (name, total) in kept {
            add(self.removed.entry(name).or_default(), &total);
        }
    }
}

/// Adds what one CPU counted.
fn add(sum: &mut Counters, part: &TargetCounters) {
    join(
        sum,
        &Counters {
            request_packets: part.request_packets,
            request_bytes: part.request_bytes,
            reply_packets: part.reply_packets,
            reply_bytes: part.reply_bytes,
            opened: part.opened,
            closed: part.closed,
        },
    );
}

/// Adds counters to counters.
fn join(sum: &mut Counters, part: &Counters) {
    let Counters { request_packets, request_bytes, reply_packets, reply_bytes, opened, closed } =
        part;
    sum.request_packets += request_packets;
    sum.request_bytes += request_bytes;
    sum.reply_packets += reply_packets;
    sum.reply_bytes += reply_bytes;
    sum.opened += opened;
    sum.closed += closed;
}
