//! The socket that the API listens on.
//!
//! It appears at its path with its rights already set, by a rename, so that at no time anybody can
//! connect who should not. A socket that is there already is replaced only if nobody answers on it.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::Group;
use tokio::net::{UnixListener, UnixStream};

/// The group that may use the socket, if the system has it.
const GROUP: &str = "xlb";
/// Read and write for owner and group.
const MODE: u32 = 0o660;

/// Why the agent can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody answers on the socket.
    #[error("another agent listens on {}", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket has the path.
    #[error("{} is there and is no socket", .0.display())]
    NoSocket(PathBuf),
    /// The system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ListenError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::InUse(_) => "stop it first, or give this one a socket of its own (--socket)",
            Self::NoSocket(_) => "move it away, or choose another path (--socket)",
            Self::Io { .. } => {
                "choose a path of at most 100 bytes, in a directory that root can \
                                write to (--socket)"
            }
        }
    }
}

/// A socket that listens. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    owned: Owned,
}

impl Socket {
    /// Listens at `path`; creates its directory if that is missing.
    pub async fn bind(path: &Path) -> Result<Self, ListenError> {
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| ListenError::Io { doing, path, source }
        };
        let directory = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory).map_err(failed("create", directory))?;
        free(path).await?;
        // The name must not be longer than the path's own needs to be.
        let new = directory.join(format!(".{}", std::process::id()));
        match fs::remove_file(&new) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed("remove", &new)(e)),
            _ => {}
        }
        let listener = UnixListener::bind(&new).map_err(failed("listen on", path))?;
        let ready = ready(&new).and_then(|inode| fs::rename(&new, path).map(|()| inode));
        match ready {
            Ok(inode) => Ok(Self { listener, owned: Owned { path: path.to_owned(), inode } }),
            Err(e) => {
                let _ = fs::remove_file(&new);
                Err(failed("set up", path)(e))
            }
        }
    }

    pub(super) fn into_parts(self) -> (UnixListener, Owned) {
        (self.listener, self.owned)
    }
}

/// The socket's file, as long as it is this agent's.
#[derive(Debug)]
pub(super) struct Owned {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for Owned {
    fn drop(&mut self) {
        // By now another agent may listen at the same path.
        if fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes sure that nobody who is alive has the path.
async fn free(path: &Path) -> Result<(), ListenError> {
    let io = |source| ListenError::Io { doing: "look at", path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io(e)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(e) if matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        // Too busy to answer is alive, too.
        Err(e) if e.kind() == ErrorKind::WouldBlock => Err(ListenError::InUse(path.to_owned())),
        Err(e) => Err(io(e)),
        Ok(_) => Err(ListenError::InUse(path.to_owned())),
    }
}

/// Sets the rights and says which file it is.
fn ready(path: &Path) -> io::Result<(u64, u64)> {
    if let Some(group) = Group::from_name(GROUP)? {
        chown(path, None, Some(group.gid.as_raw()))?;
    }
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
