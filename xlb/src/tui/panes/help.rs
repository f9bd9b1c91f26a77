//! The keys, over everything else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

use super::Canvas;
use crate::output::Tone;
use crate::tui::input::KEYS;

const WIDTH: u16 = 78;

impl Canvas<'_> {
    /// Draws it in the middle.
    pub fn help(self, area: Rect, buf: &mut Buffer) {
        let faint = self.theme.tone(Tone::Faint);
        let mut lines: Vec<Line<'_>> = KEYS
            .iter()
            .map(|(keys, does)| {
                Line::from(vec![
                    Span::styled(format!(" {keys:<15}"), self.theme.accent()),
                    Span::raw(*does),
                ])
            })
            .collect();
        let remarks = [
            "EXPECT: a backend's share of the slots, so of new flows. ACTUAL: its share",
            "of new connections, or of packets where there were none, in the last",
            "minute or since the pool changed. in: from clients. out: from backends.",
        ];
        lines.push(Line::default());
        lines.extend(remarks.map(|text| Line::styled(format!(" {text}"), faint)));
        let (width, height) = (WIDTH.min(area.width), (lines.len() as u16 + 2).min(area.height));
        let middle = Rect {
            x: area.x + (area.width - width) / 2,
            y: area.y + (area.height - height) / 2,
            width,
            height,
        };
        Clear.render(middle, buf);
        let block = Block::bordered()
            .border_set(self.theme.border())
            .title(Line::styled(" keys ", self.theme.accent()));
        Paragraph::new(lines).block(block).render(middle, buf);
    }
}
