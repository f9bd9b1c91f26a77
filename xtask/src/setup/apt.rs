//! Debian's packages, to be installed.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};

use crate::tools::{find, say, step};

/// Whether packages can be installed from here.
pub fn is_debian() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.lines().any(|line| line == "ID=debian") && find("apt-get").is_some()
}

/// Installs packages, with the package lists fetched before; once more if it fails.
pub fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let install = || -> Result<()> {
        update()?;
        // Nothing of the user's is removed for it: where packages conflict, it fails.
        let flags = ["install", "--yes", "--no-install-recommends", "--no-remove"];
        step(apt_get().args(flags).args(packages))
    };
    if let Err(e) = install() {
        xlb_tests::interrupt::check()?;
        say(&format!("{e:#}; once more"));
        install().with_context(|| {
            format!(
                "cannot install {}. If packages conflict (Debian's rustc, cargo or rustup with \
                 rustc-web), the eBPF program can be built by rustup's nightly: rustup toolchain \
                 install nightly --component rust-src",
                packages.join(" ")
            )
        })?;
    }
    Ok(())
}

/// Fetches the package lists.
fn update() -> Result<()> {
    step(apt_get().arg("update"))
}

/// Stops a service that a package has just started, and keeps it from starting again.
pub fn turn_off(service: &str) {
    if let Err(e) = step(Command::new("systemctl").args(["disable", "--now", service])) {
        say(&format!("note: {e:#}"));
    }
}

/// `apt-get` that asks nothing and waits for its lock.
pub fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // Another one may be running: wait for it instead of failing.
    command.args(["--quiet", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]);
    command
}
