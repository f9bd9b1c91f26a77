//! What xlb shows: counters that counted what was sent, shares that are kept, and the documented
//! shapes of what the commands print.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{net::UdpSocket, time::Duration};

use serde_json::Value;
use xlb_tests::{load::Kind, scene::Scene, topology::Plan};

const COUNTERS: [&str; 6] =
    ["request_packets", "request_bytes", "reply_packets", "reply_bytes", "opened", "closed"];

fn numbers(counters: &Value) -> [u64; 6] {
    COUNTERS.map(|name| counters[name].as_u64().unwrap())
}

fn sum<'a>(parts: impl IntoIterator<Item = &'a Value>) -> [u64; 6] {
    parts.into_iter().fold([0; 6], |mut sum, part| {
        sum.iter_mut().zip(numbers(part)).for_each(|(sum, part)| *sum += part);
        sum
    })
}

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().unwrap()
}

fn counters(stats: &Value, service: &str) -> [u64; 6] {
    let found = list(stats, "services").iter().find(|found| found["name"] == service).unwrap();
    numbers(&found["counters"])
}

#[test]
fn what_was_sent_was_counted() {
    const DATAGRAMS: u64 = 40;
    const PAYLOAD: u64 = 100;
    let scene = Scene::serving(Plan { backends: 2, ..Plan::default() }).unwrap();
    for (service, any, headers) in [("udp4", "0.0.0.0:0", 28), ("udp6", "[::]:0", 48)] {
        let vip = scene.service(service).unwrap().vip;
        let before = counters(&scene.stats().unwrap(), service);
        let answers = scene.topology.client.within(|| {
            let mut answers = 0;
            for _ in 0..DATAGRAMS {
                let socket = UdpSocket::bind(any)?;
                socket.set_read_timeout(Some(Duration::from_secs(20)))?;
                socket.send_to(&[7; PAYLOAD as usize], vip)?;
                answers += socket.recv(&mut [0; 200])? as u64;
            }
            Ok(answers)
        });
        // The answers have the backend's name and a space before what was sent.
        assert_eq!(answers.unwrap(), DATAGRAMS * (PAYLOAD + 3));
        let after = counters(&scene.stats().unwrap(), service);
        let sent = DATAGRAMS * (PAYLOAD + headers);
        let expected = [DATAGRAMS, sent, DATAGRAMS, sent + 3 * DATAGRAMS, 0, 0];
        for i in 0..6 {
            assert_eq!(after[i] - before[i], expected[i], "{service} {}", COUNTERS[i]);
        }
    }

    for service in ["web4", "web6"] {
        let before = counters(&scene.stats().unwrap(), service);
        let mut load = scene.load(service, Kind::Http, 2, 500).unwrap();
        load.wait_answered(50).unwrap();
        let answered = load.stop().unwrap().answered;
        let after = counters(&scene.stats().unwrap(), service);
        let [requests, _, replies, _, opened, closed] =
            [0, 1, 2, 3, 4, 5].map(|i| after[i] - before[i]);
        // A lost segment would be sent again, so these are lower bounds; the upper ones are wide.
        for count in [opened, closed] {
            assert!((answered..=answered + 20).contains(&count), "{count} of {answered}");
        }
        // SYN, ACK, request, ACKs, FIN there; SYN-ACK, answer, FIN back.
        assert!((4 * answered..=9 * answered).contains(&requests), "{requests} of {answered}");
        assert!((3 * answered..=9 * answered).contains(&replies), "{replies} of {answered}");
    }

    // Everything adds up.
    let stats = scene.stats().unwrap();
    let services = list(&stats, "services");
    for service in services {
        let backends = list(service, "backends").iter().map(|backend| &backend["counters"]);
        assert_eq!(sum(backends), numbers(&service["counters"]), "{service}");
    }
    let total = numbers(&stats["total"]);
    assert_eq!(sum(services.iter().map(|service| &service["counters"])), total);
    let cpus = |name: &str| -> u64 {
        list(&stats, "cpus").iter().map(|cpu| cpu[name].as_u64().unwrap()).sum()
    };
    assert_eq!((cpus("packets"), cpus("bytes")), (total[0] + total[2], total[1] + total[3]));

    // A backend that is removed takes nothing out of its service's sum.
    let address = scene.service("udp4").unwrap().at(&scene.topology.backends[0]).to_string();
    let before = counters(&scene.stats().unwrap(), "udp4");
    scene.agent.xlb(&["backend", "remove", "udp4", &address]).unwrap();
    assert_eq!(counters(&scene.stats().unwrap(), "udp4"), before);
}

