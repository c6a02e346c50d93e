//! Durations as people and Vault write them: `300`, `"300"`, `"30m"`, `"1h30m"`, `"1d"`.

use crate::error::{Error, Result};
use std::time::Duration;

/// Units from the largest to the smallest, with their seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// A number of seconds, or numbers with the units `d`, `h`, `m`, `s`, the largest first, each at most once.
pub fn parse(text: &str) -> Result<Duration> {
    let wrong =
        || Error::invalid(format!("`{text}` is no duration: expected seconds, or a form like 90s, 30m, 1h30m or 1d"));
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut seconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = rest[digits..].chars().next().ok_or_else(wrong)?;
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        seconds = number.checked_mul(*factor).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
        rest = &rest[digits + unit.len_utf8()..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) }
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

    #[test]
    fn what_vault_takes_is_read() {
        let cases =
            [("0", 0), ("300", 300), ("45s", 45), ("30m", 1800), ("1h30m", 5400), ("1d", 86_400), ("2d1s", 172_801)];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(from_json(&serde_json::json!(300)).ok(), Some(Duration::from_secs(300)));
        assert_eq!(from_json(&serde_json::json!("5m")).ok(), Some(Duration::from_secs(300)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "m", "-1", "1.5h", "30m1h", "1h1h", "5x", "99999999999999999999", "400000000000000000d", "1ü", "10 s"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert!(from_json(&serde_json::json!(-3)).is_err());
        assert!(from_json(&serde_json::json!(null)).is_err());
    }
}
