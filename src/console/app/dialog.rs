//! Dialogs lie on the screen as on a stack; the top one swallows every key.

use super::choose::Choose;
use super::confirm::Confirm;
use super::form::TokenForm;
use super::palette::Palette;
use super::scroll::Scroll;

#[derive(Debug)]
pub enum Dialog {
    Palette(Palette),
    /// All that is wrong.
    Alarms {
        scroll: super::scroll::Scroll,
    },
    Confirm(Confirm),
    /// Which of several primaries a region shall follow.
    Choose(Choose),
    /// What became of what was asked for.
    Outcomes {
        scroll: super::scroll::Scroll,
    },
    /// What a new activation token shall be.
    Form(TokenForm),
    /// A view of the model's [`RehearsalDesk`](super::rehearsal::RehearsalDesk).
    Faults {
        scroll: Scroll,
    },
    /// A view of the model's [`TokenDesk`](super::desk::TokenDesk).
    Token,
    /// A view of the model's [`Promotion`](super::promotion::PromotionDesk).
    Promotion,
}
