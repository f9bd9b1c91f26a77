//! Real traffic through the real program: HTTP, UDP and iperf3, over both families, with one arm
//! and two, with frames of usual size and jumbo ones. Nothing is lost and no byte is changed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, net::UdpSocket, time::Duration};

use serde_json::Value;
use xlb_tests::{
    load::Kind,
    process::Process,
    scene::Scene,
    topology::{Arms, Plan, VIP4, VIP6},
    wait::{LIMIT, wait_for, wait_until},
};

/// Packets that the program dropped, by reason; empty if there are none.
fn drops(stats: &Value) -> Vec<(String, u64)> {
    let reasons = stats["reasons"].as_array().unwrap().iter();
    reasons
        .filter(|reason| reason["action"] == "drop" && reason["packets"] != 0)
        .map(|reason| (reason["reason"].to_string(), reason["packets"].as_u64().unwrap()))
        .collect()
}

/// Bytes without a pattern that a wrong translation could keep.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Everything that a cabling has to carry.
fn traffic(arms: Arms, mtu: u32, file_size: usize) {
    let scene = Scene::serving(Plan { arms, backends: 2, mtu }).unwrap();
    for interface in scene.status().unwrap()["interfaces"].as_array().unwrap() {
        // Generic mode would carry it all, too.
        assert_eq!(interface["attached"], "native", "{interface}");
    }
    let body = noise(file_size);
    for backend in &scene.topology.backends {
        let files = scene.lab.directory().join(format!("{}-www", backend.name));
        fs::write(files.join("noise"), &body).unwrap();
    }

    for service in &scene.services {
        if service.kind == Kind::Http {
            let answer = format!("http://{}/", service.vip);
            let answer = scene.topology.client.run("curl", &["-sS", "-m", "20", &answer]).unwrap();
            assert!(["b1\n", "b2\n"].contains(&answer.as_str()), "{answer:?}");
            let file = scene.lab.directory().join(service.name);
            let url = format!("http://{}/files/noise", service.vip);
            let args = ["-sSf", "-m", "30", "-o", file.to_str().unwrap(), &url];
            scene.topology.client.run("curl", &args).unwrap();
            assert!(fs::read(&file).unwrap() == body, "{url}: the body was changed");
        }
        let kinds = match service.kind {
            Kind::Udp => vec![Kind::Udp],
            _ => vec![Kind::Http, Kind::HttpKeepAlive],
        };
        for kind in kinds {
            let mut load = scene.load(service.name, kind, 4, 1000).unwrap();
            load.wait_answered(200).unwrap();
            let report = load.stop().unwrap();
            assert_eq!((report.failed, report.retried), (0, 0), "{service:?}: {report:?}");
        }
    }
    large_datagrams(&scene, mtu);
    assert_eq!(drops(&scene.stats().unwrap()), []);
}

/// Datagrams that fill the MTU come back byte for byte.
fn large_datagrams(scene: &Scene, mtu: u32) {
    for (name, any, headers) in [("udp4", "0.0.0.0:0", 28), ("udp6", "[::]:0", 48)] {
        // The answer has the backend's name and a space before it, and must fit, too.
        let payload = noise(mtu as usize - headers - "b1 ".len());
        let vip = scene.service(name).unwrap().vip;
        let answer = scene.topology.client.within(|| {
            let socket = UdpSocket::bind(any)?;
            socket.connect(vip)?;
            socket.set_read_timeout(Some(Duration::from_millis(500)))?;
            wait_for("the answer to a large datagram", LIMIT, || {
                socket.send(&payload)?;
                let mut answer = vec![0; 65536];
                let length = socket.recv(&mut answer)?;
                answer.truncate(length);
                Ok(Some(answer))
            })
        });
        assert!(answer.unwrap()[3..] == payload, "{name}: the datagram was changed");
    }
}

#[test]
fn two_arms() {
    traffic(Arms::Two, 1500, 4 << 20);
}

#[test]
fn one_arm() {
    traffic(Arms::One, 1500, 4 << 20);
}

#[test]
fn two_arms_with_jumbo_frames() {
    traffic(Arms::Two, 9000, 16 << 20);
}

#[test]
fn one_arm_with_jumbo_frames() {
    traffic(Arms::One, 9000, 16 << 20);
}

/// iperf3's control connection and its data must reach the same server, so the pool is one backend.
fn iperf3(arms: Arms) {
    const SECONDS: &str = "2";
    let mut scene = Scene::new(Plan { arms, backends: 1, mtu: 1500 }).unwrap();
    scene.agent.start(&scene.topology.interfaces).unwrap();
    let backend = &scene.topology.backends[0];
    let mut servers: Vec<Process> = Vec::new();
    for (family, vip, ip) in [("4", VIP4, backend.ip4), ("6", VIP6, backend.ip6)] {
        let vip = std::net::SocketAddr::new(vip, 5201);
        let ip = std::net::SocketAddr::new(ip, 5201);
        for protocol in ["tcp", "udp"] {
            let name = format!("{protocol}{family}");
            let args =
                ["service", "add", &name, &format!("{vip}/{protocol}"), "-b", &ip.to_string()];
            scene.agent.xlb(&args).unwrap();
        }
        let mut server = backend.namespace.command("iperf3").unwrap();
        server.args(["-s", "--forceflush", "-B", &ip.ip().to_string()]);
        let server = backend.namespace.start(&format!("iperf3-{family}"), server).unwrap();
        wait_until("iperf3 to listen", LIMIT, || server.log().contains("listening")).unwrap();
        servers.push(server);

        for kind in [["-P", "2"].as_slice(), &["-u", "-b", "20M"]] {
            let vip = vip.ip().to_string();
            let mut args = vec!["-c", &vip, "-t", SECONDS, "-J", "--bidir"];
            args.extend(kind);
            let report = scene.topology.client.run("iperf3", &args).unwrap();
            let end = &serde_json::from_str::<Value>(&report).unwrap()["end"];
            let (there, back) = (&end["sum_received"], &end["sum_received_bidir_reverse"]);
            for direction in [there, back] {
                let bytes = direction["bytes"].as_u64().unwrap_or(0);
                // Much less than any machine can, and much more than a handshake.
                assert!(bytes > 1 << 20, "{bytes} bytes in {end}");
            }
        }
    }
    assert_eq!(drops(&scene.stats().unwrap()), []);
}

#[test]
fn iperf3_with_two_arms() {
    iperf3(Arms::Two);
}

#[test]
fn iperf3_with_one_arm() {
    iperf3(Arms::One);
}
