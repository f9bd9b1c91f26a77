//! From keys to actions.
//!
//! The one place that knows the keyboard; `KEYS` is what the help shows.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::app::{Action, App, Pane};

/// The keys and what they do, as the help shows them.
pub const KEYS: &[(&str, &str)] = &[
    ("up down j k", "select a row"),
    ("PgUp PgDn g G", "ten rows; first, last row"),
    ("Tab 1 2 3 4", "next pane; services, backends, reasons, CPUs"),
    ("Enter", "this pane alone, or all of them"),
    ("s  S", "sort services by packets, bits, new, name; turn round"),
    ("/", "show services whose name, VIP or backend contains ..."),
    ("p Space", "hold the picture still; counting goes on"),
    ("Ctrl-L", "draw everything anew"),
    ("?", "show or hide this"),
    ("q Esc Ctrl-C", "leave"),
];

/// What a key asks for.
pub fn action(app: &App, key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Action::Quit),
            KeyCode::Char('l') => Some(Action::Redraw),
            _ => None,
        };
    }
    if app.typing { typed(key.code) } else { pressed(key.code) }
}

fn typed(code: KeyCode) -> Option<Action> {
    Some(match code {
        KeyCode::Char(c) if !c.is_control() => Action::Type(c),
        KeyCode::Backspace => Action::Erase,
        KeyCode::Enter => Action::Accept,
        KeyCode::Esc => Action::Back,
        KeyCode::Up => Action::Move(-1),
        KeyCode::Down => Action::Move(1),
        _ => return None,
    })
}

fn pressed(code: KeyCode) -> Option<Action> {
    Some(match code {
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Esc => Action::Back,
        KeyCode::Up | KeyCode::Char('k') => Action::Move(-1),
        KeyCode::Down | KeyCode::Char('j') => Action::Move(1),
        KeyCode::PageUp => Action::Move(-10),
        KeyCode::PageDown => Action::Move(10),
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => Action::Cycle { back: false },
        KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => Action::Cycle { back: true },
        KeyCode::Char('1') => Action::Focus(Pane::Services),
        KeyCode::Char('2') => Action::Focus(Pane::Backends),
        KeyCode::Char('3') => Action::Focus(Pane::Reasons),
        KeyCode::Char('4') => Action::Focus(Pane::Cpus),
        KeyCode::Enter | KeyCode::Char('z') => Action::Zoom,
        KeyCode::Char('s') => Action::Sort,
        KeyCode::Char('S') => Action::Reverse,
        KeyCode::Char('p' | ' ') => Action::Pause,
        KeyCode::Char('?') | KeyCode::F(1) => Action::Help,
        KeyCode::Char('/') => Action::Filter,
        _ => return None,
    })
}
