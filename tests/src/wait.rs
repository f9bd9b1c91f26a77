//! Waiting for conditions, never for a length of time.
//!
//! The limit is only there to end a test that has failed; it is generous, so that a slow machine
//! does not fail where a fast one passes.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::interrupt;

/// Long enough for anything that a lab does, on any machine.
pub const LIMIT: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(10);

/// Asks until the answer is `Ok(Some(_))`; `Ok(None)` and errors mean "not yet".
///
/// When the limit is over it fails with what was awaited and with the last error.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        interrupt::check()?;
        let answer = ask();
        let late = Instant::now() >= deadline;
        match answer {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if late => bail!("waited {limit:?} in vain for {what}"),
            Err(e) if late => {
                return Err(e).with_context(|| format!("waited {limit:?} in vain for {what}"));
            }
            Ok(None) | Err(_) => thread::sleep(STEP),
        }
    }
}

/// Asks until the answer is `true`.
pub fn wait_until(what: &str, limit: Duration, mut ask: impl FnMut() -> bool) -> Result<()> {
    wait_for(what, limit, || Ok(ask().then_some(())))
}
