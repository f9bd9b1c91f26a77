//! The desired state: what the operator asked for, and the numbers the data path knows it by.
//!
//! Pure: no I/O, no clock. A change is a method that checks everything first and then can't fail,
//! so a refused change leaves the model as it was. Whoever must be able to take an accepted one
//! back (because writing it down failed) changes a clone; clones share the services.
//!
//! Invariants: names, VIPs and backends' endpoints are unique, the latter two over all services
//! together; no backend is a VIP; regions do not overlap; every id and target is in use by one,
//! free, or retired, and nothing retired is used again before `Model::release_retired`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use xlb_common::layout::{NO_TARGET, SERVICES, TARGETS};

use crate::api::types::{Announce, AttachMode, BackendSpec, Changed, Mode, Protocol, ServiceSpec};

mod alloc;
mod apply;
mod change;
mod check;
mod clash;
mod numbers;
mod rejection;
mod saved;

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
pub use alloc::{Region, SavedIds};
pub use check::{INTERFACE_NAME_MAX, NAME_MAX, WEIGHT_MAX, parse_endpoint};
pub use rejection::{Part, Rejection, RejectionKind};
pub use saved::{RestoreError, SavedModel, SavedService};

/// An address, a port and a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Address and port.
    pub address: SocketAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{}/{protocol}", self.address)
    }
}

/// A backend of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its target in the data path.
    pub target: u16,
    /// Address and port.
    pub address: SocketAddr,
    /// Its share of new flows is its weight over the sum of the pool's weights.
    pub weight: u32,
    /// The interface that its replies must come from; without it, any.
    pub interface: Option<String>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its id in the data path.
    pub id: u16,
    /// Its region of the slot map: its slots, rounded up to whole lines.
    pub region: Region,
    /// Its name.
    pub name: String,
    /// The VIP and its port.
    pub vip: SocketAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How packets reach the backends.
    pub mode: Mode,
    /// Size of the consistent-hash table.
    pub slots: u32,
    /// Who makes the VIP known to the network.
    pub announce: Announce,
    /// Clients that talk to the backends directly, through this node.
    pub direct: Vec<IpNet>,
    /// The pool, in the order in which the backends were added.
    pub backends: Vec<Backend>,
}

impl Service {
    /// The VIP with port and protocol.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { address: self.vip, protocol: self.protocol }
    }

    /// The service as it would have to be asked for.
    pub fn spec(&self) -> ServiceSpec {
        let backend = |backend: &Backend| BackendSpec {
            address: backend.address,
            weight: backend.weight,
            interface: backend.interface.clone(),
        };
        ServiceSpec {
            name: self.name.clone(),
            vip: self.vip,
            protocol: self.protocol,
            mode: self.mode,
            slots: self.slots,
            announce: self.announce,
            direct: self.direct.iter().map(IpNet::to_string).collect(),
            backends: self.backends.iter().map(backend).collect(),
        }
    }
}

/// What a change did, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// What was changed, a line each; nothing if all was as asked for already.
    pub changes: Vec<String>,
    /// Things that work but that the operator should know of.
    pub warnings: Vec<String>,
}

impl Effect {
    /// Adds what another change did.
    pub fn extend(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.warnings.extend(other.warnings);
    }
}

impl From<Effect> for Changed {
    fn from(effect: Effect) -> Self {
        let message = match effect.changes.is_empty() {
            true => "nothing to change".to_owned(),
            false => effect.changes.join("; "),
        };
        Self { schema: crate::api::types::SCHEMA, message, warnings: effect.warnings }
    }
}

/// The desired state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    services: BTreeMap<String, Arc<Service>>,
    interfaces: BTreeMap<String, AttachMode>,
    /// Which service has a VIP.
    vips: HashMap<Endpoint, Arc<str>>,
    /// Which service has a backend.
    backends: HashMap<Endpoint, Arc<str>>,
    numbers: Numbers,
}

/// The numbers that the data path refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbers {
    services: alloc::Ids,
    targets: alloc::Ids,
    regions: alloc::Regions,
}

/// First service id and the number after the last.
const SERVICE_IDS: (u16, u16) = (0, SERVICES as u16);
/// First target and the number after the last.
const TARGET_IDS: (u16, u16) = (NO_TARGET + 1, TARGETS as u16);

impl Model {
    /// An empty model with room for `capacity` slots.
    pub fn new(capacity: u32) -> Self {
        Self {
            services: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            vips: HashMap::new(),
            backends: HashMap::new(),
            numbers: Numbers {
                services: alloc::Ids::new(SERVICE_IDS.0, SERVICE_IDS.1),
                targets: alloc::Ids::new(TARGET_IDS.0, TARGET_IDS.1),
                regions: alloc::Regions::new(capacity),
            },
        }
    }

    /// The services, in the order of their names.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// The service of this name; or a rejection that suggests a near one.
    pub fn service(&self, name: &str) -> Result<&Arc<Service>, Rejection> {
        self.services.get(name).ok_or_else(|| self.no_service(name))
    }

    /// The interfaces that the program should be attached to, in the order of their names.
    pub fn interfaces(&self) -> impl ExactSizeIterator<Item = (&str, AttachMode)> {
        self.interfaces.iter().map(|(name, &mode)| (name.as_str(), mode))
    }

    /// Slots in regions that are in use.
    pub fn slots_used(&self) -> u32 {
        self.numbers.regions.used()
    }

    /// Slots that there is room for.
    pub fn slots_capacity(&self) -> u32 {
        self.numbers.regions.capacity()
    }

    /// Whether ids, targets or regions wait for a grace period.
    pub fn has_retired(&self) -> bool {
        let Numbers { services, targets, regions } = &self.numbers;
        services.retired() + targets.retired() > 0 || regions.waiting() > 0
    }

    /// Says that a grace period has passed since the last change was published: what was retired
    /// may be used again.
    pub fn release_retired(&mut self) {
        self.numbers.services.release();
        self.numbers.targets.release();
        self.numbers.regions.release();
    }
}
