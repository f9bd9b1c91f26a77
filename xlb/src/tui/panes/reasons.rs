//! What was passed, handed up and dropped, and why.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Canvas, Column, rest, widest};
use crate::output::{Tone, units};
use crate::tui::app::Pane;
use crate::tui::history::ReasonRow;

/// The least room for an explanation, and the room for the past beside one.
const MEANING: usize = 40;
const PAST: usize = 12;

impl Canvas<'_> {
    /// Draws the pane.
    pub fn reasons(self, area: Rect, buf: &mut Buffer) {
        let rows = &self.app.shown().reasons;
        let drops: f64 = rows.iter().filter(|row| row.action == "drop").map(|row| row.rate).sum();
        let dropped = format!("{}/s dropped", self.rate(units::si(drops)));
        let inner = self.frame(area, buf, Pane::Reasons, "passed and dropped", &dropped);
        let names = widest(rows.iter().map(|row| row.reason.as_str()), 6, 21);
        let mut columns = vec![
            Column::left("  REASON", names + 2),
            Column::left("ACTION", 9),
            Column::right("PKT/S", 6),
            Column::right("TOTAL", 6),
        ];
        // Explained where there is room for that, else all of it is the past.
        let left = rest(&columns, inner.width).saturating_sub(2);
        let spark = if left >= MEANING + PAST { PAST } else { left };
        columns.push(Column::left("", spark + 1));
        let meaning = (left - spark).saturating_sub(1);
        columns.push(Column::left(if meaning > 0 { "MEANING" } else { "" }, meaning));
        let lines = rows.iter().enumerate().map(|(i, row)| {
            let mut cells = vec![
                Line::from(vec![
                    self.pointer(Pane::Reasons, i),
                    Span::raw(self.theme.cut(&row.reason, names)),
                ]),
                self.action(row),
                self.number(row.rate, units::si(row.rate)),
                Line::from(units::count(row.total)),
            ];
            cells.push(self.spark(&row.past, spark));
            let meaning = self.theme.cut(&row.description, meaning);
            cells.push(Line::styled(meaning, self.theme.tone(Tone::Faint)));
            cells
        });
        self.table(inner, buf, Pane::Reasons, &columns, lines.collect());
    }

    fn action(self, row: &ReasonRow) -> Line<'static> {
        let tone = match (row.action.as_str(), row.rate > 0.0) {
            ("drop", true) => Tone::Bad,
            ("drop", false) | ("hand-up", true) => Tone::Warn,
            _ => Tone::Good,
        };
        self.said(&(row.action.clone(), tone))
    }
}
