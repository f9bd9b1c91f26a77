//! What the demo ends with.

use std::io::IsTerminal as _;

use anyhow::{Result, bail};
use serde_json::Value;
use xlb_tests::scene::Scene;

use super::traffic::Outcome;

/// How far a backend's share may be from what is expected. With the smallest number of flows that
/// is judged it is more than five standard deviations, so chance does not fail the demo.
const TOLERANCE: f64 = 0.05;
const FLOWS_TO_JUDGE: u64 = 3000;

/// Prints the tables. `waiting` are the services for which the last change is not in force yet.
pub fn print(outcomes: &[Outcome], waiting: &[&str], stats: &Value, bench: &Value) {
    println!();
    println!("service  requests  failed    slowest   each backend's share of the flows");
    for outcome in outcomes {
        let report = &outcome.report;
        let requests = report.answered + report.failed;
        let slowest = report.slowest_us as f64 / 1e3;
        print!("{:<8} {requests:>8} {:>7} {slowest:>7.1} ms", outcome.service, report.failed);
        for (number, (backend, actual, expected)) in shares(outcome).enumerate() {
            let indent = if number == 0 { 3 } else { 38 };
            println!(
                "{:indent$}{backend} {:5.1}%  expected {:5.1}%",
                "",
                actual * 100.0,
                expected * 100.0
            );
        }
        for (error, times) in &report.errors {
            println!("{:9}{times} times: {error}", "");
        }
    }
    if !waiting.is_empty() {
        println!(
            "({}: new flows follow a change one idle timeout later, about a minute, because until \
             then an\nunknown packet may belong to an old flow; --seconds 240 shows it)",
            waiting.join(", ")
        );
    }
    println!();
    packets(stats);
    println!();
    speed(bench);
    println!();
}

/// Whether the demo has shown what it promises.
pub fn verdict(outcomes: &[Outcome]) -> Result<()> {
    for outcome in outcomes {
        let report = &outcome.report;
        if report.failed > 0 || report.answered == 0 {
            bail!(
                "{}: {} requests failed, {} were answered",
                outcome.service,
                report.failed,
                report.answered
            );
        }
        if report.flows.values().sum::<u64>() < FLOWS_TO_JUDGE {
            continue;
        }
        for (backend, actual, expected) in shares(outcome) {
            if (actual - expected).abs() > TOLERANCE {
                bail!(
                    "{}: {backend} got {:.1}% of the flows, expected were {:.1}%",
                    outcome.service,
                    actual * 100.0,
                    expected * 100.0
                );
            }
        }
    }
    println!("all requests were answered, and every backend got its share");
    Ok(())
}

/// Each backend with its actual and its expected share of a service's flows.
fn shares(outcome: &Outcome) -> impl Iterator<Item = (&str, f64, f64)> {
    let flows = (outcome.report.flows.values().sum::<u64>() as f64).max(1.0);
    let unexpected = outcome.report.flows.keys().filter(|b| !outcome.expected.contains_key(*b));
    outcome.expected.keys().chain(unexpected).map(move |backend| {
        let actual = outcome.report.flows.get(backend).copied().unwrap_or(0) as f64;
        let expected = outcome.expected.get(backend).copied().unwrap_or(0.0);
        (backend.as_str(), actual / flows, expected / flows)
    })
}

fn packets(stats: &Value) {
    println!("packets");
    for (name, key) in [("from clients", "request_packets"), ("from backends", "reply_packets")] {
        let packets = stats["total"][key].as_u64().unwrap_or(0);
        println!("  {name:<24} {packets:>10}   forwarded by XDP");
    }
    for reason in stats["reasons"].as_array().into_iter().flatten() {
        let packets = reason["packets"].as_u64().unwrap_or(0);
        if packets == 0 {
            continue;
        }
        let text = |key: &str| reason[key].as_str().unwrap_or_default().to_owned();
        let name = format!("{} ({})", text("reason"), text("action"));
        println!("  {name:<24} {packets:>10}   {}", text("description"));
    }
    let dropped = stats["reasons"].as_array().into_iter().flatten();
    let dropped: u64 = dropped
        .filter(|reason| reason["action"] == "drop")
        .filter_map(|reason| reason["packets"].as_u64())
        .sum();
    println!("  {:<24} {dropped:>10}", "dropped in all");
}

fn speed(bench: &Value) {
    println!(
        "the loaded program in test runs ({} instructions verified), ns a packet",
        bench["verified_instructions"]
    );
    println!("  case                 flows   median    floor      net   net/floor");
    for result in bench["results"].as_array().into_iter().flatten() {
        let number = |key: &str| result[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "  {:<16} {:>9} {:>8.1} {:>8.1} {:>8.1} {:>11.2}",
            result["case"].as_str().unwrap_or_default(),
            result["flows"].as_u64().unwrap_or(0),
            number("median_ns"),
            number("floor_ns"),
            number("net_ns"),
            number("net_over_floor"),
        );
    }
    println!("  (the floor is an empty program that sends every packet back, of the same rounds)");
}

/// Prints what one can do with a lab that stands.
pub fn print_commands(scene: &Scene) {
    let bold = |text: &str| {
        if std::io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.into() }
    };
    let client = scene.topology.client.name();
    let lb = scene.topology.lb.name();
    println!();
    println!(
        "The lab stands, with some traffic, until you press Ctrl-C here. In another terminal:"
    );
    println!();
    println!("  export XLB_SOCKET={}", scene.agent.socket().display());
    println!("  alias xlb={}", scene.agent.binary().display());
    println!("  {}", bold("xlb top"));
    println!("  xlb status");
    println!("  xlb stats --watch");
    for service in scene.services.iter().take(1) {
        let backend = service.at(&scene.topology.backends[1]);
        println!("  xlb backend weight {} {backend} 5", service.name);
        println!("  xlb backend list {}", service.name);
        println!("  ip netns exec {client} curl http://{}/", service.vip);
    }
    println!("  ip netns exec {lb} ip addr");
}
