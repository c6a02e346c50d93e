//! The activation token that this console made and has not handed over yet: held in memory, masked, and forgotten.

use crate::clock::UnixMs;
use crate::sensitive::SensitiveString;
use std::time::Duration;

/// A revealed token hides itself again after so long.
pub const REVEALED_FOR: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, Default)]
pub enum TokenDesk {
    #[default]
    Empty,
    /// The region was asked for one.
    Asked {
        region: String,
    },
    Held(HeldToken),
    Failed {
        region: String,
        why: String,
    },
    /// The primary was given it and has not answered yet.
    Handing {
        held: HeldToken,
        primary: String,
    },
}

#[derive(Clone, Debug)]
pub struct HeldToken {
    pub region: String,
    pub accessor: String,
    pub expires_at: UnixMs,
    pub token: SensitiveString,
    pub revealed_until: Option<UnixMs>,
    /// Whether its end was announced.
    pub warned: bool,
    /// What the last attempt to hand it over brought.
    pub notice: Option<String>,
}

/// An unused token says so when it has only so long left.
pub const EXPIRY_WARN: Duration = Duration::from_secs(5 * 60);

impl HeldToken {
    /// How long it has left, once, when that is not long any more.
    pub fn expiry_to_tell(&mut self, now: UnixMs) -> Option<Duration> {
        let left = self.expires_at.since(now);
        if self.warned || left.is_zero() || left > EXPIRY_WARN {
            return None;
        }
        self.warned = true;
        Some(left)
    }

    pub fn is_revealed(&self, now: UnixMs) -> bool {
        self.revealed_until.is_some_and(|until| now < until)
    }

    pub fn toggle_reveal(&mut self, now: UnixMs) {
        self.revealed_until = if self.is_revealed(now) { None } else { Some(now.plus(REVEALED_FOR)) };
    }
}

impl TokenDesk {
    pub fn held(&self) -> Option<&HeldToken> {
        match self {
            TokenDesk::Held(held) => Some(held),
            _ => None,
        }
    }

    pub fn held_mut(&mut self) -> Option<&mut HeldToken> {
        match self {
            TokenDesk::Held(held) => Some(held),
            _ => None,
        }
    }
}
