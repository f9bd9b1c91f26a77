//! The backends of the selected service: what share each gets beside what it should get.
//!
//! Bars are to the scale of the largest share in the pool. A bar is the actual share and the mark on
//! it the expected one.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Canvas, Column, rest, widest};
use crate::output::{Tone, units};
use crate::tui::app::Pane;
use crate::tui::history::{BackendRow, ServiceRow};

/// From this width on there are bits and differences.
const WIDE: u16 = 100;
/// A length at which a bar is easy to read, and the least room for the past.
const BAR: usize = 24;
const PAST: usize = 16;

impl Canvas<'_> {
    /// Draws the pane.
    pub fn backends(self, area: Rect, buf: &mut Buffer) {
        let Some(service) = self.app.service() else {
            self.frame(area, buf, Pane::Backends, "backends", "");
            return;
        };
        let title = format!("backends of {} {}", service.name, service.backends.len());
        let mark = self.theme.pick("┃", "|");
        let basis = match service.window {
            0.0 => String::new(),
            window => format!("actual: {} of {window:.0}s, {mark} expected", service.basis.name()),
        };
        let inner = self.frame(area, buf, Pane::Backends, &title, &basis);
        if service.backends.is_empty() && inner.height > 0 {
            let hint = format!("no backends: xlb backend add {} 10.0.0.11:8080", service.name);
            let hint = self.theme.cut(&hint, usize::from(inner.width.saturating_sub(3)));
            buf.set_string(inner.x + 2, inner.y, hint, self.theme.tone(Tone::Faint));
            return;
        }
        self.pool(inner, buf, service);
    }

    fn pool(self, area: Rect, buf: &mut Buffer, service: &ServiceRow) {
        let wide = area.width >= WIDE;
        let texts: Vec<String> = service.backends.iter().map(|b| b.address.to_string()).collect();
        let addresses =
            widest(texts.iter().map(String::as_str), 7, usize::from(area.width) * 3 / 10);
        let mut columns = vec![
            Column::left("  BACKEND", addresses + 2),
            Column::right("WEIGHT", 6),
            Column::left("NEXT HOP", 10),
            Column::right("PKT/S", 6),
        ];
        if wide {
            columns.push(Column::right("BIT/S", 8));
        }
        columns.extend([Column::right("EXPECT", 6), Column::right("ACTUAL", 6)]);
        if wide {
            columns.push(Column::right("DIFF", 6));
        }
        // A bar up to a length at which it is easy to read, and the past beside it.
        let left = rest(&columns, area.width).saturating_sub(1);
        let bar = if left >= BAR + PAST { (left - PAST).clamp(BAR, 2 * BAR) } else { left };
        columns.push(Column::left("", bar));
        let spark = (left - bar).saturating_sub(2);
        if spark > 0 {
            columns.push(Column::left(" PACKETS", spark + 1));
        }
        let shares = service.backends.iter().flat_map(|b| [b.expected, b.actual.unwrap_or(0.0)]);
        let scale = shares.fold(0.0, f64::max);
        let rows = service.backends.iter().zip(texts).enumerate().map(|(i, (backend, address))| {
            let mut cells = vec![
                Line::from(vec![
                    self.pointer(Pane::Backends, i),
                    Span::raw(self.theme.cut(&address, addresses)),
                ]),
                Line::from(backend.weight.to_string()),
                self.said(&backend.next_hop),
                self.number(backend.rate.packets(), units::si(backend.rate.packets())),
            ];
            if wide {
                let bits = backend.rate.bits();
                cells.push(self.number(bits, units::with_unit(bits, "b")));
            }
            cells.push(Line::from(units::percent(backend.expected)));
            cells.push(Line::from(backend.actual.map_or("-".to_owned(), units::percent)));
            if wide {
                cells.push(Line::styled(difference(backend), self.theme.tone(Tone::Faint)));
            }
            cells.push(self.share_bar(backend, scale, bar));
            cells.push(self.spark(&backend.packets, spark));
            cells
        });
        self.table(area, buf, Pane::Backends, &columns, rows.collect());
    }

    /// The actual share as a bar, with a mark at the expected one.
    fn share_bar(self, backend: &BackendRow, scale: f64, width: usize) -> Line<'static> {
        if width < 3 || scale <= 0.0 {
            return Line::from("");
        }
        let (full, part) = self.theme.fill(backend.actual.unwrap_or(0.0) / scale, width);
        let mark = ((backend.expected / scale * width as f64).round() as usize).clamp(1, width) - 1;
        let block = self.theme.pick("█", "#");
        let cell = |i: usize| match i {
            _ if i == mark => Span::styled(self.theme.pick("┃", "|"), self.theme.mark()),
            _ if i < full => Span::styled(block, self.theme.bar()),
            _ if i == full && !part.is_empty() => Span::styled(part, self.theme.bar()),
            _ => Span::styled(self.theme.pick("·", "."), self.theme.tone(Tone::Faint)),
        };
        Line::from((0..width).map(cell).collect::<Vec<_>>())
    }
}

/// Actual less expected share, in percentage points.
fn difference(backend: &BackendRow) -> String {
    match backend.actual {
        Some(actual) => {
            let points = format!("{:+.1}", (actual - backend.expected) * 100.0);
            if points == "-0.0" { "+0.0".to_owned() } else { points }
        }
        None => String::new(),
    }
}
