//! Numbers as people read them: grouped counts, bytes, durations, rates. One place, so that all screens agree.

use crate::api::replication::Forecast;
use crate::clock::UnixMs;
use std::time::Duration;

/// `48 219`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 entry`, `8 entries`
pub fn entries(number: u64) -> String {
    plural(number, "entry", "entries")
}

/// `1 write`, `2 writes`
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `812 B`, `2.1 kB`, `14.2 MB`: decimal, as disks and links are sold.
pub fn bytes(number: u64) -> String {
    scaled(number as f64, "B")
}

/// `4.2 MB/s`; `–` for what is no number.
pub fn byte_rate(per_second: f64) -> String {
    if per_second.is_finite() { format!("{}/s", scaled(per_second.max(0.0), "B")) } else { "unknown".into() }
}

/// `51.2/s`, `1 204/s`
pub fn rate(per_second: f64) -> String {
    if !per_second.is_finite() {
        return "unknown".into();
    }
    if per_second >= 1_000.0 {
        format!("{}/s", count(per_second.round() as u64))
    } else {
        format!("{:.1}/s", per_second.max(0.0))
    }
}

/// `0.4s`, `12s`, `4m 10s`, `2h 05m`, `3d 04h`: an age, or a time left.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A lag in time: `0.16 s`, `2.0 s`, `1m 04s`.
pub fn lag_ms(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{:.2} s", ms as f64 / 1_000.0),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        _ => duration(Duration::from_millis(ms)),
    }
}

/// `80 ms`, `0.4 ms`
pub fn millis(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// `+1.2 s`: how far a clock is ahead (or behind).
pub fn skew(ms: i64) -> String {
    if ms.abs() < 1_000 { format!("{ms:+} ms") } else { format!("{:+.1} s", ms as f64 / 1_000.0) }
}

/// `02:58:41Z`
pub fn clock_time(at: UnixMs) -> String {
    let seconds = at.0 / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3_600, seconds % 3_600 / 60, seconds % 60)
}

/// When it was that time of day last, in UTC: `02:58` or `02:58:41`.
pub fn last_time_of_day(text: &str, now: UnixMs) -> Option<UnixMs> {
    const DAY_MS: u64 = 86_400_000;
    let parts: Vec<u64> = text.trim_end_matches('Z').split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let seconds = match parts[..] {
        [hours @ 0..24, minutes @ 0..60] => hours * 3_600 + minutes * 60,
        [hours @ 0..24, minutes @ 0..60, seconds @ 0..60] => hours * 3_600 + minutes * 60 + seconds,
        _ => return None,
    };
    let today = now.0 - now.0 % DAY_MS + seconds * 1_000;
    Some(UnixMs(if today > now.0 { today.saturating_sub(DAY_MS) } else { today }))
}

/// A server's words with the numbers of entries and positions in them as they are written here: `3:48219` is `3:48 219`.
pub fn in_groups(words: &str) -> String {
    const AROUND: [char; 7] = ['(', ')', ',', ';', '.', ':', '`'];
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.len() > 3 && !text.starts_with('0'));
    let grouped = |word: &str| {
        let bare = word.trim_matches(AROUND);
        let new = match bare.split_once(':') {
            Some((epoch, index)) if epoch.parse::<u64>().is_ok() => Some(format!("{epoch}:{}", count(number(index)?))),
            Some(_) => None,
            None => Some(count(number(bare)?)),
        };
        new.map(|new| word.replacen(bare, &new, 1))
    };
    let words = words.split(' ').map(|word| grouped(word).unwrap_or_else(|| word.to_owned()));
    words.collect::<Vec<_>>().join(" ")
}

/// `3:48 219`
pub fn position(position: crate::ids::Position) -> String {
    format!("{}:{}", position.epoch, count(position.index))
}

/// The share of the whole. Zero of zero is done; a share is only 1 when all is done.
/// When a standby leaves the log: `leaves the log in 14m 00s`.
pub fn leaves_log(forecast: Forecast) -> String {
    match forecast.ms {
        0 => "has left the log".to_owned(),
        ms => format!("leaves the log in {}", duration(Duration::from_millis(ms))),
    }
}

/// The same with what it would take to catch up then.
pub fn forecast(forecast: Forecast) -> String {
    format!("{}, then about {} to sync", leaves_log(forecast), plural(forecast.keys, "key", "keys"))
}

pub fn share(done: u64, total: u64) -> f64 {
    match (done, total) {
        (_, 0) => 1.0,
        (done, total) if done >= total => 1.0,
        (done, total) => (done as f64 / total as f64).min(0.999),
    }
}

fn scaled(number: f64, unit: &str) -> String {
    let mut number = number;
    for prefix in ["", "k", "M", "G", "T"] {
        if number < 999.5 || prefix == "T" {
            let plain = prefix.is_empty();
            return if plain { format!("{number:.0} {unit}") } else { format!("{number:.1} {prefix}{unit}") };
        }
        number /= 1_000.0;
    }
    unreachable!("the last prefix always returns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_last_one_that_was() {
        let at = |seconds: u64| Some(UnixMs((1_000 * 86_400 + seconds) * 1_000));
        let now = at(3 * 3_600 + 5 * 60).expect("a time");
        assert_eq!(last_time_of_day("02:58", now), at(2 * 3_600 + 58 * 60));
        assert_eq!(last_time_of_day("02:58:41Z", now), at(2 * 3_600 + 58 * 60 + 41));
        let yesterday = UnixMs(at(22 * 3_600).expect("a time").0 - 86_400_000);
        assert_eq!(last_time_of_day("22:00", now), Some(yesterday));
        assert_eq!(["24:00", "2", "02:60", "x:1"].map(|text| last_time_of_day(text, now)), [None; 4]);
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([count(0), count(999), count(1_000), count(48_219)], ["0", "999", "1 000", "48 219"]);
        assert_eq!([bytes(0), bytes(812), bytes(2_149), bytes(14_200_000)], ["0 B", "812 B", "2.1 kB", "14.2 MB"]);
        assert_eq!([rate(51.23), rate(1_204.4), rate(f64::NAN)], ["51.2/s", "1 204/s", "unknown"]);
        assert_eq!([lag_ms(160), lag_ms(2_000), lag_ms(64_000)], ["0.16 s", "2.0 s", "1m 04s"]);
        let spans = [400, 12_000, 250_000, 7_500_000, 273_600_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(spans, ["0.4s", "12s", "4m 10s", "2h 05m", "3d 04h"]);
        assert_eq!([entries(1), entries(0)], ["1 entry", "0 entries"]);
        assert_eq!([skew(-40), skew(2_300)], ["-40 ms", "+2.3 s"]);
    }

    #[test]
    fn a_servers_words_have_their_numbers_as_people_write_them_and_nothing_else_is_touched() {
        let said = "all that was known of is applied (3:19533), 1711 writes; 2048 behind 3:19533.";
        assert_eq!(
            in_groups(said),
            "all that was known of is applied (3:19 533), 1 711 writes; 2 048 behind 3:19 533."
        );
        for whole in
            ["at http://10.1.1.1:8200, since 02:58:41Z", "promotion 00001234 of 2026-11-23", "10.2.2.1:8200  ", ""]
        {
            assert_eq!(in_groups(whole), whole);
        }
    }

    #[test]
    fn nothing_is_done_before_all_is() {
        assert_eq!(share(0, 0), 1.0);
        assert!(share(999_999, 1_000_000) < 1.0);
        assert_eq!(share(5, 4), 1.0);
    }
}
