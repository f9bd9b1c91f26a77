//! Colours and glyphs.
//!
//! Colours are few and told apart by people who do not see all of them (after Okabe and Ito), in
//! 256 or in 16; without colour only bold, faint and reverse are left. What a colour says, a word or
//! a glyph says too. Glyphs are Unicode blocks, or ASCII where those can't be drawn.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use crate::output::Tone;

/// How many colours there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// None.
    #[default]
    None,
    /// The terminal's own 16.
    Sixteen,
    /// The 256 of xterm.
    Many,
}

/// What the screen is drawn with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// How many colours there are.
    pub depth: Depth,
    /// Whether there is only ASCII.
    pub ascii: bool,
}

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LETTERS: [char; 9] = [' ', '_', '.', ':', '-', '=', '+', '*', '#'];

/// Only the line on top, in ASCII.
const ASCII_LINE: border::Set<'_> = border::Set {
    top_left: "-",
    top_right: "-",
    bottom_left: "-",
    bottom_right: "-",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

impl Theme {
    /// What the environment and `--color` ask for.
    pub fn new(color: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let term = env("TERM").unwrap_or_default();
        let first = |names: &[&str]| {
            names.iter().find_map(|name| env(name).filter(|value| !value.is_empty()))
        };
        let locale = first(&["LC_ALL", "LC_CTYPE", "LANG"]).unwrap_or_default().to_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let rich = first(&["COLORTERM"]).is_some() || term.contains("256color");
        let depth = match (color, rich) {
            (false, _) => Depth::None,
            (true, false) => Depth::Sixteen,
            (true, true) => Depth::Many,
        };
        Self { depth, ascii: !utf8 || term == "dumb" || term == "linux" }
    }

    fn color(self, sixteen: Color, many: u8) -> Style {
        match self.depth {
            Depth::None => Style::new(),
            Depth::Sixteen => Style::new().fg(sixteen),
            Depth::Many => Style::new().fg(Color::Indexed(many)),
        }
    }

    /// The style of a tone.
    pub fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
            Tone::Faint => Style::new().add_modifier(Modifier::DIM),
            Tone::Good => self.color(Color::Green, 36),
            Tone::Warn => self.color(Color::Yellow, 214),
            Tone::Bad => self.color(Color::Red, 202).add_modifier(Modifier::BOLD),
        }
    }

    /// The name of the program, and what keys act on.
    pub fn accent(self) -> Style {
        self.color(Color::Cyan, 74).add_modifier(Modifier::BOLD)
    }

    /// Sparklines and graphs.
    pub fn spark(self) -> Style {
        self.color(Color::Cyan, 74)
    }

    /// Bars of shares and load.
    pub fn bar(self) -> Style {
        self.color(Color::Blue, 32)
    }

    /// The second part of a bar.
    pub fn bar_rest(self) -> Style {
        self.color(Color::Magenta, 175)
    }

    /// The mark on a bar.
    pub fn mark(self) -> Style {
        self.color(Color::Yellow, 221).add_modifier(Modifier::BOLD)
    }

    /// What must not be missed.
    pub fn alarm(self) -> Style {
        self.tone(Tone::Bad).add_modifier(Modifier::REVERSED)
    }

    /// A glyph that says what a tone says.
    pub fn sign(self, tone: Tone) -> &'static str {
        match (tone, self.ascii) {
            (Tone::Warn, false) => "▲",
            (Tone::Warn, true) => "!",
            (Tone::Bad, false) => "▼",
            (Tone::Bad, true) => "x",
            (_, false) => "●",
            (_, true) => "o",
        }
    }

    /// One of two glyphs.
    pub fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }

    /// The lines of boxes.
    pub fn border(self) -> border::Set<'static> {
        if self.ascii { ASCII_LINE } else { border::PLAIN }
    }

    /// Text that is cut to a width, with a sign that it was.
    pub fn cut(self, text: &str, width: usize) -> String {
        if text.chars().count() <= width {
            return text.to_owned();
        }
        let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
        cut.push_str(if width == 0 { "" } else { self.pick("…", "~") });
        cut
    }

    /// A graph of values, newest at the right; the top line first. Zero is a thin line, nothing
    /// is blank, and anything over zero is more than the thin line.
    pub fn graph(self, values: &[f64], width: usize, height: usize, top: f64) -> Vec<String> {
        let glyphs = if self.ascii { LETTERS } else { BLOCKS };
        let steps = height * (glyphs.len() - 1);
        let level = |value: f64| {
            let part = if top > 0.0 { value / top * steps as f64 } else { 0.0 };
            (part.ceil() as usize).clamp(if value > 0.0 { 2 } else { 1 }, steps)
        };
        let values = &values[values.len().saturating_sub(width)..];
        let line = |row: usize| {
            let under = row * (glyphs.len() - 1);
            let blank = std::iter::repeat_n(' ', width - values.len());
            let glyph = |v: &f64| glyphs[level(*v).saturating_sub(under).min(glyphs.len() - 1)];
            blank.chain(values.iter().map(glyph)).collect()
        };
        (0..height).rev().map(line).collect()
    }

    /// How many cells of a bar of this width are full, and what is drawn in the one after them.
    pub fn fill(self, share: f64, width: usize) -> (usize, &'static str) {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
        if self.ascii { ((eighths + 4) / 8, "") } else { (eighths / 8, EIGHTHS[eighths % 8]) }
    }
}

#[cfg(test)]
mod tests;
