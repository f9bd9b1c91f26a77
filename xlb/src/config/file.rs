//! The shape of the configuration file. Values that more is said about later keep where they were.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use crate::api::types::{Announce, Mode, Protocol};

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) agent: Agent,
    #[serde(default, rename = "service")]
    pub(super) services: Vec<Spanned<Service>>,
}

/// `[agent]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Agent {
    pub(super) socket: Option<Spanned<PathBuf>>,
    pub(super) state_dir: Option<Spanned<PathBuf>>,
    pub(super) pins: Option<Spanned<PathBuf>>,
    pub(super) slots: Option<Spanned<u32>>,
    pub(super) hash_key: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) attach: Vec<Spanned<String>>,
}

/// `[[service]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) name: Spanned<String>,
    pub(super) vip: Spanned<SocketAddr>,
    pub(super) protocol: Protocol,
    #[serde(default)]
    pub(super) mode: Mode,
    pub(super) slots: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) announce: Announce,
    pub(super) direct: Option<Spanned<Vec<String>>>,
    #[serde(default, rename = "backend")]
    pub(super) backends: Vec<Spanned<Backend>>,
}

/// `[[service.backend]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    pub(super) weight: Option<u32>,
    pub(super) interface: Option<String>,
}
