//! Keys by name, and which action each stands for.

use super::actions::{ACTIONS, Action, ActionInfo};
use super::model::Screen;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;
use std::fmt;

/// A key as it is written in the table of actions: `g`, `?`, `tab`, `ctrl-l`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    code: KeyCode,
    control: bool,
}

/// With control: tmux and screen, end of input, stop.
const RESERVED: [KeyCode; 2] = [KeyCode::Char('z'), KeyCode::Char('c')];

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
    /// The table's keys with the user's over them: `promote = ["P"]`, an empty list for none. What makes no sense is
    /// left as it was and named.
    pub fn parse(text: &str) -> Result<(Keymap, Vec<String>), String> {
        let wanted: BTreeMap<String, Vec<String>> = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut keymap = Keymap::default();
        let mut wrong = Vec::new();
        for (id, names) in wanted {
            let Some(info) = ACTIONS.iter().find(|info| info.id == id) else {
                wrong.push(format!("there is no action `{id}`"));
                continue;
            };
            let mut keys = Vec::new();
            for name in names {
                match name.parse::<Key>() {
                    Ok(key) if key.control && RESERVED.contains(&key.code) => {
                        wrong.push(format!("{id}: {key} belongs to the terminal or the shell"));
                    }
                    Ok(key) => keys.push(key),
                    Err(error) => wrong.push(format!("{id}: {error}")),
                }
            }
            keymap.0.retain(|(_, action)| *action != info.action);
            keymap.0.extend(keys.into_iter().map(|key| (key, info.action)));
        }
        wrong.extend(keymap.clashes());
        Ok((keymap, wrong))
    }

    /// Keys that stand for two actions in one place: the first of the table has them.
    fn clashes(&self) -> Vec<String> {
        let mut clashes = Vec::new();
        for (at, (key, action)) in self.0.iter().enumerate() {
            for (other_key, other) in &self.0[at + 1..] {
                let together = Screen::ALL.iter().any(|screen| action.works_on(*screen) && other.works_on(*screen));
                if key == other_key && action != other && together {
                    clashes.push(format!("{key} is {} and {}", action.info().id, other.info().id));
                }
            }
        }
        clashes
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_keys_come_first_and_what_makes_no_sense_is_named() {
        let text =
            "promote = [\"P\"]\nredraw = []\nfly = [\"f\"]\nquit = [\"hyper-q\"]\nretry = [\"g\"]\nhelp = [\"ctrl-z\"]";
        let (keymap, wrong) = Keymap::parse(text).expect("it is TOML");
        let keys = |action| keymap.keys(action).map(|key| key.to_string()).collect::<Vec<_>>();
        assert_eq!(keys(Action::Promote), ["P"]);
        assert!(keys(Action::Redraw).is_empty());
        let named = |words: &str| assert!(wrong.iter().any(|wrong| wrong.contains(words)), "{words}: {wrong:?}");
        named("no action `fly`");
        named("`hyper-q` is no key");
        named("g is token-generate and retry");
        named("help: ctrl-z belongs to");
    }
}
