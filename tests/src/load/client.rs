//! The client process: workers that send requests at a common pace, and a report now and then.

use std::{
    io::{Read as _, Write as _, stdin, stdout},
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    Kind, Plan, Report,
    http::{Connection, Ending},
    udp,
};

/// How long a request may take, which is longer than TCP's first two retransmissions.
pub const TIMEOUT: Duration = Duration::from_secs(5);
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// A client that fell behind its pace catches up no more than this.
const CATCH_UP: Duration = Duration::from_millis(50);

/// A backend's answer.
pub struct Answer {
    /// Who answered.
    pub backend: String,
    /// Whether it was the first answer of its flow.
    pub new_flow: bool,
}

/// Works until the standard input ends.
pub fn work(plan: Plan) -> Result<()> {
    let report = Mutex::new(Report::default());
    let pace = Pace::new(plan.rate);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Nothing is ever sent: it returns when the other end is closed.
            let _ = stdin().read(&mut [0]);
            stop.store(true, Ordering::Relaxed);
        });
        let workers: Vec<_> = (0..plan.workers)
            .map(|_| scope.spawn(|| worker(plan, &pace, &report, &stop)))
            .collect();
        while !workers.iter().all(|worker| worker.is_finished()) {
            thread::sleep(REPORT_EVERY);
            write(&report)?;
        }
        write(&report)
    })
}

fn write(report: &Mutex<Report>) -> Result<()> {
    let line = serde_json::to_string(&*report.lock().unwrap_or_else(PoisonError::into_inner))?;
    writeln!(stdout(), "{line}")?;
    Ok(())
}

fn worker(plan: Plan, pace: &Pace, report: &Mutex<Report>, stop: &AtomicBool) {
    let mut requester = Requester::new(plan);
    while !stop.load(Ordering::Relaxed) {
        pace.wait();
        let mut tries = 0;
        loop {
            let start = Instant::now();
            let result = requester.request();
            let took = start.elapsed();
            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(Answer { backend, new_flow }) => {
                    report.answered += 1;
                    report.slowest_us = report.slowest_us.max(took.as_micros() as u64);
                    if new_flow {
                        *report.flows.entry(backend.clone()).or_default() += 1;
                    }
                    *report.requests.entry(backend).or_default() += 1;
                    break;
                }
                Err(e) => {
                    *report.errors.entry(format!("{e:#}")).or_default() += 1;
                    if tries == plan.retries {
                        report.failed += 1;
                        break;
                    }
                    tries += 1;
                    report.retried += 1;
                }
            }
        }
    }
}

struct Requester {
    kind: Kind,
    target: SocketAddr,
    connection: Option<Connection>,
}

impl Requester {
    fn new(plan: Plan) -> Self {
        Self { kind: plan.kind, target: plan.target, connection: None }
    }

    fn request(&mut self) -> Result<Answer> {
        match self.kind {
            Kind::Udp => Ok(Answer { backend: udp::request(self.target)?, new_flow: true }),
            Kind::Http => {
                let backend = Connection::open(self.target)?.request(Ending::Close)?;
                Ok(Answer { backend, new_flow: true })
            }
            Kind::HttpKeepAlive => {
                let (mut connection, new_flow) = match self.connection.take() {
                    Some(connection) => (connection, false),
                    None => (Connection::open(self.target)?, true),
                };
                let backend = connection.request(Ending::Keep)?;
                // Kept only if nothing went wrong.
                self.connection = Some(connection);
                Ok(Answer { backend, new_flow })
            }
        }
    }
}

/// Lets so many pass a second, whoever they are.
struct Pace {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    fn new(rate: u32) -> Self {
        let interval = Duration::from_secs(1) / rate.max(1);
        Self { interval, next: Mutex::new(Instant::now()) }
    }

    fn wait(&self) {
        let now = Instant::now();
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(now - CATCH_UP);
            *next = turn + self.interval;
            turn
        };
        thread::sleep(turn.saturating_duration_since(now));
    }
}
