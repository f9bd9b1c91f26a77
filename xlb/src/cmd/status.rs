//! `xlb status`: agent, program, interfaces, services and warnings on one screen.

use std::time::Duration;

use anyhow::Result;

use super::service::service_table;
use crate::api::client::Client;
use crate::api::types::{AttachMode, InterfaceStatus, Status};
use crate::output::table::{Cell, Table, clean};
use crate::output::{Output, Paint, Tone, state, units};

/// Asks and prints.
pub async fn run(client: &Client, output: &Output) -> Result<()> {
    let status = client.status().await?;
    output.print(&status, |paint| render(&status, paint))
}

/// The screen.
pub(super) fn render(status: &Status, paint: Paint) -> String {
    let mut text = head(status, paint);
    for (title, table) in [
        ("interfaces", interfaces(&status.interfaces)),
        ("services", service_table(&status.services)),
    ] {
        text += &format!("\n{}\n{}", paint.tone(Tone::Faint, title), table.indent(2).render(paint));
    }
    if status.warnings.is_empty() {
        text += &format!("\n{}\n", paint.tone(Tone::Good, "no warnings"));
    } else {
        text += &format!("\n{}\n", paint.tone(Tone::Warn, "warnings"));
        for warning in &status.warnings {
            text += &format!("  {} {}\n", paint.tone(Tone::Warn, "!"), clean(warning));
        }
    }
    text
}

fn head(status: &Status, paint: Paint) -> String {
    let uptime = units::duration(Duration::from_secs(status.uptime_seconds));
    let adopted = if status.adopted { ", took over a running program" } else { "" };
    let program = &status.program;
    let verified = units::exact(program.verified_instructions.into());
    let used = status.slots_used as f64 / status.slots_capacity.max(1) as f64;
    let lines = [
        ("agent", format!("xlb {}, pid {}, up {uptime}{adopted}", status.version, status.pid)),
        (
            "program",
            format!("{} (id {}), {verified} instructions verified", program.entry, program.id),
        ),
        (
            "slots",
            format!(
                "{} of {} used ({})",
                units::exact(status.slots_used),
                units::exact(status.slots_capacity),
                units::percent(used)
            ),
        ),
    ];
    let line = |(name, value): (&str, String)| {
        format!("{}  {}\n", paint.tone(Tone::Faint, &format!("{name:<8}")), clean(&value))
    };
    lines.into_iter().map(line).collect()
}

fn interfaces(interfaces: &[InterfaceStatus]) -> Table {
    let mut table = Table::new(&["NAME", "ATTACHED", "WANTED", ">MTU", "PROBLEM"]);
    for interface in interfaces {
        let (word, tone) = state::attached(interface);
        table.row([
            interface.name.as_str().into(),
            Cell::new(word, tone),
            wanted(interface.wanted).into(),
            interface.mtu.map_or("-".to_owned(), |mtu| mtu.to_string()).into(),
            Cell::new(interface.problem.as_deref().unwrap_or(""), Tone::Warn),
        ]);
    }
    table
}

fn wanted(mode: AttachMode) -> &'static str {
    match mode {
        AttachMode::Auto => "auto",
        AttachMode::Native => "native",
        AttachMode::Generic => "generic",
    }
}
