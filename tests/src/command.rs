//! Running programs to their end.
//!
//! A failure names the whole command and shows everything the program said.

use std::{
    process::{Command, Output, Stdio},
    string::FromUtf8Error,
};

use anyhow::{Context as _, Result, bail};

/// Runs a command and gives back what it wrote to its standard output.
pub fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        bail!(
            "{} failed ({})\n{}{}",
            describe(command),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
    String::from_utf8(output.stdout)
        .map_err(|e: FromUtf8Error| e.utf8_error())
        .with_context(|| format!("{} wrote something that is not text", describe(command)))
}

/// Runs a command, whether it succeeds or not.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", describe(command)))
}

/// The command as one would type it.
pub fn describe(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
