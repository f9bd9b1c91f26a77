//! `xlb attach` and `xlb detach`: interfaces come and go.

use anyhow::Result;

use super::changed;
use crate::api::client::Client;
use crate::api::types::InterfaceSpec;
use crate::cli::{AttachArgs, DetachArgs};
use crate::output::Output;

/// Attaches the program to an interface.
pub async fn attach(client: &Client, output: &Output, args: AttachArgs) -> Result<()> {
    let spec = InterfaceSpec { name: args.interface, mode: args.mode };
    changed(output, &client.attach(&spec).await?)
}

/// Detaches it.
pub async fn detach(client: &Client, output: &Output, args: DetachArgs) -> Result<()> {
    changed(output, &client.detach(&args.interface).await?)
}
