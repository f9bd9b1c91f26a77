//! What the API server asks of the agent's single writer.
//!
//! Every request carries the way back for its answer. A request whose asker has gone away is still
//! carried out: the answer is then dropped.

use std::net::SocketAddr;

use tokio::sync::oneshot;

use super::types::{
    BackendSpec, Changed, InterfaceSpec, ServiceList, ServiceSpec, ServiceStatus, Stats, Status,
};
use crate::model::{Rejection, RejectionKind};

/// The way back for an answer.
pub type Reply<T> = oneshot::Sender<Result<T, Problem>>;

/// What can be asked of the agent.
#[derive(Debug)]
pub enum Request {
    /// `GET /v1/status`.
    Status(Reply<Status>),
    /// `GET /v1/stats`.
    Stats(Reply<Stats>),
    /// `GET /v1/services`.
    ListServices(Reply<ServiceList>),
    /// `GET /v1/services/NAME`.
    ShowService(String, Reply<ServiceStatus>),
    /// `POST /v1/services`.
    AddService(ServiceSpec, Reply<Changed>),
    /// `DELETE /v1/services/NAME`.
    RemoveService(String, Reply<Changed>),
    /// `POST /v1/services/NAME/backends`.
    AddBackend(String, BackendSpec, Reply<Changed>),
    /// `PATCH /v1/services/NAME/backends/ADDRESS`: the new weight.
    SetWeight(String, SocketAddr, u32, Reply<Changed>),
    /// `DELETE /v1/services/NAME/backends/ADDRESS`.
    RemoveBackend(String, SocketAddr, Reply<Changed>),
    /// `POST /v1/interfaces`.
    Attach(InterfaceSpec, Reply<Changed>),
    /// `DELETE /v1/interfaces/NAME`.
    Detach(String, Reply<Changed>),
}

/// What kind of problem it is; decides the HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// 400: the request is wrong.
    Invalid,
    /// 404: no such thing.
    NotFound,
    /// 409: it clashes with what is there.
    Conflict,
    /// 500: the agent or the kernel failed.
    Failed,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Problem {
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// What was wrong.
    pub error: String,
    /// What was expected and what to do.
    pub help: Option<String>,
}

impl From<Rejection> for Problem {
    fn from(Rejection { kind, error, help, part: _ }: Rejection) -> Self {
        let kind = match kind {
            RejectionKind::Invalid => ProblemKind::Invalid,
            RejectionKind::NotFound => ProblemKind::NotFound,
            RejectionKind::Conflict => ProblemKind::Conflict,
        };
        Self { kind, error, help: Some(help) }
    }
}
