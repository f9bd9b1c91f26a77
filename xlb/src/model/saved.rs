//! The model as it is written to the state file, and back.
//!
//! The numbers that the data path refers to are saved with what they belong to, the retired ones
//! too: an agent that was killed between writing and publishing a change must not use them again.
//! Nothing that breaks an invariant is ever restored.

use serde::{Deserialize, Serialize};
use xlb_common::layout::SLOTS_PER_LINE;

use super::{
    Backend, Model, Numbers, Region, SERVICE_IDS, SavedIds, Service, TARGET_IDS, alloc, check,
};
use crate::api::types::{InterfaceSpec, ServiceSpec};

/// A service and its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedService {
    /// Its id.
    pub id: u16,
    /// Its first slot.
    pub first_slot: u32,
    /// Its backends' targets, in the order of `spec.backends`.
    pub targets: Vec<u16>,
    /// What was asked for.
    pub spec: ServiceSpec,
}

/// A [`Model`] as it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedModel {
    /// The services.
    pub services: Vec<SavedService>,
    /// The interfaces that the program should be attached to.
    pub interfaces: Vec<InterfaceSpec>,
    /// Service ids that are in use by none of `services`.
    pub service_ids: SavedIds,
    /// Targets that are in use by none of `services`.
    pub targets: SavedIds,
    /// Regions of slots that wait for a grace period.
    pub retired_regions: Vec<Region>,
}

/// Why a saved model can't be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It contradicts itself.
    #[error("{0}")]
    Damaged(String),
    /// It is good, but takes more slots than there are.
    #[error("the services take slots up to {needed}, but there is room for {capacity} only")]
    TooFewSlots {
        /// The number of slots it takes.
        needed: u32,
        /// The number of slots there are.
        capacity: u32,
    },
}

impl Model {
    /// What is to be written down of this model.
    pub fn save(&self) -> SavedModel {
        let Numbers { services, targets, regions } = &self.numbers;
        let service = |service: &Service| SavedService {
            id: service.id,
            first_slot: service.region.first_slot,
            targets: service.backends.iter().map(|backend| backend.target).collect(),
            spec: service.spec(),
        };
        let interface = |(name, mode): (&str, _)| InterfaceSpec { name: name.to_owned(), mode };
        SavedModel {
            services: self.services().map(|s| service(s)).collect(),
            interfaces: self.interfaces().map(interface).collect(),
            service_ids: services.save(),
            targets: targets.save(),
            retired_regions: regions.retired(),
        }
    }

    /// Brings a saved model back.
    pub fn restore(saved: SavedModel, capacity: u32) -> Result<Self, RestoreError> {
        let model = Self::restored(saved).map_err(RestoreError::Damaged)?;
        let needed = model.numbers.regions.end();
        if needed > capacity {
            return Err(RestoreError::TooFewSlots { needed, capacity });
        }
        Ok(Self {
            numbers: Numbers {
                regions: model.numbers.regions.with_capacity(capacity),
                ..model.numbers
            },
            ..model
        })
    }

    fn restored(saved: SavedModel) -> Result<Self, String> {
        let SavedModel { services, interfaces, service_ids, targets, retired_regions } = saved;
        let mut model = Self::new(u32::MAX);
        let mut regions: Vec<(Region, bool)> =
            retired_regions.into_iter().map(|region| (region, true)).collect();
        for SavedService { id, first_slot, targets, spec } in services {
            let checked = check::service(&spec).map_err(|r| r.error)?;
            model.fits(&spec).map_err(|r| r.error)?;
            if targets.len() != spec.backends.len() {
                return Err(format!("service {}: backends and targets differ", spec.name));
            }
            let length = spec.slots.next_multiple_of(SLOTS_PER_LINE as u32);
            let region = Region { first_slot, length };
            regions.push((region, false));
            let backend = |(spec, target): (crate::api::types::BackendSpec, u16)| Backend {
                target,
                address: spec.address,
                weight: spec.weight,
                interface: spec.interface,
            };
            model.insert(Service {
                id,
                region,
                name: spec.name,
                vip: spec.vip,
                protocol: spec.protocol,
                mode: spec.mode,
                slots: spec.slots,
                announce: spec.announce,
                direct: checked.direct,
                backends: spec.backends.into_iter().zip(targets).map(backend).collect(),
            });
        }
        for spec in interfaces {
            model.add_interface(&spec).map_err(|r| r.error)?;
        }
        let ids = model.services().map(|service| service.id);
        let used = model.services().flat_map(|s| s.backends.iter().map(|backend| backend.target));
        model.numbers = Numbers {
            services: alloc::Ids::restore("service", SERVICE_IDS, service_ids, ids)?,
            targets: alloc::Ids::restore("target", TARGET_IDS, targets, used)?,
            regions: alloc::Regions::restore(regions)?,
        };
        Ok(model)
    }
}
