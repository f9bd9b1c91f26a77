//! The client against a small server on a socket of its own.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::UnixListener;

use super::*;
use crate::fixtures::{self, Scratch};

/// Answers everything with the same, and remembers what it was asked.
struct Server {
    scratch: Scratch,
    seen: Arc<Mutex<Vec<(String, String, Value)>>>,
    task: tokio::task::JoinHandle<()>,
}

type Shared = (Arc<Mutex<Vec<(String, String, Value)>>>, StatusCode, String);

async fn answer(State((seen, status, body)): State<Shared>, request: Request) -> Response {
    let (head, sent) = request.into_parts();
    let sent = sent.collect().await.unwrap().to_bytes();
    let sent = serde_json::from_slice(&sent).unwrap_or(Value::Null);
    seen.lock().unwrap().push((head.method.to_string(), head.uri.to_string(), sent));
    (status, body).into_response()
}

impl Server {
    fn start(status: StatusCode, body: impl Into<String>) -> Self {
        let scratch = Scratch::new();
        let seen = Arc::new(Mutex::new(vec![]));
        let listener = UnixListener::bind(scratch.path("s")).unwrap();
        let app = Router::new().fallback(answer).with_state((seen.clone(), status, body.into()));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { scratch, seen, task }
    }

    fn client(&self) -> Client {
        Client::new(self.scratch.path("s"))
    }

    fn last(&self) -> (String, String, Value) {
        self.seen.lock().unwrap().last().cloned().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn fault<T: std::fmt::Debug>(result: Result<T>) -> Fault {
    Fault::of(&result.unwrap_err())
}

#[tokio::test]
async fn answers_arrive_as_they_were_sent() {
    let (status, stats) = (fixtures::status(), fixtures::stats(5));
    let server = Server::start(StatusCode::OK, serde_json::to_string(&status).unwrap());
    assert_eq!(server.client().status().await.unwrap(), status);
    assert_eq!(server.last(), ("GET".into(), "/v1/status".into(), Value::Null));
    let server = Server::start(StatusCode::OK, serde_json::to_string(&stats).unwrap());
    assert_eq!(server.client().stats().await.unwrap(), stats);
    assert_eq!(server.last().1, "/v1/stats");
}

#[tokio::test]
async fn changes_are_asked_for_in_the_api_s_shapes() {
    let done = json!({ "schema": 1, "message": "done", "warnings": ["careful"] });
    let server = Server::start(StatusCode::OK, done.to_string());
    let client = server.client();
    let asked = |method: &str, path: &str, body: Value| (method.to_owned(), path.to_owned(), body);

    let backend = "[2001:db8::1]:80".parse().unwrap();
    let changed = client.set_weight("web", backend, 7).await.unwrap();
    assert_eq!((changed.message.as_str(), changed.warnings.len()), ("done", 1));
    let path = "/v1/services/web/backends/%5B2001%3Adb8%3A%3A1%5D%3A80";
    assert_eq!(server.last(), asked("PATCH", path, json!({ "weight": 7 })));
    client.remove_backend("web", backend).await.unwrap();
    assert_eq!(server.last(), asked("DELETE", path, Value::Null));

    let spec = BackendSpec { address: backend, weight: 2, interface: Some("eth1".into()) };
    client.add_backend("a b/c", &spec).await.unwrap();
    let body = json!({ "address": "[2001:db8::1]:80", "weight": 2, "interface": "eth1" });
    assert_eq!(server.last(), asked("POST", "/v1/services/a%20b%2Fc/backends", body));

    client.attach(&InterfaceSpec { name: "eth0".into(), mode: Default::default() }).await.unwrap();
    let body = json!({ "name": "eth0", "mode": "auto" });
    assert_eq!(server.last(), asked("POST", "/v1/interfaces", body));
    client.detach("eth0.5").await.unwrap();
    assert_eq!(server.last(), asked("DELETE", "/v1/interfaces/eth0%2E5", Value::Null));
    client.remove_service("..").await.unwrap();
    assert_eq!(server.last(), asked("DELETE", "/v1/services/%2E%2E", Value::Null));
}

#[tokio::test]
async fn a_refusal_is_passed_on_in_the_agent_s_words() {
    let body = json!({ "schema": 1, "error": "no service wbe", "help": "did you mean web?" });
    let server = Server::start(StatusCode::NOT_FOUND, body.to_string());
    let fault = fault(server.client().service("wbe").await);
    assert_eq!(fault, Fault::new("no service wbe").help("did you mean web?"));
}

#[tokio::test]
async fn answers_that_are_not_the_agent_s_are_told_apart() {
    let server = Server::start(StatusCode::BAD_GATEWAY, "<html>");
    assert_eq!(
        fault(server.client().stats().await).error,
        "the agent refused (502 Bad Gateway): <html>"
    );
    let server = Server::start(StatusCode::OK, r#"{"schema":9}"#);
    let fault = fault(server.client().stats().await);
    assert!(fault.error.starts_with("the agent's answer to /v1/stats is not understood"));
    assert!(fault.help.unwrap().contains("another version"));
}

#[tokio::test]
async fn without_an_agent_the_exit_code_is_3_and_the_help_says_how_to_start_it() {
    let scratch = Scratch::new();
    let missing = fault(Client::new(scratch.path("s")).stats().await);
    assert_eq!(missing.exit, Exit::NoAgent);
    assert!(missing.error.starts_with("no agent: there is no socket "), "{missing:?}");
    assert!(missing.help.unwrap().contains("xlb run"));

    drop(UnixListener::bind(scratch.path("s")).unwrap());
    let refused = fault(Client::new(scratch.path("s")).stats().await);
    assert_eq!(refused.exit, Exit::NoAgent);
    assert!(refused.error.starts_with("no agent: nobody listens on "), "{refused:?}");
}

#[test]
fn not_permitted_names_the_group() {
    let error = io::Error::from(io::ErrorKind::PermissionDenied);
    let fault = no_agent(Path::new("/run/xlb/xlb.sock"), &error);
    assert_eq!(fault.exit, Exit::NoAgent);
    assert!(fault.help.unwrap().contains("group xlb"));
}

#[tokio::test]
async fn an_agent_that_hangs_up_or_hangs_is_a_failure() {
    let scratch = Scratch::new();
    let listener = UnixListener::bind(scratch.path("s")).unwrap();
    let client = Client::new(scratch.path("s"));
    let (broken, _) = tokio::join!(client.stats(), async { drop(listener.accept().await) });
    let broken = fault(broken);
    assert!(broken.error.contains("broke before an answer came"), "{broken:?}");
    assert_eq!(broken.exit, Exit::Failed);

    // Nobody accepts: the connection waits in the backlog, and so does the answer.
    let impatient = client.patience(Duration::from_millis(1));
    let late = fault(impatient.stats().await);
    assert!(late.error.ends_with("did not answer within 0.001 s"), "{late:?}");
}
