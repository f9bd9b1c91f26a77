//! What is on the screen and what keys do to it.
//!
//! Pure: readings, keys and the time come in through methods, and drawing only reads. A selection
//! is a service's name, so it stays with the service when the order changes.

use std::time::Duration;

use super::history::{History, ServiceRow};
use crate::api::types::{Stats, Status};

/// The panes, in the order of Tab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// The services.
    #[default]
    Services,
    /// The backends of the selected service.
    Backends,
    /// What was passed and dropped.
    Reasons,
    /// The CPUs.
    Cpus,
}

impl Pane {
    /// All of them, in the order of Tab.
    pub const ALL: [Self; 4] = [Self::Services, Self::Backends, Self::Reasons, Self::Cpus];
}

/// What services are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Packets a second, most first, smoothed so that rows do not jump about.
    #[default]
    Packets,
    /// Bits a second, most first.
    Bits,
    /// New connections a second, most first.
    Opened,
    /// Name.
    Name,
}

impl Sort {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Bits => "bits",
            Self::Opened => "new",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Packets => Self::Bits,
            Self::Bits => Self::Opened,
            Self::Opened => Self::Name,
            Self::Name => Self::Packets,
        }
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave.
    Quit,
    /// Leave what is open: help, filter, zoom; then the program.
    Back,
    /// Move the selection, in rows.
    Move(isize),
    /// Move the selection to the first row.
    First,
    /// Move the selection to the last row.
    Last,
    /// To the next pane, or to the one before.
    Cycle {
        /// Whether to the one before.
        back: bool,
    },
    /// To this pane.
    Focus(Pane),
    /// The focused pane alone, or all of them.
    Zoom,
    /// The next order of services.
    Sort,
    /// Turn the order round.
    Reverse,
    /// Hold the picture still, or go on.
    Pause,
    /// Show the keys, or hide them.
    Help,
    /// Start to type a filter.
    Filter,
    /// Type into the filter.
    Type(char),
    /// Take the last character of the filter back.
    Erase,
    /// Keep the filter as it is.
    Accept,
    /// Draw everything anew.
    Redraw,
}

/// How the agent is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// It answers.
    #[default]
    Up,
    /// It does not.
    Down {
        /// Why.
        error: String,
        /// When it was first missed.
        since: Duration,
    },
}

/// The state of the live view.
#[derive(Debug, Default)]
pub struct App {
    /// The readings.
    live: History,
    /// The readings as they were when the picture was held still.
    frozen: Option<Box<History>>,
    /// How the agent is doing.
    pub link: Link,
    /// Time since the start.
    pub now: Duration,
    /// Time between two readings.
    pub interval: Duration,
    /// The pane that keys act on.
    pub focus: Pane,
    /// Whether it is alone.
    pub zoom: bool,
    /// Whether the keys are shown.
    pub help: bool,
    /// What services are ordered by.
    pub sort: Sort,
    /// Whether the order is turned round.
    pub reverse: bool,
    /// What services must contain: in their name, VIP or a backend.
    pub filter: String,
    /// Whether the filter is being typed.
    pub typing: bool,
    /// Whether to leave.
    pub quit: bool,
    selected: Option<String>,
    cursors: [usize; Pane::ALL.len()],
}

impl App {
    /// The state before the first reading.
    pub fn new(interval: Duration) -> Self {
        Self { interval, ..Self::default() }
    }

    /// Takes in a reading.
    pub fn reading(&mut self, stats: Stats, status: Option<Status>) {
        self.link = Link::Up;
        self.live.push(stats, status);
        self.settle();
    }

    /// Takes in that the agent did not answer.
    pub fn missed(&mut self, error: String) {
        let since = match &self.link {
            Link::Down { since, .. } => *since,
            Link::Up => self.now,
        };
        self.link = Link::Down { error, since };
    }

    /// What is drawn: the readings, or the ones held still.
    pub fn shown(&self) -> &History {
        self.frozen.as_deref().unwrap_or(&self.live)
    }

