//! What can go wrong with a call, told apart so that a caller knows whether anything may have been done.

use std::fmt;

pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// A call that brought no usable answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The address, token or certificates can't be used; nothing was sent.
    #[error("{0}")]
    Options(String),
    /// No answer arrived.
    #[error("{address} can't be reached: {phase}: {cause}")]
    Unreachable { address: String, phase: Phase, cause: String },
    /// The server answered with an error.
    #[error("{}", status_text(*status, errors, raw.as_deref()))]
    Status {
        method: String,
        url: String,
        status: u16,
        /// The server's `errors`; may be empty.
        errors: Vec<String>,
        /// The beginning of a body that held no `errors`: a proxy's, perhaps.
        raw: Option<String>,
    },
    /// The server said that all is well in a body that is not what was expected: perhaps no Twinkeep, or another version.
    #[error("{method} {url} answered {status} with a body that can't be read: {cause}")]
    Undecodable { method: String, url: String, status: u16, cause: String },
}

/// How far a call came that was never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No connection was made: nothing was sent.
    Connect,
    /// It was sent, perhaps; no answer began in time or the connection broke.
    Answer,
    /// The answer began and broke off.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Connect => "no connection",
            Phase::Answer => "no answer",
            Phase::Body => "the answer broke off",
        })
    }
}

impl ClientError {
    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            ClientError::Status { status, .. } | ClientError::Undecodable { status, .. } => Some(*status),
            ClientError::Options(_) | ClientError::Unreachable { .. } => None,
        }
    }

    pub fn is_unreachable(&self) -> bool {
        matches!(self, ClientError::Unreachable { .. })
    }

    /// Whether the request may have been carried out all the same: only a later look can tell.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            ClientError::Options(_) | ClientError::Unreachable { phase: Phase::Connect, .. } => false,
            ClientError::Unreachable { .. } | ClientError::Undecodable { .. } => true,
            // A gateway between gave up, or the server did not hear from its leader in time.
            ClientError::Status { status, .. } => matches!(status, 500 | 502 | 504),
        }
    }
}

fn status_text(status: u16, errors: &[String], raw: Option<&str>) -> String {
    match (errors, raw) {
        ([], None) => format!("the server answered {status}"),
        ([], Some(raw)) => format!("the server answered {status}: {raw}"),
        (errors, _) => format!("{} ({status})", errors.join("; ")),
    }
}
