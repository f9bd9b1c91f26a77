//! Numbers for people: three significant digits and SI prefixes, so that columns stay narrow.
//!
//! JSON never goes through here: it carries the raw numbers.

use std::time::Duration;

const PREFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];

/// Three significant digits with an SI prefix: `0`, `0.25`, `41.2`, `412`, `9.81k`, `1.23M`.
pub fn si(value: f64) -> String {
    let (digits, prefix) = scaled(value);
    format!("{digits}{prefix}")
}

/// A total: exact below 10,000, else as [`si`].
pub fn count(value: u64) -> String {
    if value < 10_000 { value.to_string() } else { si(value as f64) }
}

/// A total in full, in groups of three: `1,234,567`.
pub fn exact(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A value with a unit: `3.10 Gb/s`, `0 B`.
pub fn with_unit(value: f64, unit: &str) -> String {
    let (digits, prefix) = scaled(value);
    format!("{digits} {prefix}{unit}")
}

/// A share of one, as per cent: `37.5%`, `100%`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if !percent.is_finite() {
        "-".to_owned()
    } else if percent >= 99.95 {
        format!("{percent:.0}%")
    } else {
        format!("{percent:.1}%")
    }
}

/// The two largest units of a time: `12s`, `4m 12s`, `3h 4m`, `5d 3h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest}s"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Digits and SI prefix.
fn scaled(value: f64) -> (String, &'static str) {
    if !value.is_finite() {
        return ("-".to_owned(), "");
    }
    let mut value = value.max(0.0);
    for prefix in PREFIXES {
        // What would round to four digits belongs to the next prefix.
        if value < 999.5 || prefix == PREFIXES[PREFIXES.len() - 1] {
            return (three_digits(value), prefix);
        }
        value /= 1000.0;
    }
    (three_digits(value), "")
}

fn three_digits(value: f64) -> String {
    if value < 0.005 {
        "0".to_owned()
    } else if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn si_keeps_three_digits_and_never_rounds_to_a_thousand() {
        for (value, text) in [
            (0.0, "0"),
            (0.004, "0"),
            (0.25, "0.25"),
            (9.994, "9.99"),
            (9.996, "10.0"),
            (99.96, "100"),
            (999.4, "999"),
            (999.6, "1.00k"),
            (12_345.0, "12.3k"),
            (999_600.0, "1.00M"),
            (1.5e19, "15.0E"),
            (-3.0, "0"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(si(value), text, "{value}");
        }
    }

    #[test]
    fn counts_are_exact_while_they_are_short() {
        assert_eq!(count(9_999), "9999");
        assert_eq!(count(10_000), "10.0k");
        assert_eq!(count(u64::MAX), "18.4E");
        assert_eq!(exact(0), "0");
        assert_eq!(exact(999), "999");
        assert_eq!(exact(1_000), "1,000");
        assert_eq!(exact(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn units_shares_and_times() {
        assert_eq!(with_unit(3.1e9, "b/s"), "3.10 Gb/s");
        assert_eq!(with_unit(0.0, "B"), "0 B");
        assert_eq!(percent(0.375), "37.5%");
        assert_eq!(percent(1.0), "100%");
        assert_eq!(percent(f64::NAN), "-");
        assert_eq!(duration(Duration::from_secs(12)), "12s");
        assert_eq!(duration(Duration::from_secs(252)), "4m 12s");
        assert_eq!(duration(Duration::from_secs(3 * 3600 + 240)), "3h 4m");
        assert_eq!(duration(Duration::from_secs(5 * 86_400 + 3 * 3600)), "5d 3h");
    }
}
