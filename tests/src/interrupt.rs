//! Ctrl-C and SIGTERM, noticed instead of dying from them.
//!
//! A lab that dies at once leaves namespaces behind. So the first signal only sets a flag, which
//! everything that waits looks at: waiting fails, the error goes up, and the lab is dropped. The
//! second signal ends the process the usual way.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result, bail};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

static FLAG: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on, signals set the flag. Calling it again does nothing.
pub fn watch() -> Result<()> {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| {
        result = [SIGINT, SIGTERM, SIGHUP].into_iter().try_for_each(|signal| {
            // In this order: the first signal finds the flag still unset and goes on to set it.
            flag::register_conditional_default(signal, Arc::clone(&FLAG))?;
            flag::register(signal, Arc::clone(&FLAG)).map(drop)
        });
    });
    result.context("cannot handle signals")
}

/// Whether a signal has come.
pub fn came() -> bool {
    FLAG.load(Ordering::Relaxed)
}

/// Fails if a signal has come.
pub fn check() -> Result<()> {
    if came() {
        bail!("interrupted");
    }
    Ok(())
}
