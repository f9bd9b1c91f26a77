//! Every malformed input, through the real command line and the real API: a clear error, the right
//! exit code, and nothing changed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, io::Write as _, process::Output};

use serde_json::{Value, json};
use xlb_tests::{
    agent::Agent,
    command::{output, run},
    lab::Lab,
    namespace::Namespace,
};

/// An agent on its own, with two services.
fn agent() -> (Agent, Namespace, Lab) {
    let lab = Lab::new().unwrap();
    let namespace = lab.namespace("lb").unwrap();
    let mut agent = Agent::new(&lab, &namespace, "agent").unwrap();
    agent.start(&["lo:generic"]).unwrap();
    for (name, vip, backend) in [
        ("web", "192.0.2.80:80/tcp", "198.51.100.11:8080"),
        ("dns6", "[2001:db8::80]:53/udp", "[2001:db8:2::b]:53"),
    ] {
        agent.xlb(&["service", "add", name, vip, "-b", backend]).unwrap();
    }
    (agent, namespace, lab)
}

/// Everything that a change would change.
fn everything(agent: &Agent) -> (Vec<u8>, Value, Value) {
    let mut status = agent.json(&["status"]).unwrap();
    let parts = (status["services"].take(), status["interfaces"].take());
    (fs::read(agent.state().join("state.json")).unwrap(), parts.0, parts.1)
}

#[track_caller]
fn refused(output: &Output, code: i32, says: &str, what: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what}: {said}");
    assert!(said.starts_with("error: ") && said.contains(says), "{what}: {said}");
    assert!(output.stdout.is_empty(), "{what}");
}

/// What is typed, the exit code, and what the error says.
const TYPED: &[(&str, i32, &str)] = &[
    // VIPs.
    ("service add a 192.0.2.300:80/tcp", 2, "`192.0.2.300` is no IP address"),
    ("service add a example.org:80/tcp", 2, "names are not looked up"),
    ("service add a 192.0.2.1/tcp", 2, "the port is missing: 192.0.2.1:80"),
    ("service add a 192.0.2.1:80", 2, "the protocol is missing"),
    ("service add a 192.0.2.1:80/sctp", 2, "neither tcp nor udp"),
    ("service add a 192.0.2.1:70000/tcp", 2, "`70000` is no port"),
    ("service add a 192.0.2.1:0/tcp", 1, "port 0"),
    ("service add a 2001:db8::1:80/tcp", 2, "missing: [2001:db8::1:80]:80"),
    ("service add a [2001:db8::1]:80/tcp -b 198.51.100.1:80", 1, "family"),
    ("service add a 0.0.0.0:80/tcp", 1, "unspecified"),
    ("service add a 127.0.0.1:80/tcp", 1, "loopback"),
    ("service add a 224.0.0.1:80/udp", 1, "multicast"),
    ("service add a 255.255.255.255:80/udp", 1, "broadcast"),
    ("service add a 169.254.1.1:80/tcp", 1, "link-local"),
    ("service add a [::]:80/tcp", 1, "unspecified"),
    ("service add a [::1]:80/tcp", 1, "loopback"),
    ("service add a [ff02::1]:80/udp", 1, "multicast"),
    ("service add a [fe80::1]:80/tcp", 1, "link-local"),
    ("service add a [::ffff:192.0.2.1]:80/tcp", 1, "write it as 192.0.2.1:80"),
    // Names and options.
    ("service add -x 192.0.2.1:80/tcp", 2, "-x"),
    ("service add .a 192.0.2.1:80/tcp", 2, "start with a letter or a digit"),
    ("service add a/b 192.0.2.1:80/tcp", 2, "letter or a digit"),
    ("service add a 192.0.2.1:80/tcp --slots 6", 2, "6"),
    ("service add a 192.0.2.1:80/tcp --slots 1048574", 2, "1048574"),
    ("service add a 192.0.2.1:80/tcp --mode dsr", 2, "dsr"),
    ("service add a 192.0.2.1:80/tcp --announce bgp", 2, "bgp"),
    ("service add a 192.0.2.1:80/tcp --direct 10.0.0.0/33", 2, "`33` is no length"),
    ("service add a 192.0.2.1:80/tcp --direct 10.0.0.1/8", 1, "write 10.0.0.0/8"),
    ("service add a 192.0.2.1:80/tcp --direct 0.0.0.0/0", 1, "every client"),
    ("service add a 192.0.2.1:80/tcp --direct 2001:db8::/32", 1, "family"),
    // Duplicates and loops.
    ("service add web 192.0.2.1:80/tcp", 1, "service web is already there"),
    ("service add a 192.0.2.80:80/tcp", 1, "already the VIP of service web"),
    ("service add a 198.51.100.11:8080/tcp", 1, "backend of service web"),
    ("service add a 192.0.2.1:80/tcp -b 198.51.100.11:8080", 1, "already a backend of service web"),
    ("service add a 192.0.2.1:80/tcp -b 192.0.2.1:80", 1, "is the VIP itself"),
    ("service add a 192.0.2.1:80/tcp -b 10.0.0.1:80 -b 10.0.0.1:80", 1, "is there twice"),
    // Backends.
    ("backend add web 198.51.100.12", 2, "the port is missing: 198.51.100.12:80"),
    ("backend add web 198.51.100.12:x", 2, "`x` is no port"),
    ("backend add web 198.51.100.12:0", 1, "port 0"),
    ("backend add web [2001:db8::1]:80", 1, "family"),
    ("backend add web 192.0.2.80:80", 1, "the VIP itself"),
    ("backend add web 192.0.2.80:81", 1, "address of the VIP"),
    ("backend add web 198.51.100.11:8080", 1, "already a backend of service web"),
    ("backend add web 198.51.100.12:80 --weight 65536", 2, "65536"),
    ("backend add web 198.51.100.12:80 --weight -1", 2, "-1"),
    ("backend add web 198.51.100.12:80 --weight many", 2, "many"),
    ("backend add web 198.51.100.12:80 --interface a/b", 2, "interface's name"),
    ("backend weight web 198.51.100.11:8080 65536", 2, "65536"),
    ("backend weight web 198.51.100.11:8080", 2, "<N>"),
    // Names that are not known, and the near one.
    ("backend weight web 198.51.100.11:8081 2", 1, "did you mean 198.51.100.11:8080?"),
    ("backend remove web 10.9.9.9:1", 1, "xlb backend list web"),
    ("backend add wbe 198.51.100.12:80", 1, "did you mean web?"),
    ("service show wbe", 1, "did you mean web?"),
    ("service remove dns", 1, "did you mean dns6?"),
    ("service show nothing-like-it", 1, "xlb service list"),
    ("backend list wbe", 1, "did you mean web?"),
    ("stats wbe", 1, "did you mean web?"),
    ("detach l", 1, "did you mean lo?"),
    ("attach nosuch", 1, "there is no interface nosuch"),
    ("attach this-name-is-too-long", 2, "1 to 15 bytes"),
    ("attach lo --mode fast", 2, "fast"),
    ("attach lo", 1, "already there"),
    ("sttaus", 2, "status"),
    ("service ad", 2, "add"),
    ("top --once --interval 0", 2, "0.1 to 3600"),
    ("stats --watch forever", 2, "0.1 to 3600"),
];

