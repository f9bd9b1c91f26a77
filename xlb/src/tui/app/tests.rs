//! Keys and readings, and what becomes of selections.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::fixtures;
use crate::tui::input;

fn app() -> App {
    let mut app = App::new(Duration::from_secs(1));
    for second in 20..24 {
        app.reading(fixtures::stats(second), Some(fixtures::status()));
    }
    app
}

fn press(app: &mut App, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\x1b' => KeyCode::Esc,
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\x08' => KeyCode::Backspace,
            key => KeyCode::Char(key),
        };
        if let Some(action) = input::action(app, KeyEvent::new(code, KeyModifiers::NONE)) {
            app.act(action);
        }
    }
}

fn names(app: &App) -> Vec<&str> {
    app.services().iter().map(|row| row.name.as_str()).collect()
}

fn selected(app: &App) -> &str {
    app.service().map_or("", |row| row.name.as_str())
}

#[test]
fn services_are_ordered_by_packets_until_asked_otherwise() {
    let mut app = app();
    assert_eq!(names(&app), ["web", "web6", "dns", "api", "empty"]);
    press(&mut app, "sss");
    assert_eq!(app.sort, Sort::Name);
    assert_eq!(names(&app), ["api", "dns", "empty", "web", "web6"]);
    press(&mut app, "S");
    assert_eq!(names(&app), ["web6", "web", "empty", "dns", "api"]);
    press(&mut app, "sS");
    assert_eq!((app.sort, app.reverse), (Sort::Packets, false));
}

#[test]
fn the_selection_stays_with_its_service() {
    let mut app = app();
    assert_eq!(selected(&app), "web");
    press(&mut app, "jj");
    assert_eq!(selected(&app), "dns");
    press(&mut app, "sss");
    assert_eq!((selected(&app), app.cursor(Pane::Services)), ("dns", 1));
    press(&mut app, "G");
    assert_eq!(selected(&app), "web6");
    press(&mut app, "jjjg");
    assert_eq!(selected(&app), "api");
}

#[test]
fn when_its_service_goes_the_selection_goes_to_the_row() {
    let mut app = app();
    press(&mut app, "jj");
    let mut stats = fixtures::stats(30);
    stats.services.retain(|service| service.name != "dns");
    app.reading(stats, None);
    assert_eq!(selected(&app), "api");
    app.reading(Stats { services: vec![], ..fixtures::stats(31) }, None);
    assert_eq!(selected(&app), "");
    press(&mut app, "jkGg\tjG");
    app.reading(fixtures::stats(32), None);
    assert_eq!(app.services().len(), 5);
}

#[test]
fn a_filter_looks_at_names_vips_and_backends() {
    let mut app = app();
    press(&mut app, "/WEB");
    assert_eq!(names(&app), ["web", "web6"]);
    press(&mut app, "6\n");
    assert_eq!((names(&app), app.typing), (vec!["web6"], false));
    press(&mut app, "\x1b/10.0.0.2");
    assert_eq!(names(&app), ["dns"]);
    press(&mut app, "\x08\x08\x08\x08\x08\x082.10:8");
    assert_eq!(app.filter, "102.10:8");
    press(&mut app, "\x1b/2.0.2.10");
    assert_eq!(names(&app), ["web", "api"]);
    press(&mut app, "q");
    assert!(!app.quit);
    press(&mut app, "\x1b");
    assert_eq!((app.filter.as_str(), app.quit), ("", false));
}

#[test]
fn escape_leaves_what_is_open_and_then_the_program() {
    let mut app = app();
    press(&mut app, "\n?/x\n");
    assert!(app.zoom && app.help);
    press(&mut app, "\x1b");
    assert!(app.zoom && !app.help && app.filter == "x");
    press(&mut app, "\x1b");
    assert!(app.zoom && app.filter.is_empty());
    press(&mut app, "\x1b");
    assert!(!app.zoom && !app.quit);
    press(&mut app, "\x1b");
    assert!(app.quit);
}

#[test]
fn control_c_leaves_even_while_typing() {
    let mut app = app();
    press(&mut app, "/");
    let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(input::action(&app, key), Some(Action::Quit));
}

#[test]
fn panes_come_in_turn_and_rows_are_theirs() {
    let mut app = app();
    press(&mut app, "\tjj");
    assert_eq!((app.focus, app.cursor(Pane::Backends)), (Pane::Backends, 2));
    press(&mut app, "jjjjj");
    assert_eq!(app.cursor(Pane::Backends), 3);
    press(&mut app, "\t\t\t");
    assert_eq!(app.focus, Pane::Services);
    press(&mut app, "h");
    assert_eq!(app.focus, Pane::Cpus);
    press(&mut app, "1j");
    // Another service, another pool.
    assert_eq!(app.cursor(Pane::Backends), 0);
}

#[test]
fn a_pause_holds_the_picture_and_counting_goes_on() {
    let mut app = app();
    let held = app.shown().total;
    press(&mut app, "p");
    app.reading(fixtures::stats(28), None);
    assert_eq!(app.shown().total, held);
    press(&mut app, "p");
    assert_ne!(app.shown().total, held);
    assert_eq!(app.shown().packets.last(99).len(), 4);
}

#[test]
fn the_agent_is_gone_since_it_was_first_missed() {
    let mut app = app();
    app.now = Duration::from_secs(5);
    app.missed("a".into());
    app.now = Duration::from_secs(6);
    app.missed("b".into());
    assert_eq!(app.link, Link::Down { error: "b".into(), since: Duration::from_secs(5) });
    app.reading(fixtures::stats(40), None);
    assert_eq!(app.link, Link::Up);
}
