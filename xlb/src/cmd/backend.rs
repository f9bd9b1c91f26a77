//! `xlb backend`: add, weigh, remove and list the backends of services.

use anyhow::Result;

use super::changed;
use crate::api::client::Client;
use crate::api::types::{BackendSpec, SCHEMA, ServiceList, ServiceStatus};
use crate::cli::BackendCommand;
use crate::output::table::{Cell, Table};
use crate::output::{Output, state, units};

/// Runs one of its verbs.
pub async fn run(client: &Client, output: &Output, command: BackendCommand) -> Result<()> {
    match command {
        BackendCommand::Add(args) => {
            let (service, address) = (args.backend.service, args.backend.address);
            let spec = BackendSpec { address, weight: args.weight, interface: args.interface };
            changed(output, &client.add_backend(&service, &spec).await?)
        }
        BackendCommand::Weight(args) => {
            let (service, address) = (&args.backend.service, args.backend.address);
            changed(output, &client.set_weight(service, address, args.weight).await?)
        }
        BackendCommand::Remove(args) => {
            changed(output, &client.remove_backend(&args.service, args.address).await?)
        }
        BackendCommand::List(args) => {
            let list = match &args.service {
                None => client.services().await?,
                Some(name) => {
                    ServiceList { schema: SCHEMA, services: vec![client.service(name).await?] }
                }
            };
            output.print(&list, |paint| pool_table(&list.services, true).render(paint))
        }
    }
}

/// The backends of services, one a line.
pub(super) fn pool_table(services: &[ServiceStatus], name_service: bool) -> Table {
    let columns = ["SERVICE", "BACKEND", ">WEIGHT", ">SHARE", "NEXT HOP", "VIA", "REPLIES FROM"];
    let mut table = Table::new(&columns[usize::from(!name_service)..]);
    for service in services {
        for backend in &service.backends {
            let (word, tone) = state::next_hop(backend);
            let cells = [
                Cell::from(service.name.as_str()),
                backend.address.to_string().into(),
                backend.weight.to_string().into(),
                units::percent(backend.share).into(),
                Cell::new(word, tone),
                backend.via.as_deref().unwrap_or("-").into(),
                backend.interface.as_deref().unwrap_or("any").into(),
            ];
            table.row(cells.into_iter().skip(usize::from(!name_service)));
        }
    }
    table
}
