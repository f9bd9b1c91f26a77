//! What a driver does to frames before a program sees them: ethtool, as far as attaching needs it.
//!
//! The ioctl's oldest commands are enough: the driver's name and one word of feature flags.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const FLAG_RX_VLAN: u32 = 1 << 8;
const FLAG_LRO: u32 = 1 << 15;

/// What the driver does to received frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloads {
    /// It takes the VLAN tag out of the frame (`rx-vlan-offload`); a program then can't see it.
    pub rx_vlan: bool,
    /// It merges received segments (`large-receive-offload`), which native XDP can't have.
    pub lro: bool,
}

/// What came of changing an offload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// It was so already.
    Already,
    /// It was not, and is now.
    Now,
    /// It was not, and the driver can't change it.
    Fixed,
}

/// The driver's name: `veth`, `ixgbe`.
///
/// # Errors
///
/// If there is no such interface, or its driver does not say.
pub fn driver(interface: &str) -> io::Result<String> {
    let mut info = DriverInfo { cmd: ETHTOOL_GDRVINFO, ..DriverInfo::default() };
    call(interface, &mut info)?;
    let length = info.driver.iter().position(|byte| *byte == 0).unwrap_or(info.driver.len());
    Ok(String::from_utf8_lossy(&info.driver[..length]).into_owned())
}

/// The offloads that matter to a program.
///
/// # Errors
///
/// If there is no such interface.
pub fn offloads(interface: &str) -> io::Result<Offloads> {
    let flags = flags(interface)?;
    Ok(Offloads { rx_vlan: flags & FLAG_RX_VLAN != 0, lro: flags & FLAG_LRO != 0 })
}

/// Sets whether the driver takes VLAN tags out of received frames.
///
/// # Errors
///
/// If there is no such interface, or the agent may not change it.
pub fn set_rx_vlan(interface: &str, on: bool) -> io::Result<Set> {
    let before = flags(interface)?;
    if (before & FLAG_RX_VLAN != 0) == on {
        return Ok(Set::Already);
    }
    let mut value = Value { cmd: ETHTOOL_SFLAGS, data: before ^ FLAG_RX_VLAN };
    match call(interface, &mut value) {
        Ok(()) => {}
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
            return Ok(Set::Fixed);
        }
        Err(error) => return Err(error),
    }
    // Some drivers take the command and keep the feature.
    let changed = (flags(interface)? & FLAG_RX_VLAN != 0) == on;
    Ok(if changed { Set::Now } else { Set::Fixed })
}

fn flags(interface: &str) -> io::Result<u32> {
    let mut value = Value { cmd: ETHTOOL_GFLAGS, data: 0 };
    call(interface, &mut value)?;
    Ok(value.data)
}

/// The kernel's `struct ethtool_value`.
#[repr(C)]
struct Value {
    cmd: u32,
    data: u32,
}

/// The kernel's `struct ethtool_drvinfo`.
#[derive(Default)]
#[repr(C)]
struct DriverInfo {
    cmd: u32,
    driver: [u8; 32],
    version: [u8; 32],
    firmware: [u8; 32],
    bus: [u8; 32],
    rom: [u8; 32],
    reserved: [u8; 12],
    counts: [u32; 5],
}

/// A command's argument: plain integers in the kernel's layout, the command first.
trait Argument {}
impl Argument for Value {}
impl Argument for DriverInfo {}

fn call<T: Argument>(interface: &str, argument: &mut T) -> io::Result<()> {
    let mut name = [0; libc::IFNAMSIZ];
    if interface.len() >= name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd: OwnedFd = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    let data = std::ptr::from_mut(argument).cast();
    let mut request =
        libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: data } };
    // SAFETY: the request is a whole `ifreq` with a name that ends in zero. It points to an argument
    // of the kernel's layout for its command (`Argument`), which is borrowed until the call returns;
    // the kernel writes integers into it and keeps no pointer.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    nix::errno::Errno::result(result)?;
    Ok(())
}

const _: () = {
    assert!(size_of::<Value>() == 8);
    assert!(size_of::<DriverInfo>() == 196);
};
