//! Reading counters: sums over CPUs, and each CPU's share.

use anyhow::{Context, Result};
use xlb_common::layout::{REASONS, TargetCounters};

use super::load::Datapath;

/// Adds what one CPU counted.
fn add(sum: &mut TargetCounters, part: &TargetCounters) {
    let TargetCounters {
        request_packets,
        request_bytes,
        reply_packets,
        reply_bytes,
        opened,
        closed,
        reserved: _,
    } = part;
    sum.request_packets += request_packets;
    sum.request_bytes += request_bytes;
    sum.reply_packets += reply_packets;
    sum.reply_bytes += reply_bytes;
    sum.opened += opened;
    sum.closed += closed;
}

impl Datapath {
    /// What was counted for a target, on each CPU.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn target_counters(&self, target: u16) -> Result<Vec<TargetCounters>> {
        let values = self
            .maps
            .counters
            .get(&u32::from(target), 0)
            .with_context(|| format!("cannot read the counters of target {target}"))?;
        Ok(values.iter().map(|value| value.0).collect())
    }

    /// What was counted for a target, summed over CPUs.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn target_total(&self, target: u16) -> Result<TargetCounters> {
        let mut sum = TargetCounters::default();
        for part in &self.target_counters(target)? {
            add(&mut sum, part);
        }
        Ok(sum)
    }

    /// Starts a target's counters from zero, for an id that is used again.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn clear_counters(&mut self, target: u16) -> Result<()> {
        let cpus = aya::util::nr_cpus().map_err(|(path, error)| {
            anyhow::Error::new(error).context(format!("cannot read {path}"))
        })?;
        let zeroes = aya::maps::PerCpuValues::try_from(vec![super::pod::Raw::default(); cpus])
            .context("cannot lay out counters for each CPU")?;
        self.maps
            .counters
            .set(u32::from(target), zeroes, 0)
            .with_context(|| format!("cannot clear the counters of target {target}"))
    }

    /// Packets by reason id, summed over CPUs.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn reasons(&self) -> Result<[u64; REASONS]> {
        let values = self.maps.reasons.get(&0, 0).context("cannot read the counters of reasons")?;
        let mut sum = [0; REASONS];
        for value in values.iter() {
            for (sum, part) in sum.iter_mut().zip(value.0) {
                *sum += part;
            }
        }
        Ok(sum)
    }
}
