//! An agent and the command line that talks to it: the real binary, with a socket, a state directory
//! and pins of its own.

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{
    binaries::binary,
    command::{describe, output, run},
    lab::Lab,
    namespace::Namespace,
    process::Process,
    wait::{LIMIT, wait_for},
};

/// An agent, running or not.
#[derive(Debug)]
pub struct Agent {
    binary: PathBuf,
    namespace: Namespace,
    socket: PathBuf,
    state: PathBuf,
    pins: PathBuf,
    process: Option<Process>,
}

impl Agent {
    /// An agent for a namespace, not started yet. A second one in the same lab needs another name.
    pub fn new(lab: &Lab, namespace: &Namespace, name: &str) -> Result<Self> {
        Ok(Self {
            binary: binary("xlb")?,
            namespace: namespace.clone(),
            socket: lab.directory().join(format!("{name}.sock")),
            state: lab.directory().join(format!("{name}-state")),
            pins: lab.pins().join(name),
            process: None,
        })
    }

    /// The command that runs the agent in the foreground.
    pub fn run_command(&self, args: &[&str]) -> Result<Command> {
        let mut command = self.namespace.command(&self.binary)?;
        command.arg("run").arg("--socket").arg(&self.socket);
        command.arg("--state-dir").arg(&self.state).arg("--pins").arg(&self.pins).args(args);
        Ok(command)
    }

    /// Starts it, attached to these interfaces, and waits until it answers.
    pub fn start(&mut self, attach: &[&str]) -> Result<()> {
        let args: Vec<&str> =
            attach.iter().flat_map(|interface| ["--attach", *interface]).collect();
        let mut process = self.namespace.start("agent", self.run_command(&args)?)?;
        wait_for("the agent to answer", LIMIT, || {
            process.check()?;
            self.xlb(&["status"]).map(Some)
        })
        .with_context(|| format!("the agent wrote:\n{}", process.log()))?;
        self.process = Some(process);
        Ok(())
    }

    /// A command of the command line, for this agent.
    pub fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = self.namespace.command(&self.binary)?;
        command.args(args).arg("--socket").arg(&self.socket);
        Ok(command)
    }

    /// Runs a command of the command line; what it prints.
    pub fn xlb(&self, args: &[&str]) -> Result<String> {
        run(&mut self.command(args)?)
    }

    /// Runs a command of the command line with `--json`; what it prints, parsed.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let mut command = self.command(args)?;
        command.arg("--json");
        let text = run(&mut command)?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} printed no JSON:\n{text}", describe(&command)))
    }

    /// Runs a command of the command line that may fail.
    pub fn output(&self, args: &[&str]) -> Result<Output> {
        output(&mut self.command(args)?)
    }

    /// Fails, with the log, if it has ended.
    pub fn check(&mut self) -> Result<()> {
        self.process.as_mut().map_or(Ok(()), Process::check)
    }

    /// Its process, while it has one.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Ends it at once (SIGKILL); what it pinned stays.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Asks it to end and waits until it has; what it pinned stays.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.stop(LIMIT + Duration::from_secs(10))?;
        }
        Ok(())
    }

    /// Where it listens.
    pub fn socket(&self) -> &PathBuf {
        &self.socket
    }

    /// Where it keeps its state.
    pub fn state(&self) -> &PathBuf {
        &self.state
    }

    /// Where it pins.
    pub fn pins(&self) -> &PathBuf {
        &self.pins
    }

    /// The binary.
    pub fn binary(&self) -> &PathBuf {
        &self.binary
    }
}
