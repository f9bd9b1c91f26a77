//! The last line: what keys do, or the filter while it is typed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Canvas;
use crate::output::Tone;

impl Canvas<'_> {
    /// Draws it.
    pub fn footer(self, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let app = self.app;
        let mut spans = vec![];
        if app.typing {
            spans.push(Span::styled(" filter: ", self.theme.accent()));
            spans.push(Span::raw(app.filter.clone()));
            spans.push(Span::styled(self.theme.pick("▏", "_"), self.theme.mark()));
            spans.push(Span::raw(" "));
        }
        let keys: &[(&str, &str)] = match (app.typing, app.paused()) {
            (true, _) => &[("Enter", "keep"), ("Esc", "clear")],
            (false, paused) => &[
                ("?", "help"),
                ("j k", "select"),
                ("Tab", "pane"),
                ("Enter", if app.zoom { "all" } else { "zoom" }),
                ("s", "sort"),
                ("/", "filter"),
                ("p", if paused { "go on" } else { "pause" }),
                ("q", "quit"),
            ],
        };
        for (key, does) in keys {
            spans.push(Span::styled(format!(" {key}"), self.theme.accent()));
            spans.push(Span::styled(format!(" {does} "), self.theme.tone(Tone::Faint)));
        }
        buf.set_line(area.x, area.y, &Line::from(spans), area.width);
    }
}
