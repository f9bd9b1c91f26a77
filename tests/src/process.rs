//! Programs that run as long as the lab does.
//!
//! A program ends when its `Process` is dropped, and also when the thread that started it ends,
//! however that ends: so start programs from a thread that lives as long as they shall. What they
//! write goes to a log file in the lab's directory, which errors quote.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{command::describe, sys::before_exec, wait::wait_for};

/// A command that ends with the thread that starts it, in no particular namespace.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    before_exec(&mut command, None);
    command
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Log,
}

/// Where it logs, behind what others of its name have written.
#[derive(Debug)]
struct Log {
    file: PathBuf,
    start: usize,
}

impl Process {
    /// Starts a command that came from [`Namespace::command`](crate::namespace::Namespace::command),
    /// logging to `NAME.log` in a directory.
    pub fn start(name: &str, mut command: Command, directory: &Path) -> Result<Self> {
        let (log, file) = log_file(name, directory)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        Self::spawn(name, command, log)
    }

    /// The same with pipes to its standard input and from its standard output.
    pub fn start_piped(
        name: &str,
        mut command: Command,
        directory: &Path,
    ) -> Result<(Self, ChildStdin, ChildStdout)> {
        let (log, file) = log_file(name, directory)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let mut process = Self::spawn(name, command, log)?;
        let stdin = process.child.stdin.take().context("no pipe")?;
        let stdout = process.child.stdout.take().context("no pipe")?;
        Ok((process, stdin, stdout))
    }

    fn spawn(name: &str, mut command: Command, log: Log) -> Result<Self> {
        let child =
            command.spawn().with_context(|| format!("cannot start {}", describe(&command)))?;
        Ok(Self { name: name.into(), child, log })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read(&self.log.file)
            .map(|log| {
                String::from_utf8_lossy(log.get(self.log.start..).unwrap_or(&[])).into_owned()
            })
            .unwrap_or_default()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails, with the log, if it has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} has ended ({status}); it wrote:\n{}", self.name, self.log());
        }
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Asks it to end (SIGTERM) and waits until it does.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        if self.ended()?.is_none() {
            self.signal(Signal::SIGTERM)?;
        }
        self.wait(limit)
    }

    /// Waits until it ends.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait_for(&what, limit, || self.ended())
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_file(name: &str, directory: &Path) -> Result<(Log, File)> {
    let path = directory.join(format!("{name}.log"));
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let start = usize::try_from(file.metadata()?.len())?;
    Ok((Log { file: path, start }, file))
}
