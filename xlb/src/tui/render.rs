//! Where the panes go.
//!
//! Top to bottom: title, what is wrong, throughput, services, backends, and reasons beside CPUs,
//! then the keys. Each pane gets the rows it wants while there are enough; rows that nobody wants
//! make the throughput a graph. When there are too few, the panes share them out evenly.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::app::{App, Pane};
use super::panes::Canvas;
use super::theme::Theme;

/// The least rows in which three layers of panes make sense.
const LEAST: u16 = 9;

/// Draws everything.
pub fn draw(app: &App, theme: Theme, area: Rect, buf: &mut Buffer) {
    let canvas = Canvas { app, theme };
    if area.width < 4 || area.height == 0 {
        return;
    }
    let mut rows = Rows(area);
    canvas.title(rows.top(1), buf);
    if canvas.has_alert() {
        canvas.alert(rows.top(1), buf);
    }
    canvas.footer(rows.bottom(1), buf);
    panes(canvas, rows, buf);
    if app.help {
        canvas.help(area, buf);
    }
}

/// Draws all but the keys, for paper. The area is as tall as [`natural_height`] says.
pub fn draw_once(app: &App, theme: Theme, area: Rect, buf: &mut Buffer) {
    let canvas = Canvas { app, theme };
    let mut rows = Rows(area);
    canvas.title(rows.top(1), buf);
    if canvas.has_alert() {
        canvas.alert(rows.top(1), buf);
    }
    panes(canvas, rows, buf);
}

/// How many rows [`draw_once`] needs to show everything.
pub fn natural_height(app: &App, theme: Theme) -> u16 {
    let alert = u16::from(Canvas { app, theme }.has_alert());
    2 + alert + wants(app).iter().sum::<u16>()
}

fn panes(canvas: Canvas<'_>, mut rows: Rows, buf: &mut Buffer) {
    let wants = wants(canvas.app);
    if canvas.app.zoom || rows.0.height < LEAST + 1 {
        canvas.throughput(rows.top(1), buf);
        return pane(canvas, canvas.app.focus, rows.0, buf);
    }
    let spare = (rows.0.height - 1).saturating_sub(wants.iter().sum());
    if spare >= 3 {
        // Two thirds of what is to spare, and never so much that the graphs are the main thing.
        let tallest = (rows.0.height * 2 / 5).max(4);
        canvas.graphs(rows.top(((spare + 1) * 2 / 3).clamp(4, tallest)), buf);
    } else {
        canvas.throughput(rows.top(1), buf);
    }
    let [services, backends, _] = share_out(rows.0.height, wants);
    pane(canvas, Pane::Services, rows.top(services), buf);
    pane(canvas, Pane::Backends, rows.top(backends), buf);
    let reasons = rows.0.width * 3 / 5;
    let left = Rect { width: reasons.saturating_sub(1), ..rows.0 };
    let right = Rect { x: rows.0.x + reasons, width: rows.0.width - reasons, ..rows.0 };
    pane(canvas, Pane::Reasons, left, buf);
    pane(canvas, Pane::Cpus, right, buf);
}

fn pane(canvas: Canvas<'_>, pane: Pane, area: Rect, buf: &mut Buffer) {
    match pane {
        Pane::Services => canvas.services(area, buf),
        Pane::Backends => canvas.backends(area, buf),
        Pane::Reasons => canvas.reasons(area, buf),
        Pane::Cpus => canvas.cpus(area, buf),
    }
}

/// How many rows services, backends and the two panes at the bottom want.
fn wants(app: &App) -> [u16; 3] {
    let shown = app.shown();
    // The largest pool and not the selected one's: panes stay where they are.
    let pool = shown.services.iter().map(|row| row.backends.len()).max().unwrap_or(0);
    let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX / 8).clamp(1, u16::MAX / 8);
    let cpus = shown.cpus.len().div_ceil(if shown.cpus.len() > 8 { 2 } else { 1 });
    let bottom = rows((shown.reasons.len() + 1).max(cpus.min(16)));
    [rows(shown.services.len()) + 2, rows(pool) + 2, bottom + 1]
}

/// Gives out rows one at a time, to whoever has the fewest and wants more; the rest to the last.
fn share_out(rows: u16, wants: [u16; 3]) -> [u16; 3] {
    let mut got = [0; 3];
    for _ in 0..rows {
        let next = (0..3).filter(|i| got[*i] < wants[*i]).min_by_key(|i| got[*i]);
        got[next.unwrap_or(2)] += 1;
    }
    got
}

/// An area from which rows are taken.
struct Rows(Rect);

impl Rows {
    fn top(&mut self, height: u16) -> Rect {
        let height = height.min(self.0.height);
        let taken = Rect { height, ..self.0 };
        self.0 = Rect { y: self.0.y + height, height: self.0.height - height, ..self.0 };
        taken
    }

    fn bottom(&mut self, height: u16) -> Rect {
        let height = height.min(self.0.height);
        self.0.height -= height;
        Rect { y: self.0.bottom(), height, ..self.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_to_who_has_fewest_and_no_one_gets_more_than_wanted() {
        assert_eq!(share_out(18, [7, 6, 5]), [7, 6, 5]);
        assert_eq!(share_out(20, [7, 6, 5]), [7, 6, 7]);
        assert_eq!(share_out(12, [100, 100, 3]), [5, 4, 3]);
        assert_eq!(share_out(0, [1, 1, 1]), [0, 0, 0]);
    }
}
