//! Every route over a real socket, with an agent that only notes what it is asked.

use std::net::SocketAddr;
use std::path::PathBuf;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::api::request::{Problem, ProblemKind};
use crate::api::types::*;

/// A server on a socket of its own and what its agent was asked.
struct Lab {
    socket: PathBuf,
    agent: JoinHandle<Vec<String>>,
    server: JoinHandle<io::Result<()>>,
    stop: oneshot::Sender<()>,
    _temp: TempDir,
}

/// What an HTTP client sees.
struct Answer {
    status: StatusCode,
    allow: Option<String>,
    json: Value,
}

impl Lab {
    async fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let socket = temp.path().join("run/xlb.sock");
        let (requests, inbox) = mpsc::channel(8);
        let (stop, stopped) = oneshot::channel();
        let bound = Socket::bind(&socket).await.unwrap();
        let server = tokio::spawn(serve(bound, requests, async { drop(stopped.await) }));
        Self { socket, agent: tokio::spawn(agent(inbox)), server, stop, _temp: temp }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = hyper::Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("host", "xlb")
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let allow = response.headers().get("allow").map(|v| v.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        drop(sender);
        connection.await.unwrap().unwrap();
        Answer { status, allow, json: serde_json::from_slice(&body).unwrap() }
    }

    /// Asks for something that is refused before the agent hears of it.
    async fn refused(&self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let Answer { status, json, .. } = self.ask(method, path, body).await;
        let Failure { schema, error, help } = serde_json::from_value(json).unwrap();
        assert_eq!(schema, SCHEMA);
        (status.as_u16(), error, help.unwrap())
    }

    /// Stops everything and says what the agent was asked.
    async fn end(self) -> Vec<String> {
        self.stop.send(()).unwrap();
        self.server.await.unwrap().unwrap();
        assert!(!self.socket.exists(), "the socket is left behind");
        self.agent.await.unwrap()
    }
}

fn service_status() -> ServiceStatus {
    ServiceStatus {
        name: "web".into(),
        vip: "192.0.2.1:80".parse().unwrap(),
        protocol: Protocol::Tcp,
        mode: Mode::Nat,
        announce: Announce::Arp,
        direct: vec![],
        slots: 7,
        slots_moving: 0,
        slots_settled: 0,
        backends: vec![],
    }
}

/// Notes every request; answers those about the service `web` and refuses all others.
async fn agent(mut inbox: mpsc::Receiver<Request>) -> Vec<String> {
    fn change(name: &str, text: String, reply: crate::api::request::Reply<Changed>) -> String {
        let kind = match name {
            "missing" => Some(ProblemKind::NotFound),
            "there" => Some(ProblemKind::Conflict),
            "bad" => Some(ProblemKind::Invalid),
            "broken" => Some(ProblemKind::Failed),
            _ => None,
        };
        let answer = match kind {
            None => Ok(Changed { schema: SCHEMA, message: text.clone(), warnings: vec![] }),
            Some(kind) => {
                Err(Problem { kind, error: format!("{name}!"), help: Some("help".into()) })
            }
        };
        if name != "vanished" {
            reply.send(answer).unwrap();
        }
        text
    }
    let mut asked = Vec::new();
    while let Some(request) = inbox.recv().await {
        asked.push(match request {
            Request::Status(reply) => {
                let error = "no status".to_owned();
                let kind = ProblemKind::Failed;
                reply.send(Err(Problem { kind, error, help: None })).unwrap();
                "status".to_owned()
            }
            Request::Stats(reply) => {
                reply.send(Ok(Stats { at_ns: 5, ..Stats::default() })).unwrap();
                "stats".to_owned()
            }
            Request::ListServices(reply) => {
                let services = vec![service_status()];
                reply.send(Ok(ServiceList { schema: SCHEMA, services })).unwrap();
                "list".to_owned()
            }
            Request::ShowService(name, reply) => {
                reply.send(Ok(service_status())).unwrap();
                format!("show {name}")
            }
            Request::AddService(spec, reply) => {
                change(&spec.name, format!("add {} {}", spec.name, spec.vip), reply)
            }
            Request::RemoveService(name, reply) => change(&name, format!("remove {name}"), reply),
            Request::AddBackend(name, spec, reply) => {
                change(&name, format!("add {} x{} to {name}", spec.address, spec.weight), reply)
            }
            Request::SetWeight(name, address, weight, reply) => {
                change(&name, format!("weigh {address} x{weight} in {name}"), reply)
            }
            Request::RemoveBackend(name, address, reply) => {
                change(&name, format!("remove {address} from {name}"), reply)
            }
            Request::Attach(spec, reply) => {
                change(&spec.name, format!("attach {} {:?}", spec.name, spec.mode), reply)
            }
            Request::Detach(name, reply) => change(&name, format!("detach {name}"), reply),
        });
    }
    asked
}

