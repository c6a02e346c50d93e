//! Why something was not copied, and asking again where that may help.

use crate::client::ClientError;
use std::fmt;
use std::time::Duration;

/// A leader that fell is replaced within seconds; an upgrade of a mount takes no longer.
const ATTEMPTS_MAX: u32 = 8;
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub enum Trouble {
    /// Something else is here already.
    Conflict(String),
    /// One of the servers will not have it, however often it is asked.
    Refused(String),
    /// One of the servers can't be asked at present: nothing else will go better.
    Lost(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Trouble::Conflict(why) | Trouble::Refused(why) | Trouble::Lost(why)) = self;
        f.write_str(why)
    }
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Trouble {
        let why = match &error {
            ClientError::Status { method, url, .. } => format!("{method} {url}: {error}"),
            _ => error.to_string(),
        };
        // Somebody else wrote, or an answer got lost: another look tells.
        let moved = matches!(&error, ClientError::Status { status: 400, errors, .. }
            if errors.iter().any(|text| text.contains("check-and-set parameter did not match")
                || text.contains("Upgrading from non-versioned")));
        let busy = matches!(error.status(), Some(412 | 429 | 472 | 473 | 500 | 502 | 503 | 504));
        if moved || busy || error.is_unreachable() {
            return Trouble::Lost(why);
        }
        Trouble::Refused(why.chars().take(WHY_CHARS_MAX).collect())
    }
}

/// A server may say as much as it likes; the report is for people.
const WHY_CHARS_MAX: usize = 500;

/// Tries until it is done or refused. What is tried must be safe to repeat.
pub async fn patiently<T>(mut attempt: impl AsyncFnMut() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let mut pause = PAUSE_MIN;
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(Trouble::Lost(_)) => tokio::time::sleep(pause).await,
            outcome => return outcome,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
    attempt().await
}
