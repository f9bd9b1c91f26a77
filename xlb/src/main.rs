//! The `xlb` command: reads the command line, runs the command, turns its result into an exit code.

use std::process::ExitCode;

use xlb::cli::Cli;
use xlb::cmd;
use xlb::fault::Fault;
use xlb::output::{Output, is_broken_pipe, wrong_usage};

fn main() -> ExitCode {
    let cli = match Cli::from_process() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(wrong_usage(&error)),
    };
    let output = Output::new(&cli.global);
    match cmd::dispatch(cli, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let fault = Fault::of(&error);
            output.fault(&fault);
            ExitCode::from(fault.exit as u8)
        }
    }
}
