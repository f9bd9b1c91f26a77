//! Waiting until no packet can still see what was taken out of sight.
//!
//! XDP programs run within RCU read-side sections, and `MEMBARRIER_CMD_GLOBAL` waits for all of them
//! (membarrier(2)).

use std::io;
use std::time::Duration;

/// `MEMBARRIER_CMD_GLOBAL` of linux/membarrier.h.
const GLOBAL: libc::c_int = 1;

/// A program runs for microseconds; where the kernel can't tell, this is more than enough.
const LONG: Duration = Duration::from_millis(250);

/// Waits for a grace period; some milliseconds, blocking.
pub fn wait() {
    // SAFETY: membarrier takes three integers and touches no memory of ours.
    let answer = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    if answer != 0 {
        // With CPUs that never tick (nohz_full) the kernel refuses the command.
        tracing::debug!("membarrier: {}", io::Error::last_os_error());
        std::thread::sleep(LONG);
    }
}
