//! Requests over UDP, each from a port of its own.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result, bail};

use super::client::TIMEOUT;

/// Datagrams of a flow; all must be answered by the same backend.
const DATAGRAMS: u32 = 2;

/// Sends the datagrams of a new flow and gives back who answered.
pub fn request(target: SocketAddr) -> Result<String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).context("bind")?;
    socket.connect(target).context("connect")?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let mut flow: Option<String> = None;
    for _ in 0..DATAGRAMS {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
        socket.send(number.as_bytes()).context("send")?;
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).context("receive")?;
        let answer = String::from_utf8_lossy(&buffer[..length]);
        let Some((backend, echoed)) = answer.split_once(' ') else {
            bail!("answered {answer:?}");
        };
        if echoed != number {
            bail!("the answer to another request came");
        }
        if flow.as_deref().is_some_and(|first| first != backend) {
            bail!("the flow moved to another backend");
        }
        flow = Some(backend.into());
    }
    flow.context("empty flow")
}
