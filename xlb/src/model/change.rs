//! The changes that an operator can ask for, one at a time.
//!
//! Each one checks everything before it touches anything.

use std::net::SocketAddr;
use std::sync::Arc;

use super::rejection::nearest;
use super::{Backend, Effect, Endpoint, Model, Rejection, Service, check};
use crate::api::types::{BackendSpec, InterfaceSpec, ServiceSpec};

impl Model {
    /// Adds a service with its pool.
    pub fn add_service(&mut self, spec: &ServiceSpec) -> Result<Effect, Rejection> {
        let checked = check::service(spec)?;
        self.fits(spec)?;
        let about = |r: Rejection| r.of(&format!("service {}", spec.name));
        let mut numbers = self.numbers.clone();
        let (id, region) = numbers.take_service(spec.slots).map_err(about)?;
        let targets = numbers.take_targets(spec.backends.len()).map_err(about)?;

        self.numbers = numbers;
        let backends: Vec<Backend> = spec
            .backends
            .iter()
            .zip(targets)
            .map(|(spec, target)| Backend {
                target,
                address: spec.address,
                weight: spec.weight,
                interface: spec.interface.clone(),
            })
            .collect();
        let pool = match backends.len() {
            0 => "no backends yet".to_owned(),
            1 => "1 backend".to_owned(),
            n => format!("{n} backends"),
        };
        let mut warnings = checked.warnings;
        warnings.extend(check::pool_warnings(&spec.name, spec.slots, &backends));
        self.insert(Service {
            id,
            region,
            name: spec.name.clone(),
            vip: spec.vip,
            protocol: spec.protocol,
            mode: spec.mode,
            slots: spec.slots,
            announce: spec.announce,
            direct: checked.direct,
            backends,
        });
        let endpoint = Endpoint { address: spec.vip, protocol: spec.protocol };
        let change = format!("added service {}: {endpoint}, {pool}", spec.name);
        Ok(Effect { changes: vec![change], warnings })
    }

    /// Removes a service with its pool.
    pub fn remove_service(&mut self, name: &str) -> Result<Effect, Rejection> {
        let Some(service) = self.services.remove(name) else {
            return Err(self.no_service(name));
        };
        self.vips.remove(&service.endpoint());
        self.numbers.services.retire(service.id);
        self.numbers.regions.retire(service.region);
        for backend in &service.backends {
            let (address, protocol) = (backend.address, service.protocol);
            self.backends.remove(&Endpoint { address, protocol });
            self.numbers.targets.retire(backend.target);
        }
        let change = format!("removed service {name}: {}", service.endpoint());
        Ok(Effect { changes: vec![change], warnings: Vec::new() })
    }

    /// Adds a backend to a service's pool.
    pub fn add_backend(&mut self, name: &str, spec: &BackendSpec) -> Result<Effect, Rejection> {
        let service = self.service(name)?;
        let about = |r: Rejection| r.of(&format!("service {name}"));
        check::backend(service.vip, spec).map_err(about)?;
        let endpoint = Endpoint { address: spec.address, protocol: service.protocol };
        self.backend_is_free(endpoint).map_err(about)?;
        let mut numbers = self.numbers.clone();
        let targets = numbers.take_targets(1).map_err(about)?;

        self.numbers = numbers;
        self.backends.insert(endpoint, name.into());
        let warnings = self.edit(name, |service| {
            service.backends.extend(targets.into_iter().map(|target| Backend {
                target,
                address: spec.address,
                weight: spec.weight,
                interface: spec.interface.clone(),
            }));
        });
        let change =
            format!("added backend {} to service {name}, weight {}", spec.address, spec.weight);
        Ok(Effect { changes: vec![change], warnings })
    }

    /// Changes a backend's weight.
    pub fn set_weight(
        &mut self,
        name: &str,
        address: SocketAddr,
        weight: u32,
    ) -> Result<Effect, Rejection> {
        check::weight(weight).map_err(|r| r.of(&format!("backend {address}")))?;
        let (place, old) = self.find_backend(name, address)?;
        let old = old.weight;
        if old == weight {
            return Ok(Effect::default());
        }
        let warnings = self.edit(name, |service| service.backends[place].weight = weight);
        let change =
            format!("weight of backend {address} in service {name}: {old} before, now {weight}");
        Ok(Effect { changes: vec![change], warnings })
    }

