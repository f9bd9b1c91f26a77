//! `xlb stats`: counters once, or again and again with rates.
//!
//! The text shows only what is not zero, of reasons and of CPUs, unless all is asked for; the JSON
//! always has everything.

use anyhow::Result;
use tokio::time::MissedTickBehavior;

use super::service::protocol;
use crate::api::client::Client;
use crate::api::types::{Counters, Stats};
use crate::cli::StatsArgs;
use crate::output::table::{Cell, Table};
use crate::output::{Output, Paint, Tone, units};
use crate::rates::{self, Rate};

/// Asks and prints, once or for ever.
pub async fn run(client: &Client, output: &Output, args: StatsArgs) -> Result<()> {
    let mut previous = fetch(client, &args).await?;
    let Some(interval) = args.watch else {
        return output.print(&previous, |paint| render(&previous, None, &args, paint));
    };
    output.frame(&previous, |paint| render(&previous, None, &args, paint))?;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let stats = fetch(client, &args).await?;
        output.frame(&stats, |paint| render(&stats, Some(&previous), &args, paint))?;
        previous = stats;
    }
}

async fn fetch(client: &Client, args: &StatsArgs) -> Result<Stats> {
    let mut stats = client.stats().await?;
    if let Some(name) = &args.service {
        stats.services.retain(|service| service.name == *name);
        if stats.services.is_empty() {
            // The agent's refusal names the service that may have been meant.
            client.service(name).await?;
        }
    }
    Ok(stats)
}

/// What is printed for a reading, with rates since the one before it.
pub(super) fn render(
    stats: &Stats,
    previous: Option<&Stats>,
    args: &StatsArgs,
    paint: Paint,
) -> String {
    let since = previous.and_then(|old| Some((old, rates::seconds(old, stats)?)));
    let view = View { stats, since, watching: args.watch.is_some(), exact: args.exact };
    let mut tables = vec![view.services(), view.backends()];
    if args.service.is_none() {
        tables.insert(0, view.total());
        tables.push(view.reasons(args.all));
        tables.push(view.cpus(args.all));
    }
    let texts: Vec<String> = tables.iter().map(|table| table.render(paint)).collect();
    texts.join("\n")
}

struct View<'a> {
    stats: &'a Stats,
    since: Option<(&'a Stats, f64)>,
    watching: bool,
    exact: bool,
}

