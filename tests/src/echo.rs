//! The UDP service of the backends: it answers every datagram with its name and what was sent.
//!
//! `answer` is the server itself, which `xlb-lab-tool echo` runs; `start` starts that.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    binaries::binary,
    namespace::Namespace,
    process::Process,
    wait::{LIMIT, wait_for},
};

/// Starts the service in a namespace; returns when it listens.
pub fn start(namespace: &Namespace, name: &str, listen: &[SocketAddr]) -> Result<Process> {
    let mut command = namespace.command(binary("xlb-lab-tool")?)?;
    command.arg("echo").arg(name).args(listen.iter().map(SocketAddr::to_string));
    let mut process = namespace.start("echo", command)?;
    wait_for("the UDP service to listen", LIMIT, || {
        process.check()?;
        Ok(process.log().contains(LISTENS).then_some(()))
    })?;
    Ok(process)
}

const LISTENS: &str = "listening";

/// Answers on all these addresses, for ever.
pub fn answer(name: &str, listen: &[SocketAddr]) -> Result<()> {
    let sockets = listen
        .iter()
        .map(|address| {
            UdpSocket::bind(address).with_context(|| format!("cannot listen on {address}"))
        })
        .collect::<Result<Vec<_>>>()?;
    eprintln!("{LISTENS}");
    let result = thread::scope(|scope| {
        let servers: Vec<_> =
            sockets.iter().map(|socket| scope.spawn(|| serve(name, socket))).collect();
        servers.into_iter().map(|server| server.join()).collect::<Vec<_>>()
    });
    bail!("the service has ended: {result:?}")
}

fn serve(name: &str, socket: &UdpSocket) -> Result<()> {
    let mut buffer = [0; 65536];
    loop {
        // An ICMP error of an earlier answer comes back here; the client is gone, others are not.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let mut answer = format!("{name} ").into_bytes();
        answer.extend_from_slice(&buffer[..length]);
        let _ = socket.send_to(&answer, from);
    }
}
