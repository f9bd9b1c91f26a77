//! `cargo xtask test`: every check and every test, as continuous integration runs them.
//!
//! The cheap and the picky come first. All of it shares one target directory and one profile, so
//! that nothing is compiled twice for the same purpose. It ends with what all test runners counted.

use std::{
    env,
    ffi::OsString,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use xlb_tests::{binaries, command::describe, interrupt};

use crate::{
    kernels,
    setup::{self, compiler::Compiler},
    tools::{Tally, cargo, say, step, target_directory},
};

/// What to leave out.
#[derive(Args, Debug)]
pub struct Options {
    /// Leave out the tests on other kernels
    #[arg(long)]
    no_kernels: bool,
}

/// Runs everything; fails if anything does.
pub fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    setup::ensure(setup::EVERYTHING)?;
    step(cargo().args(["fmt", "--all", "--check"]))?;
    step(cargo().args(["clippy", "--all-targets", "--", "-D", "warnings"]))?;
    lint_ebpf()?;
    step(cargo().args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    step(&mut binaries::build_command())?;

    let mut tally = Tally::default();
    let tests = tests(&mut tally);
    let kernels = if options.no_kernels {
        Ok(Tally::default())
    } else {
        kernels::run(&kernels::Options::default())
    };
    if let Ok(counted) = &kernels {
        tally.add(counted);
    }
    say(&format!("all of it took {}", minutes(start.elapsed())));
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.ignored);
    tests.and(kernels.map(drop))
}

/// Clippy for the eBPF crate, by the compiler that builds it.
fn lint_ebpf() -> Result<()> {
    if !Compiler::find().is_some_and(|compiler| compiler.is_debian) {
        say("note: the eBPF program is not linted: that takes Debian's compiler");
        return Ok(());
    }
    // Its own programs first in PATH: cargo looks there for clippy.
    let mut path = OsString::from("/usr/bin:");
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut clippy = Command::new("/usr/bin/cargo");
    clippy.current_dir(binaries::workspace());
    clippy.args(["clippy", "--release", "--locked", "--package=xlb-ebpf"]);
    clippy.args(["--target=bpfel-unknown-none", "--target-dir"]);
    clippy.arg(target_directory()?.join("lint-ebpf")).args(["--", "-D", "warnings"]);
    clippy.env("PATH", path).env("RUSTC", "/usr/bin/rustc");
    clippy.env("CARGO_ENCODED_RUSTFLAGS", "--cfg=bpf_target_arch=\"x86_64\"");
    for outer in ["CARGO", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "RUSTFLAGS"] {
        clippy.env_remove(outer);
    }
    step(&mut clippy)
}

/// All tests on this machine's kernel, with their runners' lines shown and counted.
fn tests(tally: &mut Tally) -> Result<()> {
    let mut test = cargo();
    test.args(["test", "--no-fail-fast"]).env(binaries::BUILT, "1");
    say(&describe(&test));
    let mut child = test
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", describe(&test)))?;
    let stdout = child.stdout.take().context("no pipe")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        tally.read(&line);
        println!("{line}");
    }
    let status = child.wait()?;
    interrupt::check()?;
    if !status.success() {
        bail!("{} failed ({status})", describe(&test));
    }
    Ok(())
}

fn minutes(time: Duration) -> String {
    format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60)
}
