//! The documents say what the program does: reasons have their lines, commands can be typed.
//!
//! docs/api.md and docs/configuration.md are read by the tests of what they describe.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test leans on may end the test")]

use std::path::{Path, PathBuf};

use clap::Parser as _;
use xlb::cli::Cli;
use xlb_common::reason::{Action, Reason};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All pages for users.
fn pages() -> Vec<PathBuf> {
    let in_docs =
        std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> =
        in_docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    let at_the_top =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    pages.extend(at_the_top.map(|name| root().join(name)));
    assert!(pages.len() > at_the_top.len());
    pages
}

#[test]
fn every_reason_has_its_line() {
    let page = read("docs/operations.md");
    let (_, table) = page.split_once("\n## Reasons\n").unwrap();
    let table = table.split("\n## ").next().unwrap();
    let documented: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            Some((cells.next()?.strip_suffix('`')?, cells.next()?))
        })
        .collect();
    let actual: Vec<(&str, &str)> = Reason::ALL
        .iter()
        .map(|reason| {
            let action = match reason.action() {
                Action::Pass => "pass",
                Action::HandUp => "hand-up",
                Action::Drop => "drop",
            };
            (reason.name(), action)
        })
        .collect();
    assert_eq!(documented, actual, "docs/operations.md has other reasons than xlb-common");
}

/// The words of a line of shell, up to a pipe or a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars().chain([' ']) {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted && !word.is_empty() => words.push(std::mem::take(&mut word)),
            ' ' if !quoted => {}
            c => word.push(c),
        }
    }
    let end = words.iter().position(|word| ["|", ">", "#", "&"].contains(&word.as_str()));
    words.truncate(end.unwrap_or(words.len()));
    words
}

#[test]
fn every_command_can_be_typed() {
    let mut typed = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let mut fenced = false;
        for line in text.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
                continue;
            }
            let line = match line.strip_prefix("    ") {
                Some(code) => code,
                None if fenced => line,
                None => continue,
            };
            let line = line.strip_prefix("$ ").unwrap_or(line);
            let Some(at) = line.find("xlb ").filter(|at| {
                *at == 0 || line.starts_with("sudo xlb ") || line.starts_with("nsenter ")
            }) else {
                continue;
            };
            let words = words(&line[at..]);
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{}: {line}\n{error}", page.display());
            }
            typed += 1;
        }
    }
    assert!(typed > 30, "only {typed} commands found");
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                let found = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|heading| anchor_of(heading) == anchor);
                assert!(found, "{}: no heading for {link}", page.display());
            }
        }
    }
}

/// What a heading is called in links: lower case, without punctuation, dashes for spaces.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