#[test]
fn what_is_mistyped_is_refused_and_changes_nothing() {
    let (agent, _namespace, _lab) = agent();
    let before = everything(&agent);
    for (words, code, says) in TYPED {
        let words: Vec<&str> = words.split(' ').collect();
        let output = agent.output(&words).unwrap();
        refused(&output, *code, says, &words.join(" "));
    }
    assert!(everything(&agent) == before);
    // With --json errors are JSON, too.
    let wrong = agent.output(&["service", "show", "wbe", "--json"]).unwrap();
    let said: Value = serde_json::from_slice(&wrong.stderr).unwrap();
    assert_eq!((&said["schema"], &said["help"]), (&json!(1), &json!("did you mean web?")));
}

/// What only somebody who speaks to the API by hand can send.
#[test]
fn malformed_requests_are_refused_and_change_nothing() {
    let (agent, _namespace, lab) = agent();
    let before = everything(&agent);
    let body_file = lab.directory().join("body");
    let curl = |method: &str, path: &str, body: &str| -> (u16, String) {
        fs::File::create(&body_file).unwrap().write_all(body.as_bytes()).unwrap();
        let mut curl = xlb_tests::process::command("curl");
        curl.args(["-sS", "-m", "20", "-w", "\n%{http_code}", "-X", method]);
        curl.arg("--unix-socket").arg(agent.socket());
        curl.arg("--data-binary").arg(format!("@{}", body_file.display()));
        let text = run(curl.arg(format!("http://xlb{path}"))).unwrap();
        let (answer, code) = text.rsplit_once('\n').unwrap();
        (code.parse().unwrap(), answer.into())
    };
    let service = |fields: Value| {
        let mut spec = json!({ "name": "a", "vip": "192.0.2.1:80", "protocol": "tcp" });
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        spec.to_string()
    };
    let backends = |count: u32| -> Value {
        let at = |n: u32| json!({ "address": format!("10.{}.{}.1:80", n >> 8, n & 255) });
        (0..count).map(at).collect()
    };
    for (method, path, body, code, says) in [
        ("POST", "/v1/services", String::new(), 400, ""),
        ("POST", "/v1/services", "{".into(), 400, ""),
        ("POST", "/v1/services", "[]".into(), 400, ""),
        ("POST", "/v1/services", service(json!({ "vpi": 1 })), 400, "vpi"),
        ("POST", "/v1/services", service(json!({ "vip": "192.0.2.1" })), 400, "vip"),
        ("POST", "/v1/services", service(json!({ "protocol": "sctp" })), 400, "sctp"),
        ("POST", "/v1/services", service(json!({ "slots": 5 })), 400, "slots"),
        ("POST", "/v1/services", service(json!({ "slots": -5 })), 400, "slots"),
        ("POST", "/v1/services", service(json!({ "name": "" })), 400, "name"),
        ("POST", "/v1/services", service(json!({ "name": "a".repeat(64) })), 400, "name"),
        ("POST", "/v1/services", service(json!({ "backends": backends(32_768) })), 409, "backends"),
        (
            "PATCH",
            "/v1/services/web/backends/198.51.100.11:8080",
            r#"{"weight":65536}"#.into(),
            400,
            "0 to 65535",
        ),
        ("PATCH", "/v1/services/web/backends/nonsense", r#"{"weight":1}"#.into(), 400, "nonsense"),
        ("DELETE", "/v1/services/wbe", String::new(), 404, "did you mean web?"),
        ("POST", "/v1/interfaces", r#"{"name":"../../x"}"#.into(), 400, "interface"),
        ("GET", "/v2/services", String::new(), 404, ""),
        ("PUT", "/v1/services", String::new(), 405, ""),
    ] {
        let (status, answer) = curl(method, path, &body);
        let short = &body[..body.len().min(100)];
        assert_eq!(status, code, "{method} {path} {short}: {answer}");
        assert!(answer.contains(says), "{method} {path} {short}: {answer}");
        let failure: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(failure["schema"], 1, "{answer}");
        assert!(!failure["error"].as_str().unwrap().is_empty());
    }
    assert!(everything(&agent) == before);
}

/// The configuration is all or nothing, and says where it is wrong.
#[test]
fn a_wrong_configuration_keeps_the_agent_from_starting() {
    let lab = Lab::new().unwrap();
    let namespace = lab.namespace("lb").unwrap();
    let agent = Agent::new(&lab, &namespace, "agent").unwrap();
    let file = lab.directory().join("xlb.toml");
    let service = |rest: &str| {
        format!("[[service]]\nname = \"a\"\nvip = \"192.0.2.1:80\"\nprotocol = \"tcp\"\n{rest}")
    };
    let many = |count: u32| -> String {
        let one = |n: u32| {
            let vip = format!("10.0.{}.{}:80", n >> 8, n & 255);
            format!(
                "[[service]]\nname = \"s{n}\"\nvip = \"{vip}\"\nprotocol = \"tcp\"\nslots = 7\n"
            )
        };
        (0..count).map(one).collect()
    };
    for (text, says) in [
        ("[agnet]\n".into(), "agnet"),
        ("[agent]\nslots = 3\n".into(), "slots"),
        ("[agent]\nattach = [\"eth0:fast\"]\n".into(), "fast"),
        (service("slots = 1\n"), "slots"),
        (service("[[service.backend]]\naddress = \"192.0.2.1:80\"\n"), "VIP itself"),
        (service("[[service.backend]]\naddress = \"[2001:db8::1]:80\"\n"), "family"),
        (service("[[service.backend]]\naddress = \"10.0.0.1:80\"\nweight = 65536\n"), "65536"),
        (many(4097), "4096"),
    ] {
        fs::write(&file, &text).unwrap();
        let mut command = agent.run_command(&["--config", file.to_str().unwrap()]).unwrap();
        refused(&output(&mut command).unwrap(), 1, says, &text[..text.len().min(200)]);
        assert!(!agent.state().join("state.json").exists() && !agent.socket().exists());
    }
    let mut command = agent.run_command(&["--config", "/nonexistent/xlb.toml"]).unwrap();
    refused(&output(&mut command).unwrap(), 1, "/nonexistent/xlb.toml", "no such file");
    let mut command = agent.run_command(&["--hash-key", "1234"]).unwrap();
    refused(&output(&mut command).unwrap(), 2, "80 hex digits", "short key");
}
