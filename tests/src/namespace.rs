//! Network namespaces.
//!
//! Programs enter the network namespace alone: their mounts stay those of the machine, so that the
//! bpffs stays visible (`ip netns exec` would mount another `/sys`).

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use nix::{
    net::if_::if_nametoindex,
    sched::{CloneFlags, setns},
};

use crate::{
    command::{output, run},
    process::Process,
    sys,
};

/// A network namespace; it is deleted when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Namespace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// As `ip netns list` shows it.
    name: String,
    /// Within the lab.
    short: String,
    /// The lab's.
    directory: PathBuf,
}

impl Namespace {
    pub(crate) fn new(lab: &str, short: &str, directory: &Path) -> Result<Self> {
        let name = format!("{lab}-{short}");
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let this = Self(Arc::new(Inner { name, short: short.into(), directory: directory.into() }));
        // Addresses are usable at once, also the link-local ones.
        this.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        this.sysctl("net/ipv6/conf/all/accept_dad", "0")?;
        this.ip("link set lo up")?;
        Ok(this)
    }

    /// As `ip netns list` shows it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What stands for it in the file system.
    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(self.name())
    }

    /// A command that runs inside and ends with the lab.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let mut command = Command::new(program);
        sys::before_exec(&mut command, Some(self.open()?));
        Ok(command)
    }

    /// Runs a program inside to its end and gives back what it wrote.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        run(self.command(program)?.args(args)).with_context(|| format!("in {}", self.name()))
    }

    /// Starts a program inside that runs until it is dropped; it logs to `NAMESPACE-NAME.log`.
    pub fn start(&self, name: &str, command: Command) -> Result<Process> {
        Process::start(&format!("{}-{name}", self.0.short), command, &self.0.directory)
    }

    /// Runs `ip` with these arguments, separated by spaces, inside.
    pub fn ip(&self, args: &str) -> Result<String> {
        run(Command::new("ip").args(["-n", self.name()]).args(args.split_whitespace()))
    }

    /// Sets a file under `/proc/sys` inside.
    pub fn sysctl(&self, file: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(file);
        self.within(|| {
            fs::write(&path, value).with_context(|| format!("cannot write {}", path.display()))
        })
    }

    /// Runs a function on a thread of its own inside. Sockets that it opens stay inside.
    pub fn within<T: Send>(&self, function: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = self.open()?;
        thread::scope(|scope| {
            scope
                .spawn(move || {
                    setns(namespace, CloneFlags::CLONE_NEWNET)
                        .with_context(|| format!("cannot enter {}", self.name()))?;
                    function()
                })
                .join()
                .map_err(|_| anyhow!("a function in {} panicked", self.name()))?
        })
    }

    /// Cables two namespaces: an interface in each, both up, with checksums filled in by the sender.
    ///
    /// XDP programs that redirect lose the mark of a checksum which the device shall fill in, and
    /// the receiver then drops the packet; so nobody in a lab leaves it to the device.
    pub fn cable(&self, interface: &str, other: &Self, other_interface: &str) -> Result<()> {
        self.ip(&format!(
            "link add {interface} type veth peer name {other_interface} netns {}",
            other.name()
        ))?;
        for (namespace, interface) in [(self, interface), (other, other_interface)] {
            namespace.run("ethtool", &["-K", interface, "tx", "off"])?;
            namespace.ip(&format!("link set {interface} up"))?;
        }
        Ok(())
    }

    /// Attaches a program that passes every packet; it stays as long as the descriptor does.
    ///
    /// A veth takes what XDP sends to it only while its own end has a program, too.
    pub fn attach_pass(&self, interface: &str) -> Result<OwnedFd> {
        const XDP_PASS: u32 = 2;
        self.attach(interface, |ifindex| sys::attach_verdict(ifindex, XDP_PASS))
    }

    /// Attaches a program that drops every packet; it stays as long as the descriptor does.
    pub fn attach_drop(&self, interface: &str) -> Result<OwnedFd> {
        const XDP_DROP: u32 = 1;
        self.attach(interface, |ifindex| sys::attach_verdict(ifindex, XDP_DROP))
    }

    /// Attaches a program that redirects every packet to what `key` stands for in a device map; it
    /// stays as long as the descriptor does.
    pub fn attach_redirect(
        &self,
        interface: &str,
        map: BorrowedFd<'_>,
        key: u32,
    ) -> Result<OwnedFd> {
        self.attach(interface, |ifindex| sys::attach_redirect(ifindex, map, key))
    }

    fn attach(
        &self,
        interface: &str,
        attach: impl FnOnce(u32) -> io::Result<OwnedFd> + Send,
    ) -> Result<OwnedFd> {
        self.within(|| {
            let ifindex = if_nametoindex(interface)
                .with_context(|| format!("no interface {interface} in {}", self.name()))?;
            attach(ifindex).with_context(|| {
                format!("cannot attach an XDP program to {interface} in {}", self.name())
            })
        })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0.directory
    }

    pub(crate) fn short(&self) -> &str {
        &self.0.short
    }

    fn open(&self) -> Result<File> {
        File::open(self.path()).with_context(|| format!("no namespace {}", self.name()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nothing sensible can be done if it fails; the next lab sweeps again.
        let _ = output(Command::new("ip").args(["netns", "del", &self.name]));
    }
}
