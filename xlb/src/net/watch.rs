//! Hearing of changes to the network.
//!
//! A task reads the kernel's notifications and only notes what kind of thing changed; the agent
//! takes the notes when it is ready and reads those things anew. So nothing is lost while the agent
//! is busy, a storm of notifications is one change, and what the kernel could not deliver (an
//! overrun) counts as a change of everything.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rtnetlink::MulticastGroup;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, TokioSocket, protocols::NETLINK_ROUTE};
use tokio::sync::watch::Sender;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How long a change waits for others that come with it.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// How long to wait before a socket that failed is opened again.
const REOPEN: Duration = Duration::from_secs(1);
/// Bytes the kernel may queue for the socket: room for a burst of route changes.
const QUEUE: usize = 4 << 20;
/// Netlink messages of a datagram.
const DATAGRAM: usize = 64 << 10;

const GROUPS: [MulticastGroup; 9] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
    MulticastGroup::Nexthop,
];

/// What kinds of things have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Interfaces.
    pub links: bool,
    /// Addresses.
    pub addresses: bool,
    /// Routes, or next hops that they share.
    pub routes: bool,
    /// Neighbours.
    pub neighbours: bool,
    /// Policy rules.
    pub rules: bool,
    /// Notifications were lost: anything may have changed.
    pub lost: bool,
}

impl Changes {
    /// Everything, as at the beginning.
    pub const ALL: Self = Self {
        links: true,
        addresses: true,
        routes: true,
        neighbours: true,
        rules: true,
        lost: false,
    };
    /// Everything, because notifications were lost.
    pub const LOST: Self = Self { lost: true, ..Self::ALL };

    /// Whether nothing changed.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Adds other changes.
    pub fn add(&mut self, other: Self) {
        self.links |= other.links;
        self.addresses |= other.addresses;
        self.routes |= other.routes;
        self.neighbours |= other.neighbours;
        self.rules |= other.rules;
        self.lost |= other.lost;
    }
}

/// Listens to the kernel until it is dropped.
pub struct Watcher {
    noted: Arc<Sender<Changes>>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Begins to listen, in the current network namespace.
    ///
    /// # Errors
    ///
    /// If the kernel does not let the agent listen. Must be called within a tokio runtime.
    pub fn new() -> io::Result<Self> {
        let socket = subscribe()?;
        let noted = Arc::new(Sender::new(Changes::default()));
        let task = tokio::spawn(listen(socket, Arc::clone(&noted)));
        Ok(Self { noted, task })
    }

    /// Waits for changes and for what comes with them, and takes the notes of them.
    ///
    /// May be cancelled at any time: what was noted is kept.
    pub async fn changed(&self) -> Changes {
        // Fails only when the sender is gone, which `self` holds.
        let _ = self.noted.subscribe().wait_for(|changes| !changes.is_empty()).await;
        sleep(DEBOUNCE).await;
        self.noted.send_replace(Changes::default())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn subscribe() -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
    let inner = socket.socket_mut();
    inner.bind_auto()?;
    // More than the system's limit needs a privilege; the usual size then has to do.
    let _ = inner.set_rx_buf_sz(QUEUE as u32);
    for group in GROUPS {
        inner.add_membership(group as u32)?;
    }
    Ok(socket)
}

async fn listen(mut socket: TokioSocket, noted: Arc<Sender<Changes>>) {
    let note = |changes| noted.send_modify(|noted| noted.add(changes));
    let mut datagram = Vec::with_capacity(DATAGRAM);
    loop {
        datagram.clear();
        match socket.recv_from(&mut datagram).await {
            Ok(_) => note(kinds(&datagram)),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                tracing::debug!("the kernel had more news of the network than it could keep");
                note(Changes::LOST);
            }
            Err(error) => {
                tracing::warn!(%error, "no more news of the network; listening anew");
                socket = resubscribe().await;
                note(Changes::LOST);
            }
        }
    }
}

async fn resubscribe() -> TokioSocket {
    loop {
        sleep(REOPEN).await;
        match subscribe() {
            Ok(socket) => return socket,
            Err(error) => tracing::warn!(%error, "can't listen for news of the network"),
        }
    }
}

/// What the messages of a datagram are about. A datagram that can't be read counts as everything.
fn kinds(mut datagram: &[u8]) -> Changes {
    const HEADER: usize = 16;
    let mut changes = Changes::default();
    while let [l0, l1, l2, l3, t0, t1, ..] = *datagram {
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        if length < HEADER || length > datagram.len() {
            return Changes::LOST;
        }
        match u16::from_ne_bytes([t0, t1]) {
            libc::RTM_NEWLINK | libc::RTM_DELLINK => changes.links = true,
            libc::RTM_NEWADDR | libc::RTM_DELADDR => changes.addresses = true,
            libc::RTM_NEWROUTE | libc::RTM_DELROUTE => changes.routes = true,
            libc::RTM_NEWNEIGH | libc::RTM_DELNEIGH => changes.neighbours = true,
            libc::RTM_NEWRULE | libc::RTM_DELRULE => changes.rules = true,
            RTM_NEWNEXTHOP | RTM_DELNEXTHOP => changes.routes = true,
            _ => {}
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    changes
}

const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: usize) -> Vec<u8> {
        let mut bytes = ((16 + payload) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize((16 + payload).next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn messages_are_told_apart_by_type() {
        let datagram = [message(16, 3), message(28, 8), message(3, 0)].concat();
        let expected = Changes { links: true, neighbours: true, ..Changes::default() };
        assert_eq!(kinds(&datagram), expected);
        assert_eq!(kinds(&[]), Changes::default());
        for (kind, expected) in [
            (21, Changes { addresses: true, ..Changes::default() }),
            (24, Changes { routes: true, ..Changes::default() }),
            (105, Changes { routes: true, ..Changes::default() }),
            (33, Changes { rules: true, ..Changes::default() }),
        ] {
            assert_eq!(kinds(&message(kind, 4)), expected);
        }
    }

    #[test]
    fn a_broken_datagram_is_a_loss() {
        let mut datagram = message(16, 8);
        datagram.truncate(20);
        assert_eq!(kinds(&datagram), Changes::LOST);
        assert_eq!(kinds(&[0; 16]), Changes::LOST);
    }

    #[tokio::test]
    async fn a_cancelled_wait_loses_nothing() {
        let noted = Arc::new(Sender::new(Changes::default()));
        let task = tokio::spawn(async {});
        let watcher = Watcher { noted: Arc::clone(&noted), task };
        noted.send_modify(|noted| noted.add(Changes { routes: true, ..Changes::default() }));
        assert!(tokio::time::timeout(Duration::ZERO, watcher.changed()).await.is_err());
        noted.send_modify(|noted| noted.add(Changes { links: true, ..Changes::default() }));
        let expected = Changes { links: true, routes: true, ..Changes::default() };
        assert_eq!(watcher.changed().await, expected);
        assert!(noted.borrow().is_empty());
    }
}
