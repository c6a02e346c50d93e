//! Keys by name, and which action each stands for.

use super::actions::{ACTIONS, Action, ActionInfo};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::fmt;

/// A key as it is written in the table of actions: `g`, `?`, `tab`, `ctrl-l`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    code: KeyCode,
    control: bool,
}

const NAMED: [(&str, KeyCode); 13] = [
    ("tab", KeyCode::Tab),
    ("shift-tab", KeyCode::BackTab),
    ("esc", KeyCode::Esc),
    ("enter", KeyCode::Enter),
    ("space", KeyCode::Char(' ')),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
];

impl Key {
    pub fn of(event: KeyEvent) -> Key {
        Key { code: event.code, control: event.modifiers.contains(KeyModifiers::CONTROL) }
    }
}

impl std::str::FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Key, String> {
        let (control, rest) = match text.strip_prefix("ctrl-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == rest) {
            return Ok(Key { code: *code, control });
        }
        let mut characters = rest.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => Ok(Key { code: KeyCode::Char(character), control }),
            _ => Err(format!("`{text}` is no key: expected a character or one of {}", names())),
        }
    }
}

fn names() -> String {
    NAMED.map(|(name, _)| name).join(", ")
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.control {
            f.write_str("ctrl-")?;
        }
        match (NAMED.iter().find(|(_, code)| *code == self.code), self.code) {
            (Some((name, _)), _) => f.write_str(name),
            (None, KeyCode::Char(character)) => write!(f, "{character}"),
            (None, other) => write!(f, "{other:?}"),
        }
    }
}

/// The keys in force.
#[derive(Clone, Debug)]
pub struct Keymap(Vec<(Key, Action)>);

impl Default for Keymap {
    /// The keys of the table.
    fn default() -> Keymap {
        let key = |key: &str| key.parse::<Key>().expect("a test parses each key of the table");
        let of = |info: &'static ActionInfo| info.keys.iter().map(move |name| (key(name), info.action));
        Keymap(ACTIONS.iter().flat_map(of).collect())
    }
}

impl Keymap {
    /// The actions of a key, those of a certain place before those of any.
    pub fn actions(&self, event: KeyEvent) -> impl Iterator<Item = Action> + '_ {
        let pressed = Key::of(event);
        self.0.iter().filter(move |(key, _)| *key == pressed).map(|(_, action)| *action)
    }

    /// The keys of an action, the first is the one to show.
    pub fn keys(&self, action: Action) -> impl Iterator<Item = Key> + '_ {
        self.0.iter().filter(move |(_, of)| *of == action).map(|(key, _)| *key)
    }
}
