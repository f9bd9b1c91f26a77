//! Graphs, bars and what the environment asks for.

use super::*;

const UNICODE: Theme = Theme { depth: Depth::None, ascii: false };
const ASCII: Theme = Theme { depth: Depth::None, ascii: true };

fn of(color: bool, env: &[(&str, &str)]) -> Theme {
    Theme::new(color, |name| {
        env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn zero_is_a_thin_line_and_little_is_more_than_that() {
    assert_eq!(UNICODE.graph(&[0.0, 0.001, 50.0, 100.0], 4, 1, 100.0), ["▁▂▄█"]);
    assert_eq!(ASCII.graph(&[0.0, 0.001, 50.0, 100.0], 4, 1, 100.0), ["_.-#"]);
    assert_eq!(UNICODE.graph(&[0.0, 0.0], 2, 1, 0.0), ["▁▁"]);
}

#[test]
fn the_newest_value_is_at_the_right() {
    assert_eq!(UNICODE.graph(&[100.0], 3, 1, 100.0), ["  █"]);
    assert_eq!(UNICODE.graph(&[1.0, 100.0, 0.0], 2, 1, 100.0), ["█▁"]);
    assert_eq!(UNICODE.graph(&[], 2, 1, 100.0), ["  "]);
    assert_eq!(UNICODE.graph(&[1.0], 0, 1, 100.0), [""]);
}

#[test]
fn tall_graphs_fill_from_below() {
    assert_eq!(UNICODE.graph(&[0.0, 50.0, 75.0, 100.0], 4, 2, 100.0), ["  ▄█", "▁███"]);
}

#[test]
fn bars_fill_by_eighths_or_whole_cells() {
    assert_eq!(UNICODE.fill(0.5, 10), (5, ""));
    assert_eq!(UNICODE.fill(0.55, 10), (5, "▌"));
    assert_eq!(ASCII.fill(0.55, 10), (6, ""));
    assert_eq!(UNICODE.fill(7.0, 10), (10, ""));
    assert_eq!(UNICODE.fill(-1.0, 10), (0, ""));
}

#[test]
fn cut_text_says_so() {
    assert_eq!(UNICODE.cut("service", 7), "service");
    assert_eq!(UNICODE.cut("service", 4), "ser…");
    assert_eq!(ASCII.cut("service", 4), "ser~");
    assert_eq!(ASCII.cut("service", 0), "");
}

#[test]
fn the_environment_decides_on_glyphs_and_colours() {
    let utf8 = ("LANG", "en_US.UTF-8");
    assert_eq!(
        of(true, &[utf8, ("TERM", "xterm-256color")]),
        Theme { depth: Depth::Many, ascii: false }
    );
    assert_eq!(of(true, &[utf8, ("TERM", "xterm")]).depth, Depth::Sixteen);
    assert_eq!(of(true, &[utf8, ("TERM", "xterm"), ("COLORTERM", "truecolor")]).depth, Depth::Many);
    assert_eq!(of(false, &[utf8, ("TERM", "xterm-256color")]).depth, Depth::None);
    for term in ["dumb", "linux"] {
        assert!(of(true, &[utf8, ("TERM", term)]).ascii);
    }
    assert!(of(true, &[("TERM", "xterm")]).ascii);
    assert!(of(true, &[("LC_ALL", "C"), utf8]).ascii);
    assert!(!of(true, &[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]).ascii);
}
