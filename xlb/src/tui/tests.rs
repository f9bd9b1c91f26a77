//! Whole screens, as snapshots: three sizes, with and without colour, and every special case.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::app::{Action, App, Pane};
use super::theme::{Depth, Theme};
use super::{once, render};
use crate::api::types::Status;
use crate::fixtures;

const UNICODE: Theme = Theme { depth: Depth::Many, ascii: false };
const PLAIN: Theme = Theme { depth: Depth::None, ascii: true };

/// A view that has watched the made-up installation for a while.
fn watched(readings: u64) -> App {
    let mut app = App::new(Duration::from_secs(1));
    for second in 20..20 + readings {
        app.reading(fixtures::stats(second), Some(fixtures::status()));
    }
    app
}

fn screen(app: &App, theme: Theme, width: u16, height: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| render::draw(app, theme, frame.area(), frame.buffer_mut())).unwrap();
    terminal.backend().clone()
}

#[test]
fn sizes() {
    let app = watched(100);
    for (width, height) in [(80, 24), (120, 40), (160, 50), (200, 60)] {
        let name = format!("{width}x{height}");
        insta::assert_snapshot!(name, screen(&app, UNICODE, width, height));
    }
}

#[test]
fn ascii_without_colour() {
    let app = watched(100);
    let drawn = screen(&app, PLAIN, 80, 24);
    assert!(drawn.to_string().is_ascii());
    let reset = |cell: &ratatui::buffer::Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
    assert!(drawn.buffer().content.iter().all(reset));
    insta::assert_snapshot!("ascii_80x24", drawn);
}

#[test]
fn colour_changes_no_text() {
    let app = watched(100);
    let drawn = |depth| screen(&app, Theme { depth, ascii: false }, 120, 40);
    let without = drawn(Depth::None);
    for depth in [Depth::Sixteen, Depth::Many] {
        let with = drawn(depth);
        assert_eq!(with.to_string(), without.to_string());
        assert!(with.buffer().content.iter().any(|cell| cell.fg != Color::Reset));
    }
}

#[test]
fn first_reading_has_no_rates() {
    insta::assert_snapshot!("first_80x24", screen(&watched(1), UNICODE, 80, 24));
}

#[test]
fn nothing_configured() {
    let mut app = App::new(Duration::from_secs(2));
    for second in 0..3 {
        let mut stats = fixtures::stats(second);
        stats.services.clear();
        let status =
            Status { services: vec![], interfaces: vec![], warnings: vec![], ..fixtures::status() };
        app.reading(stats, Some(status));
    }
    insta::assert_snapshot!("nothing_80x24", screen(&app, UNICODE, 80, 24));
}

#[test]
fn the_agent_is_gone() {
    let mut app = watched(30);
    app.now = Duration::from_secs(10);
    app.missed("no agent: nobody listens on /run/xlb/xlb.sock".into());
    app.now = Duration::from_secs(17);
    app.missed("no agent: there is no socket /run/xlb/xlb.sock".into());
    let drawn = screen(&app, UNICODE, 80, 24).to_string();
    assert!(drawn.contains("AGENT GONE"));
    assert!(drawn.contains("gone for 7s, trying again: no agent: there is no socket"));
    // What was read last is still there.
    assert!(drawn.contains("192.0.2.10:80/tcp"));
    app.reading(fixtures::stats(60), Some(fixtures::status()));
    assert!(!screen(&app, UNICODE, 80, 24).to_string().contains("GONE"));
}

#[test]
fn paused_filtered_and_typing() {
    let mut app = watched(30);
    app.act(Action::Pause);
    let before = screen(&app, UNICODE, 80, 24).to_string();
    assert!(before.contains("PAUSED"));
    app.reading(fixtures::stats(90), Some(fixtures::status()));
    assert_eq!(screen(&app, UNICODE, 80, 24).to_string(), before);
    app.act(Action::Filter);
    "WEB".chars().for_each(|c| app.act(Action::Type(c)));
    insta::assert_snapshot!("typing_80x24", screen(&app, UNICODE, 80, 24));
}

#[test]
fn help_and_zoom() {
    let mut app = watched(30);
    app.act(Action::Focus(Pane::Reasons));
    app.act(Action::Zoom);
    insta::assert_snapshot!("zoom_100x24", screen(&app, UNICODE, 100, 24));
    app.act(Action::Help);
    insta::assert_snapshot!("help_80x24", screen(&app, UNICODE, 80, 24));
}

#[test]
fn one_frame_for_scripts_shows_everything() {
    let app = watched(2);
    let text = once::text(&app, UNICODE, 100);
    for row in app.services() {
        assert!(text.contains(&row.name), "{} is missing:\n{text}", row.name);
    }
    assert!(text.lines().all(|line| line.trim_end() == line));
    insta::assert_snapshot!("once_100", text);
}

#[test]
fn many_services_and_cpus_scroll() {
    let mut app = App::new(Duration::from_secs(1));
    for second in 5..8 {
        let mut stats = fixtures::stats(second);
        let pattern = stats.services[3].clone();
        for i in 0..200 {
            let mut service = pattern.clone();
            service.name = format!("service-{i:03}");
            stats.services.push(service);
        }
        let cpu = stats.cpus[0];
        stats.cpus.extend((4..96).map(|number| crate::api::types::CpuStats { cpu: number, ..cpu }));
        app.reading(stats, Some(fixtures::status()));
    }
    app.act(Action::Last);
    let drawn = screen(&app, UNICODE, 80, 24).to_string();
    let last = app.services().last().map(|row| row.name.clone()).unwrap();
    assert!(drawn.contains(&format!("▸ {last}")), "{drawn}");
    app.act(Action::Focus(Pane::Cpus));
    app.act(Action::Last);
    let drawn = screen(&app, UNICODE, 80, 24).to_string();
    assert!(drawn.contains("  95 "), "{drawn}");
}

#[test]
fn no_size_is_too_small() {
    let mut app = watched(10);
    for pane in Pane::ALL {
        app.act(Action::Focus(pane));
        for help in [false, true] {
            app.help = help;
            for width in (0..90).step_by(3).chain([79, 80, 300]) {
                for height in (0..12).chain([24, 50]) {
                    screen(&app, UNICODE, width, height);
                    screen(&app, PLAIN, width, height);
                }
            }
        }
    }
}
