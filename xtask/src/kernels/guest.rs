//! Booting and watching a guest, over its serial console.

use std::{
    io::{BufRead as _, BufReader},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use xlb_tests::{interrupt, process};

use super::{
    image::Image,
    initramfs::{ENDED, Initramfs},
};
use crate::tools::{Tally, target_directory};

/// No guest takes longer, however slow the machine.
const LIMIT: Duration = Duration::from_secs(600);

/// How a guest ended.
pub struct Outcome {
    /// Whether the program ended with status 0.
    pub passed: bool,
    /// What the tests in it counted.
    pub tally: Tally,
}

/// Boots a guest and shows what it says, until it ends.
pub fn boot(image: &Image, initramfs: &Initramfs, label: &str) -> Result<Outcome> {
    let mut qemu = process::command("qemu-system-x86_64");
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2G"]);
    qemu.args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"]);
    qemu.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&initramfs.0);
    qemu.args(["-append", "console=ttyS0 quiet loglevel=3 panic=-1"]);
    let directory = target_directory()?.join("kernels");
    let (mut guest, _stdin, stdout) = process::Process::start_piped("qemu", qemu, &directory)?;

    let (sender, lines) = channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(std::result::Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + LIMIT;
    let mut tally = Tally::default();
    let mut status = None;
    loop {
        interrupt::check()?;
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => {
                tally.read(&line);
                match line.strip_prefix(ENDED) {
                    Some(end) => status = Some(end.trim() == "0"),
                    None => println!("[{label}] {line}"),
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
            Err(RecvTimeoutError::Timeout) => {
                guest.kill()?;
                bail!("kernel {label}: the guest did not end within {LIMIT:?}");
            }
        }
    }
    // The reader has ended, or the channel would not be closed.
    drop(reader);
    let Some(passed) = status else {
        bail!(
            "kernel {label}: the guest ended before the program did; qemu says: {}",
            guest.log().trim()
        );
    };
    Ok(Outcome { passed, tally })
}
