//! What a command prints when all went well: tables for people, JSON for programs.

use super::args::Format;
use crate::api::envelope::Envelope;
use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

/// The whole output of a command and its exit code: nothing is printed before it is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Output {
    pub text: String,
    pub exit: u8,
}

impl Output {
    pub fn text(text: impl Into<String>) -> Output {
        Output { text: text.into(), exit: 0 }
    }

    /// The value as JSON, or what the function makes of it for people.
    pub fn of<T: Serialize>(format: Format, value: &T, table: impl FnOnce(&T) -> String) -> Output {
        Output::text(match format {
            Format::Json => json(value),
            Format::Table => table(value),
        })
    }

    /// As `of`, but in JSON within an envelope, where Vault's CLI prints one.
    pub fn of_data<T: Serialize>(format: Format, value: T, table: impl FnOnce(&T) -> String) -> Output {
        Output::text(match format {
            Format::Json => json(&Envelope::new("", value)),
            Format::Table => table(&value),
        })
    }

    /// A sentence for people; programs have the exit code.
    pub fn said(format: Format, sentence: impl Into<String>) -> Output {
        Output::text(match format {
            Format::Json => String::new(),
            Format::Table => sentence.into(),
        })
    }
}

pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("the API's types have string keys only")
}

/// Columns with four spaces between them, the headings underlined as Vault's.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| harmless(cell))).collect();
    let mut widths = headings.map(UnicodeWidthStr::width);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            line.push_str(cell);
            if column + 1 < N {
                line.push_str(&" ".repeat(width - cell.width() + 4));
            }
        }
        line.trim_end().to_owned()
    };
    let rules = headings.map(|heading| "-".repeat(heading.width()));
    let mut lines = vec![line(headings), line(rules.each_ref().map(String::as_str))];
    lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines.join("\n")
}

/// What comes from elsewhere must not steer the terminal.
fn harmless(cell: &str) -> String {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    cell.chars().flat_map(|c| if steers(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// `Key    Value`, as Vault shows one thing.
pub fn key_values(rows: &[(&str, String)]) -> String {
    let rows: Vec<[String; 2]> = rows.iter().map(|(key, value)| [(*key).to_owned(), value.clone()]).collect();
    table(["Key", "Value"], &rows)
}

/// `===== Title =====`, centred over what follows it.
pub fn titled(title: &str, body: &str) -> String {
    let width = body.lines().next().map_or(0, UnicodeWidthStr::width);
    let rule = "=".repeat((width.saturating_sub(title.width() + 2) / 2).max(2));
    format!("{rule} {title} {rule}\n{body}")
}

/// 1 234 567
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// 1.4 MiB
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// 41 ms, 3.2 s, 14 min, 5 h, 3 d
pub fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1e3),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..86_400_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// A string as it is, anything else as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_wide_letters_and_end_without_spaces() {
        let rows = [["né".to_owned(), "1".to_owned()], ["東京".to_owned(), String::new()]];
        assert_eq!(table(["Name", "N"], &rows), "Name    N\n----    -\nné      1\n東京");
        assert!(!table(["Name"], &[["\u{1b}[2J".to_owned()]]).contains('\u{1b}'));
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!((grouped(1), grouped(1234567)), ("1".into(), "1 234 567".into()));
        assert_eq!((bytes(1023), bytes(1_500_000)), ("1023 B".into(), "1.4 MiB".into()));
        assert_eq!((span(41), span(3_200), span(59_999 + 1)), ("41 ms".into(), "3.2 s".into(), "1 min".into()));
    }
}
