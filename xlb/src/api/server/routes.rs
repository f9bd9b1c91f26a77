//! The routes: from a method and a path to a request to the agent.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use tokio::sync::{mpsc, oneshot};

use super::BODY_MAX;
use super::answer::Refusal;
use super::input::{Input, Names};
use crate::api::request::{Reply, Request};
use crate::api::types::{
    BackendSpec, Changed, InterfaceSpec, ServiceList, ServiceSpec, ServiceStatus, Stats, Status,
    WeightChange,
};
use crate::model::parse_endpoint;

/// The way to the agent's single writer.
type Agent = State<mpsc::Sender<Request>>;
type Answer<T> = Result<Json<T>, Refusal>;

pub(super) fn router(agent: mpsc::Sender<Request>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/stats", get(stats))
        .route("/v1/services", get(list_services).post(add_service))
        .route("/v1/services/{name}", get(show_service).delete(remove_service))
        .route("/v1/services/{name}/backends", post(add_backend))
        .route("/v1/services/{name}/backends/{address}", patch(set_weight).delete(remove_backend))
        .route("/v1/interfaces", post(attach))
        .route("/v1/interfaces/{name}", delete(detach))
        .method_not_allowed_fallback(no_method)
        .fallback(no_route)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(agent)
}

/// Asks the agent and waits for its answer.
async fn ask<T>(State(agent): Agent, request: impl FnOnce(Reply<T>) -> Request) -> Answer<T> {
    let gone =
        |error: &str| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error, "see the agent's log");
    let (reply, answer) = oneshot::channel();
    agent.send(request(reply)).await.map_err(|_| gone("the agent has stopped"))?;
    let answer = answer.await.map_err(|_| gone("the agent stopped before it answered"))?;
    Ok(Json(answer?))
}

async fn status(agent: Agent) -> Answer<Status> {
    ask(agent, Request::Status).await
}

async fn stats(agent: Agent) -> Answer<Stats> {
    ask(agent, Request::Stats).await
}

async fn list_services(agent: Agent) -> Answer<ServiceList> {
    ask(agent, Request::ListServices).await
}

async fn show_service(agent: Agent, Names(name): Names<String>) -> Answer<ServiceStatus> {
    ask(agent, |reply| Request::ShowService(name, reply)).await
}

async fn add_service(agent: Agent, Input(spec): Input<ServiceSpec>) -> Answer<Changed> {
    ask(agent, |reply| Request::AddService(spec, reply)).await
}

async fn remove_service(agent: Agent, Names(name): Names<String>) -> Answer<Changed> {
    ask(agent, |reply| Request::RemoveService(name, reply)).await
}

async fn add_backend(
    agent: Agent,
    Names(service): Names<String>,
    Input(spec): Input<BackendSpec>,
) -> Answer<Changed> {
    ask(agent, |reply| Request::AddBackend(service, spec, reply)).await
}

async fn set_weight(
    agent: Agent,
    Names((service, address)): Names<(String, String)>,
    Input(change): Input<WeightChange>,
) -> Answer<Changed> {
    let address = parse_endpoint("backend", &address)?;
    ask(agent, |reply| Request::SetWeight(service, address, change.weight, reply)).await
}

async fn remove_backend(
    agent: Agent,
    Names((service, address)): Names<(String, String)>,
) -> Answer<Changed> {
    let address = parse_endpoint("backend", &address)?;
    ask(agent, |reply| Request::RemoveBackend(service, address, reply)).await
}

async fn attach(agent: Agent, Input(spec): Input<InterfaceSpec>) -> Answer<Changed> {
    ask(agent, |reply| Request::Attach(spec, reply)).await
}

async fn detach(agent: Agent, Names(name): Names<String>) -> Answer<Changed> {
    ask(agent, |reply| Request::Detach(name, reply)).await
}

async fn no_route(uri: Uri) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        format!("there is no {}", uri.path()),
        "the routes begin with /v1: status, stats, services, interfaces; docs/api.md has them all",
    )
}

async fn no_method(method: Method, uri: Uri) -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} can't be asked for {method}", uri.path()),
        "the header Allow has the methods of this route",
    )
}
