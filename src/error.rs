//! One error type, with questions on it. It is logged where it is handled, never on the way.

use crate::ids::Epoch;
use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kept something from being done, in the words of a user: what was wrong, where, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// What was asked makes no sense as it stands; asking again won't help.
    #[error("{0}")]
    Invalid(String),
    /// The token is missing, wrong, expired, or not allowed to do this. Deliberately says no more.
    #[error("permission denied")]
    PermissionDenied,
    #[error("{0}")]
    NotFound(String),
    /// A compare-and-set or a guard saw another state than the caller expected.
    #[error("{0}")]
    Conflict(String),
    /// In Vault's words, which its clients look for.
    #[error("Vault is sealed")]
    Sealed,
    #[error("this node is not initialised: run `twinkeep operator init` on one node of the region")]
    Uninitialised,
    /// This region takes no writes (or no reads, while it syncs) in its present role.
    #[error(transparent)]
    WrongRole(#[from] WrongRole),
    /// No leader, a lost connection, a deadline: the same request may succeed later. Nothing was done.
    #[error("{0}")]
    Unavailable(String),
    /// Another node of the region leads, or will soon: whoever knows the nodes sends the same request there. Nothing was
    /// done.
    #[error("{0}")]
    NotLeader(String),
    /// The request may or may not have been done; only a later look can tell.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    #[error("request body too large: {got} bytes, at most {max} are taken")]
    TooLarge { got: u64, max: u64 },
    /// In Vault's words: what may be stored is bounded, whatever the request may be.
    #[error("put failed due to value being too large; got {got} bytes, max: {max} bytes")]
    ValueTooLarge { got: u64, max: u64 },
    /// Stored data or a peer's bytes that do not decode or do not verify.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// The storage engine or the file system failed.
    #[error("storage: {0}")]
    Storage(String),
    /// A bug, or the world in a state that should not be.
    #[error("internal: {0}")]
    Internal(String),
}

/// Why a region in this role refuses, and who to ask instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongRole {
    /// The role in words: `standby`, `fenced`, `syncing`.
    pub role: String,
    pub epoch: Epoch,
    /// Name and address of the region that is primary, as far as this region knows.
    pub primary: Option<(String, String)>,
}

impl std::error::Error for WrongRole {}

impl fmt::Display for WrongRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path disabled: this region is {} in epoch {}", self.role, self.epoch)?;
        match &self.primary {
            Some((name, address)) => write!(f, "; the primary is {name} at {address}"),
            None => write!(f, "; the primary is not known here"),
        }
    }
}

impl Error {
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::Invalid(message.into())
    }

    pub fn unavailable(message: impl Into<String>) -> Error {
        Error::Unavailable(message.into())
    }

    pub fn not_leader(message: impl Into<String>) -> Error {
        Error::NotLeader(message.into())
    }

    pub fn corrupt(message: impl Into<String>) -> Error {
        Error::Corrupt(message.into())
    }

    pub fn internal(message: impl Into<String>) -> Error {
        Error::Internal(message.into())
    }

    /// Of a task that did not come to its end. What it panicked with may hold a secret, and is not told.
    pub fn cut_off(what: &str, error: &tokio::task::JoinError) -> Error {
        let why = if error.is_panic() { "it panicked, which is a bug" } else { "it was cancelled" };
        Error::Internal(format!("{what} was cut off: {why}"))
    }

    /// Whether the same request may succeed when it is sent again, here or to another node.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_) | Error::NotLeader(_))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::Storage(error.to_string())
    }
}

impl From<postcard::Error> for Error {
    fn from(error: postcard::Error) -> Error {
        Error::Corrupt(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_task_panicked_with_is_not_told() {
        let value = "canary".to_owned();
        let panicked = tokio::spawn(async move { panic!("no good: {value}") }).await.expect_err("a panic");
        let told = Error::cut_off("a task", &panicked).to_string();
        assert!(told.contains("a bug") && !told.contains("canary"), "{told}");
    }
}
