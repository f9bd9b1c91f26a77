//! The program's time: jiffies, whose rate is measured and not assumed.

use std::time::Instant;

use anyhow::Result;

use crate::dataplane::Datapath;

/// The most jiffies a second has, and so what is assumed until there is a measurement.
const FASTEST: f64 = 1000.0;
/// A measurement counts from this many seconds on.
const LONG_ENOUGH: f64 = 0.5;

/// Tells jiffies and how many make a second.
pub struct Clock {
    started: Instant,
    first: u64,
    rate: f64,
}

impl Clock {
    /// Begins to measure.
    pub fn new(datapath: &Datapath) -> Result<Self> {
        Ok(Self { started: Instant::now(), first: datapath.jiffies()?, rate: FASTEST })
    }

    /// The time now; measures the rate on the way.
    pub fn now(&mut self, datapath: &Datapath) -> Result<u64> {
        let now = datapath.jiffies()?;
        let seconds = self.started.elapsed().as_secs_f64();
        if seconds > LONG_ENOUGH {
            self.rate = (now.wrapping_sub(self.first) as f64 / seconds).clamp(1.0, FASTEST);
        }
        Ok(now)
    }

    /// So many seconds, in jiffies.
    pub fn seconds(&self, seconds: f64) -> u64 {
        (self.rate * seconds).ceil() as u64
    }
}
