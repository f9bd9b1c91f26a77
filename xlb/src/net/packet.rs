//! A packet socket on one interface: frames out, frames of one protocol in.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, bind, recv, send, socket,
};
use tokio::io::unix::AsyncFd;

/// Longest frame that is looked at; the rest of a longer one is cut off.
const FRAME: usize = 2048;

/// A packet socket.
pub struct PacketSocket(AsyncFd<OwnedFd>);

impl PacketSocket {
    /// Opens a socket for an interface and an EtherType, in the current network namespace.
    ///
    /// # Errors
    ///
    /// If it may not be opened (it needs `CAP_NET_RAW`) or there is no such interface. Must be
    /// called within a tokio runtime.
    pub fn open(ifindex: u32, ethertype: u16) -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        // Without a protocol it receives nothing until it is bound to one and to an interface.
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        bind(fd.as_raw_fd(), &link_address(ifindex, ethertype)?)?;
        // SAFETY: an `OwnedFd` that nobody else can reach stays open, and the same, until it is
        // dropped with the registration.
        Ok(Self(unsafe { AsyncFd::register(fd) }?))
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// If the interface is down or its queue is full.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(self.0.get_ref().as_raw_fd(), frame, MsgFlags::empty())?;
        Ok(())
    }

    /// Waits for a frame.
    ///
    /// # Errors
    ///
    /// If the interface goes down.
    pub async fn receive(&self) -> io::Result<Vec<u8>> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut frame = vec![0; FRAME];
            let received = ready
                .try_io(|fd| Ok(recv(fd.get_ref().as_raw_fd(), &mut frame, MsgFlags::empty())?));
            if let Ok(length) = received {
                frame.truncate(length?);
                return Ok(frame);
            }
        }
    }
}

fn link_address(ifindex: u32, ethertype: u16) -> io::Result<LinkAddr> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: ifindex.try_into().map_err(|_| invalid())?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer is to a whole `sockaddr_ll` that outlives the call, which copies it.
    unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) }.ok_or_else(invalid)
}
