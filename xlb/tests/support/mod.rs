//! A stand-in for the agent, and a terminal to run the live view in.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{Termios, tcgetattr};
use serde_json::{Value, json};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that is gone when this is dropped.
pub struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

type Asked = Arc<Mutex<Vec<(String, String, Value)>>>;

/// Answers like an agent with one service, and remembers what it was asked.
pub struct Agent {
    directory: Directory,
    asked: Asked,
    _runtime: tokio::runtime::Runtime,
}

impl Agent {
    /// Starts one in a directory of its own.
    pub fn start() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("xlb-cli-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self::start_in(Directory(path))
    }

    /// Starts one where another one was.
    pub fn start_in(directory: Directory) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let asked = Asked::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&asked));
        let _ = std::fs::remove_file(directory.0.join("s"));
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::bind(directory.0.join("s")).unwrap()
        };
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { directory, asked, _runtime: runtime }
    }

    /// Stops it and leaves its directory, with the socket in it that nobody listens on.
    pub fn stop(self) -> Directory {
        self.directory
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.0.join("s")
    }

    /// Where its socket is.
    pub fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// The last request: method, path, body.
    pub fn last(&self) -> (String, String, Value) {
        self.asked.lock().unwrap().last().cloned().unwrap()
    }

    /// How many requests there were.
    pub fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn answer(State(asked): State<Asked>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
    asked.lock().unwrap().push((method.clone(), path.clone(), body));
    let (status, answer) = match (method.as_str(), path.as_str()) {
        ("GET", "/v1/status") => (StatusCode::OK, status()),
        ("GET", "/v1/stats") => (StatusCode::OK, stats()),
        ("GET", "/v1/services/web") => (StatusCode::OK, service()),
        ("GET", _) => (
            StatusCode::NOT_FOUND,
            json!({ "schema": 1, "error": "there is no service wbe", "help": "did you mean web?" }),
        ),
        ("PATCH", _) => (
            StatusCode::OK,
            json!({ "schema": 1, "message": "weight changed", "warnings": ["it is the only one"] }),
        ),
        _ => (StatusCode::OK, json!({ "schema": 1, "message": "done" })),
    };
    (status, answer.to_string()).into_response()
}

fn service() -> Value {
    json!({
        "name": "web", "vip": "192.0.2.10:80", "protocol": "tcp", "mode": "nat", "announce": "arp",
        "direct": [], "slots": 65537, "slots_moving": 0, "slots_settled": 0,
        "backends": [{
            "address": "10.0.0.11:8080", "weight": 1, "share": 1.0, "next_hop": "resolved",
        }],
    })
}

fn status() -> Value {
    json!({
        "schema": 1, "version": "0.1.0", "pid": 1, "uptime_seconds": 5, "adopted": false,
        "program": { "id": 7, "entry": "xlb_frags", "verified_instructions": 1000 },
        "interfaces": [], "services": [service()], "slots_used": 65537, "slots_capacity": 1 << 20,
        "warnings": [],
    })
}

/// Counters that grow by a thousand packets with every request for them, once a millisecond.
fn stats() -> Value {
    static READ: AtomicU64 = AtomicU64::new(1);
    let n = READ.fetch_add(1, Ordering::Relaxed);
    let counters = json!({
        "request_packets": 1000 * n, "request_bytes": 60_000 * n, "reply_packets": 900 * n,
        "reply_bytes": 90_000 * n, "opened": 100 * n, "closed": 90 * n,
    });
    json!({
        "schema": 1, "at_ns": 1_000_000 * n, "total": counters,
        "services": [{
            "name": "web", "vip": "192.0.2.10:80", "protocol": "tcp", "counters": counters,
            "backends": [{
                "address": "10.0.0.11:8080", "weight": 1, "share": 1.0, "counters": counters,
            }],
        }],
        "reasons": [], "cpus": [],
    })
}

/// A pseudo-terminal: what the program draws on, and what we see of it.
pub struct Terminal {
    master: File,
    slave: OwnedFd,
    drawn: Receiver<String>,
    seen: String,
}

impl Terminal {
    /// A terminal of so many rows and columns.
    pub fn open(rows: u16, columns: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
        let master = File::from(master);
        let mut reader = master.try_clone().unwrap();
        let (sender, drawn) = mpsc::channel();
        // Reading a terminal can't be given up; waiting for a thread can.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send(String::from_utf8_lossy(&bytes[..count]).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { master, slave, drawn, seen: String::new() }
    }

    /// Runs a command in it.
    pub fn spawn(&self, command: &mut Command) -> Child {
        let end = || Stdio::from(self.slave.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
    }

    /// The line discipline: raw or not, echo or not.
    pub fn settings(&self) -> Termios {
        tcgetattr(&self.slave).unwrap()
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads on until a text has come; what was read up to it is forgotten.
    pub fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.drawn.recv_timeout(left) {
                Ok(drawn) => self.seen.push_str(&drawn),
                Err(_) => panic!("{text:?} did not come: {:?}", self.seen),
            }
        }
    }
}
