//! `xlb top`: to the terminal, or one frame as text.

use anyhow::Result;

use crate::api::client::Client;
use crate::cli::{ColorWhen, TopArgs};
use crate::output::Output;

/// Runs it until the user leaves.
pub async fn run(client: &Client, output: &Output, args: TopArgs, color: ColorWhen) -> Result<()> {
    let _ = (client, output, args, color);
    anyhow::bail!("not yet")
}
