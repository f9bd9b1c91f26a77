//! A lab: its name, its directory, its end.
//!
//! Everything that a lab makes outside its own processes carries its name, `xlb-lab-PID-N`: network
//! namespaces, a directory under the system's temporary one, and pins in the bpffs. So any number
//! of labs run side by side, and a new lab can tell what dead ones left behind.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, bail};
use nix::unistd::Uid;

use crate::{command::output, interrupt, namespace::Namespace};

const PREFIX: &str = "xlb-lab-";
const BPFFS: &str = "/sys/fs/bpf";

/// A lab. Drop it last: what lives in it uses its directory.
#[derive(Debug)]
pub struct Lab {
    name: String,
    directory: PathBuf,
}

impl Lab {
    /// An empty lab; sweeps away what dead labs left behind.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !Uid::effective().is_root() {
            bail!("a lab is made of network namespaces, which only root can make; run as root");
        }
        interrupt::watch()?;
        sweep();
        let name = format!("{PREFIX}{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = env::temp_dir().join(&name);
        fs::create_dir(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self { name, directory })
    }

    /// `xlb-lab-PID-N`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For logs, sockets, state and configuration; deleted with the lab.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// For pins; deleted with the lab.
    pub fn pins(&self) -> PathBuf {
        Path::new(BPFFS).join(&self.name)
    }

    /// A new network namespace of this lab.
    pub fn namespace(&self, short: &str) -> Result<Namespace> {
        Namespace::new(&self.name, short, &self.directory)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        remove(&self.directory);
        remove(&self.pins());
    }
}

/// Removes what labs left behind whose process is gone.
fn sweep() {
    let dead = |name: &str| {
        name.strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok())
            .is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
    };
    for place in ["/run/netns".into(), env::temp_dir(), BPFFS.into()] {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| dead(name)) else { continue };
            if place == Path::new("/run/netns") {
                // Another lab may be sweeping, too: then it is gone already.
                let _ = output(Command::new("ip").args(["netns", "del", name]));
            } else {
                remove(&entry.path());
            }
        }
    }
}

fn remove(directory: &Path) {
    // It may not be there, and a new lab sweeps again.
    let _ = fs::remove_dir_all(directory);
}
