//! `:` finds any action by a few of its letters, and remembers.

use super::actions::{ACTIONS, Action, Place, Takes};
use super::model::Model;
use super::msg::ExportFormat;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use tui_input::Input;

/// How long the palette offers to allow changes; others can be typed.
const ARM_FOR: [&str; 3] = ["15m", "5m", "1h"];
/// Runs remembered.
pub const HISTORY_MAX: usize = 50;

#[derive(Clone, Debug, Default)]
pub struct Palette {
    pub input: Input,
    /// The selected match.
    pub cursor: usize,
    /// Why a reason is wanted, where one is.
    pub why: Option<String>,
}

/// One line that can be chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What is typed to get it: `theme dark`.
    pub command: String,
    pub title: String,
    pub action: Action,
    pub argument: Option<String>,
    pub disabled: Option<String>,
    /// What was typed is in its title only: it may be meant, and it may not.
    pub by_title: bool,
}

impl Palette {
    /// What fits the input, best first; with nothing typed, what was run lately first.
    pub fn matches(&self, model: &Model) -> Vec<Entry> {
        let query = self.input.value().trim();
        let entries = entries(model, query);
        if query.is_empty() {
            let recent = |entry: &Entry| {
                model.palette_history.iter().rposition(|command| *command == entry.command).map(|at| at + 1)
            };
            let mut entries = entries;
            entries.sort_by_key(|entry| std::cmp::Reverse(recent(entry)));
            return entries;
        }
        // What is named is meant: no other action is run in its place because what stands behind the name doesn't fit it.
        let named = ACTIONS.iter().find(|info| query.split_whitespace().next() == Some(info.id));
        let is_named = |entry: &Entry| named.is_none_or(|info| !query.contains(' ') || entry.action == info.action);
        let pattern = Pattern::parse(query, CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, Entry)> = entries
            .into_iter()
            .filter(is_named)
            .filter_map(|entry| {
                let by_command = pattern.score(Utf32Str::new(&entry.command, &mut buffer), &mut matcher);
                let by_title = pattern.score(Utf32Str::new(&entry.title, &mut buffer), &mut matcher);
                // The id is what one types: its matches come before those in a title.
                let score = by_command.map(|score| score * 2).max(by_title)?;
                let exact = if entry.command == query { 10_000 } else { 0 };
                Some((score + exact, Entry { by_title: by_command.is_none(), ..entry }))
            })
            .collect();
        scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        scored.into_iter().map(|(_, entry)| entry).collect()
    }

    pub fn chosen(&self, model: &Model) -> Option<Entry> {
        let matches = self.matches(model);
        let at = self.cursor.min(matches.len().saturating_sub(1));
        matches.into_iter().nth(at)
    }

    /// That what is named takes a reason, and none stands behind it yet.
    pub fn wants_reason(&self) -> Option<String> {
        let input = self.input.value().trim();
        let info = ACTIONS.iter().find(|info| info.id == input && info.takes == Takes::Reason)?;
        let why = self.why.as_ref().map_or_else(String::new, |why| format!("{why}: "));
        Some(format!("{why}type why behind `{}`, then enter; the reason is kept for good", info.id))
    }

    /// What is named with something behind it that it does not know.
    pub fn unknown_argument(&self) -> Option<(Action, String)> {
        let (name, argument) = self.input.value().trim().split_once(' ')?;
        let chooses = |takes: Takes| matches!(takes, Takes::Context | Takes::Theme | Takes::Format);
        let info = ACTIONS.iter().find(|info| info.id == name && chooses(info.takes))?;
        Some((info.action, argument.trim().to_owned()))
    }

    pub fn previewed_theme(&self, model: &Model) -> Option<String> {
        self.chosen(model).filter(|entry| entry.action == Action::Theme).and_then(|entry| entry.argument)
    }
}

/// Everything that can be chosen: actions, with one line for each theme.
fn entries(model: &Model, typed: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for info in ACTIONS {
        // Moving in a list, or a key of one dialog, is nothing to look for by name.
        let sought = !matches!(info.action, Action::List(_) | Action::Palette | Action::Back);
        if !sought || info.place == Place::TokenDialog {
            continue;
        }
        let with = |argument: String, title: String| Entry {
            command: format!("{} {argument}", info.id),
            title,
            action: info.action,
            argument: Some(argument),
            disabled: (info.disabled)(model),
            by_title: false,
        };
        match info.takes {
            Takes::Nothing => {}
            Takes::Theme => {
                let of = |theme: &String| with(theme.clone(), format!("Use the theme {theme}"));
                entries.extend(model.themes.iter().map(of));
                continue;
            }
            Takes::Context => {
                for context in model.contexts().into_iter().filter(|context| !context.name.is_empty()) {
                    let words = context.overall(model.now).words;
                    entries.push(with(context.name.clone(), words));
                }
                continue;
            }
            Takes::Format => {
                let of =
                    |format: ExportFormat| with(format.name().into(), format!("Write the screen as {}", format.name()));
                entries.extend(ExportFormat::ALL.map(of));
                continue;
            }
            Takes::Reason => {
                let typed = typed.strip_prefix(info.id).map(str::trim).filter(|typed| !typed.is_empty());
                entries.extend(typed.map(|reason| with(reason.to_owned(), info.title.into())));
            }
            Takes::Id | Takes::Time => {
                let typed = typed.strip_prefix(info.id).map(str::trim).filter(|typed| !typed.is_empty());
                entries.extend(typed.map(|id| with(id.to_owned(), info.title.into())));
            }
            Takes::Duration => {
                let mut choices: Vec<String> = ARM_FOR.map(String::from).to_vec();
                if let Some(typed) = typed.strip_prefix(info.id).map(str::trim).filter(|typed| !typed.is_empty()) {
                    choices.retain(|choice| choice != typed);
                    choices.insert(0, typed.to_owned());
                }
                let of = |choice: String| with(choice.clone(), format!("Allow changes for {choice}"));
                entries.extend(choices.into_iter().map(of));
                continue;
            }
        }
        entries.push(Entry {
            command: info.id.into(),
            title: info.title.into(),
            action: info.action,
            argument: None,
            disabled: (info.disabled)(model),
            by_title: false,
        });
    }
    entries
}
