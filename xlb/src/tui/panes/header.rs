//! The first lines: agent, interfaces, throughput, what is wrong.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Canvas;
use crate::output::{Tone, state, table, units};
use crate::tui::app::Link;
use crate::tui::history::Ring;

/// How long each warning is shown.
const TURN: Duration = Duration::from_secs(4);

impl Canvas<'_> {
    /// Version, uptime, interfaces; at the right whether what is shown is live.
    pub fn title(self, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let now = self.now();
        let mut spans = vec![Span::styled("xlb", self.theme.accent())];
        if let Some(status) = &self.app.shown().status {
            let uptime = units::duration(Duration::from_secs(status.uptime_seconds));
            spans.push(format!(" {}", table::clean(&status.version)).into());
            spans.push(Span::styled(format!("  up {uptime} "), self.theme.tone(Tone::Faint)));
            for interface in &status.interfaces {
                let (word, tone) = state::attached(interface);
                let sign = self.theme.sign(tone);
                spans.push(format!("  {} ", table::clean(&interface.name)).into());
                spans.push(Span::styled(format!("{sign} {word}"), self.theme.tone(tone)));
            }
        }
        let width = usize::from(area.width).saturating_sub(now.width() + 2);
        buf.set_line(area.x + 1, area.y, &Line::from(spans), width as u16);
        let x = area.right().saturating_sub(now.width() as u16 + 1).max(area.x);
        buf.set_line(x, area.y, &now, area.right() - x);
    }

    fn now(self) -> Line<'static> {
        let interval = format!("every {}s", self.app.interval.as_secs_f64());
        match (&self.app.link, self.app.paused()) {
            (Link::Down { .. }, _) => Line::styled(" AGENT GONE ", self.theme.alarm()),
            (Link::Up, true) => Line::styled(" PAUSED ", self.theme.mark().reversed()),
            (Link::Up, false) => Line::from(vec![
                Span::styled(self.theme.sign(Tone::Good), self.theme.tone(Tone::Good)),
                format!(" {interval}").into(),
            ]),
        }
    }

    /// Whether there is something wrong to be said.
    pub fn has_alert(self) -> bool {
        let warned = |status: &crate::api::types::Status| !status.warnings.is_empty();
        self.app.link != Link::Up || self.app.shown().status.as_ref().is_some_and(warned)
    }

    /// What is wrong: that the agent is gone, or the agent's warnings in turn.
    pub fn alert(self, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let (text, style) = match (&self.app.link, &self.app.shown().status) {
            (Link::Down { error, since }, _) => {
                let gone = units::duration(self.app.now.saturating_sub(*since));
                (format!("gone for {gone}, trying again: {error}"), self.theme.tone(Tone::Bad))
            }
            (Link::Up, Some(status)) if !status.warnings.is_empty() => {
                let count = status.warnings.len();
                let turn = (self.app.now.as_secs() / TURN.as_secs()) as usize % count;
                let of =
                    if count > 1 { format!("({} of {count}) ", turn + 1) } else { String::new() };
                (format!("{of}{}", status.warnings[turn]), self.theme.tone(Tone::Warn))
            }
            _ => return,
        };
        let text = format!("{} {}", self.theme.sign(Tone::Warn), table::clean(&text));
        let text = self.theme.cut(&text, usize::from(area.width.saturating_sub(2)));
        buf.set_string(area.x + 1, area.y, text, style);
    }

    /// Packets and bits in one line, with the past of the packets.
    pub fn throughput(self, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let shown = self.app.shown();
        let total = &shown.total;
        let [packets, bits] = self.sums();
        let faint = self.theme.tone(Tone::Faint);
        let strong = self.theme.tone(Tone::Strong);
        let line = Line::from(vec![
            Span::styled(format!("{packets}  {bits}"), strong),
            Span::styled("  in ", faint),
            self.rate(units::si(total.request_packets)).into(),
            " ".into(),
            self.rate(units::with_unit(total.request_bits, "b")).into(),
            Span::styled("  out ", faint),
            self.rate(units::si(total.reply_packets)).into(),
            " ".into(),
            self.rate(units::with_unit(total.reply_bits, "b")).into(),
        ]);
        buf.set_line(area.x + 1, area.y, &line, area.width.saturating_sub(1));
        // A fixed column, so that the graph does not move with the digits before it.
        let x = (area.x + 62).max(area.x + 3 + line.width() as u16);
        if x + 6 < area.right() {
            let width = area.right() - x - 1;
            self.plot(Rect { x, width, height: 1, ..area }, buf, &shown.packets);
        }
    }

    /// Packets and bits as two graphs side by side.
    pub fn graphs(self, area: Rect, buf: &mut Buffer) {
        let shown = self.app.shown();
        let total = &shown.total;
        let [packets, bits] = self.sums();
        let half = area.width / 2;
        let sides = [
            (packets, total.request_packets, total.reply_packets, "pps", &shown.packets),
            (bits, total.request_bits, total.reply_bits, "b/s", &shown.bits),
        ];
        for (side, (sum, requests, replies, unit, past)) in sides.into_iter().enumerate() {
            let x = area.x + 1 + half * side as u16;
            let width = half.saturating_sub(2);
            let peak = past.last(width.into()).fold(0.0, f64::max);
            let faint = self.theme.tone(Tone::Faint);
            let mut line = Line::from(vec![
                Span::styled(format!("{sum:<9}"), self.theme.tone(Tone::Strong)),
                Span::styled("  in ", faint),
                self.rate(units::with_unit(requests, unit)).into(),
                Span::styled("  out ", faint),
                self.rate(units::with_unit(replies, unit)).into(),
            ]);
            let peak = format!("  peak {}", self.rate(units::with_unit(peak, unit)));
            if line.width() + peak.len() <= usize::from(width) {
                line.push_span(Span::styled(peak, faint));
            }
            buf.set_line(x, area.y, &line, width);
            let plot = Rect { x, y: area.y + 1, width, height: area.height.saturating_sub(1) };
            self.plot(plot, buf, past);
        }
    }

    fn sums(self) -> [String; 2] {
        let total = &self.app.shown().total;
        [units::with_unit(total.packets(), "pps"), units::with_unit(total.bits(), "b/s")]
            .map(|text| self.rate(text))
    }

    fn plot(self, area: Rect, buf: &mut Buffer, past: &Ring) {
        let values: Vec<f64> = past.last(area.width.into()).collect();
        let top = values.iter().copied().fold(0.0, f64::max);
        let lines = self.theme.graph(&values, area.width.into(), area.height.into(), top);
        for (y, line) in (area.y..).zip(lines) {
            buf.set_string(area.x, y, line, self.theme.spark());
        }
    }
}
