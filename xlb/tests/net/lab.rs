//! Namespaces and what is done in them.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

/// How long a test may wait for the kernel, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// A network namespace; removed when dropped.
pub struct Namespace {
    name: String,
}

impl Namespace {
    pub fn new(purpose: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(
            nix::unistd::geteuid().is_root(),
            "these tests make network namespaces: run them as root"
        );
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("xlb-{}-{number}-{purpose}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs `ip` in the namespace; its arguments are separated by spaces.
    pub fn ip(&self, arguments: &str) -> String {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments.split_whitespace());
        run("ip", &all)
    }

    /// Runs many `ip` commands at once, one a line.
    pub fn ip_batch(&self, lines: &str) {
        let mut child = Command::new("ip")
            .args(["-n", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Connects two namespaces: interface `a` of this one with `b` of the other, both up.
    pub fn connect(&self, a: &str, other: &Self, b: &str) {
        self.ip(&format!("link add {a} type veth peer name {b} netns {}", other.name));
        self.ip(&format!("link set {a} up"));
        other.ip(&format!("link set {b} up"));
    }

    /// Runs `body` inside, in a thread and a runtime of its own.
    pub fn inside<T: Send>(&self, body: impl AsyncFnOnce() -> T + Send) -> T {
        self.enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let in_time = async || tokio::time::timeout(PATIENCE, body()).await;
            runtime.unwrap().block_on(in_time()).expect("what the test waits for did not come")
        })
    }

    /// Runs `body` inside, in a thread of its own.
    pub fn enter<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.name)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
                body()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}