/// The pools have their weights from the beginning: after a change UDP's flows move slowly.
#[test]
fn new_flows_are_shared_by_weight() {
    const FLOWS: u64 = 3000;
    const WEIGHTS: [u32; 4] = [4, 2, 1, 0];
    let mut scene = Scene::new(Plan { backends: 4, ..Plan::default() }).unwrap();
    scene.agent.start(&scene.topology.interfaces).unwrap();
    for service in &scene.services {
        let endpoint = service.endpoint();
        let mut args = vec!["service", "add", service.name, &endpoint];
        let pool = scene.topology.backends.iter().zip(WEIGHTS);
        let pool = pool.map(|(backend, weight)| format!("{}={weight}", service.at(backend)));
        let pool: Vec<String> = pool.collect();
        pool.iter().for_each(|backend| args.extend(["-b", backend]));
        scene.agent.xlb(&args).unwrap();
    }
    scene.wait_answers().unwrap();
    for (service, kind) in [("udp4", Kind::Udp), ("udp6", Kind::Udp), ("web4", Kind::Http)] {
        let mut load = scene.load(service, kind, 16, 10_000).unwrap();
        load.wait_answered(FLOWS).unwrap();
        let report = load.stop().unwrap();
        assert_eq!(report.failed, 0, "{report:?}");
        let total: u64 = report.flows.values().sum();
        let stats = scene.stats().unwrap();
        let found = list(&stats, "services").iter().find(|s| s["name"] == service).unwrap();
        let weights: u32 = WEIGHTS.iter().sum();
        for backend in list(found, "backends") {
            let share = backend["share"].as_f64().unwrap();
            let weight = backend["weight"].as_u64().unwrap() as f64;
            assert!(
                (share - weight / f64::from(weights)).abs() < 0.01 * share.max(1e-9),
                "{backend}"
            );
            let name = scene.backend_name(backend["address"].as_str().unwrap()).unwrap();
            let flows = report.flows.get(name).copied().unwrap_or(0) as f64;
            let expected = total as f64 * share;
            // Six standard deviations: chance fails this once in half a billion times.
            let bound = 6.0 * (expected * (1.0 - share)).sqrt();
            assert!((flows - expected).abs() <= bound, "{name}: {flows} of {total}, {backend}");
        }
    }
}

/// The object has these fields.
#[track_caller]
fn has(object: &Value, fields: &[&str]) {
    for field in fields {
        assert!(object.get(field).is_some(), "{field} is missing: {object}");
    }
}

#[test]
fn commands_print_what_is_documented() {
    let scene = Scene::serving(Plan { backends: 2, ..Plan::default() }).unwrap();
    let status = scene.status().unwrap();
    has(&status, &["version", "pid", "uptime_seconds", "slots_used", "slots_capacity"]);
    assert_eq!((&status["schema"], &status["adopted"]), (&1.into(), &false.into()));
    assert_eq!(status["warnings"], Value::Array(Vec::new()));
    assert_eq!(status["program"]["entry"], "xlb_frags");
    assert!(status["program"]["verified_instructions"].as_u64().unwrap() > 1000);
    for interface in list(&status, "interfaces") {
        has(interface, &["ifindex", "wanted", "mtu", "problem"]);
        assert_eq!(interface["attached"], "native");
    }
    let services = list(&status, "services");
    assert_eq!(services.len(), 4);
    for service in services {
        has(service, &["vip", "protocol", "mode", "announce", "slots_moving", "slots_settled"]);
        for backend in list(service, "backends") {
            has(backend, &["address", "weight", "share", "via"]);
            assert_eq!(backend["next_hop"], "resolved");
        }
    }
    let listed = scene.agent.json(&["service", "list"]).unwrap();
    assert_eq!((&listed["schema"], list(&listed, "services").len()), (&1.into(), 4));

    // For people.
    for (args, says) in [
        (["status"].as_slice(), ["front", "native", "web4"].as_slice()),
        (&["service", "list"], &["web6", "[2001:db8:1::80]:80"]),
        (&["service", "show", "udp4"], &["192.0.2.80:53", "198.51.100.11:5353"]),
        (&["backend", "list"], &["198.51.100.12:8080", "[2001:db8:2::b]:8080"]),
        (&["stats"], &["web4", "udp6"]),
        (&["stats", "web4", "--exact", "--all"], &["198.51.100.11:8080"]),
        (&["top", "--once", "--interval", "0.2"], &["web4", "udp6", "192.0.2.80:80/tcp"]),
    ] {
        let text = scene.agent.xlb(args).unwrap();
        for part in says {
            assert!(text.contains(part), "{args:?}: {part:?} is not in:\n{text}");
        }
        assert!(!text.contains('\x1b'), "{args:?} is not for a terminal here");
    }
}

#[test]
fn bench_measures_the_program_and_says_it_in_the_documented_shape() {
    let lab = xlb_tests::lab::Lab::new().unwrap();
    let lb = lab.namespace("lb").unwrap();
    let agent = xlb_tests::agent::Agent::new(&lab, &lb, "agent").unwrap();
    // It needs no agent.
    let report = agent.json(&["bench", "--quick", "--case", "tcp4"]).unwrap();
    assert_eq!(report["schema"], 1);
    assert!(report["verified_instructions"].as_u64().unwrap() > 1000);
    let floor = report["floor"]["median_ns"].as_f64().unwrap();
    assert!(floor > 0.0);
    let results = list(&report, "results");
    for case in ["tcp4-request", "tcp4-reply", "tcp4-new-flows"] {
        assert!(results.iter().any(|result| result["case"] == case), "{case}: {report}");
    }
    for flows in [1, 1024, 1_048_576] {
        let of = |r: &&Value| r["case"] == "tcp4-request" && r["flows"] == flows;
        assert_eq!(results.iter().filter(of).count(), 1, "{flows}");
    }
    for result in results {
        assert!(result["case"].as_str().unwrap().contains("tcp4"), "{result}");
        let number = |name: &str| result[name].as_f64().unwrap();
        let (min, median, max) = (number("min_ns"), number("median_ns"), number("max_ns"));
        assert!(0.0 < min && min <= median && median <= max, "{result}");
        assert!((number("net_over_floor") - number("net_ns") / floor).abs() < 0.01, "{result}");
        has(result, &["floor_ns"]);
    }
    let unknown = agent.output(&["bench", "--quick", "--case", "tpc4"]).unwrap();
    assert_ne!(unknown.status.code(), Some(0));
}
