//! What is wrong with a configuration file, and where.

use std::fmt;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::check::Rejected;

/// An error in a configuration file: `xlb.toml:12:7: what was wrong`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1, if it is about a place in the file.
    pub place: Option<(usize, usize)>,
    /// What was wrong.
    pub error: String,
    /// What was expected and what to do.
    pub help: Option<String>,
    /// Whether there is no such file.
    pub missing: bool,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.error)
    }
}

impl ConfigError {
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self {
            path: path.to_owned(),
            place: None,
            error: format!("cannot read the configuration: {error}"),
            help: None,
            missing: error.kind() == ErrorKind::NotFound,
        }
    }

    pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().replace('\n', ", ");
        let help = if message.contains("socket address") {
            Some("expected \"ADDRESS:PORT\", as in \"192.0.2.1:80\" or \"[2001:db8::1]:80\"".into())
        } else if message.contains("unknown field") {
            Some("a key belongs to the table above it; docs/configuration.md lists them all".into())
        } else {
            None
        };
        let place = error.span().map(|span| place(text, &span));
        Self { path: path.to_owned(), place, error: message, help, missing: false }
    }

    pub(super) fn rejected(path: &Path, text: &str, rejected: Rejected) -> Self {
        let Rejected { span, rejection } = rejected;
        Self {
            path: path.to_owned(),
            place: Some(place(text, &span)),
            error: rejection.error,
            help: Some(rejection.help),
            missing: false,
        }
    }
}

/// Line and column, from 1, of the first byte of a span.
fn place(text: &str, span: &Range<usize>) -> (usize, usize) {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
