//! What has to be installed, and installing it.
//!
//! The user is told what is missing and why before anything is done. Where everything is there it
//! takes well under a second and touches nothing. Only Debian's packages and crates.io are used;
//! elsewhere the list is printed, and that is all.

/// Debian's packages.
pub mod apt;
/// The compiler of the eBPF programs.
pub mod compiler;
/// The linker of BPF programs, which has to suit the compiler.
mod linker;
/// What is needed for what.
mod needs;

use std::path::Path;

use anyhow::{Result, bail};
use nix::unistd::Uid;

use crate::tools::{find, say};
pub use needs::{EVERYTHING, Purpose};
use needs::{NEEDS, Need};

/// Makes sure that everything is there for these purposes.
pub fn ensure(purposes: &[Purpose]) -> Result<()> {
    let found = missing(purposes);
    let linker = linker::problem();
    if found.is_empty() && linker.is_none() {
        return Ok(());
    }

    say("missing:");
    for need in &found {
        say(&format!("  {}: to {}", need.packages.join(" "), need.why));
    }
    if let Some(problem) = &linker {
        say(&format!("  {}: to link the eBPF programs ({problem})", linker::NAME));
    }
    if !apt::is_debian() {
        bail!(
            "only on Debian can this be installed from here. Install it by other means and try \
             again; instead of Debian's compiler, rustup's nightly does as well: rustup toolchain \
             install nightly --component rust-src"
        );
    }
    if !Uid::effective().is_root() {
        bail!("only root can install packages: run `cargo xtask setup` as root once");
    }

    let nginx_was_there = find("nginx").is_some();
    let packages: Vec<&str> = found.iter().flat_map(|need| need.packages).copied().collect();
    apt::install(&packages)?;
    if !nginx_was_there && find("nginx").is_some() && Path::new("/run/systemd/system").exists() {
        say("nginx is only used inside the lab, so its service is turned off");
        apt::turn_off("nginx");
    }
    linker::ensure()?;
    if let Some(need) = missing(purposes).first() {
        bail!("{} is installed, yet there is no {}", need.packages.join(" "), need.what());
    }
    if find("cargo").as_deref() == Some(Path::new("/usr/bin/cargo")) {
        say("note: Debian's /usr/bin/cargo comes before rustup's in PATH; put ~/.cargo/bin first");
    }
    say("everything is there");
    Ok(())
}

fn missing(purposes: &[Purpose]) -> Vec<&'static Need> {
    let wanted = NEEDS.iter().filter(|need| purposes.contains(&need.purpose));
    wanted.filter(|need| !need.is_met()).collect()
}
