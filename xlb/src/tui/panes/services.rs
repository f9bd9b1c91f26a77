//! The services: how they are, what they do now and did before.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Canvas, Column, rest, widest};
use crate::api::types::Protocol;
use crate::output::{Tone, units};
use crate::tui::app::Pane;
use crate::tui::history::ServiceRow;

/// From this width on requests and replies have columns of their own.
const WIDE: u16 = 130;

impl Canvas<'_> {
    /// Draws the pane.
    pub fn services(self, area: Rect, buf: &mut Buffer) {
        let app = self.app;
        let rows = app.services();
        let all = app.shown().services.len();
        let title = match app.filter.is_empty() {
            true => format!("services {all}"),
            false => format!("services {} of {all} with \"{}\"", rows.len(), app.filter),
        };
        let order = if app.reverse { ", reversed" } else { "" };
        let sorted = format!("by {}{order}", app.sort.name());
        let inner = self.frame(area, buf, Pane::Services, &title, &sorted);
        if rows.is_empty() && inner.height > 0 {
            let hint = match all {
                0 => {
                    "no services yet: xlb service add web 192.0.2.10:80/tcp --backend 10.0.0.11:8080"
                }
                _ => "no service matches: Esc clears the filter",
            };
            let hint = self.theme.cut(hint, usize::from(inner.width.saturating_sub(3)));
            buf.set_string(inner.x + 2, inner.y, hint, self.theme.tone(Tone::Faint));
            return;
        }
        let wide = area.width >= WIDE;
        let names =
            widest(rows.iter().map(|row| row.name.as_str()), 4, usize::from(area.width) / 6);
        let vips: Vec<String> = rows.iter().map(|row| vip(row)).collect();
        let vip_width =
            widest(vips.iter().map(String::as_str), 3, usize::from(area.width) * 3 / 10);
        let states = widest(rows.iter().map(|row| row.state.0.as_str()), 5, 12) + 2;
        let mut columns = vec![
            Column::left("  NAME", names + 2),
            Column::left("VIP", vip_width),
            Column::left("STATE", states),
            Column::right("NEW/S", 6),
        ];
        columns.extend(match wide {
            true => vec![
                Column::right("BACKENDS", 8),
                Column::right("IN PKT/S", 9),
                Column::right("IN BIT/S", 9),
                Column::right("OUT PKT/S", 9),
                Column::right("OUT BIT/S", 9),
            ],
            false => vec![Column::right("PKT/S", 6), Column::right("BIT/S", 8)],
        });
        let spark = rest(&columns, inner.width).saturating_sub(2);
        columns.push(Column::left(if spark >= 8 { " PACKETS" } else { "" }, spark + 1));
        let lines = rows.iter().zip(vips).enumerate().map(|(i, (row, vip))| {
            let mut cells = vec![
                Line::from(vec![
                    self.pointer(Pane::Services, i),
                    Span::raw(self.theme.cut(&row.name, names)),
                ]),
                Line::from(self.theme.cut(&vip, vip_width)),
                self.said(&row.state),
                self.number(row.rate.opened, units::si(row.rate.opened)),
            ];
            cells.extend(self.traffic(row, wide));
            cells.push(self.spark(&row.packets, spark));
            cells
        });
        self.table(inner, buf, Pane::Services, &columns, lines.collect());
    }

    fn traffic(self, row: &ServiceRow, wide: bool) -> Vec<Line<'static>> {
        let rate = &row.rate;
        if !wide {
            return vec![
                self.number(rate.packets(), units::si(rate.packets())),
                self.number(rate.bits(), units::with_unit(rate.bits(), "b")),
            ];
        }
        vec![
            Line::from(row.backends.len().to_string()),
            self.number(rate.request_packets, units::si(rate.request_packets)),
            self.number(rate.request_bits, units::with_unit(rate.request_bits, "b")),
            self.number(rate.reply_packets, units::si(rate.reply_packets)),
            self.number(rate.reply_bits, units::with_unit(rate.reply_bits, "b")),
        ]
    }
}

fn vip(row: &ServiceRow) -> String {
    let protocol = match row.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", row.vip)
}
