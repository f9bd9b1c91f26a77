//! From arguments and configuration to settings: what is given on the command line wins.
//!
//! `--attach` is not among them: it adds to the wanted interfaces whatever the file says, and leaving
//! it out at the next start takes none away.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cli::RunArgs;
use crate::config::Config;
use crate::fault::Fault;

/// Reads the configuration and puts the arguments over it.
///
/// # Errors
///
/// The configuration can't be read or is not right.
pub fn settings(args: &RunArgs) -> Result<Config> {
    let mut config = match &args.config {
        Some(path) => Config::load(path),
        None => Config::load_default(),
    }
    .map_err(|error| Fault::new(error.to_string()).help(
        "mend the file, or start without it; docs/configuration.md lists everything that it may say",
    ))?;
    let RunArgs { config: _, attach: _, socket, state_dir, pins, slots, log_format: _, hash_key } =
        args;
    if let Some(key) = hash_key {
        config.hash_key = Some(key.0);
    }
    if let Some(slots) = slots {
        config.slots = *slots;
    }
    let over = |place: &mut PathBuf, given: &Option<PathBuf>| {
        if let Some(path) = given {
            place.clone_from(path);
        }
    };
    over(&mut config.socket, socket);
    over(&mut config.state_dir, state_dir);
    over(&mut config.pins, pins);
    config.pins =
        std::path::absolute(&config.pins).context("cannot make the path of pins absolute")?;
    Ok(config)
}
