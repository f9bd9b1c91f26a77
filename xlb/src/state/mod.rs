//! What the agent must still know after it was killed: the state file and its directory.
//!
//! The model with the data path's numbers, and what the agent changed on this machine and must be
//! able to undo. It is written before a change is acknowledged, and published after that: an agent
//! that starts rolls forward to it. The file is replaced whole, so it is the old or the new state,
//! whenever the machine stops.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use xlb_common::toeplitz::{Key, STANDARD_KEY};

use crate::model::{Model, RestoreError, SavedModel};

mod directory;
mod error;

#[cfg(test)]
mod tests;

pub use directory::{Loaded, StateDir};
pub use error::StateError;

/// Version of the state file.
pub const SCHEMA: u32 = 1;

/// A kernel setting that the agent changed when it attached to an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SysctlChange {
    /// The interface for whose sake it was changed.
    pub interface: String,
    /// The file under `/proc/sys`.
    pub path: String,
    /// What was there before: written back at detach.
    pub old: String,
    /// What the agent wrote.
    pub new: String,
}

/// A VIP that the agent added to an interface; those that were there already are not its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddedVip {
    /// The VIP.
    pub address: IpAddr,
    /// Where it was added.
    pub interface: String,
}

/// Digests of what was applied last of the configuration; nothing where it had nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedConfig {
    /// Of the interfaces.
    pub interfaces: Option<String>,
    /// Of the services.
    pub services: Option<String>,
}

/// The state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The desired state.
    pub model: Model,
    /// Kernel settings to restore, in the order in which they were changed.
    pub sysctls: Vec<SysctlChange>,
    /// VIPs to remove again.
    pub vips: Vec<AddedVip>,
    /// The key of the Toeplitz hash.
    pub hash_key: Key,
    /// What was applied last of the configuration.
    pub applied_config: AppliedConfig,
}

impl State {
    /// The state of a machine that xlb has never run on.
    pub fn new(capacity: u32) -> Self {
        Self {
            model: Model::new(capacity),
            sysctls: Vec::new(),
            vips: Vec::new(),
            hash_key: STANDARD_KEY,
            applied_config: AppliedConfig::default(),
        }
    }
}

/// The state file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    #[serde(with = "hex::serde")]
    hash_key: Key,
    applied_config: AppliedConfig,
    sysctls: Vec<SysctlChange>,
    vips: Vec<AddedVip>,
    model: SavedModel,
}

/// Why a state file can't be used.
#[derive(Debug)]
enum Unusable {
    /// It is not what any agent wrote.
    Damaged(String),
    /// It is good, but not for this agent.
    Refused(StateError),
}

fn encode(state: &State) -> serde_json::Result<Vec<u8>> {
    let State { model, sysctls, vips, hash_key, applied_config } = state;
    let mut text = serde_json::to_vec_pretty(&File {
        schema: SCHEMA,
        hash_key: *hash_key,
        applied_config: applied_config.clone(),
        sysctls: sysctls.clone(),
        vips: vips.clone(),
        model: model.save(),
    })?;
    text.push(b'\n');
    Ok(text)
}

fn decode(text: &[u8], capacity: u32) -> Result<State, Unusable> {
    /// What is read of a file whose shape is not known yet.
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    let damaged = |e: serde_json::Error| Unusable::Damaged(e.to_string());
    let Version { schema } = serde_json::from_slice(text).map_err(damaged)?;
    if schema > SCHEMA {
        return Err(Unusable::Refused(StateError::Newer { schema }));
    }
    if schema != SCHEMA {
        return Err(Unusable::Damaged(format!("schema {schema} has never been")));
    }
    let file: File = serde_json::from_slice(text).map_err(damaged)?;
    let File { schema: _, hash_key, applied_config, sysctls, vips, model } = file;
    let model = Model::restore(model, capacity).map_err(|e| match e {
        RestoreError::Damaged(why) => Unusable::Damaged(why),
        RestoreError::TooFewSlots { needed, capacity } => {
            Unusable::Refused(StateError::TooFewSlots { needed, capacity })
        }
    })?;
    Ok(State { model, sysctls, vips, hash_key, applied_config })
}
