//! Load: clients that count what went well.
//!
//! A client is a process of its own (`xlb-lab-tool load`) in the clients' namespace. It works until
//! its standard input is closed, and writes a `Report` as a line of JSON now and then and at the
//! end. `Load` starts it and reads along.

/// The client process.
pub mod client;
/// Requests over TCP.
pub mod http;
/// Requests over UDP.
pub mod udp;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::ChildStdin,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::{
    binaries::binary,
    namespace::Namespace,
    process::Process,
    wait::{LIMIT, wait_until},
};

/// What kind of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP, each request over a connection of its own.
    Http,
    /// HTTP, all requests of a worker over one connection.
    HttpKeepAlive,
    /// UDP, each request a flow of its own.
    Udp,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http, Self::HttpKeepAlive, Self::Udp];

    /// As the client's arguments say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::HttpKeepAlive => "http-keep-alive",
            Self::Udp => "udp",
        }
    }
}

/// What a client is to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What kind of requests.
    pub kind: Kind,
    /// Where to.
    pub target: SocketAddr,
    /// How many at a time.
    pub workers: u16,
    /// How many a second, all workers together.
    pub rate: u32,
    /// How often a request that failed is sent once more, over a new flow.
    pub retries: u16,
}

/// What a client has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that were not, all retries included.
    pub failed: u64,
    /// Tries that failed and were followed by another.
    pub retried: u64,
    /// Flows (TCP connections, UDP sockets) that were answered, by the backend that did.
    pub flows: BTreeMap<String, u64>,
    /// Requests that were answered, by the backend that did.
    pub requests: BTreeMap<String, u64>,
    /// Why tries failed.
    pub errors: BTreeMap<String, u64>,
    /// The slowest answer, in microseconds.
    pub slowest_us: u64,
}

/// A running client.
#[derive(Debug)]
pub struct Load {
    process: Process,
    stdin: Option<ChildStdin>,
    latest: Arc<Mutex<Report>>,
    reader: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts a client in a namespace.
    pub fn start(namespace: &Namespace, name: &str, plan: Plan) -> Result<Self> {
        let mut command = namespace.command(binary("xlb-lab-tool")?)?;
        command.args(["load", plan.kind.name(), &plan.target.to_string()]);
        command.args([plan.workers.to_string(), plan.rate.to_string(), plan.retries.to_string()]);
        let name = format!("{}-{name}", namespace.short());
        let (process, stdin, stdout) = Process::start_piped(&name, command, namespace.directory())?;
        let latest = Arc::new(Mutex::new(Report::default()));
        let shared = Arc::clone(&latest);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(report) = serde_json::from_str(&line) {
                    *shared.lock().unwrap_or_else(PoisonError::into_inner) = report;
                }
            }
        });
        Ok(Self { process, stdin: Some(stdin), latest, reader: Some(reader) })
    }

    /// What it has done so far; a fraction of a second old.
    pub fn report(&self) -> Report {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many requests have been answered.
    pub fn wait_answered(&mut self, requests: u64) -> Result<()> {
        let latest = Arc::clone(&self.latest);
        let answered = || latest.lock().unwrap_or_else(PoisonError::into_inner).answered;
        let waited = wait_until(&format!("{requests} answers"), LIMIT, || answered() >= requests);
        self.process.check()?;
        waited.with_context(|| format!("so far: {:?}", self.report()))
    }

    /// Stops it when the requests that are on their way have been answered.
    pub fn stop(mut self) -> Result<Report> {
        drop(self.stdin.take());
        let status = self.process.wait(LIMIT + Duration::from_secs(10))?;
        if !status.success() {
            bail!("a client failed ({status}):\n{}", self.process.log());
        }
        if let Some(reader) = self.reader.take() {
            reader.join().map_err(|_| anyhow!("the client's output could not be read"))?;
        }
        Ok(self.report())
    }
}
