//! One frame as plain text, for scripts and for READMEs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::app::App;
use super::render;
use super::theme::{Depth, Theme};

/// The least width that is drawn.
const LEAST: u16 = 60;

/// The frame, as wide as asked and as tall as it takes; no line ends with spaces.
pub fn text(app: &App, theme: Theme, width: u16) -> String {
    let theme = Theme { depth: Depth::None, ..theme };
    let area = Rect::new(0, 0, width.max(LEAST), render::natural_height(app, theme));
    let mut buf = Buffer::empty(area);
    render::draw_once(app, theme, area, &mut buf);
    let line = |y| {
        let cells = (0..area.width).map(|x| buf[(x, y)].symbol());
        let line: String = cells.collect();
        format!("{}\n", line.trim_end())
    };
    (0..area.height).map(line).collect()
}