#[tokio::test]
async fn every_route_reaches_the_agent_and_brings_its_answer_back() {
    let lab = Lab::new().await;
    let stats = lab.ask("GET", "/v1/stats", "").await;
    assert_eq!((stats.status, &stats.json["at_ns"]), (StatusCode::OK, &json!(5)));
    let list = lab.ask("GET", "/v1/services", "").await;
    assert_eq!(list.json["services"][0]["name"], "web");
    let show = lab.ask("GET", "/v1/services/web", "").await;
    assert_eq!(serde_json::from_value::<ServiceStatus>(show.json).unwrap(), service_status());

    let service = r#"{"name": "web", "vip": "192.0.2.1:80", "protocol": "tcp"}"#;
    let backend = r#"{"address": "[2001:db8::5]:80", "weight": 3}"#;
    for (method, path, body, message) in [
        ("POST", "/v1/services", service, "add web 192.0.2.1:80"),
        ("DELETE", "/v1/services/web", "", "remove web"),
        ("POST", "/v1/services/web/backends", backend, "add [2001:db8::5]:80 x3 to web"),
        (
            "PATCH",
            "/v1/services/web/backends/10.0.0.1:80",
            r#"{"weight": 7}"#,
            "weigh 10.0.0.1:80 x7 in web",
        ),
        (
            "DELETE",
            "/v1/services/web/backends/%5B2001:db8::5%5D:80",
            "",
            "remove [2001:db8::5]:80 from web",
        ),
        ("POST", "/v1/interfaces", r#"{"name": "eth0", "mode": "native"}"#, "attach eth0 Native"),
        ("DELETE", "/v1/interfaces/eth0", "", "detach eth0"),
    ] {
        let answer = lab.ask(method, path, body).await;
        let changed = Changed { schema: SCHEMA, message: message.into(), warnings: vec![] };
        assert_eq!(answer.status, StatusCode::OK, "{method} {path}: {}", answer.json);
        assert_eq!(serde_json::from_value::<Changed>(answer.json).unwrap(), changed);
    }
    let asked = lab.end().await;
    assert_eq!(asked[..3], ["stats", "list", "show web"]);
    assert_eq!(asked.len(), 10);
}

#[tokio::test]
async fn what_the_agent_refuses_has_the_right_status() {
    let lab = Lab::new().await;
    for (name, status) in [("bad", 400), ("missing", 404), ("there", 409), ("broken", 500)] {
        let refused = lab.refused("DELETE", &format!("/v1/services/{name}"), "").await;
        assert_eq!(refused, (status, format!("{name}!"), "help".into()));
    }
    let status = lab.ask("GET", "/v1/status", "").await;
    assert_eq!(status.json, json!({"schema": 1, "error": "no status", "help": null}));
    let (status, error, _) = lab.refused("DELETE", "/v1/services/vanished", "").await;
    assert_eq!((status, error.as_str()), (500, "the agent stopped before it answered"));
    lab.agent.abort();
    let (status, error, help) = loop {
        // Aborting takes effect when the task is next looked at.
        let refused = lab.refused("DELETE", "/v1/services/vanished", "").await;
        if refused.1 == "the agent has stopped" {
            break refused;
        }
    };
    assert_eq!((status, error.as_str()), (500, "the agent has stopped"));
    assert!(help.contains("log"));
}

#[tokio::test]
async fn bad_requests_are_refused_before_the_agent_hears_of_them() {
    let lab = Lab::new().await;
    let service = |vip: &str| format!(r#"{{"name": "web", "vip": "{vip}", "protocol": "tcp"}}"#);
    let backends = "/v1/services/web/backends";
    let deep = r#"{"name": "web", "vip": "192.0.2.1:80", "protocol": "tcp",
        "backends": [{"address": "10.0.0.1:80"}, {"address": "10.0.0.2:80", "weight": -1}]}"#;
    for (method, path, body, status, error, help) in [
        ("POST", "/v1/services", "", 400, "not JSON: EOF", "docs/api.md"),
        ("POST", "/v1/services", "{", 400, "not JSON: EOF", "docs/api.md"),
        ("POST", "/v1/services", "{} x", 400, "missing field `name`", "docs/api.md"),
        ("POST", "/v1/services", "\u{fffd}", 400, "not JSON", ""),
        ("POST", "/v1/services", &service("nowhere"), 400, "vip: invalid", "ADDRESS:PORT"),
        ("POST", "/v1/services", &(service("1.2.3.4:5") + "x"), 400, "trailing", ""),
        ("POST", "/v1/services", deep, 400, "backends[1].weight: ", "docs/api.md"),
        ("POST", backends, r#"{"address": "1.2.3.4:5", "wait": 3}"#, 400, "`wait`", "docs"),
        ("POST", "/v1/interfaces", r#"{"name": "a", "mode": "fast"}"#, 400, "mode: ", "docs"),
        ("PATCH", "/v1/services/web/backends/10.0.0.1", r#"{"weight": 1}"#, 400, "port", "80"),
        ("DELETE", "/v1/services/web/backends/10.0.0.1", "", 400, "10.0.0.1", "port is missing"),
        ("DELETE", "/v1/services/%ff", "", 400, "path", "UTF-8"),
        ("GET", "/", "", 404, "there is no /", "/v1"),
        ("GET", "/v1/service", "", 404, "there is no /v1/service", "services"),
        ("GET", "/v2/status", "", 404, "there is no /v2/status", "/v1"),
    ] {
        let refused = lab.refused(method, path, body).await;
        assert_eq!(refused.0, status, "{method} {path} {body}: {refused:?}");
        assert!(refused.1.contains(error), "{method} {path} {body}: {refused:?}");
        assert!(refused.2.contains(help), "{method} {path} {body}: {refused:?}");
    }
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(BODY_MAX));
    let (status, error, help) = lab.refused("POST", "/v1/services", &large).await;
    assert!(status == 413 && error.contains("1048576") && help.contains("parts"), "{error}");
    assert_eq!(lab.end().await, Vec::<String>::new());
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let lab = Lab::new().await;
    for (method, path, allowed) in [
        ("POST", "/v1/status", vec!["GET", "HEAD"]),
        ("PUT", "/v1/services", vec!["GET", "HEAD", "POST"]),
        ("GET", "/v1/services/web/backends/10.0.0.1:80", vec!["DELETE", "PATCH"]),
    ] {
        let answer = lab.ask(method, path, "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        let allow = answer.allow.unwrap();
        let mut allow: Vec<&str> = allow.split(',').collect();
        allow.sort_unstable();
        assert_eq!(allow, allowed, "{path}");
        let error = answer.json["error"].as_str().unwrap().to_owned();
        assert!(error.contains(path) && error.contains(method), "{error}");
    }
    lab.end().await;
}

#[tokio::test]
async fn the_documented_routes_are_there() {
    let lab = Lab::new().await;
    let docs = include_str!("../../../../docs/api.md");
    let routes = docs.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let routes: Vec<&str> = routes.collect();
    assert_eq!(routes.len(), 11, "{routes:?}");
    for route in routes {
        let (method, path) = route.split_once(' ').unwrap();
        let path = path.replace("NAME", "web").replace("ADDRESS", "10.0.0.1:80");
        let Answer { status, json, .. } = lab.ask(method, &path, "").await;
        // Without a body, those that need one say so.
        let there = ![StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status);
        assert!(there, "{route}: {status} {json}");
    }
    lab.end().await;
}

#[tokio::test]
async fn a_full_address_in_a_path_is_any_that_is_written() {
    let lab = Lab::new().await;
    let address: SocketAddr = "[2001:db8:0::5]:80".parse().unwrap();
    let path = "/v1/services/web/backends/%5b2001%3adb8%3A0%3a%3A5%5D%3a80";
    let answer = lab.ask("DELETE", path, "").await;
    assert_eq!(answer.json["message"], format!("remove {address} from web"));
    lab.end().await;
}
