//! The form of a new activation token: how long it is good for, and whether what the standby holds may be replaced.

use super::list;
use super::msg::Target;
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
    pub opened_at: UnixMs,
}

/// What a key came to.
#[derive(Debug)]
pub enum Filled {
    Open,
    Cancelled,
    Asked(TokenRequest),
}

impl TokenForm {
    pub fn new(standby: Target, primary: Option<Target>, opened_at: UnixMs) -> TokenForm {
        TokenForm {
            standby,
            primary,
            ttl: Input::new(TTL.into()),
            holds: None,
            replace: false,
            command: String::new(),
            notice: None,
            opened_at,
        }
    }

    pub fn key(&mut self, key: KeyEvent, now: UnixMs) -> Filled {
        self.notice = None;
        match key.code {
            KeyCode::Esc => return Filled::Cancelled,
            _ if now.since(self.opened_at) < super::confirm::TYPED_AHEAD => {}
            KeyCode::Tab if self.holds.is_some() => self.replace = !self.replace,
            KeyCode::Enter => match self.request() {
                Ok(request) => return Filled::Asked(request),
                Err(why) => self.notice = Some(why),
            },
            _ => list::edit(&mut self.ttl, key),
        }
        Filled::Open
    }

    fn request(&self) -> Result<TokenRequest, String> {
        let ttl = crate::duration::parse(self.ttl.value().trim()).map_err(|error| error.to_string())?;
        if ttl.is_zero() || ttl > TTL_MAX {
            return Err("between a second and a day, like 30m or 2h".into());
        }
        Ok(TokenRequest { ttl: Some(serde_json::json!(ttl.as_secs())), force: self.replace })
    }
}
