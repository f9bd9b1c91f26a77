//! Attaching the program to interfaces, by links that are pinned and so outlive the agent.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::{ProgramError, XdpMode};

use super::load::Datapath;
use crate::api::types::AttachMode;

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// In the driver.
    Native,
    /// After the driver has built a socket buffer.
    Generic,
}

impl Attached {
    /// The word that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// A pinned link: the interface stays attached when this is dropped.
pub struct Link {
    link: PinnedLink,
}

impl Link {
    /// Detaches the interface.
    ///
    /// # Errors
    ///
    /// The pin can't be removed.
    pub fn detach(self) -> Result<()> {
        // The last reference goes with the link's descriptor.
        drop(self.link.unpin().context("cannot remove the pin of the link")?);
        Ok(())
    }
}

/// Where the link of an interface is pinned. A bpffs takes no dots, and a name has no colons.
fn link_pin(pins: &Path, interface: &str, ifindex: u32) -> PathBuf {
    pins.join(format!("link:{}:{ifindex}", interface.replace('.', ":")))
}

impl Datapath {
    /// Attaches the program to an interface and pins the link; says how it is attached.
    ///
    /// # Errors
    ///
    /// The driver refuses native mode and no other was allowed, or another program is there.
    pub fn attach(
        &mut self,
        pins: &Path,
        interface: &str,
        ifindex: u32,
        mode: AttachMode,
    ) -> Result<(Link, Attached)> {
        let attached = match mode {
            AttachMode::Native => self.attach_as(ifindex, Attached::Native)?,
            AttachMode::Generic => self.attach_as(ifindex, Attached::Generic)?,
            AttachMode::Auto => match self.attach_as(ifindex, Attached::Native) {
                Ok(link) => link,
                Err(native) if is_busy(&native) => return Err(native),
                Err(native) => {
                    tracing::warn!(
                        "{interface}: the driver refused native mode ({native:#}); attached in generic mode, which is several times slower"
                    );
                    self.attach_as(ifindex, Attached::Generic)?
                }
            },
        };
        let (link, attached) = attached;
        let pin = link_pin(pins, interface, ifindex);
        let link = link
            .pin(&pin)
            .with_context(|| format!("cannot pin the link to {interface} at {}", pin.display()))?;
        Ok((Link { link }, attached))
    }

    fn attach_as(&mut self, ifindex: u32, how: Attached) -> Result<(FdLink, Attached)> {
        let mode = match how {
            Attached::Native => XdpMode::Driver,
            Attached::Generic => XdpMode::Skb,
        };
        let id = self.program.attach_to_if_index(ifindex, mode)?;
        let link = self.program.take_link(id)?;
        // On kernels without links for XDP the attachment would end with the agent.
        match FdLink::try_from(link) {
            Ok(link) => Ok((link, how)),
            Err(_) => bail!("this kernel has no BPF links for XDP; needed: Linux 5.15 or newer"),
        }
    }

    /// Takes over a link that an earlier agent pinned. `None`: there is none for this interface.
    ///
    /// # Errors
    ///
    /// The pin is there but can't be opened.
    pub fn adopt_link(&self, pins: &Path, interface: &str, ifindex: u32) -> Result<Option<Link>> {
        let pin = link_pin(pins, interface, ifindex);
        if !pin.exists() {
            return Ok(None);
        }
        let link = PinnedLink::from_pin(&pin)
            .with_context(|| format!("cannot take over the link pinned at {}", pin.display()))?;
        Ok(Some(Link { link }))
    }
}

/// Removes pins of links whose interfaces are no longer wanted or no longer exist.
///
/// # Errors
///
/// The directory of pins can't be read.
pub fn remove_stale_links(pins: &Path, wanted: &[(String, u32)]) -> Result<()> {
    let keep: Vec<PathBuf> =
        wanted.iter().map(|(name, ifindex)| link_pin(pins, name, *ifindex)).collect();
    let entries = fs::read_dir(pins)
        .with_context(|| format!("cannot read the directory of pins {}", pins.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let is_link = entry.file_name().to_string_lossy().starts_with("link:");
        if is_link && !keep.contains(&path) {
            tracing::info!("removed the stale link {}", path.display());
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Whether an attachment failed because another program is there, in the same mode (`EBUSY`) or in
/// another one (`EEXIST`).
pub fn is_busy(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<ProgramError>(),
        Some(ProgramError::SyscallError(call))
            if matches!(call.io_error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
    )
}
