//! The list in view as CSV: as it is filtered, every value whole.

use crate::console::app::model::{review_word, token_word};
use crate::console::app::{Model, Screen};
use crate::console::domain::units::position;

/// `None` on a screen without a list: there the lag over time is what there is.
pub fn csv(model: &Model) -> Option<String> {
    let (header, rows): (&[&str], Vec<Vec<String>>) = match model.screen {
        Screen::Events => (
            &["at", "region", "level", "subject", "text"],
            model
                .event_rows()
                .into_iter()
                .map(|entry| {
                    let level = format!("{:?}", entry.level).to_lowercase();
                    vec![entry.at.to_string(), entry.region.clone(), level, entry.subject.clone(), entry.text.clone()]
                })
                .collect(),
        ),
        Screen::Tokens => (
            &["region", "accessor", "state", "created_at", "expires_at", "used_by"],
            model
                .token_rows()
                .into_iter()
                .map(|(region, token)| {
                    let by = token.used_by.as_ref().map(|by| by.name.clone()).unwrap_or_default();
                    let times = [token.created_at.to_string(), token.expires_at.to_string()];
                    let [created, expires] = times;
                    vec![region.name, token.accessor.clone(), token_word(token).into(), created, expires, by]
                })
                .collect(),
        ),
        Screen::Ledger => (
            &["entry", "decided", "at", "class", "position", "bytes", "paths"],
            model
                .ledger_rows()
                .into_iter()
                .map(|entry| {
                    vec![
                        entry.entry.clone(),
                        review_word(&entry.review).into(),
                        entry.at.to_string(),
                        entry.class.name().into(),
                        position(entry.position),
                        entry.bytes.to_string(),
                        entry.paths.join(" "),
                    ]
                })
                .collect(),
        ),
        Screen::Index => (
            &["context", "standing", "words"],
            model
                .context_rows()
                .into_iter()
                .map(|(context, overall)| vec![context.title(), overall.standing.name().into(), overall.words])
                .collect(),
        ),
        Screen::Overview | Screen::Region | Screen::Replication | Screen::Failover | Screen::Help => return None,
    };
    let mut text = header.join(",") + "\n";
    for row in rows {
        let quoted: Vec<String> = row.iter().map(|value| quoted(value)).collect();
        text += &(quoted.join(",") + "\n");
    }
    Some(text)
}

/// As RFC 4180 wants it. What a spreadsheet would take for a formula gets an apostrophe.
fn quoted(value: &str) -> String {
    let formula = value.starts_with(['=', '+', '-', '@']);
    let value = if formula { format!("'{value}") } else { value.to_owned() };
    let plain = !value.contains([',', '"', '\n', '\r']);
    if plain { value } else { format!("\"{}\"", value.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::app::tests::{keys, model};
    use crate::console::domain::fixtures;

    #[test]
    fn the_list_in_view_is_written_as_it_is_filtered() {
        let mut model = model(fixtures::streaming());
        assert_eq!(csv(&model), None);
        keys(&mut model, "4 / i s s u e d enter");
        assert_eq!(csv(&model).map(|text| text.lines().count()), Some(2 + 1), "a header and a token a region");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
    }
}
