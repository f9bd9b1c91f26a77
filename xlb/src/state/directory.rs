//! The state directory: one agent's, locked, with the state file and the one before it.
//!
//! | file | what |
//! |---|---|
//! | `state.json` | the state |
//! | `state.json.bak` | the state before the last change |
//! | `state.json.damaged-TIME` | a file that could not be read, kept for whoever wants to know |
//! | `agent.pid` | who has the lock, for the error message of a second agent |
//!
//! The lock is the kernel's (`flock` on the directory), so it ends with the process that has it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{State, StateError, Unusable, decode, encode};

const STATE: &str = "state.json";
const BACKUP: &str = "state.json.bak";
const NEW: &str = "state.json.new";
const NEW_BACKUP: &str = "state.json.bak.new";
const PID: &str = "agent.pid";

/// A locked state directory. The lock ends when this is dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    directory: File,
}

/// What was found in a state directory.
#[derive(Debug)]
pub struct Loaded {
    /// The state; nothing if there is none, or none that can be used.
    pub state: Option<State>,
    /// What was wrong and what was done about it: for the log and for `xlb status`.
    pub notes: Vec<String>,
}

impl StateDir {
    /// Creates the directory if it is missing, and locks it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let doing = |doing: &str| failed(format!("{doing} the state directory {}", path.display()));
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o755).create(path).map_err(doing("create"))?;
        let directory = File::open(path).map_err(doing("open"))?;
        match directory.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(doing("lock")(source)),
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(path.join(PID)).ok();
                let pid = pid.and_then(|text| text.trim().parse().ok());
                return Err(StateError::Locked { dir: path.to_owned(), pid });
            }
        }
        let this = Self { path: path.to_owned(), directory };
        let pid = this.path.join(PID);
        let text = format!("{}\n", std::process::id());
        fs::write(&pid, text).map_err(failed(format!("write {}", pid.display())))?;
        Ok(this)
    }

    /// Reads the state, with room for `capacity` slots.
    ///
    /// A file that can't be read for what it is gets kept aside, and the one before it is taken. A
    /// file that is good but not for this agent is an error: nothing is touched.
    pub fn load(&self, capacity: u32) -> Result<Loaded, StateError> {
        let mut notes = Vec::new();
        let mut missing = true;
        if let Some(state) = self.read(STATE, capacity, &mut missing, &mut notes)? {
            return Ok(Loaded { state: Some(state), notes });
        }
        let gone = missing;
        let state = self.read(BACKUP, capacity, &mut missing, &mut notes)?;
        match (&state, missing) {
            // Never been here.
            (None, true) => {}
            (None, false) => notes.push(format!(
                "there is no good state in {}: beginning with an empty one",
                self.path.display()
            )),
            (Some(_), _) => notes.push(format!(
                "the state file {} {}: going on with the one before it, so the last change may be \
                 missing",
                self.path.join(STATE).display(),
                if gone { "is gone" } else { "was damaged" },
            )),
        }
        Ok(Loaded { state, notes })
    }

    /// Reads one file; a damaged one is moved aside.
    fn read(
        &self,
        name: &str,
        capacity: u32,
        missing: &mut bool,
        notes: &mut Vec<String>,
    ) -> Result<Option<State>, StateError> {
        let path = self.path.join(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(format!("read {}", path.display()))(e)),
        };
        *missing = false;
        match decode(&text, capacity) {
            Ok(state) => Ok(Some(state)),
            Err(Unusable::Refused(error)) => Err(error),
            Err(Unusable::Damaged(why)) => {
                let aside = self.unused_name(name);
                let doing = format!("move the damaged {} aside", path.display());
                fs::rename(&path, &aside).map_err(failed(doing))?;
                notes.push(format!(
                    "{} is damaged ({why}); kept as {}",
                    path.display(),
                    aside.display()
                ));
                Ok(None)
            }
        }
    }

    fn unused_name(&self, name: &str) -> PathBuf {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut aside = self.path.join(format!("{name}.damaged-{now}"));
        for again in 1.. {
            if !aside.exists() {
                break;
            }
            aside = self.path.join(format!("{name}.damaged-{now}-{again}"));
        }
        aside
    }

    /// Writes the state; when this returns, it outlives the machine.
    pub fn save(&self, state: &State) -> Result<(), StateError> {
        let [current, backup, new, new_backup] =
            [STATE, BACKUP, NEW, NEW_BACKUP].map(|name| self.path.join(name));
        let doing = |what: &str, path: &Path| failed(format!("{what} {}", path.display()));
        let text = encode(state).map_err(io::Error::from).map_err(doing("write", &new))?;
        write_through(&new, &text).map_err(doing("write", &new))?;
        // The backup is replaced whole, too: first another name for the file, then a rename.
        remove(&new_backup).map_err(doing("remove", &new_backup))?;
        match fs::hard_link(&current, &new_backup) {
            Ok(()) => fs::rename(&new_backup, &backup).map_err(doing("replace", &backup))?,
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(doing("keep a copy of", &current)(e)),
        }
        fs::rename(&new, &current).map_err(doing("replace", &current))?;
        self.directory.sync_all().map_err(doing("write through", &self.path))
    }
}

fn failed(doing: String) -> impl FnOnce(io::Error) -> StateError {
    move |source| StateError::Io { doing, source }
}

fn write_through(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
