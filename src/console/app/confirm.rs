//! The confirm layer: the only place that can allow a change.
//!
//! Every dialog that leads to a change ends in a [`Consent`]: the same keys, the same look. It drops keys for a moment
//! after it opened, so that what was typed ahead confirms nothing; Cancel has the focus; the key that confirms is another
//! than the one that opened. What can't be undone wants the region's name typed: until it stands there, Cancel keeps the
//! focus, and nothing can be pasted.

use super::list;
use super::msg::Change;
use super::msg::Target;
use crate::clock::UnixMs;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::time::Duration;
use tui_input::Input;

/// Keys that come so soon after a dialog opened were meant for what was there before.
const TYPED_AHEAD: Duration = Duration::from_millis(250);

/// That somebody allowed a change. Can't be copied or kept for another one.
#[derive(PartialEq, Eq, Debug)]
pub struct Permit(());

/// For changes that can't harm: carrying on with a link, sending once more what was consented to, taking it back.
pub(super) fn harmless() -> Permit {
    Permit(())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Focus {
    Cancel,
    Confirm,
}

/// The part of a dialog that asks whether it shall be done.
#[derive(Clone, Debug)]
pub struct Consent {
    /// What the confirming button says.
    pub verb: String,
    focus: Focus,
    name: Option<Name>,
    opened_at: UnixMs,
}

/// A name that has to be typed, and what was typed so far.
#[derive(Clone, Debug)]
struct Name {
    expected: String,
    typed: Input,
    notice: Option<String>,
}

#[derive(Debug)]
pub enum Decision {
    Open,
    Cancelled,
    Confirmed(Permit),
}

impl Consent {
    /// `y`, or Enter on the button.
    pub fn yes(verb: impl Into<String>, opened_at: UnixMs) -> Consent {
        Consent { verb: verb.into(), focus: Focus::Cancel, name: None, opened_at }
    }

    /// For what can't be undone: the name of the region that it is done to.
    pub fn named(verb: impl Into<String>, name: impl Into<String>, opened_at: UnixMs) -> Consent {
        let name = Name { expected: name.into(), typed: Input::default(), notice: None };
        Consent { name: Some(name), ..Consent::yes(verb, opened_at) }
    }

    pub fn focus(&self) -> Focus {
        match &self.name {
            None => self.focus,
            Some(name) if name.fits() => Focus::Confirm,
            Some(_) => Focus::Cancel,
        }
    }

    /// The name that is wanted, and what was typed of it; `None`: a yes is enough.
    pub fn name(&self) -> Option<(&str, &str)> {
        self.name.as_ref().map(|name| (name.expected.as_str(), name.typed.value()))
    }

    pub fn notice(&self) -> Option<&str> {
        self.name.as_ref()?.notice.as_deref()
    }

    /// Whether keys may still be meant for what was there before.
    pub fn is_new(&self, now: UnixMs) -> bool {
        now.since(self.opened_at) < TYPED_AHEAD
    }

    /// A name is typed by who means it.
    pub fn refuse_paste(&mut self) {
        if let Some(name) = &mut self.name {
            name.notice = Some("pasting is refused here: type the name".into());
        }
    }

    pub fn key(&mut self, key: KeyEvent, now: UnixMs) -> Decision {
        if key.code == KeyCode::Esc {
            return Decision::Cancelled;
        }
        let typed_ahead = self.is_new(now);
        match &mut self.name {
            Some(_) if typed_ahead => Decision::Open,
            Some(name) => name.key(key),
            None => self.press(key, typed_ahead),
        }
    }

    fn press(&mut self, key: KeyEvent, typed_ahead: bool) -> Decision {
        match key.code {
            KeyCode::Char(_) if key.modifiers.contains(KeyModifiers::CONTROL) => Decision::Open,
            KeyCode::Char('n') => Decision::Cancelled,
            _ if typed_ahead => Decision::Open,
            KeyCode::Char('y') => Decision::Confirmed(Permit(())),
            KeyCode::Enter => match self.focus {
                Focus::Cancel => Decision::Cancelled,
                Focus::Confirm => Decision::Confirmed(Permit(())),
            },
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => {
                self.focus = match self.focus {
                    Focus::Cancel => Focus::Confirm,
                    Focus::Confirm => Focus::Cancel,
                };
                Decision::Open
            }
            _ => Decision::Open,
        }
    }
}

impl Name {
    fn fits(&self) -> bool {
        self.typed.value().trim() == self.expected && !self.expected.is_empty()
    }

    fn key(&mut self, key: KeyEvent) -> Decision {
        match key.code {
            KeyCode::Enter if self.fits() => return Decision::Confirmed(Permit(())),
            KeyCode::Enter if self.typed.value().is_empty() => return Decision::Cancelled,
            KeyCode::Enter => self.notice = Some(format!("type {} exactly as it is written", self.expected)),
            _ => {
                self.notice = None;
                list::edit(&mut self.typed, key);
            }
        }
        Decision::Open
    }
}

/// A question about a change, in a dialog of its own.
#[derive(Debug)]
pub struct Confirm {
    pub title: String,
    /// What will happen, a paragraph each.
    pub lines: Vec<String>,
    pub consent: Consent,
    /// The same on the command line.
    pub command: String,
    pub target: Target,
    pub change: Change,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: UnixMs = UnixMs(1_000);
    const LATER: UnixMs = UnixMs(2_000);

    fn type_in(consent: &mut Consent, text: &str) -> Vec<bool> {
        let key = |character| match character {
            '\n' => KeyEvent::from(KeyCode::Enter),
            other => KeyEvent::from(KeyCode::Char(other)),
        };
        text.chars().map(|it| matches!(consent.key(key(it), LATER), Decision::Confirmed(_))).collect()
    }

    #[test]
    fn cancel_has_the_focus_until_a_yes_or_the_name() {
        let mut yes = Consent::yes("Pause", OPENED);
        assert_eq!(yes.focus(), Focus::Cancel);
        assert!(matches!(yes.key(KeyEvent::from(KeyCode::Enter), LATER), Decision::Cancelled));
        assert_eq!(type_in(&mut yes, "y"), [true]);
        let mut named = Consent::named("Fence", "eu-1", OPENED);
        assert!(matches!(named.key(KeyEvent::from(KeyCode::Enter), LATER), Decision::Cancelled));
        assert_eq!(type_in(&mut named, "y\n"), [false, false], "a yes is not the name");
        assert_eq!((named.focus(), named.notice().is_some()), (Focus::Cancel, true));
        named.key(KeyEvent::from(KeyCode::Backspace), LATER);
        assert_eq!(type_in(&mut named, "eu-1"), [false; 4]);
        assert_eq!(named.focus(), Focus::Confirm);
        assert_eq!(type_in(&mut named, "\n"), [true]);
    }

    #[test]
    fn what_was_typed_ahead_confirms_nothing_but_may_cancel() {
        let soon = OPENED.plus(Duration::from_millis(100));
        for mut consent in [Consent::yes("Pause", OPENED), Consent::named("Fence", "y", OPENED)] {
            assert!(matches!(consent.key(KeyEvent::from(KeyCode::Char('y')), soon), Decision::Open));
            assert_eq!(consent.name().map_or("", |(_, typed)| typed), "");
            assert!(matches!(consent.key(KeyEvent::from(KeyCode::Esc), soon), Decision::Cancelled));
        }
    }
}
