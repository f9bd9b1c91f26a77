//! The `xlb` binary as users meet it: what it prints where, and its exit codes.
//!
//! The agent is a stand-in on a socket of its own; the terminal is a real one, a pseudo-terminal.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

mod support;

use support::{Agent, Terminal};

fn xlb(agent: &Agent, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xlb"));
    command.args(words).env("XLB_SOCKET", agent.socket());
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "XLB_CONFIG"] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm-256color").stdin(Stdio::null());
    command
}

fn run(agent: &Agent, words: &[&str]) -> Output {
    xlb(agent, words).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_change_prints_one_line_and_its_warnings_apart() {
    let agent = Agent::start();
    let output = run(&agent, &["backend", "weight", "web", "10.0.0.11:8080", "5"]);
    assert_eq!((code(&output), stdout(&output)), (0, "weight changed\n".into()));
    assert_eq!(stderr(&output), "warning: it is the only one\n");
    let (method, path, body) = agent.last();
    assert_eq!((method.as_str(), body), ("PATCH", json!({ "weight": 5 })));
    assert_eq!(path, "/v1/services/web/backends/10%2E0%2E0%2E11%3A8080");
}

#[test]
fn a_service_is_asked_for_whole() {
    let agent = Agent::start();
    let words = "service add web 192.0.2.10:80/tcp -b 10.0.0.11:8080=3 --direct 10.0.0.0/8";
    let output = run(&agent, &words.split(' ').collect::<Vec<_>>());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let (method, path, body) = agent.last();
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/v1/services"));
    assert_eq!(
        body,
        json!({
            "name": "web", "vip": "192.0.2.10:80", "protocol": "tcp", "mode": "nat",
            "slots": 65537, "announce": "arp", "direct": ["10.0.0.0/8"],
            "backends": [{ "address": "10.0.0.11:8080", "weight": 3 }],
        })
    );
}

#[test]
fn json_is_one_object_in_the_api_s_shape() {
    let agent = Agent::start();
    for words in [["status", "--json"], ["stats", "-j"]] {
        let output = run(&agent, &words);
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed["schema"], 1);
        assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    }
    let list: Value =
        serde_json::from_slice(&run(&agent, &["backend", "list", "web", "--json"]).stdout).unwrap();
    assert_eq!(list["services"][0]["backends"][0]["address"], "10.0.0.11:8080");
}

#[test]
fn a_refusal_is_1_and_comes_with_help() {
    let agent = Agent::start();
    let output = run(&agent, &["service", "show", "wbe"]);
    assert_eq!((code(&output), stdout(&output)), (1, String::new()));
    assert_eq!(stderr(&output), "error: there is no service wbe\nhelp: did you mean web?\n");
    let output = run(&agent, &["stats", "wbe", "--json"]);
    let printed: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(code(&output), 1);
    assert_eq!(
        printed,
        json!({ "schema": 1, "error": "there is no service wbe", "help": "did you mean web?" })
    );
}

#[test]
fn wrong_usage_is_2_and_never_reaches_the_agent() {
    let agent = Agent::start();
    let output = run(&agent, &["backend", "add", "web", "10.0.0.11"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
    assert!(stderr(&output).contains("the port is missing: 10.0.0.11:80"));
    let output = run(&agent, &["--json", "backend", "add", "web", "10.0.0.11"]);
    let printed: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((code(&output), &printed["schema"]), (2, &json!(1)));
    assert!(printed["error"].as_str().unwrap().contains("the port is missing"));
    assert_eq!(agent.asked(), 0);
}

#[test]
fn no_agent_is_3() {
    let agent = Agent::start();
    let missing = agent.directory().join("missing");
    let output = run(&agent, &["--socket", missing.to_str().unwrap(), "status"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).starts_with("error: no agent: there is no socket "));
    assert!(stderr(&output).contains("\nhelp: start it with `xlb run`"));
}

#[test]
fn a_reader_that_leaves_is_not_an_error() {
    let agent = Agent::start();
    let mut child = xlb(&agent, &["stats", "--watch", "0.1", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
}

#[test]
fn watching_prints_one_object_a_line() {
    let agent = Agent::start();
    let mut child =
        xlb(&agent, &["stats", "--watch", "0.1", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let times: Vec<u64> = lines
        .take(3)
        .map(|line| {
            serde_json::from_str::<Value>(&line.unwrap()).unwrap()["at_ns"].as_u64().unwrap()
        })
        .collect();
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let agent = Agent::start();
    assert!(!stdout(&run(&agent, &["status"])).contains('\x1b'));
    assert!(stdout(&run(&agent, &["status", "--color", "always"])).contains("\x1b[32m"));
}

#[test]
fn top_once_is_plain_text_and_top_wants_a_terminal() {
    let agent = Agent::start();
    let output = run(&agent, &["top", "--once", "--interval", "0.1"]);
    let frame = stdout(&output);
    assert_eq!((code(&output), frame.contains('\x1b')), (0, false), "{}", stderr(&output));
    assert!(frame.contains("192.0.2.10:80/tcp"), "{frame}");
    let output = run(&agent, &["top"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("help: use `xlb top --once`"));
}

/// The terminal is given back however the live view ends.
fn leaves_the_terminal_as_it_was(end: impl FnOnce(&mut Terminal, u32)) {
    let agent = Agent::start();
    let mut terminal = Terminal::open(24, 80);
    let before = terminal.settings();
    let mut child = terminal.spawn(&mut xlb(&agent, &["top", "--interval", "0.1"]));
    terminal.wait_for("\x1b[?1049h");
    terminal.wait_for("quit");
    assert_ne!(terminal.settings(), before, "the terminal was never taken over");
    end(&mut terminal, child.id());
    terminal.wait_for("\x1b[?1049l");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(terminal.settings(), before);
}

#[test]
fn top_gives_the_terminal_back_when_asked_to_quit() {
    leaves_the_terminal_as_it_was(|terminal, _| terminal.press("q"));
}

#[test]
fn top_gives_the_terminal_back_on_signals() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        leaves_the_terminal_as_it_was(|_, pid| {
            kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
        });
    }
}

#[test]
fn top_outlives_its_agent() {
    let agent = Agent::start();
    let mut terminal = Terminal::open(24, 80);
    let mut child = terminal.spawn(&mut xlb(&agent, &["top", "--interval", "0.1"]));
    terminal.wait_for("quit");
    let directory = agent.stop();
    terminal.wait_for("AGENT");
    let agent = Agent::start_in(directory);
    terminal.wait_for("every");
    drop(agent);
    terminal.press("q");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
