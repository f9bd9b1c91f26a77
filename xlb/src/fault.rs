//! What ends a command: the error, what to do about it, and the exit code.
//!
//! It travels inside `anyhow::Error`, under any context that is added on the way up; `Fault::of`
//! finds it again at the end. An error without one exits with 1 and has no help line.

use std::fmt;

use crate::api::types::{Failure, SCHEMA};

/// Why a command failed, for the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was wrong.
    pub error: String,
    /// What was expected and what to do.
    pub help: Option<String>,
    /// What the process ends with.
    pub exit: Exit,
}

/// Exit codes. 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was tried and did not work.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is no agent to ask.
    NoAgent = 3,
}

impl Fault {
    /// A failure.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), help: None, exit: Exit::Failed }
    }

    /// With a line that says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another exit code.
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The fault inside an error, with the context that was added to it.
    pub fn of(error: &anyhow::Error) -> Self {
        let inner = error.downcast_ref::<Self>();
        Self {
            error: format!("{error:#}"),
            help: inner.and_then(|fault| fault.help.clone()),
            exit: inner.map_or(Exit::Failed, |fault| fault.exit),
        }
    }

    /// The shape that the API and `--json` use for it.
    pub fn to_failure(&self) -> Failure {
        Failure { schema: SCHEMA, error: self.error.clone(), help: self.help.clone() }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { error: failure.error, help: failure.help, exit: Exit::Failed }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn help_and_exit_code_survive_context() {
        let fault = Fault::new("no agent").help("start it").exit(Exit::NoAgent);
        let error = Err::<(), _>(fault).context("cannot list").unwrap_err();
        let found = Fault::of(&error);
        assert_eq!(found.error, "cannot list: no agent");
        assert_eq!(found.help.as_deref(), Some("start it"));
        assert_eq!(found.exit, Exit::NoAgent);
    }

    #[test]
    fn any_other_error_is_a_failure_without_help() {
        let found = Fault::of(&anyhow::anyhow!("disk full").context("cannot save"));
        assert_eq!(found, Fault::new("cannot save: disk full"));
    }
}
