//! Facts about an interface that decide whether and how a program can be attached.

use futures_util::TryStreamExt;
use netlink_packet_route::link::{LinkAttribute, LinkXdp};
use rtnetlink::Handle;

use super::Error;

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// After the driver has built a socket buffer.
    Generic,
    /// In the hardware.
    Hardware,
}

/// An XDP program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedProgram {
    /// The kernel's id of the program.
    pub id: u32,
    /// Its name, if the kernel tells.
    pub name: Option<String>,
    /// How it is attached.
    pub mode: XdpMode,
}

/// The XDP programs on an interface; usually none or one.
///
/// # Errors
///
/// If there is no such interface.
pub async fn xdp_programs(handle: &Handle, ifindex: u32) -> Result<Vec<AttachedProgram>, Error> {
    let mut links = handle.link().get().match_index(ifindex).execute();
    let answer = links.try_next().await;
    let link = answer.map_err(|source| Error::Dump { what: "interfaces", source })?;
    let attributes = link.map(|link| link.attributes).unwrap_or_default();
    let mut programs = Vec::new();
    for attribute in attributes {
        let LinkAttribute::Xdp(parts) = attribute else { continue };
        for part in parts {
            let (id, mode) = match part {
                LinkXdp::DrvProgId(id) => (id, XdpMode::Native),
                LinkXdp::SkbProgId(id) => (id, XdpMode::Generic),
                LinkXdp::HwProgId(id) => (id, XdpMode::Hardware),
                _ => continue,
            };
            programs.push(AttachedProgram { id, name: program_name(id), mode });
        }
    }
    Ok(programs)
}

/// The name of a loaded program, whoever loaded it.
pub fn program_name(id: u32) -> Option<String> {
    // Programs may be unloaded while the list is walked: those are not the one.
    let mut programs = aya::programs::loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| program.id() == id)?;
    program.name_as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}
