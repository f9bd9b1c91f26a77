//! Running cargo and other programs, and saying so.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use xlb_tests::{
    binaries::{without_cargo_variables, workspace},
    command::describe,
    interrupt,
};

/// The cargo that runs this, in the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    without_cargo_variables(&mut command);
    command.current_dir(workspace());
    command
}

/// Runs a program whose output the user sees, saying how it is called and how long it took.
pub fn step(command: &mut Command) -> Result<()> {
    say(&describe(command));
    let start = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", describe(command)))?;
    interrupt::check()?;
    if !status.success() {
        bail!("{} failed ({status})", describe(command));
    }
    say(&format!("done in {:.1} s", start.elapsed().as_secs_f64()));
    Ok(())
}

/// A line about what is being done, apart from what programs print.
pub fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// Where a program is, looking through PATH and where cargo installs.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .map(|home| home.join("bin"));
    env::split_paths(&path)
        .chain(installed)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// What cargo builds into.
pub fn target_directory() -> Result<PathBuf> {
    let running = env::current_exe().context("cannot tell where xtask is")?;
    let directory = running.parent().and_then(Path::parent);
    directory.map(Into::into).context("xtask is not in a target directory")
}

/// What a program prints on its standard output, if it can be run and succeeds.
pub fn ask(program: impl AsRef<OsStr>, args: &[&str]) -> Option<String> {
    // The path to rustup's own libraries would be used by Debian's compiler, too.
    let output = Command::new(program).args(args).env_remove("LD_LIBRARY_PATH").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What test runners have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that were not run.
    pub ignored: u64,
}

impl Tally {
    /// Takes note of a line that a runner wrote: "test result: ok. 3 passed; 0 failed; …".
    pub fn read(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else { return };
        let counted = result.split_once(". ").map_or(result, |(_, counted)| counted);
        for part in counted.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// Adds another one's counts.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runners_write_is_counted() {
        let mut tally = Tally::default();
        tally.read("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out");
        tally.read("test result: FAILED. 3 passed; 4 failed; 0 ignored; finished in 0.00s");
        tally.read("test layout ... ok");
        assert_eq!(tally, Tally { passed: 15, failed: 4, ignored: 1 });
    }
}