    /// Removes a backend from a service's pool.
    pub fn remove_backend(&mut self, name: &str, address: SocketAddr) -> Result<Effect, Rejection> {
        let (place, backend) = self.find_backend(name, address)?;
        let target = backend.target;
        let protocol = self.service(name)?.protocol;

        self.numbers.targets.retire(target);
        self.backends.remove(&Endpoint { address, protocol });
        let mut left = 0;
        let mut warnings = self.edit(name, |service| {
            service.backends.remove(place);
            left = service.backends.len();
        });
        if left == 0 {
            warnings.push(format!(
                "service {name} has no backend left: packets to it are dropped until one is added"
            ));
        }
        let change = format!("removed backend {address} from service {name}, {left} left");
        Ok(Effect { changes: vec![change], warnings })
    }

    /// Wants the program on an interface.
    pub fn add_interface(&mut self, spec: &InterfaceSpec) -> Result<Effect, Rejection> {
        check::interface_name(&spec.name)?;
        if self.interfaces.contains_key(&spec.name) {
            return Err(Rejection::conflict(
                format!("interface {} is already there", spec.name),
                "to attach in another mode, detach it first (xlb detach)",
            ));
        }
        self.interfaces.insert(spec.name.clone(), spec.mode);
        Ok(Effect { changes: vec![format!("added interface {}", spec.name)], warnings: vec![] })
    }

    /// No longer wants the program on an interface.
    pub fn remove_interface(&mut self, name: &str) -> Result<Effect, Rejection> {
        if self.interfaces.remove(name).is_none() {
            let known = self.interfaces.keys().map(String::as_str);
            let help = match (nearest(name, known), self.interfaces.is_empty()) {
                (Some(near), _) => format!("did you mean {near}?"),
                (None, true) => "xlb is attached to no interface".to_owned(),
                (None, false) => {
                    let all: Vec<&str> = self.interfaces.keys().map(String::as_str).collect();
                    format!("xlb is attached to: {}", all.join(", "))
                }
            };
            return Err(Rejection::not_found(format!("xlb is not attached to {name}"), help));
        }
        Ok(Effect { changes: vec![format!("removed interface {name}")], warnings: vec![] })
    }

    /// Puts a service whose numbers are taken where it belongs.
    pub(super) fn insert(&mut self, service: Service) {
        let name: Arc<str> = service.name.as_str().into();
        self.vips.insert(service.endpoint(), name.clone());
        for backend in &service.backends {
            let (address, protocol) = (backend.address, service.protocol);
            self.backends.insert(Endpoint { address, protocol }, name.clone());
        }
        self.services.insert(service.name.clone(), Arc::new(service));
    }

    /// Edits a service that is known to be there; returns what is to be said of its pool then.
    pub(super) fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Service)) -> Vec<String> {
        let Some(service) = self.services.get_mut(name) else { return Vec::new() };
        let service = Arc::make_mut(service);
        edit(service);
        check::pool_warnings(name, service.slots, &service.backends)
    }

    fn find_backend(
        &self,
        name: &str,
        address: SocketAddr,
    ) -> Result<(usize, &Backend), Rejection> {
        let service = self.service(name)?;
        let mut backends = service.backends.iter().enumerate();
        backends.find(|(_, backend)| backend.address == address).ok_or_else(|| {
            let elsewhere = self.backends.get(&Endpoint { address, protocol: service.protocol });
            let known: Vec<String> =
                service.backends.iter().map(|backend| backend.address.to_string()).collect();
            let near = nearest(&address.to_string(), known.iter().map(String::as_str));
            let help = match (elsewhere, near, known.is_empty()) {
                (Some(other), ..) => format!("it is a backend of service {other}"),
                (None, Some(near), _) => format!("did you mean {near}?"),
                (None, None, true) => "the service has no backends".to_owned(),
                (None, None, false) => format!("`xlb backend list {name}` shows its backends"),
            };
            Rejection::not_found(format!("service {name} has no backend {address}"), help)
        })
    }

    pub(super) fn no_service(&self, name: &str) -> Rejection {
        let known = self.services.keys().map(String::as_str);
        let help = match (nearest(name, known), self.services.is_empty()) {
            (Some(near), _) => format!("did you mean {near}?"),
            (None, true) => "there are no services yet; `xlb service add` adds one".to_owned(),
            (None, false) => "`xlb service list` shows the services".to_owned(),
        };
        Rejection::not_found(format!("there is no service {name:?}"), help)
    }
}
