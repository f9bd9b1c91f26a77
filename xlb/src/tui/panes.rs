//! The panes, one file each, and what they have in common.
//!
//! A pane draws itself into the area it is given, whatever its size, and changes nothing.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table, Widget};

use super::app::{App, Pane};
use super::history::Ring;
use super::theme::Theme;
use crate::output::Tone;

/// The backends of the selected service.
pub mod backends;
/// The CPUs.
pub mod cpus;
/// The last line: what keys do.
pub mod footer;
/// The first lines: agent, interfaces, throughput, what is wrong.
pub mod header;
/// The keys, over everything else.
pub mod help;
/// What was passed and dropped.
pub mod reasons;
/// The services.
pub mod services;

/// What a pane draws with.
#[derive(Clone, Copy, Debug)]
pub struct Canvas<'a> {
    /// The state.
    pub app: &'a App,
    /// Colours and glyphs.
    pub theme: Theme,
}

impl Canvas<'_> {
    /// Draws a pane's line with its title; what is left is the pane's.
    fn frame(self, area: Rect, buf: &mut Buffer, pane: Pane, title: &str, right: &str) -> Rect {
        if area.is_empty() {
            return area;
        }
        let focused = self.app.focus == pane;
        let dash = self.theme.pick("─", "-");
        let faint = self.theme.tone(Tone::Faint);
        buf.set_string(area.x, area.y, dash.repeat(area.width.into()), faint);
        let (sign, style) = match focused {
            true => (self.theme.pick("▶", ">"), self.theme.accent()),
            false => (dash, self.theme.tone(Tone::Strong)),
        };
        let title =
            Line::from(vec![Span::styled(sign, style), Span::styled(format!(" {title} "), style)]);
        buf.set_line(area.x, area.y, &title, area.width);
        let used = title.width() as u16;
        let width = right.chars().count() as u16 + 2;
        if !right.is_empty() && used + width + 2 <= area.width {
            let x = area.right() - width - 1;
            buf.set_string(x, area.y, format!(" {right} "), faint);
        }
        Rect { y: area.y + 1, height: area.height - 1, ..area }
    }

    /// Draws columns under their names, scrolled so that the selected row is to be seen.
    fn table(
        self,
        area: Rect,
        buf: &mut Buffer,
        pane: Pane,
        columns: &[Column],
        rows: Vec<Vec<Line<'_>>>,
    ) {
        let focused = self.app.focus == pane;
        let cursor = self.app.cursor(pane);
        let room = usize::from(area.height.saturating_sub(1));
        let first = window(cursor, rows.len(), room);
        let header = columns
            .iter()
            .map(|column| Cell::from(Line::from(column.name).alignment(column.alignment)));
        let rows = rows.into_iter().enumerate().skip(first).take(room).map(|(i, cells)| {
            let style = match i == cursor && (focused || pane == Pane::Services) {
                true => Style::new().add_modifier(Modifier::BOLD),
                false => Style::new(),
            };
            let cells = cells.into_iter().zip(columns);
            Row::new(cells.map(|(line, column)| line.alignment(column.alignment))).style(style)
        });
        let widths = columns.iter().map(|column| Constraint::Length(column.width));
        Table::new(rows, widths)
            .header(Row::new(header).style(self.theme.tone(Tone::Faint)))
            .column_spacing(1)
            .render(area, buf);
    }

    /// The sign before the selected row of a pane.
    fn pointer(self, pane: Pane, row: usize) -> Span<'static> {
        match self.app.cursor(pane) == row && (self.app.focus == pane || pane == Pane::Services) {
            true => Span::styled(self.theme.pick("▸ ", "> "), self.theme.accent()),
            false => Span::raw("  "),
        }
    }

    /// A word with the glyph for how good it is.
    fn said(self, (word, tone): &(String, Tone)) -> Line<'static> {
        if word.is_empty() {
            return Line::from("");
        }
        Line::styled(format!("{} {word}", self.theme.sign(*tone)), self.theme.tone(*tone))
    }

    /// The past of something, to its own scale; what does not change is not at the top.
    fn spark(self, past: &Ring, width: usize) -> Line<'static> {
        let values: Vec<f64> = past.last(width).collect();
        let top = values.iter().copied().fold(0.0, f64::max) * 4.0 / 3.0;
        let text = self.theme.graph(&values, width, 1, top).concat();
        Line::styled(format!(" {text}"), self.theme.spark())
    }

    /// A rate; nothing happening is faint.
    fn number(self, value: f64, text: String) -> Line<'static> {
        let tone = if value > 0.0 { Tone::Plain } else { Tone::Faint };
        Line::styled(self.rate(text), self.theme.tone(tone))
    }

    /// A rate, once there is one.
    fn rate(self, text: String) -> String {
        if self.app.shown().rated { text } else { "-".to_owned() }
    }
}

/// A column of a pane's table.
#[derive(Clone, Copy, Debug)]
struct Column {
    name: &'static str,
    width: u16,
    alignment: Alignment,
}

impl Column {
    fn left(name: &'static str, width: usize) -> Self {
        Self { name, width: width as u16, alignment: Alignment::Left }
    }

    fn right(name: &'static str, width: usize) -> Self {
        Self { name, width: width as u16, alignment: Alignment::Right }
    }
}

/// How much of a width columns leave, one space between each two and before what is left.
fn rest(columns: &[Column], width: u16) -> usize {
    let used: u16 = columns.iter().map(|column| column.width + 1).sum();
    usize::from(width.saturating_sub(used))
}

/// The widest of some texts, between two bounds.
fn widest<'a>(texts: impl Iterator<Item = &'a str>, least: usize, most: usize) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0).min(most).max(least)
}

/// The first row to show, so that the selected one is in the middle where that is possible.
fn window(cursor: usize, rows: usize, room: usize) -> usize {
    cursor.saturating_sub(room / 2).min(rows.saturating_sub(room))
}
