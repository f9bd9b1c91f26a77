//! The configuration file: TOML, read once when the agent starts.
//!
//! Paths, slots and key count at every start. Interfaces are applied when they differ from those
//! that were applied last, which a digest in the state file tells, and so are services. Otherwise
//! the state wins, with all that the operator has changed since. Every error names file, line and column, what was
//! wrong and what was expected.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use xlb_common::layout::DEFAULT_SLOT_CAPACITY;
use xlb_common::toeplitz::Key;

use crate::api::types::{InterfaceSpec, ServiceSpec};
use crate::model::{Effect, Rejection};
use crate::state::{AppliedConfig, State};

mod check;
mod error;
mod file;

#[cfg(test)]
mod tests;

pub use check::parse_attach;
pub use error::ConfigError;

/// Where the configuration is looked for.
pub const DEFAULT_PATH: &str = "/etc/xlb/xlb.toml";
/// Where the agent listens.
pub const DEFAULT_SOCKET: &str = "/run/xlb/xlb.sock";
/// Where the agent keeps its state.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/xlb";
/// Where the agent pins maps, programs and links.
pub const DEFAULT_PINS: &str = "/sys/fs/bpf/xlb";

/// A configuration that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Path of the API's socket.
    pub socket: PathBuf,
    /// Path of the state directory.
    pub state_dir: PathBuf,
    /// Path of the pins, in a BPF file system.
    pub pins: PathBuf,
    /// How many slots there is room for, over all services.
    pub slots: u32,
    /// The key of the Toeplitz hash; without it the one in the state goes on.
    pub hash_key: Option<Key>,
    /// The interfaces to attach to.
    pub attach: Vec<InterfaceSpec>,
    /// The services.
    pub services: Vec<ServiceSpec>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: DEFAULT_SOCKET.into(),
            state_dir: DEFAULT_STATE_DIR.into(),
            pins: DEFAULT_PINS.into(),
            slots: DEFAULT_SLOT_CAPACITY,
            hash_key: None,
            attach: Vec::new(),
            services: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::unreadable(path, &e))?;
        Self::parse(&text, path)
    }

    /// Reads the file at [`DEFAULT_PATH`], or takes the defaults if there is none.
    pub fn load_default() -> Result<Self, ConfigError> {
        match Self::load(Path::new(DEFAULT_PATH)) {
            Err(e) if e.missing => Ok(Self::default()),
            result => result,
        }
    }

    /// Reads a configuration; `path` is for the error messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file: file::File =
            toml::from_str(text).map_err(|e| ConfigError::syntax(path, text, &e))?;
        check::check(file).map_err(|e| ConfigError::rejected(path, text, e))
    }

    /// Brings a state to this configuration, where it has to be; or refuses and changes nothing.
    ///
    /// Interfaces are applied if they are not those that were applied last, and so are services.
    /// Returns what was changed.
    pub fn apply(&self, state: &mut State) -> Result<Effect, Rejection> {
        let key = self.hash_key.unwrap_or(state.hash_key);
        if key != state.hash_key && state.model.services().len() > 0 {
            return Err(Rejection::conflict(
                "hash_key can't change while there are services: every flow could change its \
                 backend",
                "put the old key back, or remove all services first",
            ));
        }
        let config =
            AppliedConfig { interfaces: digest(&self.attach), services: digest(&self.services) };
        let mut model = state.model.clone();
        let mut effect = Effect::default();
        if config.interfaces != state.applied_config.interfaces {
            effect.extend(model.apply_interfaces(&self.attach)?);
        }
        if config.services != state.applied_config.services {
            effect.extend(model.apply_services(&self.services)?);
        }
        state.model = model;
        state.hash_key = key;
        state.applied_config = config;
        Ok(effect)
    }
}

/// Digest of a list; nothing of an empty one.
fn digest<T: Serialize>(list: &[T]) -> Option<String> {
    let text = serde_json::to_vec(list).ok().filter(|_| !list.is_empty())?;
    Some(hex::encode(Sha256::digest(text)))
}
