//! Requests over TCP: the little of HTTP/1.1 that the lab's own backends speak.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context as _, Result, bail};

use super::client::TIMEOUT;

/// What becomes of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server closes it; so the client's port is free at once.
    Close,
    /// It stays for the next one.
    Keep,
}

/// A connection to a backend, whichever it is.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects.
    pub fn open(target: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&target, TIMEOUT).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and gives back the first word of the answer's body.
    pub fn request(&mut self, ending: Ending) -> Result<String> {
        let header = match ending {
            Ending::Close => "close",
            Ending::Keep => "keep-alive",
        };
        let request = format!("GET / HTTP/1.1\r\nHost: lab\r\nConnection: {header}\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).context("send")?;

        let status = self.line()?;
        if !status.starts_with("HTTP/1.1 200") {
            bail!("answered {status:?}");
        }
        let mut length = 0;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().context("content-length")?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).context("receive")?;
        if ending == Ending::Close && self.0.read(&mut [0]).context("close")? != 0 {
            bail!("more than the body was sent");
        }
        let body = String::from_utf8_lossy(&body);
        body.split_whitespace().next().map(Into::into).context("empty answer")
    }

    /// The next line, which is empty at the end of the headers.
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).context("receive")? == 0 {
            bail!("closed before the answer");
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}