impl View<'_> {
    fn count(&self, value: u64) -> Cell {
        if self.exact { units::exact(value) } else { units::count(value) }.into()
    }

    fn bytes(&self, value: u64) -> Cell {
        if self.exact { units::exact(value) } else { units::with_unit(value as f64, "B") }.into()
    }

    /// A table whose last columns are rates, while watching.
    fn table(&self, columns: &[&'static str], rates: &[&'static str]) -> Table {
        let rates = if self.watching { rates } else { &[] };
        Table::new(&[columns, rates].concat())
    }

    /// Cells of rates, which are unknown in the first round.
    fn rates<const N: usize>(&self, cells: impl FnOnce(&Stats, f64) -> [String; N]) -> Vec<Cell> {
        match self.since {
            _ if !self.watching => vec![],
            None => vec!["-".into(); N],
            Some((old, seconds)) => cells(old, seconds).map(Cell::from).to_vec(),
        }
    }

    fn total(&self) -> Table {
        let mut table = self.table(&["TOTAL", ">PACKETS", ">BYTES"], &[">PACKETS/S", ">BITS/S"]);
        let total = &self.stats.total;
        let mut rate = Rate::default();
        if let Some((old, seconds)) = self.since {
            for service in &self.stats.services {
                let before = rates::same_service(old, service);
                rate += Rate::of(&rates::service_increase(before, service), seconds);
            }
        }
        for (name, packets, bytes, packet_rate, bit_rate) in [
            (
                "requests",
                total.request_packets,
                total.request_bytes,
                rate.request_packets,
                rate.request_bits,
            ),
            (
                "replies",
                total.reply_packets,
                total.reply_bytes,
                rate.reply_packets,
                rate.reply_bits,
            ),
        ] {
            let mut row = vec![name.into(), self.count(packets), self.bytes(bytes)];
            row.extend(
                self.rates(|_, _| [units::si(packet_rate), units::with_unit(bit_rate, "b")]),
            );
            table.row(row);
        }
        table
    }

    fn services(&self) -> Table {
        let columns = [
            "SERVICE",
            "VIP",
            "PROTO",
            ">OPENED",
            ">CLOSED",
            ">REQ PKTS",
            ">REQ BYTES",
            ">REPLY PKTS",
            ">REPLY BYTES",
        ];
        let mut table = self.table(&columns, &[">NEW/S", ">PACKETS/S", ">BITS/S"]);
        for service in &self.stats.services {
            let mut row = vec![
                service.name.as_str().into(),
                service.vip.to_string().into(),
                protocol(service.protocol).into(),
            ];
            row.extend([self.count(service.counters.opened), self.count(service.counters.closed)]);
            row.extend(self.traffic(&service.counters));
            row.extend(self.rates(|old, seconds| {
                let before = rates::same_service(old, service);
                let rate = Rate::of(&rates::service_increase(before, service), seconds);
                let bits = units::with_unit(rate.bits(), "b");
                [units::si(rate.opened), units::si(rate.packets()), bits]
            }));
            table.row(row);
        }
        table
    }

    fn backends(&self) -> Table {
        let columns = [
            "SERVICE",
            "BACKEND",
            ">WEIGHT",
            ">EXPECTED",
            ">ACTUAL",
            ">OPENED",
            ">REQ PKTS",
            ">REQ BYTES",
            ">REPLY PKTS",
            ">REPLY BYTES",
        ];
        let mut table = self.table(&columns, &[">PACKETS/S", ">BITS/S"]);
        for service in &self.stats.services {
            let before = self.since.and_then(|(old, _)| rates::same_service(old, service));
            let increases = rates::backend_increases(before, service);
            let (_, actual) = rates::shares(service.protocol, &increases);
            for ((backend, increase), actual) in service.backends.iter().zip(&increases).zip(actual)
            {
                let mut row = vec![
                    service.name.as_str().into(),
                    backend.address.to_string().into(),
                    backend.weight.to_string().into(),
                    units::percent(backend.share).into(),
                    actual.map_or("-".to_owned(), units::percent).into(),
                    self.count(backend.counters.opened),
                ];
                row.extend(self.traffic(&backend.counters));
                row.extend(self.rates(|_, seconds| {
                    let rate = Rate::of(increase, seconds);
                    [units::si(rate.packets()), units::with_unit(rate.bits(), "b")]
                }));
                table.row(row);
            }
        }
        table
    }

    fn traffic(&self, counters: &Counters) -> [Cell; 4] {
        [
            self.count(counters.request_packets),
            self.bytes(counters.request_bytes),
            self.count(counters.reply_packets),
            self.bytes(counters.reply_bytes),
        ]
    }

    fn reasons(&self, all: bool) -> Table {
        let rate = if self.watching { &[">PACKETS/S"][..] } else { &[] };
        let mut table =
            Table::new(&[&["REASON", "ACTION", ">PACKETS"], rate, &["MEANING"]].concat());
        for reason in self.stats.reasons.iter().filter(|reason| all || reason.packets > 0) {
            let tone = if reason.action == "drop" { Tone::Warn } else { Tone::Plain };
            let mut row = vec![
                reason.reason.as_str().into(),
                Cell::new(reason.action.as_str(), tone),
                self.count(reason.packets),
            ];
            row.extend(self.rates(|old, seconds| {
                [units::si(rates::reason_rate(old, &reason.reason, reason.packets, seconds))]
            }));
            row.push(Cell::new(reason.description.as_str(), Tone::Faint));
            table.row(row);
        }
        table
    }

    fn cpus(&self, all: bool) -> Table {
        let rates = &[">PACKETS/S", ">SOFTIRQ", ">BUSY"];
        let mut table = self.table(&[">CPU", ">PACKETS", ">BYTES"], rates);
        let by_cpu = self.since.map(|(old, seconds)| rates::cpus(old, self.stats, seconds));
        for cpu in self.stats.cpus.iter().filter(|cpu| all || cpu.packets > 0) {
            let mut row =
                vec![cpu.cpu.to_string().into(), self.count(cpu.packets), self.bytes(cpu.bytes)];
            row.extend(self.rates(|_, _| {
                let rate = by_cpu.iter().flatten().find(|rate| rate.cpu == cpu.cpu);
                rate.map_or(["-"; 3].map(str::to_owned), |rate| {
                    [
                        units::si(rate.packets),
                        units::percent(rate.softirq),
                        units::percent(rate.busy),
                    ]
                })
            }));
            table.row(row);
        }
        table
    }
}
