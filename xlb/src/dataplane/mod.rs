//! The data path as the control plane sees it: programs, maps, and what is written into them.
//!
//! Nothing else in this crate touches aya, the bpffs or shared memory. In the order of a start and
//! of a change:

/// Loading: maps are made or taken over, programs are loaded or taken over.
pub mod load;

/// The kernel's sections of global data, mapped into this process.
pub mod shared;

/// What the program must find in its tables: a pure function of the services.
pub mod tables;

/// Writing tables into the maps in an order in which no packet sees half a change.
pub mod write;

/// Waiting until no packet can still see what was taken out of sight.
pub mod grace;

/// Attaching the program to interfaces.
pub mod attach;

/// Flows that are remembered while slots change.
pub mod flows;

/// Reading counters.
pub mod counters;

/// Running the programs on frames of one's own.
pub mod test_run;

/// What the program has to say.
#[cfg(feature = "ebpf-log")]
pub mod log;

/// The shapes of xlb-common as values of aya's maps.
mod pod;

pub use load::{Datapath, Limits};
pub use tables::{PlannedBackend, PlannedService};
