//! What is shown while the demo runs.
//!
//! On a terminal a few lines are drawn over and over; events push them down. Elsewhere a line is
//! printed now and then.

use std::{
    io::{Write as _, stdout},
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::Value;
use xlb_tests::load::Report;

/// No line is longer: a line that wraps cannot be drawn over.
const WIDTH: usize = 79;

/// The screen, or what there is instead.
pub struct Live {
    terminal: bool,
    start: Instant,
    /// Lines that are to be drawn over.
    drawn: usize,
    last: Option<Value>,
}

impl Live {
    /// For a terminal or not.
    pub fn new(terminal: bool) -> Self {
        Self { terminal, start: Instant::now(), drawn: 0, last: None }
    }

    /// How often to show.
    pub fn interval(&self) -> Duration {
        if self.terminal { Duration::from_millis(500) } else { Duration::from_secs(2) }
    }

    /// Something has happened.
    pub fn event(&mut self, what: &str) {
        self.clear();
        println!("{:5.1} s  {what}", self.start.elapsed().as_secs_f64());
    }

    /// What `xlb stats --json` and the clients say.
    pub fn show(&mut self, stats: &Value, reports: &[Report]) -> Result<()> {
        let answered: u64 = reports.iter().map(|report| report.answered).sum();
        let failed: u64 = reports.iter().map(|report| report.failed).sum();
        let (request, reply) = self.rates(stats);
        let line = format!(
            "{answered} requests answered, {failed} failed; {request:.0} packets/s from clients, \
             {reply:.0} from backends"
        );
        if !self.terminal {
            self.event(&line);
        } else {
            self.clear();
            let mut lines = vec![String::new(), line];
            for service in stats["services"].as_array().into_iter().flatten() {
                lines.push(self.service(service));
            }
            let text: String = lines
                .iter()
                .map(|line| line.chars().take(WIDTH).chain(['\n']).collect::<String>())
                .collect();
            print!("{text}");
            stdout().flush()?;
            self.drawn = lines.len();
        }
        self.last = Some(stats.clone());
        Ok(())
    }

    /// No more is drawn.
    pub fn end(&mut self) {
        self.clear();
    }

    fn clear(&mut self) {
        if self.drawn > 0 {
            print!("\x1b[{}A\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    /// Packets a second of both directions since the last time.
    fn rates(&self, stats: &Value) -> (f64, f64) {
        let Some(last) = &self.last else { return (0.0, 0.0) };
        let number = |stats: &Value, name: &str| stats["total"][name].as_f64().unwrap_or(0.0);
        let at = |stats: &Value| stats["at_ns"].as_f64().unwrap_or(0.0);
        let seconds = ((at(stats) - at(last)) / 1e9).max(1e-9);
        let rate = |name: &str| (number(stats, name) - number(last, name)) / seconds;
        (rate("request_packets"), rate("reply_packets"))
    }

    /// A service's line: each backend's share of the packets since the last time, as a bar.
    fn service(&self, service: &Value) -> String {
        let name = service["name"].as_str().unwrap_or_default();
        let mut line = format!("  {name:<5}");
        let packets: Vec<f64> = service["backends"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|backend| {
                let now = backend["counters"]["request_packets"].as_f64().unwrap_or(0.0);
                now - self.packets_before(name, &backend["address"])
            })
            .collect();
        let sum: f64 = packets.iter().sum::<f64>().max(1.0);
        for share in packets.iter().map(|packets| packets / sum) {
            let bar = "#".repeat((share * 20.0).round() as usize);
            line.push_str(&format!(" {:5.1}% {bar:<10.10}", share * 100.0));
        }
        line
    }

    fn packets_before(&self, service: &str, address: &Value) -> f64 {
        let services = self.last.as_ref().and_then(|last| last["services"].as_array());
        let service = services.into_iter().flatten().find(|s| s["name"] == service);
        let backends = service.and_then(|service| service["backends"].as_array());
        let backend = backends.into_iter().flatten().find(|b| b["address"] == *address);
        backend.and_then(|b| b["counters"]["request_packets"].as_f64()).unwrap_or(0.0)
    }
}
