//! What a client gets when its request is not carried out.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::api::request::{Problem, ProblemKind};
use crate::api::types::{Failure, SCHEMA};
use crate::model::Rejection;

/// An HTTP status and why.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: String,
    pub(super) help: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>, help: &str) -> Self {
        Self { status, error: error.into(), help: Some(help.to_owned()) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, error, help } = self;
        (status, Json(Failure { schema: SCHEMA, error, help })).into_response()
    }
}

impl From<Problem> for Refusal {
    fn from(Problem { kind, error, help }: Problem) -> Self {
        let status = match kind {
            ProblemKind::Invalid => StatusCode::BAD_REQUEST,
            ProblemKind::NotFound => StatusCode::NOT_FOUND,
            ProblemKind::Conflict => StatusCode::CONFLICT,
            ProblemKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, error, help }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Problem::from(rejection).into()
    }
}
