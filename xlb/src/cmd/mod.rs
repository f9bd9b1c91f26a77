//! The commands: one file each, from arguments to a request to what is printed.
//!
//! Between the command line and the API's client. A command that talks to the agent gets a client
//! and an output and returns; it decides nothing about exit codes. `run` and `bench` talk to no
//! agent and have modules of their own.

use anyhow::{Context, Result};

use crate::api::client::Client;
use crate::api::types::Changed;
use crate::cli::{Cli, Command};
use crate::output::Output;

/// `xlb attach` and `xlb detach`.
pub mod attach;
/// `xlb backend`.
pub mod backend;
/// `xlb service`.
pub mod service;
/// `xlb stats`.
pub mod stats;
/// `xlb status`.
pub mod status;
/// `xlb top`.
pub mod top;

/// Runs the command.
pub fn dispatch(cli: Cli, output: &Output) -> Result<()> {
    let client = Client::new(cli.global.socket());
    match cli.command {
        Command::Run(args) => crate::agent::run(args),
        Command::Bench(args) => crate::bench::run(output, args),
        Command::Attach(args) => block_on(attach::attach(&client, output, args)),
        Command::Detach(args) => block_on(attach::detach(&client, output, args)),
        Command::Service { command } => block_on(service::run(&client, output, command)),
        Command::Backend { command } => block_on(backend::run(&client, output, command)),
        Command::Status => block_on(status::run(&client, output)),
        Command::Stats(args) => block_on(stats::run(&client, output, args)),
        Command::Top(args) => block_on(top::run(&client, output, args, cli.global.color)),
    }
}

fn block_on(command: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?
        .block_on(command)
}

/// Prints what a change came to.
fn changed(output: &Output, changed: &Changed) -> Result<()> {
    output.warnings(&changed.warnings);
    output.print(changed, |_| format!("{}\n", changed.message))
}

#[cfg(test)]
mod tests;
