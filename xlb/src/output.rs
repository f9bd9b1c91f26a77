//! What the command line prints: nothing else writes to standard output or standard error.
//!
//! Data goes to standard output, as text or, with `--json`, as one JSON object; messages go to
//! standard error. Text is made by pure functions from a `Paint`, so that tests see exactly what
//! users see. A reader that went away is not an error: see `is_broken_pipe`.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use serde::Serialize;

use crate::cli::{ColorWhen, Global};
use crate::fault::{Exit, Fault};

/// Words for how things are, and how good that is.
pub mod state;
/// Plain aligned columns.
pub mod table;
/// Numbers for people.
pub mod units;

/// How much attention a piece of text wants. Words say the same: tone is never the only sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Ordinary.
    #[default]
    Plain,
    /// Headings.
    Strong,
    /// Of little interest.
    Faint,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Broken.
    Bad,
}

/// Puts colour on text, or leaves it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    /// Whether escape sequences are written.
    pub color: bool,
}

impl Paint {
    /// The text in that tone.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "1;31",
        };
        if self.color && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Where a command's results go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
    stdout: Paint,
    stderr: Paint,
    in_place: bool,
}

impl Output {
    /// What the global options and the environment ask for.
    pub fn new(global: &Global) -> Self {
        let tty = io::stdout().is_terminal();
        Self {
            json: global.json,
            stdout: Paint { color: wants_color(global.color, tty) },
            stderr: Paint { color: wants_color(global.color, io::stderr().is_terminal()) },
            in_place: tty && !global.json && !is_dumb(),
        }
    }

    /// Prints a result.
    pub fn print<T: Serialize>(&self, value: &T, text: impl FnOnce(Paint) -> String) -> Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            let pretty = io::stdout().is_terminal();
            if pretty {
                serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
            } else {
                serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
            }
            writeln!(out)?;
        } else {
            out.write_all(text(self.stdout).as_bytes())?;
        }
        Ok(out.flush()?)
    }

    /// Prints one of a series of results: in place on a terminal, else one after the other, JSON
    /// always one object a line.
    pub fn frame<T: Serialize>(&self, value: &T, text: impl FnOnce(Paint) -> String) -> Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
        } else {
            if self.in_place {
                write!(out, "\x1b[H\x1b[2J")?;
            }
            out.write_all(text(self.stdout).as_bytes())?;
        }
        writeln!(out)?;
        Ok(out.flush()?)
    }

    /// Prints plain text that has no JSON shape.
    pub fn text(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Says what works but that the operator should know of. With `--json` it is in the result.
    pub fn warnings(&self, warnings: &[String]) {
        if !self.json {
            for warning in warnings {
                let head = self.stderr.tone(Tone::Warn, "warning:");
                let _ = writeln!(io::stderr(), "{head} {}", table::clean(warning));
            }
        }
    }

    /// Says why the command failed.
    pub fn fault(&self, fault: &Fault) {
        let mut err = io::stderr().lock();
        // Nobody is left to tell when this fails.
        let _ = if self.json {
            serde_json::to_string(&fault.to_failure())
                .map_err(io::Error::from)
                .and_then(|line| writeln!(err, "{line}"))
        } else {
            err.write_all(fault_text(fault, self.stderr).as_bytes())
        };
    }
}

/// Says what is wrong with the command line, or prints the help that was asked for. What is returned
/// is the exit code. With `--json` among the words, the error is JSON.
pub fn wrong_usage(error: &clap::Error) -> u8 {
    let json = || std::env::args().any(|word| word == "--json" || word == "-j");
    if !error.use_stderr() || !json() {
        // Nobody is left to tell when this fails.
        let _ = error.print();
        return error.exit_code() as u8;
    }
    let fault = usage_fault(&error.render().to_string());
    let output = Output { json: true, ..Output::new(&Global::default()) };
    output.fault(&fault);
    fault.exit as u8
}

/// The first paragraph of clap's text is the error and the others are the help.
fn usage_fault(text: &str) -> Fault {
    let (error, help) = text.trim().split_once("\n\n").unwrap_or((text.trim(), "xlb --help"));
    let error = error.strip_prefix("error: ").unwrap_or(error);
    Fault::new(error).help(help.trim()).exit(Exit::Usage)
}

fn fault_text(fault: &Fault, paint: Paint) -> String {
    let mut text = format!("{} {}\n", paint.tone(Tone::Bad, "error:"), fault.error.trim_end());
    if let Some(help) = &fault.help {
        text += &format!("{} {}\n", paint.tone(Tone::Strong, "help:"), help.trim_end());
    }
    text
}

/// Whether an error only says that the reader of our output is gone.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Whether to write colour to a stream.
pub fn wants_color(when: ColorWhen, terminal: bool) -> bool {
    color_rule(when, terminal, |name| std::env::var(name).ok())
}

fn color_rule(when: ColorWhen, terminal: bool, env: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| env(name).is_some_and(|value| !value.is_empty());
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto if set("NO_COLOR") => false,
        ColorWhen::Auto if env("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0") => true,
        ColorWhen::Auto => terminal && env("TERM").is_none_or(|term| term != "dumb"),
    }
}

fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(when: ColorWhen, terminal: bool, env: &[(&str, &str)]) -> bool {
        color_rule(when, terminal, |name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colour_follows_option_then_environment_then_terminal() {
        use ColorWhen::{Always, Auto, Never};
        assert!(rule(Auto, true, &[("TERM", "xterm")]));
        assert!(!rule(Auto, false, &[("TERM", "xterm")]));
        assert!(!rule(Auto, true, &[("TERM", "dumb")]));
        assert!(!rule(Auto, true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(rule(Auto, true, &[("NO_COLOR", "")]));
        assert!(rule(Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(rule(Always, false, &[("NO_COLOR", "1")]));
        assert!(!rule(Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn the_help_of_wrong_usage_is_what_follows_the_error() {
        let fault = usage_fault("error: no such thing\n\n  tip: another\n\nUsage: xlb\n");
        assert_eq!(fault.error, "no such thing");
        assert_eq!(fault.help.as_deref(), Some("tip: another\n\nUsage: xlb"));
        assert_eq!(fault.exit, Exit::Usage);
    }

    #[test]
    fn a_fault_is_two_lines_at_most() {
        let fault = Fault::new("no such service: wbe").help("did you mean web?");
        assert_eq!(
            fault_text(&fault, Paint::default()),
            "error: no such service: wbe\nhelp: did you mean web?\n"
        );
        assert_eq!(
            fault_text(&Fault::new("no"), Paint { color: true }),
            "\x1b[1;31merror:\x1b[0m no\n"
        );
    }
}
