//! The agent: `xlb run`.

use crate::cli::RunArgs;

/// Runs the agent until it is told to stop.
pub fn run(_args: RunArgs) -> anyhow::Result<()> {
    anyhow::bail!("this build has no agent")
}
