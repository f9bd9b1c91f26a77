//! The live view: `xlb top`.
//!
//! State is pure (`app`, `history`), drawing only reads it (`render`, `panes`), keys become
//! actions in `input`, and all I/O is in `live`: the terminal, the keyboard, signals, the agent.
//! So every screen can be drawn in a test, and `--once` (`once`) is the same drawing on paper.

/// What is on the screen and what keys do to it.
pub mod app;
/// Readings become rates, shares and the past.
pub mod history;
/// From keys to actions.
pub mod input;
/// The terminal, the keyboard, signals and the agent.
pub mod live;
/// One frame as plain text.
pub mod once;
/// The panes, one file each.
pub mod panes;
/// Where the panes go.
pub mod render;
/// Colours and glyphs.
pub mod theme;

#[cfg(test)]
mod tests;
