//! The form of a new activation token: how long it is good for, and whether what the standby holds may be replaced.

use super::confirm::{Consent, Decision, Permit};
use super::list;
use super::msg::{Change, Target};
use crate::api::replication::TokenRequest;
use crate::clock::UnixMs;
use crossterm::event::{KeyCode, KeyEvent};
use std::time::Duration;
use tui_input::Input;

/// What a token is good for unless something else is typed.
const TTL: &str = "30m";
/// The servers make none that is good for longer.
const TTL_MAX: Duration = Duration::from_secs(24 * 3_600);

#[derive(Debug)]
pub struct TokenForm {
    pub standby: Target,
    /// Handed to this primary at once; `None`: kept here.
    pub primary: Option<Target>,
    pub ttl: Input,
    /// What the standby holds of its own, in words; `None`: nothing that is known of.
    pub holds: Option<String>,
    /// Whether that may be replaced.
    pub replace: bool,
    /// The same on the command line, without the time.
    pub command: String,
    pub notice: Option<String>,
    pub consent: Consent,
}

/// What a key came to.
#[derive(Debug)]
pub enum Filled {
    Open,
    Cancelled,
    Asked(Permit, TokenRequest),
}

impl TokenForm {
    pub fn new(standby: Target, primary: Option<Target>, opened_at: UnixMs) -> TokenForm {
        let verb = if primary.is_some() { "Link" } else { "Make it" };
        TokenForm {
            standby,
            primary,
            ttl: Input::new(TTL.into()),
            holds: None,
            replace: false,
            command: String::new(),
            notice: None,
            consent: Consent::yes(verb, opened_at),
        }
    }

    /// No time has a `y` or an `n` in it, so that the answer needs no key of its own.
    pub fn key(&mut self, key: KeyEvent, now: UnixMs) -> Filled {
        self.notice = None;
        match self.consent.key(key, now) {
            Decision::Cancelled => return Filled::Cancelled,
            Decision::Confirmed(permit) => match self.request() {
                Ok(request) => return Filled::Asked(permit, request),
                Err(why) => self.notice = Some(why),
            },
            Decision::Open if self.consent.is_new(now) => {}
            Decision::Open => match key.code {
                KeyCode::Char(' ') if self.holds.is_some() => self.replace = !self.replace,
                KeyCode::Char(_) | KeyCode::Backspace | KeyCode::Delete => list::edit(&mut self.ttl, key),
                _ => {}
            },
        }
        Filled::Open
    }

    /// Where the request goes, and as what.
    pub fn change(self, request: TokenRequest) -> (Target, Change) {
        match self.primary {
            None => (self.standby, Change::GenerateToken(request)),
            Some(primary) => (primary, Change::Link { standby: self.standby, request }),
        }
    }

    /// The whole command line that does the same.
    pub fn whole_command(&self) -> String {
        let force = if self.replace { " -force" } else { "" };
        let asked = format!("generate-token -ttl={}{force}", self.ttl.value());
        self.command.replacen("generate-token", &asked, 1)
    }

    fn request(&self) -> Result<TokenRequest, String> {
        let ttl = crate::duration::parse(self.ttl.value().trim()).map_err(|error| error.to_string())?;
        if ttl.is_zero() || ttl > TTL_MAX {
            return Err("between a second and a day, like 30m or 2h".into());
        }
        Ok(TokenRequest { ttl: Some(serde_json::json!(ttl.as_secs())), force: self.replace })
    }
}
