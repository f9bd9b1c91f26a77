//! Agents that must not start, must not attach, or must help themselves: what they say, how they
//! end, and that nothing else was changed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;
use xlb_tests::{
    agent::Agent,
    command::output,
    lab::Lab,
    namespace::Namespace,
    process::Process,
    scene::Scene,
    topology::{Plan, Topology},
    wait::{LIMIT, wait_for, wait_until},
};

/// A network without servers, and an agent that is attached to its interfaces.
fn bare() -> (Agent, Topology, Lab) {
    let lab = Lab::new().unwrap();
    let topology = Topology::new(&lab, Plan { backends: 1, ..Plan::default() }).unwrap();
    let agent = Agent::new(&lab, &topology.lb, "agent").unwrap();
    (agent, topology, lab)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The command ends with this code, and its error says all of this.
#[track_caller]
fn fails(output: &Output, code: i32, says: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in says {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn programs(namespace: &Namespace) -> usize {
    namespace.ip("link show").unwrap().matches("prog/xdp").count()
}

#[test]
fn two_labs_side_by_side() {
    let scenes = [(); 2].map(|()| Scene::serving(Plan { backends: 1, ..Plan::default() }).unwrap());
    let requests = |scene: &Scene| scene.stats().unwrap()["total"]["request_packets"].clone();
    let [first, second] = &scenes;
    let before = requests(second);
    for service in &first.services {
        first.request(service).unwrap();
    }
    assert_eq!(requests(second), before);
    let address = first.service("web4").unwrap().at(&first.topology.backends[0]).to_string();
    first.agent.xlb(&["backend", "remove", "web4", &address]).unwrap();
    second.wait_answers().unwrap();
}

#[test]
fn a_second_agent_is_refused() {
    let (mut agent, topology, lab) = bare();
    agent.start(&topology.interfaces).unwrap();
    let before = agent.json(&["status"]).unwrap()["interfaces"].take();
    let (socket, state, pins) = (agent.socket(), agent.state(), agent.pins());
    let fresh = |name: &str| lab.directory().join(name);
    let other_pins = lab.pins().join("other");
    let pid = agent.json(&["status"]).unwrap()["pid"].to_string();
    for (socket, state, pins, says) in [
        (&fresh("2.sock"), state, &other_pins, ["another agent runs", &pid, "state directory"]),
        (&fresh("2.sock"), &fresh("2"), pins, ["another agent runs", "the pins in", "--pins"]),
        (socket, &fresh("3"), &other_pins, ["another agent listens on", "agent.sock", "--socket"]),
    ] {
        let mut second = topology.lb.command(agent.binary()).unwrap();
        second.arg("run").arg("--socket").arg(socket).arg("--state-dir").arg(state);
        second.arg("--pins").arg(pins);
        fails(&output(&mut second).unwrap(), 1, &says);
    }
    assert_eq!(agent.json(&["status"]).unwrap()["interfaces"], before);
    assert_eq!(programs(&topology.lb), 2);
}

#[test]
fn another_programs_interface_is_left_alone() {
    let (mut agent, topology, lab) = bare();
    let lb = &topology.lb;
    lb.ip("link add theirs type veth peer name peer").unwrap();
    let theirs = lb.attach_pass("theirs").unwrap();
    agent.start(&[]).unwrap();
    for mode in ["auto", "native", "generic"] {
        let refused = agent.output(&["attach", "theirs", "--mode", mode]).unwrap();
        let says = ["theirs", "another XDP program", "\"lab\"", "native", "ip link set dev theirs"];
        fails(&refused, 1, &says);
    }
    assert_eq!(agent.json(&["status"]).unwrap()["interfaces"], Value::Array(Vec::new()));
    assert_eq!(programs(lb), 1);
    drop(theirs);
    agent.xlb(&["attach", "theirs"]).unwrap();

    // The same the other way round: what is there is generic, and another xlb's.
    let mut other = Agent::new(&lab, lb, "other").unwrap();
    other.start(&["front:generic"]).unwrap();
    for mode in ["auto", "native", "generic"] {
        let refused = agent.output(&["attach", "front", "--mode", mode]).unwrap();
        fails(&refused, 1, &["front", "another XDP program", "\"xlb", "generic"]);
    }
    assert_eq!(other.json(&["status"]).unwrap()["interfaces"][0]["attached"], "generic");
}

#[test]
fn an_interface_that_is_not_there() {
    let (mut agent, topology, _lab) = bare();
    // One that is missing at the start is waited for, and status says so.
    agent.start(&["front", "later"]).unwrap();
    let status = agent.json(&["status"]).unwrap();
    let later = &status["interfaces"][1];
    assert_eq!((&later["name"], &later["attached"]), (&"later".into(), &"none".into()));
    assert!(later["problem"].as_str().unwrap().contains("no such interface"), "{later}");
    topology.lb.ip("link add later type veth peer name peer").unwrap();
    wait_until("it to be attached to", LIMIT, || {
        agent.json(&["status"]).unwrap()["interfaces"][1]["attached"] == "native"
    })
    .unwrap();

    let missing = agent.output(&["attach", "frnt"]).unwrap();
    fails(&missing, 1, &["no interface frnt", "front"]);
    let detached = agent.output(&["detach", "frnt"]).unwrap();
    fails(&detached, 1, &["not attached to frnt", "did you mean front?"]);
    let twice = agent.output(&["attach", "front"]).unwrap();
    fails(&twice, 1, &["front is already there"]);
    assert_eq!(agent.json(&["status"]).unwrap()["interfaces"].as_array().unwrap().len(), 2);
}

/// A bridge has no native XDP.
#[test]
fn native_mode_where_there_is_none() {
    let (mut agent, topology, _lab) = bare();
    topology.lb.ip("link add br0 type bridge").unwrap();
    topology.lb.ip("link set br0 up").unwrap();
    agent.start(&[]).unwrap();
    let refused = agent.output(&["attach", "br0", "--mode", "native"]).unwrap();
    fails(&refused, 1, &["cannot attach to br0", "--mode generic"]);
    assert_eq!(programs(&topology.lb), 0);
    let loud = agent.output(&["attach", "br0"]).unwrap();
    assert!(loud.status.success(), "{}", stderr(&loud));
    assert!(String::from_utf8_lossy(&loud.stdout).contains("generic"));
    assert!(stderr(&loud).contains("warning") && stderr(&loud).contains("no native XDP"));
    let status = agent.json(&["status"]).unwrap();
    let bridge = &status["interfaces"][0];
    assert_eq!((&bridge["attached"], &bridge["wanted"]), (&"generic".into(), &"auto".into()));
    assert!(bridge["problem"].as_str().unwrap().contains("generic"), "{bridge}");
    assert!(agent.xlb(&["status"]).unwrap().contains("generic"));
    // A new agent that takes it over still says so.
    agent.kill().unwrap();
    agent.start(&[]).unwrap();
    assert_eq!(agent.json(&["status"]).unwrap()["interfaces"][0], *bridge);
}

/// Slow, but it works: the same traffic through generic mode.
#[test]
fn generic_mode_carries_traffic() {
    let mut scene = Scene::new(Plan { backends: 2, ..Plan::default() }).unwrap();
    scene.agent.start(&["front:generic", "back:generic"]).unwrap();
    for service in &scene.services {
        let mut args = vec!["service", "add", service.name];
        let endpoint = service.endpoint();
        let backends = scene.topology.backends.iter().map(|b| service.at(b).to_string());
        let backends: Vec<String> = backends.collect();
        args.push(&endpoint);
        for backend in &backends {
            args.extend(["-b", backend]);
        }
        scene.agent.xlb(&args).unwrap();
    }
    scene.wait_answers().unwrap();
    for interface in scene.status().unwrap()["interfaces"].as_array().unwrap() {
        // It was asked for, so it is no problem.
        assert_eq!(
            (&interface["attached"], &interface["problem"]),
            (&"generic".into(), &Value::Null)
        );
    }
}

#[test]
fn a_missing_capability_is_named() {
    let (agent, topology, _lab) = bare();
    for (drop, says) in [
        ("-bpf", ["lacks CAP_BPF", "root"].as_slice()),
        ("-net_admin,-net_raw", &["CAP_NET_ADMIN", "CAP_NET_RAW"]),
        ("-perfmon", &["lacks CAP_PERFMON"]),
        ("-all", &["CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_PERFMON"]),
    ] {
        let mut command = topology.lb.command("setpriv").unwrap();
        command.args(["--bounding-set", drop, "--inh-caps", drop]);
        fails(&output(with_run(&mut command, &agent)).unwrap(), 1, says);
        assert!(!agent.state().exists() && !agent.pins().exists() && !agent.socket().exists());
    }
}

/// Adds the agent's own command line to another program's.
fn with_run<'a>(command: &'a mut Command, agent: &Agent) -> &'a mut Command {
    let run = agent.run_command(&[]).unwrap();
    command.arg(run.get_program()).args(run.get_args())
}

#[test]
fn a_bpffs_that_is_not_mounted_is_mounted() {
    let (agent, topology, _lab) = bare();
    let mut command = topology.lb.command("unshare").unwrap();
    let bare = "while umount /sys/fs/bpf 2>/dev/null; do :; done; exec \"$@\"";
    command.args(["--mount", "sh", "-c", bare, "sh"]);
    with_run(&mut command, &agent);
    let mut process: Process = topology.lb.start("unshared", command).unwrap();
    wait_for("the agent to answer", LIMIT, || {
        process.check()?;
        agent.xlb(&["status"]).map(Some)
    })
    .unwrap();
    assert!(process.log().contains("mounted a BPF file system"), "{}", process.log());
    let mounts = fs::read_to_string(format!("/proc/{}/mounts", process.pid())).unwrap();
    assert!(mounts.lines().any(|line| line.contains(" /sys/fs/bpf bpf ")), "{mounts}");
    agent.xlb(&["attach", "front"]).unwrap();

    // Pins in a place that is no bpffs, and that can't become one, are refused.
    let mut command = topology.lb.command(agent.binary()).unwrap();
    command.arg("run").arg("--socket").arg(agent.socket().with_extension("2"));
    command.arg("--state-dir").arg(agent.state().with_extension("2"));
    command.arg("--pins").arg(agent.state().with_extension("pins"));
    fails(&output(&mut command).unwrap(), 1, &["not on a BPF file system", "mount -t bpf"]);
}

#[test]
fn without_an_agent_commands_end_with_3() {
    let (agent, _topology, _lab) = bare();
    for args in [
        ["status"].as_slice(),
        &["stats"],
        &["top", "--once"],
        &["service", "list"],
        &["service", "add", "web", "192.0.2.80:80/tcp"],
        &["backend", "list"],
        &["attach", "front"],
        &["detach", "front"],
    ] {
        fails(&agent.output(args).unwrap(), 3, &["no agent", "xlb run"]);
    }
}

/// Files of a state directory whose name contains this.
fn files(agent: &Agent, part: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(agent.state()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(part)).collect()
}

#[test]
fn a_damaged_state_file_is_kept_aside_and_said() {
    let (mut agent, _topology, _lab) = bare();
    agent.start(&[]).unwrap();
    for (name, port) in [("first", "1"), ("second", "2")] {
        agent.xlb(&["service", "add", name, &format!("203.0.113.1:{port}/udp")]).unwrap();
    }
    let names = |agent: &Agent| -> Vec<String> {
        let list = agent.json(&["service", "list"]).unwrap();
        let services = list["services"].as_array().unwrap().iter();
        services.map(|service| service["name"].as_str().unwrap().into()).collect()
    };
    let warnings = |agent: &Agent| agent.json(&["status"]).unwrap()["warnings"].to_string();
    let state = agent.state().join("state.json");

    // The last change is lost, the others are not.
    agent.stop().unwrap();
    let good = fs::read(&state).unwrap();
    let backup = fs::read(agent.state().join("state.json.bak")).unwrap();
    fs::write(&state, &good[..good.len() / 2]).unwrap();
    agent.start(&[]).unwrap();
    assert!(warnings(&agent).contains("is damaged"), "{}", warnings(&agent));
    let aside = files(&agent, "state.json.damaged-");
    assert_eq!(fs::read(&aside[0]).unwrap(), &good[..good.len() / 2]);
    let expected = if String::from_utf8_lossy(&backup).contains("second") { 2 } else { 1 };
    assert_eq!(names(&agent).len(), expected);
    assert!(agent.xlb(&["status"]).unwrap().contains("damaged"));

    // Both are bad: nothing is known, which is said as well, and the agent can be told anew.
    agent.stop().unwrap();
    for file in files(&agent, "state.json") {
        if !file.to_string_lossy().contains("damaged") {
            fs::write(file, "[]").unwrap();
        }
    }
    agent.start(&[]).unwrap();
    assert!(warnings(&agent).contains("empty"), "{}", warnings(&agent));
    assert!(names(&agent).is_empty());
    assert_eq!(files(&agent, "damaged-").len(), 3);
    agent.xlb(&["service", "add", "again", "203.0.113.1:1/udp"]).unwrap();

    // A newer version's file is not damaged: it is left for that version.
    agent.stop().unwrap();
    fs::write(&state, r#"{"schema": 99}"#).unwrap();
    let refused = output(&mut agent.run_command(&[]).unwrap()).unwrap();
    fails(&refused, 1, &["newer xlb"]);
    assert_eq!(fs::read_to_string(&state).unwrap(), r#"{"schema": 99}"#);
}
