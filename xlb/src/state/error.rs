//! What can go wrong with the state directory, and what to do then.

use std::io;
use std::path::PathBuf;

use super::SCHEMA;

/// A failure of the state directory. The state on disk is as it was.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent has the directory.
    #[error("another agent runs{} with the state directory {}", of_pid(*pid), dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The other agent, if known.
        pid: Option<u32>,
    },
    /// A newer xlb wrote the file.
    #[error("the state file has schema {schema}: a newer xlb wrote it (this one knows {SCHEMA})")]
    Newer {
        /// The file's schema.
        schema: u32,
    },
    /// There are fewer slots than the services take.
    #[error(
        "the services take slots up to {needed}, but the configuration has `slots = {capacity}`"
    )]
    TooFewSlots {
        /// The number of slots the services take.
        needed: u32,
        /// The number of slots configured.
        capacity: u32,
    },
}

impl StateError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Io { .. } => "the agent needs a directory of its own that root can write to, \
                                on a local file system with room"
                .to_owned(),
            Self::Locked { .. } => "stop it first, or give this one a state directory, a socket \
                                    and pins of its own"
                .to_owned(),
            Self::Newer { .. } => {
                "run the newer xlb; or, to begin anew, move the state file away".to_owned()
            }
            Self::TooFewSlots { needed, .. } => {
                format!("configure `slots` of at least {needed}, or remove services first")
            }
        }
    }
}

fn of_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
