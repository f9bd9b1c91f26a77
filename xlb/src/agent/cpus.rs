//! What each CPU does, from `/proc/stat`.

use std::fs;

use anyhow::{Context, Result};

use crate::api::types::CpuStats;

/// `/proc/stat` counts in hundredths of a second, whatever the kernel's own ticks (proc(5)).
const TICK_NS: u64 = 10_000_000;

/// A line for each CPU, its packets still zero. A CPU's place is its number.
pub fn times() -> Result<Vec<CpuStats>> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Vec<CpuStats> {
    let mut cpus = Vec::new();
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let number = fields.next().and_then(|name| name.strip_prefix("cpu")?.parse::<usize>().ok());
        let Some(number) = number else { continue };
        // user nice system idle iowait irq softirq steal; guest time is within user time.
        let ticks: Vec<u64> = fields.take(8).filter_map(|field| field.parse().ok()).collect();
        let at = |i: usize| ticks.get(i).copied().unwrap_or(0);
        let busy = ticks.iter().sum::<u64>() - at(3) - at(4);
        // CPUs that are offline have no line, but per-CPU counters have a place for them.
        while cpus.len() <= number {
            cpus.push(CpuStats { cpu: cpus.len() as u32, ..CpuStats::default() });
        }
        cpus[number].softirq_ns = at(6) * TICK_NS;
        cpus[number].busy_ns = busy * TICK_NS;
    }
    cpus
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cpu_has_its_line() {
        let text = "cpu  30 0 3 200 20 0 7 0 0 0\ncpu0 10 0 1 100 10 0 5 0 0 0\ncpu2 20 0 2 100 10 0 2 4 0 0\nintr 1\n";
        let cpus = parse(text);
        assert_eq!(cpus.len(), 3);
        assert_eq!((cpus[0].busy_ns, cpus[0].softirq_ns), (16 * TICK_NS, 5 * TICK_NS));
        assert_eq!((cpus[1].busy_ns, cpus[1].cpu), (0, 1));
        assert_eq!((cpus[2].busy_ns, cpus[2].softirq_ns), (28 * TICK_NS, 2 * TICK_NS));
        assert!(parse("").is_empty());
    }
}
