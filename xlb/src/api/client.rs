//! The API's client: one HTTP/1.1 request over a new connection to the agent's Unix socket.
//!
//! Between a command and the agent. Everything that can go wrong becomes a `Fault` that says what
//! to do: no socket, nobody behind it, not permitted, no answer in time, an answer that is not
//! understood. A refusal by the agent is passed on in its own words.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::types::{
    BackendSpec, Changed, Failure, InterfaceSpec, ServiceList, ServiceSpec, ServiceStatus, Stats,
    Status, WeightChange,
};
use crate::fault::{Exit, Fault};

/// How long an answer may take: a change waits for neighbours and for the disk.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read.
const LONGEST: usize = 256 << 20;

/// Speaks to one agent.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
}

impl Client {
    /// A client of the agent behind this socket. Nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), patience: PATIENCE }
    }

    /// With another limit on how long an answer may take.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// `GET /v1/status`.
    pub async fn status(&self) -> Result<Status> {
        self.get("/v1/status").await
    }

    /// `GET /v1/stats`.
    pub async fn stats(&self) -> Result<Stats> {
        self.get("/v1/stats").await
    }

    /// `GET /v1/services`.
    pub async fn services(&self) -> Result<ServiceList> {
        self.get("/v1/services").await
    }

    /// `GET /v1/services/NAME`.
    pub async fn service(&self, name: &str) -> Result<ServiceStatus> {
        self.get(&service_path(name)).await
    }

    /// `POST /v1/services`.
    pub async fn add_service(&self, spec: &ServiceSpec) -> Result<Changed> {
        self.send(Method::POST, "/v1/services", spec).await
    }

    /// `DELETE /v1/services/NAME`.
    pub async fn remove_service(&self, name: &str) -> Result<Changed> {
        self.request(Method::DELETE, &service_path(name), Bytes::new()).await
    }

    /// `POST /v1/services/NAME/backends`.
    pub async fn add_backend(&self, service: &str, spec: &BackendSpec) -> Result<Changed> {
        self.send(Method::POST, &format!("{}/backends", service_path(service)), spec).await
    }

    /// `PATCH /v1/services/NAME/backends/ADDRESS`.
    pub async fn set_weight(
        &self,
        service: &str,
        backend: std::net::SocketAddr,
        weight: u32,
    ) -> Result<Changed> {
        let path = backend_path(service, backend);
        self.send(Method::PATCH, &path, &WeightChange { weight }).await
    }

    /// `DELETE /v1/services/NAME/backends/ADDRESS`.
    pub async fn remove_backend(
        &self,
        service: &str,
        backend: std::net::SocketAddr,
    ) -> Result<Changed> {
        self.request(Method::DELETE, &backend_path(service, backend), Bytes::new()).await
    }

    /// `POST /v1/interfaces`.
    pub async fn attach(&self, spec: &InterfaceSpec) -> Result<Changed> {
        self.send(Method::POST, "/v1/interfaces", spec).await
    }

    /// `DELETE /v1/interfaces/NAME`.
    pub async fn detach(&self, interface: &str) -> Result<Changed> {
        let path = format!("/v1/interfaces/{}", segment(interface));
        self.request(Method::DELETE, &path, Bytes::new()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.request(Method::GET, path, Bytes::new()).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.request(method, path, serde_json::to_vec(body)?.into()).await
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T> {
        let exchange = self.exchange(method, path, body);
        let (status, body) =
            tokio::time::timeout(self.patience, exchange).await.map_err(|_| {
                Fault::new(format!(
                    "the agent behind {} did not answer within {} s",
                    self.socket.display(),
                    self.patience.as_secs_f64()
                ))
                .help("look at its log; a change that was asked for may still take effect")
            })??;
        if !status.is_success() {
            return Err(refusal(status, &body).into());
        }
        serde_json::from_slice(&body).map_err(|error| {
            let version = env!("CARGO_PKG_VERSION");
            Fault::new(format!("the agent's answer to {path} is not understood: {error}"))
                .help(format!("this is xlb {version}: is the agent of another version?"))
                .into()
        })
    }

    /// Sends a request and reads the whole answer.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        let stream =
            UnixStream::connect(&self.socket).await.map_err(|e| no_agent(&self.socket, &e))?;
        let broken = |error: &dyn std::fmt::Display| {
            Fault::new(format!(
                "the connection to {} broke before an answer came: {error}",
                self.socket.display()
            ))
            .help("is it xlb's agent that listens there? If so, look at its log")
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| broken(&e))?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "xlb")
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        let response = sender.send_request(request).await.map_err(|e| broken(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        driver.abort();
        Ok((status, body.map_err(|e| broken(&e))?.to_bytes()))
    }
}

/// Why there is nobody to talk to, and how to change that.
fn no_agent(socket: &Path, error: &io::Error) -> Fault {
    let at = socket.display();
    let start =
        "start it with `xlb run` (or `systemctl start xlb`), or name its socket with --socket";
    let fault = match error.kind() {
        io::ErrorKind::NotFound => {
            Fault::new(format!("no agent: there is no socket {at}")).help(start)
        }
        io::ErrorKind::ConnectionRefused => {
            Fault::new(format!("no agent: nobody listens on {at}")).help(start)
        }
        io::ErrorKind::PermissionDenied => {
            Fault::new(format!("not permitted to use the agent's socket {at}"))
                .help("become root, or a member of the group xlb: `sudo usermod -aG xlb $USER`")
        }
        _ => Fault::new(format!("cannot connect to {at}: {error}"))
            .help("--socket or XLB_SOCKET must name the agent's Unix socket"),
    };
    fault.exit(Exit::NoAgent)
}

/// What the agent said when it refused.
fn refusal(status: StatusCode, body: &[u8]) -> Fault {
    if let Ok(failure) = serde_json::from_slice::<Failure>(body) {
        return failure.into();
    }
    match std::str::from_utf8(body).map(str::trim) {
        Ok(text) if !text.is_empty() && text.len() < 1000 => {
            Fault::new(format!("the agent refused ({status}): {text}"))
        }
        _ => Fault::new(format!("the agent refused: {status}"))
            .help("is it xlb's agent that listens there, and of this version?"),
    }
}

fn service_path(name: &str) -> String {
    format!("/v1/services/{}", segment(name))
}

fn backend_path(service: &str, backend: std::net::SocketAddr) -> String {
    format!("{}/backends/{}", service_path(service), segment(&backend.to_string()))
}

/// Percent-encodes a segment of a path.
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
