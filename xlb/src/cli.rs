//! The command line: the whole tree of commands, options and their help.
//!
//! First stop of every command. Text becomes typed values here, and nowhere else on the client's
//! side: what is malformed ends with exit code 2 and says what was expected, before any agent is
//! asked. What only the agent can know (does the service exist, is the VIP taken) is left to it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Options of each command.
mod args;
/// Examples at the end of each command's help.
mod examples;
/// From words to values.
pub mod parse;

pub use args::{
    AttachArgs, BackendAdd, BackendCommand, BackendList, BackendRef, BackendWeight, BenchArgs,
    DetachArgs, LogFormat, RunArgs, ServiceAdd, ServiceCommand, ServiceRef, StatsArgs, TopArgs,
};

/// Where the agent listens, unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/xlb/xlb.sock";
/// Where the agent keeps its state, unless told otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/xlb";
/// Where programs and maps are pinned, unless told otherwise.
pub const DEFAULT_PINS: &str = "/sys/fs/bpf/xlb";

/// An XDP/eBPF layer-4 load balancer.
#[derive(Debug, Parser)]
#[command(
    name = "xlb",
    version,
    about = "An XDP/eBPF layer-4 load balancer",
    after_help = examples::XLB,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The agent's Unix socket [default: /run/xlb/xlb.sock]
    #[arg(long, global = true, value_name = "PATH", env = "XLB_SOCKET", hide_env_values = true)]
    pub socket: Option<PathBuf>,

    /// Print JSON, errors too
    #[arg(short = 'j', long, global = true)]
    pub json: bool,

    /// When to use colour; `auto` means on a terminal, and NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    pub color: ColorWhen,
}

impl Global {
    /// The socket to connect to.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| DEFAULT_SOCKET.into())
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal that can, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent, in the foreground
    #[command(after_help = examples::RUN)]
    Run(RunArgs),

    /// Attach the program to an interface
    #[command(after_help = examples::ATTACH)]
    Attach(AttachArgs),

    /// Detach the program from an interface: what passes there is no longer balanced
    #[command(after_help = examples::DETACH)]
    Detach(DetachArgs),

    /// Add, show and remove services
    #[command(visible_alias = "svc", after_help = examples::SERVICE, arg_required_else_help = true)]
    Service {
        /// What to do with services.
        #[command(subcommand)]
        command: ServiceCommand,
    },

    /// Add, weigh and remove the backends of a service
    #[command(visible_alias = "be", after_help = examples::BACKEND, arg_required_else_help = true)]
    Backend {
        /// What to do with backends.
        #[command(subcommand)]
        command: BackendCommand,
    },

    /// Agent, program, interfaces and services on one screen
    #[command(after_help = examples::STATUS)]
    Status,

    /// Counters: totals, services, backends, reasons and CPUs
    #[command(after_help = examples::STATS, after_long_help = examples::STATS_LONG)]
    Stats(StatsArgs),

    /// Live rates, shares, drops and load, in the terminal
    #[command(after_help = examples::TOP)]
    Top(TopArgs),

    /// Measure the program on this machine: nanoseconds a packet
    #[command(after_help = examples::BENCH, after_long_help = examples::BENCH_LONG)]
    Bench(BenchArgs),
}

impl Cli {
    /// Reads the command line of this process. Help that was asked for is an error, too.
    pub fn from_process() -> Result<Self, clap::Error> {
        Self::try_parse()?.settle()
    }

    /// Checks what clap can't and hands global options to the commands that want them.
    pub fn settle(mut self) -> Result<Self, clap::Error> {
        match &mut self.command {
            Command::Run(args) => args.socket = self.global.socket.clone(),
            Command::Bench(args) => args.json = self.global.json,
            Command::Top(_) if self.global.json => {
                return Err(wrong_usage(
                    "`top` draws for people and has no JSON; use `xlb stats --json --watch`",
                ));
            }
            _ => {}
        }
        Ok(self)
    }
}

fn wrong_usage(message: &str) -> clap::Error {
    use clap::CommandFactory;
    Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message)
}

#[cfg(test)]
mod tests;
