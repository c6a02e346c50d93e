//! The confirm layer: the only place that can allow a change.
//!
//! A dialog drops keys for a moment after it opened, so that what was typed ahead confirms nothing; Cancel has the focus;
//! the key that confirms is another than the one that opened.

use super::msg::Change;
use super::msg::Target;
use crate::clock::UnixMs;
use crossterm::event::{KeyCode, KeyEvent};
use std::time::Duration;

/// Keys that come so soon after a dialog opened were meant for what was there before.
pub const TYPED_AHEAD: Duration = Duration::from_millis(250);

/// That somebody allowed a change. Can't be copied or kept for another one.
#[derive(PartialEq, Eq, Debug)]
pub struct Permit(());

/// For changes that can't harm: making a token that nobody has used yet, carrying on with a link.
pub(super) fn harmless() -> Permit {
    Permit(())
}

/// For a form that says what will be done, and was filled in and sent.
pub(super) fn filled() -> Permit {
    Permit(())
}

/// For the promotion dialog: the region's name was typed as it is written.
pub(super) fn typed(expected: &str, typed: &str) -> Option<Permit> {
    (typed.trim() == expected && !expected.is_empty()).then_some(Permit(()))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Focus {
    Cancel,
    Confirm,
}

/// A yes-or-no question about a change.
#[derive(Debug)]
pub struct Confirm {
    pub title: String,
    /// What will happen, a paragraph each.
    pub lines: Vec<String>,
    /// What the confirming button says.
    pub verb: String,
    /// The same on the command line.
    pub command: String,
    pub focus: Focus,
    pub target: Target,
    pub change: Change,
    pub opened_at: UnixMs,
}

#[derive(Debug)]
pub enum Decision {
    Open,
    Cancelled,
    Confirmed(Permit),
}

impl Confirm {
    pub fn key(&mut self, key: KeyEvent, now: UnixMs) -> Decision {
        match key.code {
            KeyCode::Esc | KeyCode::Char('n') => Decision::Cancelled,
            _ if now.since(self.opened_at) < TYPED_AHEAD => Decision::Open,
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