    /// Whether the picture is held still.
    pub fn paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// The services that pass the filter, in order.
    pub fn services(&self) -> Vec<&ServiceRow> {
        let wanted = self.filter.to_lowercase();
        let passes = |row: &&ServiceRow| {
            row.name.to_lowercase().contains(&wanted)
                || row.vip.to_string().contains(&wanted)
                || row.backends.iter().any(|b| b.address.to_string().contains(&wanted))
        };
        let mut rows: Vec<&ServiceRow> = self.shown().services.iter().filter(passes).collect();
        let weight = |row: &ServiceRow| match self.sort {
            Sort::Packets => row.packets.recent(),
            Sort::Bits => row.rate.bits(),
            Sort::Opened => row.rate.opened,
            Sort::Name => 0.0,
        };
        rows.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then_with(|| a.name.cmp(&b.name)));
        if self.reverse {
            rows.reverse();
        }
        rows
    }

    /// The selected service.
    pub fn service(&self) -> Option<&ServiceRow> {
        self.services().get(self.cursor(Pane::Services)).copied()
    }

    /// The selected row of a pane.
    pub fn cursor(&self, pane: Pane) -> usize {
        self.cursors[pane as usize]
    }

    /// Does what a key asks for.
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Quit => self.quit = true,
            Action::Back => self.back(),
            Action::Move(rows) => self.move_to(self.cursor(self.focus).saturating_add_signed(rows)),
            Action::First => self.move_to(0),
            Action::Last => self.move_to(usize::MAX),
            Action::Cycle { back } => {
                let step = if back { Pane::ALL.len() - 1 } else { 1 };
                self.focus = Pane::ALL[(self.focus as usize + step) % Pane::ALL.len()];
            }
            Action::Focus(pane) => self.focus = pane,
            Action::Zoom => self.zoom = !self.zoom,
            Action::Sort => self.sort = self.sort.next(),
            Action::Reverse => self.reverse = !self.reverse,
            Action::Pause => {
                self.frozen = match self.frozen {
                    Some(_) => None,
                    None => Some(Box::new(self.live.clone())),
                }
            }
            Action::Help => self.help = !self.help,
            Action::Filter => self.typing = true,
            Action::Type(c) if self.filter.len() < 64 => self.filter.push(c),
            Action::Type(_) | Action::Redraw => {}
            Action::Erase => drop(self.filter.pop()),
            Action::Accept => self.typing = false,
        }
        self.settle();
    }

    fn back(&mut self) {
        if self.help {
            self.help = false;
        } else if self.typing || !self.filter.is_empty() {
            self.typing = false;
            self.filter.clear();
        } else if self.zoom {
            self.zoom = false;
        } else {
            self.quit = true;
        }
    }

    fn move_to(&mut self, row: usize) {
        self.cursors[self.focus as usize] = row;
        if self.focus == Pane::Services {
            let names: Vec<String> = self.services().iter().map(|row| row.name.clone()).collect();
            self.selected = names.get(row.min(names.len().saturating_sub(1))).cloned();
            self.cursors[Pane::Backends as usize] = 0;
        }
    }

    /// Brings selections back in line with what there is to select.
    fn settle(&mut self) {
        let services = self.services();
        let found =
            self.selected.as_ref().and_then(|name| services.iter().position(|r| r.name == *name));
        let service =
            found.unwrap_or(self.cursor(Pane::Services).min(services.len().saturating_sub(1)));
        let shown = self.shown();
        // Until there are rates the order says nothing, and the first row is as good as any.
        let selected = services.get(service).filter(|_| shown.rated).map(|row| row.name.clone());
        let backends = services.get(service).map_or(0, |row| row.backends.len());
        let (reasons, cpus) = (shown.reasons.len(), shown.cpus.len());
        self.cursors[Pane::Services as usize] = service;
        for (pane, rows) in
            [(Pane::Backends, backends), (Pane::Reasons, reasons), (Pane::Cpus, cpus)]
        {
            let cursor = &mut self.cursors[pane as usize];
            *cursor = (*cursor).min(rows.saturating_sub(1));
        }
        self.selected = selected;
    }
}

#[cfg(test)]
mod tests;
