//! The CPUs: packets, time in soft interrupts, where XDP runs, and time in all.
//!
//! Cells flow down columns. They are as wide as it takes to show all CPUs, with a bar or without.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Canvas, window};
use crate::output::{Tone, units};
use crate::rates::CpuRate;
use crate::tui::app::Pane;

/// Width of a cell with a bar that is worth drawing, and of one with none.
const CELL: u16 = 28;
const SMALL: u16 = 16;

impl Canvas<'_> {
    /// Draws the pane.
    pub fn cpus(self, area: Rect, buf: &mut Buffer) {
        let cpus = &self.app.shown().cpus;
        let (soft, other) = (self.theme.pick("█", "#"), self.theme.pick("░", ":"));
        let title = format!("CPUs {}", cpus.len());
        let legend = format!("{soft} softirq {other} other");
        let inner = self.frame(area, buf, Pane::Cpus, &title, &legend);
        let height = usize::from(inner.height);
        if height == 0 || cpus.is_empty() {
            return;
        }
        let needed = cpus.len().div_ceil(height) as u16;
        let roomy = (inner.width / needed.max(1)).min(60);
        let small = roomy < CELL;
        let columns = if small { (inner.width / SMALL).clamp(1, needed) } else { needed };
        let cell = inner.width / columns;
        let rows = cpus.len().div_ceil(columns.into());
        let first = window(self.app.cursor(Pane::Cpus) / usize::from(columns), rows, height);
        for (i, cpu) in cpus.iter().enumerate() {
            let (column, row) = ((i / rows) as u16, i % rows);
            if (first..first + height).contains(&row) {
                let x = inner.x + column * cell;
                let y = inner.y + (row - first) as u16;
                buf.set_line(x, y, &self.cpu(cpu, cell.into(), small), cell);
            }
        }
    }

    fn cpu(self, cpu: &CpuRate, width: usize, small: bool) -> Line<'static> {
        let tone = match cpu.busy.max(cpu.softirq) {
            busy if busy >= 0.95 => Tone::Bad,
            busy if busy >= 0.8 => Tone::Warn,
            _ => Tone::Plain,
        };
        let faint = self.theme.tone(Tone::Faint);
        let mut spans = vec![Span::styled(format!("{:>4} ", cpu.cpu), faint)];
        if !small {
            spans.extend(self.load_bar(cpu, width.saturating_sub(18)));
        }
        let busy = format!("{:>4.0}%", cpu.busy.max(cpu.softirq) * 100.0);
        spans.push(Span::styled(busy, self.theme.tone(tone)));
        let packets = Span::raw(format!("{:>6}", units::si(cpu.packets)));
        spans.push(packets.style(if cpu.packets > 0.0 {
            self.theme.tone(Tone::Plain)
        } else {
            faint
        }));
        Line::from(spans)
    }

    fn load_bar(self, cpu: &CpuRate, width: usize) -> Vec<Span<'static>> {
        let cells =
            |share: f64| ((share.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
        let soft = cells(cpu.softirq);
        let busy = cells(cpu.busy).max(soft);
        vec![
            Span::styled(self.theme.pick("█", "#").repeat(soft), self.theme.bar()),
            Span::styled(self.theme.pick("░", ":").repeat(busy - soft), self.theme.bar_rest()),
            Span::styled(
                self.theme.pick("·", ".").repeat(width - busy),
                self.theme.tone(Tone::Faint),
            ),
        ]
    }
}
