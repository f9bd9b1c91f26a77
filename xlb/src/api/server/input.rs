//! What a client sends: the names in the path and the JSON in the body.
//!
//! The type of the content is not looked at: `curl -d` calls everything a form.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::BODY_MAX;
use super::answer::Refusal;

/// The variable parts of the path.
pub(super) struct Names<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Names<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(e) => Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("the path can't be read: {}", e.body_text()),
                "names in a path are UTF-8, percent-encoded",
            )),
        }
    }
}

/// The body.
pub(super) struct Input<T>(pub(super) T);

impl<T, S> FromRequest<S> for Input<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Refusal;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, Refusal> {
        let body = Bytes::from_request(request, state).await.map_err(|e| match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body has more than {BODY_MAX} bytes"),
                "add a large pool in parts: the service first, then its backends",
            ),
            status => Refusal::new(status, e.body_text(), "send the request again"),
        })?;
        read(&body).map(Self)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let refuse = |error: String, help: &str| Refusal::new(StatusCode::BAD_REQUEST, error, help);
    let no_json = |e: serde_json::Error| {
        refuse(format!("the body is not JSON: {e}"), "docs/api.md shows what each route takes")
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let field = e.path().to_string();
        let e = e.into_inner();
        if e.classify() != Category::Data {
            return no_json(e);
        }
        let help = match e.to_string().contains("socket address") {
            true => "expected \"ADDRESS:PORT\", as in \"192.0.2.1:80\" or \"[2001:db8::1]:80\"",
            false => "docs/api.md shows what each route takes",
        };
        match field.as_str() {
            "." => refuse(e.to_string(), help),
            field => refuse(format!("{field}: {e}"), help),
        }
    })?;
    json.end().map_err(no_json)?;
    Ok(value)
}
