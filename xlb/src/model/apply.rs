//! Making the model what a whole list of services or interfaces says.
//!
//! All or nothing. What is in both keeps its numbers, so that flows and counters go on; what is no
//! longer listed goes first, so that a backend or a VIP can move from one service to another.

use std::collections::{BTreeMap, HashSet};

use super::{Effect, Endpoint, Model, Rejection, Service, check};
use crate::api::types::{Announce, BackendSpec, InterfaceSpec, ServiceSpec};

impl Model {
    /// Makes the services exactly those that are listed.
    pub fn apply_services(&mut self, services: &[ServiceSpec]) -> Result<Effect, Rejection> {
        let mut wanted = BTreeMap::new();
        let mut warnings = Vec::new();
        for spec in services {
            warnings.extend(check::service(spec)?.warnings);
            if wanted.insert(spec.name.as_str(), spec).is_some() {
                return Err(Rejection::invalid(
                    format!("service {} is there twice", spec.name),
                    "give every service a name of its own",
                ));
            }
        }
        let mut next = self.clone();
        let mut changes = next.remove_unwanted(&wanted)?;
        for (name, spec) in &wanted {
            if next.services.contains_key(*name) {
                changes.extend(next.update(spec)?);
            } else {
                changes.extend(next.add_service(spec)?.changes);
            }
        }
        for name in wanted.keys() {
            let service = next.service(name)?;
            warnings.extend(check::pool_warnings(name, service.slots, &service.backends));
        }
        *self = next;
        Ok(Effect { changes, warnings })
    }

    /// Makes the interfaces exactly those that are listed.
    pub fn apply_interfaces(&mut self, wanted: &[InterfaceSpec]) -> Result<Effect, Rejection> {
        let mut listed = HashSet::new();
        for spec in wanted {
            check::interface_name(&spec.name)?;
            if !listed.insert(spec.name.as_str()) {
                return Err(Rejection::invalid(
                    format!("interface {} is there twice", spec.name),
                    "list every interface once",
                ));
            }
        }
        let mut effect = Effect::default();
        let names = self.interfaces.keys();
        let unwanted: Vec<String> =
            names.filter(|name| !listed.contains(name.as_str())).cloned().collect();
        for name in unwanted {
            effect.changes.extend(self.remove_interface(&name)?.changes);
        }
        for spec in wanted {
            effect.changes.extend(self.want_interface(spec)?.changes);
        }
        Ok(effect)
    }

    /// Wants the program on an interface in this mode, whether it is there already or not.
    pub fn want_interface(&mut self, spec: &InterfaceSpec) -> Result<Effect, Rejection> {
        match self.interfaces.get_mut(&spec.name) {
            None => self.add_interface(spec),
            Some(mode) if *mode == spec.mode => Ok(Effect::default()),
            Some(mode) => {
                *mode = spec.mode;
                let change = format!("changed the mode of interface {}", spec.name);
                Ok(Effect { changes: vec![change], warnings: Vec::new() })
            }
        }
    }

    /// Removes the services and backends that are not wanted, or not in this shape.
    fn remove_unwanted(
        &mut self,
        wanted: &BTreeMap<&str, &ServiceSpec>,
    ) -> Result<Vec<String>, Rejection> {
        let mut changes = Vec::new();
        let there: Vec<_> = self.services.values().cloned().collect();
        for service in there {
            let Some(spec) = wanted.get(service.name.as_str()).filter(|spec| same(&service, spec))
            else {
                changes.extend(self.remove_service(&service.name)?.changes);
                continue;
            };
            if service.slots != spec.slots {
                return Err(Rejection::conflict(
                    format!(
                        "service {} has {} slots, which can't become {} while it lives",
                        service.name, service.slots, spec.slots
                    ),
                    format!(
                        "every flow could change its backend; if that is all right, remove the \
                         service first (xlb service remove {})",
                        service.name
                    ),
                ));
            }
            // Now, and not with the other edits: an address that is given up may become a backend's.
            if service.announce != Announce::None && spec.announce == Announce::None {
                self.edit(&service.name, |service| service.announce = Announce::None);
                changes.push(format!("no longer announcing service {}", service.name));
            }
            let listed: HashSet<_> = spec.backends.iter().map(|backend| backend.address).collect();
            for backend in service.backends.iter().filter(|b| !listed.contains(&b.address)) {
                changes.extend(self.remove_backend(&service.name, backend.address)?.changes);
            }
        }
        Ok(changes)
    }

    /// Brings a service that is there to its wanted shape.
    fn update(&mut self, spec: &ServiceSpec) -> Result<Vec<String>, Rejection> {
        let mut changes = Vec::new();
        let service = self.service(&spec.name)?.clone();
        let direct = check::service(spec)?.direct;
        if service.announce != spec.announce {
            self.address_is_no_backend(spec.vip.ip(), spec.announce)
                .map_err(|r| r.of(&format!("service {}", spec.name)))?;
            changes.push(format!("announcing service {}", spec.name));
        }
        if service.direct != direct {
            changes.push(format!("changed the direct clients of service {}", spec.name));
        }
        self.edit(&spec.name, |service| {
            service.announce = spec.announce;
            service.direct = direct;
        });
        for backend in &spec.backends {
            changes.extend(self.update_backend(&service, backend)?);
        }
        Ok(changes)
    }

    fn update_backend(
        &mut self,
        service: &Service,
        wanted: &BackendSpec,
    ) -> Result<Vec<String>, Rejection> {
        let (name, address) = (&service.name, wanted.address);
        let Some(place) = service.backends.iter().position(|b| b.address == address) else {
            return Ok(self.add_backend(name, wanted)?.changes);
        };
        let mut changes = self.set_weight(name, address, wanted.weight)?.changes;
        if service.backends[place].interface != wanted.interface {
            self.edit(name, |service| {
                for backend in service.backends.iter_mut().filter(|b| b.address == address) {
                    backend.interface.clone_from(&wanted.interface);
                }
            });
            changes.push(format!("changed the interface of backend {address} of service {name}"));
        }
        Ok(changes)
    }
}

/// Whether a service that is there is the one that is wanted, so that it can keep its numbers.
fn same(service: &Service, spec: &ServiceSpec) -> bool {
    let endpoint = Endpoint { address: spec.vip, protocol: spec.protocol };
    service.endpoint() == endpoint && service.mode == spec.mode
}
