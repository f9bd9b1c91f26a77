//! `xlb service`: add, list, show and remove services.

use anyhow::Result;

use super::backend::pool_table;
use super::changed;
use crate::api::client::Client;
use crate::api::types::{Announce, Mode, Protocol, ServiceSpec, ServiceStatus};
use crate::cli::{ServiceAdd, ServiceCommand};
use crate::output::table::{Cell, Table};
use crate::output::{Output, Paint, Tone, state};

/// Runs one of its verbs.
pub async fn run(client: &Client, output: &Output, command: ServiceCommand) -> Result<()> {
    match command {
        ServiceCommand::Add(args) => changed(output, &client.add_service(&spec(args)).await?),
        ServiceCommand::Remove(args) => changed(output, &client.remove_service(&args.name).await?),
        ServiceCommand::List => {
            let list = client.services().await?;
            output.print(&list, |paint| service_table(&list.services).render(paint))
        }
        ServiceCommand::Show(args) => {
            let service = client.service(&args.name).await?;
            output.print(&service, |paint| show(&service, paint))
        }
    }
}

fn spec(args: ServiceAdd) -> ServiceSpec {
    ServiceSpec {
        name: args.name,
        vip: args.vip.address,
        protocol: args.vip.protocol,
        mode: args.mode,
        slots: args.slots,
        announce: args.announce,
        direct: args.direct,
        backends: args.backend,
    }
}

/// The services, one a line.
pub(super) fn service_table(services: &[ServiceStatus]) -> Table {
    let mut table = Table::new(&["NAME", "VIP", "PROTO", "MODE", ">BACKENDS", ">SLOTS", "STATE"]);
    for service in services {
        let (word, tone) = state::service(service);
        table.row([
            service.name.as_str().into(),
            service.vip.to_string().into(),
            protocol(service.protocol).into(),
            mode(service.mode).into(),
            service.backends.len().to_string().into(),
            service.slots.to_string().into(),
            Cell::new(word, tone),
        ]);
    }
    table
}

/// A service with everything about it.
pub(super) fn show(service: &ServiceStatus, paint: Paint) -> String {
    let (word, tone) = state::service(service);
    let (slots, moving, settled) = (service.slots, service.slots_moving, service.slots_settled);
    let mut facts = vec![
        ("vip", format!("{}/{}", service.vip, protocol(service.protocol)), Tone::Plain),
        ("mode", mode(service.mode).into(), Tone::Plain),
        ("state", word, tone),
        ("slots", format!("{slots}, {moving} moving, {settled} settled"), Tone::Plain),
        ("announce", announce(service.announce).into(), Tone::Plain),
    ];
    if !service.direct.is_empty() {
        facts.push(("direct", service.direct.join(", "), Tone::Plain));
    }
    let mut text = format!("{}\n", paint.tone(Tone::Strong, &service.name));
    for (name, value, tone) in facts {
        text += &format!("  {name:<10}{}\n", paint.tone(tone, &value));
    }
    text.push('\n');
    text + &pool_table(std::slice::from_ref(service), false).render(paint)
}

/// A protocol's name.
pub(super) fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Nat => "nat",
    }
}

fn announce(announce: Announce) -> &'static str {
    match announce {
        Announce::Arp => "arp",
        Announce::None => "none",
    }
}
