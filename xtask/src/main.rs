//! `cargo xtask`: what a checkout of xlb can do by itself, from a bare machine on.
//!
//! # Contents

/// The main job, shown.
mod demo;
/// The packet tests on other kernels.
mod kernels;
/// What has to be installed, and installing it.
mod setup;
/// Every check and every test.
mod test;
/// Running cargo and other programs, and saying so.
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Everything that a checkout of xlb can do by itself.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what is missing to build and test xlb; says what and why before it does
    Setup,
    /// Show the main job: real traffic through xlb, in network namespaces of its own
    Demo(demo::Options),
    /// Run every check and every test, as continuous integration does
    Test(test::Options),
    /// Run the packet tests on other kernels, in software emulation
    Kernels(kernels::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Setup => setup::ensure(setup::EVERYTHING),
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Kernels(options) => kernels::run(&options).map(drop),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}
