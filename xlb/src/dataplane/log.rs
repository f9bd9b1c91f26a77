//! What the program has to say, in the agent's log. Compiled in by the feature `ebpf-log` only.
//!
//! The program writes records into a ring buffer of its own, which is found through the program:
//! so it does not matter who loaded it. The records become events of `tracing` by way of `log`.

use anyhow::{Context, Result};
use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Datapath;

/// Writes the program's records to the log for as long as the runtime runs.
///
/// That there are none is said once and keeps nobody from working.
pub fn follow(datapath: &Datapath) {
    if let Err(error) = try_follow(datapath) {
        tracing::warn!("no log of the program: {error:#}");
    }
}

fn try_follow(datapath: &Datapath) -> Result<()> {
    let id = datapath.program.info().context("cannot ask the kernel about the program")?.id();
    let logger = EbpfLogger::init_from_id(id).map_err(explain)?;
    // SAFETY: the logger owns its ring buffer's descriptor, and neither closes nor swaps it before
    // it is dropped itself.
    let mut records = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) }
        .context("cannot wait for its records")?;
    tokio::spawn(async move {
        while let Ok(mut ready) = records.readable_mut().await {
            ready.get_inner_mut().flush();
            ready.clear_ready();
        }
    });
    Ok(())
}

fn explain(error: aya_log::Error) -> anyhow::Error {
    let help = match error {
        aya_log::Error::MapNotFound => {
            "the one that runs was built without; to start afresh with this agent's, which interrupts traffic: stop the agent and remove the directory of its pins"
        }
        // Who may load programs may not yet look for them by their ids.
        _ => "cannot open its ring buffer; needed: root, or the capability CAP_SYS_ADMIN",
    };
    anyhow::Error::new(error).context(help)
}
