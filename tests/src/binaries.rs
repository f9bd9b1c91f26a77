//! Where the binaries under test are.
//!
//! They lie beside the running test or task. Cargo does not build a package's binaries for another
//! package's tests, so they are built here, once a process, which costs nothing when they are
//! fresh: a test never runs an old one. `XLB_LAB_BUILT=1` says that the caller has just done it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, Result, anyhow};

use crate::command::run;

/// Says that the binaries are built already.
pub const BUILT: &str = "XLB_LAB_BUILT";

/// The binary of this name, `xlb` or `xlb-lab-tool`.
pub fn binary(name: &str) -> Result<PathBuf> {
    static DIRECTORY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let directory = DIRECTORY
        .get_or_init(|| build().map_err(|e| format!("{e:#}")))
        .as_ref()
        .map_err(|e| anyhow!("{e}"))?;
    Ok(directory.join(name))
}

fn build() -> Result<PathBuf> {
    let directory = directory()?;
    if env::var_os(BUILT).is_none() {
        run(&mut build_command())?;
    }
    Ok(directory)
}

/// Where this program is, and so the others are.
fn directory() -> Result<PathBuf> {
    let running = env::current_exe().context("cannot tell where this program is")?;
    let mut directories = running.ancestors().skip(1);
    let directory = directories.find(|directory| !directory.ends_with("deps"));
    directory.map(Into::into).context("this program is nowhere")
}

/// What builds the binaries, into the directory that this program is in.
pub fn build_command() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    cargo.args(["build", "--bins", "--package=xlb", "--package=xlb-tests"]);
    if let Ok(directory) = directory() {
        if directory.ends_with("release") {
            cargo.arg("--release");
        }
        if let Some(target) = directory.parent() {
            cargo.arg("--target-dir").arg(target);
        }
    }
    without_cargo_variables(&mut cargo);
    cargo
}

/// Takes away what cargo set for this process alone, and what would change what another cargo
/// builds: package variables and the path to the compiler's own libraries.
pub fn without_cargo_variables(command: &mut Command) {
    let ours = |key: &OsString| {
        key.to_str().is_some_and(|key| {
            key.starts_with("CARGO_PKG_")
                || key.starts_with("CARGO_MANIFEST_")
                || key.starts_with("CARGO_BIN_")
                || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR", "LD_LIBRARY_PATH"]
                    .contains(&key)
        })
    };
    for key in env::vars_os().map(|(key, _)| key).filter(ours) {
        command.env_remove(key);
    }
}

/// The workspace.
pub fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}
