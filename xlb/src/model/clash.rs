//! Whether something new goes together with the services that are there.
//!
//! A reply is told by the backend's address, port and protocol alone, and packets to a VIP's
//! address end at this node: that is where these rules come from.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Endpoint, Model, Part, Rejection, Service};
use crate::api::types::{Announce, ServiceSpec};

impl Model {
    /// Refuses a service that clashes with another one.
    pub(super) fn fits(&self, spec: &ServiceSpec) -> Result<(), Rejection> {
        let about = |r: Rejection| r.of(&format!("service {}", spec.name));
        if let Some(there) = self.services.get(&spec.name) {
            return Err(Rejection::conflict(
                format!("service {} is already there, for {}", spec.name, there.endpoint()),
                "choose another name, or remove it first (xlb service remove)",
            )
            .part(Part::Name));
        }
        let endpoint = Endpoint { address: spec.vip, protocol: spec.protocol };
        self.vip_is_free(endpoint, spec.announce).map_err(|r| about(r).part(Part::Vip))?;
        for backend in &spec.backends {
            let address = backend.address;
            let about = |r| about(r).part(Part::Backend(address));
            if spec.announce == Announce::Arp && address.ip() == spec.vip.ip() {
                return Err(about(own_address(address, &spec.name)));
            }
            self.backend_is_free(Endpoint { address, protocol: spec.protocol }).map_err(about)?;
        }
        Ok(())
    }

    /// Refuses a VIP that clashes with another service.
    pub(super) fn vip_is_free(&self, vip: Endpoint, announce: Announce) -> Result<(), Rejection> {
        if let Some(other) = self.vips.get(&vip) {
            return Err(Rejection::conflict(
                format!("{vip} is already the VIP of service {other}"),
                "one VIP, port and protocol belong to one service; add the backends to that one",
            ));
        }
        if let Some(other) = self.backends.get(&vip) {
            return Err(Rejection::conflict(
                format!("the VIP {vip} is a backend of service {other}: a loop"),
                "list the real servers in both services' pools, or give the VIP another port",
            ));
        }
        self.address_is_no_backend(vip.address.ip(), announce)
    }

    /// Refuses that the agent takes the address of a real server for itself.
    pub(super) fn address_is_no_backend(
        &self,
        address: IpAddr,
        announce: Announce,
    ) -> Result<(), Rejection> {
        if announce == Announce::None {
            return Ok(());
        }
        let clashes = self.backends.iter().filter(|(backend, _)| backend.address.ip() == address);
        match clashes.min() {
            None => Ok(()),
            Some((endpoint, other)) => Err(Rejection::conflict(
                format!("the VIP {address} is the address of backend {endpoint} of {other}"),
                "xlb would answer for the real server's address: use an address of its own, or \
                 announce = \"none\" if packets to it are routed through this node anyway",
            )),
        }
    }

    /// Refuses a backend that clashes with another service.
    pub(super) fn backend_is_free(&self, backend: Endpoint) -> Result<(), Rejection> {
        let address = backend.address;
        if let Some(other) = self.vips.get(&backend) {
            return Err(Rejection::conflict(
                format!("backend {address} is the VIP of service {other}: a loop"),
                "give the address of a real server",
            ));
        }
        if let Some(other) = self.backends.get(&backend) {
            return Err(Rejection::conflict(
                format!("backend {backend} is already a backend of service {other}"),
                "its replies could not be told apart: let the server listen on another port or \
                 address for each service",
            ));
        }
        let announced = |service: &&Arc<Service>| {
            service.announce == Announce::Arp && service.vip.ip() == address.ip()
        };
        match self.services.values().find(announced) {
            Some(service) => Err(own_address(address, &service.name)),
            None => Ok(()),
        }
    }
}

fn own_address(backend: SocketAddr, service: &str) -> Rejection {
    Rejection::conflict(
        format!("backend {backend} has the address of the VIP of service {service}"),
        "that address is this node itself; give the address of a real server",
    )
}
