//! `cargo xtask kernels`: the packet tests on other kernels than this machine's.
//!
//! A program that one kernel's verifier takes can be refused by another's. So Debian's cloud kernels
//! are booted in QEMU's software emulation, which works everywhere, with the test binary in a small
//! initial file system. Nothing is installed: the kernels are unpacked below the target directory.

/// Booting and watching a guest.
mod guest;
/// Kernels to boot.
mod image;
/// The file system that a guest boots with.
mod initramfs;
/// Where kernels come from.
mod packages;

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;
use xlb_tests::binaries::binary;

use crate::{
    setup::{self, Purpose},
    tools::{Tally, cargo, say, target_directory},
};
use initramfs::{Initramfs, Program};

/// The kernels that the tests run on, oldest first.
const SERIES: &[&str] = &["6.1", "6.12"];
/// The test that runs in the guests.
const TEST: &str = "packets";

/// What to run, and where.
#[derive(Args, Debug, Default)]
pub struct Options {
    /// Only this kernel (6.1 or 6.12); can be given more than once
    #[arg(long = "kernel", value_name = "SERIES")]
    kernels: Vec<String>,
    /// Run `xlb bench --json --quick` instead of the packet tests (in software emulation: the
    /// numbers say nothing about real machines)
    #[arg(long)]
    bench: bool,
    /// Run this program instead of the packet tests
    #[arg(long, value_name = "FILE", conflicts_with = "bench")]
    program: Option<PathBuf>,
    /// Its arguments, or the packet tests'
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Runs it, on one kernel after the other; what the tests counted.
pub fn run(options: &Options) -> Result<Tally> {
    setup::ensure(&[Purpose::Build, Purpose::Kernels])?;
    if let Some(unknown) = options.kernels.iter().find(|k| !SERIES.contains(&k.as_str())) {
        bail!("no kernel {unknown}: there are {}", SERIES.join(" and "));
    }
    let program = program(options)?;
    let directory = target_directory()?.join("kernels");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    // Only one at a time: the files are shared.
    let lock = File::create(directory.join("lock"))?;
    lock.lock().context("cannot wait for another run to end")?;
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    for series in SERIES {
        if !options.kernels.is_empty() && !options.kernels.iter().any(|k| k == series) {
            continue;
        }
        let image = image::get(series)?;
        say(&format!("kernel {} ({})", series, image.name));
        let initramfs = Initramfs::build(&image, &program)?;
        let outcome = guest::boot(&image, &initramfs, series)?;
        tally.add(&outcome.tally);
        if !outcome.passed {
            failed.push(*series);
        }
    }
    if !failed.is_empty() {
        bail!("failed on {}", failed.join(" and "));
    }
    Ok(tally)
}

fn program(options: &Options) -> Result<Program> {
    let arguments = options.arguments.clone();
    if options.bench {
        let arguments = ["bench", "--json", "--quick"].map(Into::into).to_vec();
        return Ok(Program { file: binary("xlb")?, arguments });
    }
    let file = match &options.program {
        Some(file) => file.clone(),
        None => test_binary(TEST)?,
    };
    Ok(Program { file, arguments })
}

/// Builds all tests, as `cargo test` does, and says where this one is.
fn test_binary(name: &str) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["test", "--no-run", "--message-format=json-render-diagnostics"]);
    let output = build.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the tests do not build");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == name && message["profile"]["test"] == true;
        is_it.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
    });
    executable.with_context(|| format!("there is no test named {name}"))
}
