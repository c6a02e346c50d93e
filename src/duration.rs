//! Durations as people and Vault write them: `300`, `"300"`, `"30m"`, `"1h30m"`, `"1d"`.

use crate::error::{Error, Result};
use std::time::Duration;

/// Go's units and `d`, with their nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

/// No duration is longer, in nanoseconds: as many years as Go's longest.
const NANOS_MAX: u128 = i64::MAX as u128;
/// So many digits behind the point tell something: nanoseconds of a second.
const DIGITS_MAX: usize = 9;

/// A number of seconds, or numbers with units as Go writes them: `90s`, `1h30m`, `1.5h`, `500ms`; and `1d`.
pub fn parse(text: &str) -> Result<Duration> {
    let wrong =
        || Error::invalid(format!("`{text}` is no duration: expected seconds, or a form like 90s, 30m, 1h30m or 1d"));
    if let Ok(seconds) = text.parse::<u64>() {
        return whole(seconds).ok_or_else(wrong);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, behind) = rest.split_at(end);
        let unit = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        nanos = nanos.saturating_add(nanos_of(number, *factor).ok_or_else(wrong)?);
        rest = behind;
    }
    if nanos > NANOS_MAX || text.trim_start_matches('+').is_empty() {
        return Err(wrong());
    }
    Ok(Duration::from_nanos(nanos as u64))
}

/// `None` of what is longer than any duration.
fn whole(seconds: u64) -> Option<Duration> {
    let duration = Duration::from_secs(seconds);
    (duration.as_nanos() <= NANOS_MAX).then_some(duration)
}

/// `None` of what is no number, or too large a one.
fn nanos_of(number: &str, factor: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    let fraction = &fraction[..fraction.len().min(DIGITS_MAX)];
    let scale = 10_u128.pow(fraction.len() as u32);
    let below = u128::from(digits(fraction)?) * u128::from(factor) / scale;
    Some(u128::from(digits(whole)?) * u128::from(factor) + below)
}

/// The same from JSON, where Vault takes a number of seconds as well as a string.
pub fn from_json(value: &serde_json::Value) -> Result<Duration> {
    match value {
        serde_json::Value::String(text) => parse(text),
        serde_json::Value::Number(number) if number.is_u64() => parse(&number.to_string()),
        other => Err(Error::invalid(format!("`{other}` is no duration: expected a number of seconds or a string"))),
    }
}

/// As Go writes a duration, whole seconds of it: `0s`, `1m30s`, `3h0m0s`.
pub fn go(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        parse(text).ok().map(|duration| duration.as_secs())
    }

    /// Else it overflows where Go's clients, and our own clock, count smaller units.
    #[test]
    fn no_duration_is_longer_than_gos_longest() {
        assert_eq!(seconds("9223372036"), Some(9_223_372_036));
        for text in ["9223372037", "18446744073709551615", "18446744073709552"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn what_vault_takes_is_read() {
        let cases = [
            ("0", 0),
            ("300", 300),
            ("45s", 45),
            ("30m", 1800),
            ("1h30m", 5400),
            ("1d", 86_400),
            ("2d1s", 172_801),
            ("1.5h", 5400),
            ("30m1h", 5400),
            ("1h1h", 7200),
            ("1500ms", 1),
            ("500ms", 0),
            (".5m", 30),
            ("+5s", 5),
            ("1.s", 1),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(from_json(&serde_json::json!(300)).ok(), Some(Duration::from_secs(300)));
        assert_eq!(from_json(&serde_json::json!("5m")).ok(), Some(Duration::from_secs(300)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "m",
            "+",
            "-1",
            "1.5",
            "1..5h",
            ".h",
            "5x",
            "5S",
            "99999999999999999999",
            "400000000000000000d",
            "1ü",
            "10 s",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert!(from_json(&serde_json::json!(-3)).is_err());
        assert!(from_json(&serde_json::json!(null)).is_err());
    }
}
