//! What the replay of another region's ledger asks of a vault.

use super::layout::{self, Scope};
use super::lock::AllHeld;
use super::vault::Vault;
use crate::error::Result;

impl Vault {
    /// Whether `value` was encrypted for `key` with a key of this region's keyring. Blocks on storage.
    pub fn opens(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        Ok(self.core.barrier()?.decrypt(key, value).is_ok())
    }

    /// Why a key is not written by a replay. A table holds all of its kind at once: an older one would take away what was
    /// made since, and whoever may replay need not be one who may do that.
    pub fn keeps_from_replay(key: &[u8], overwrites: bool) -> Option<&'static str> {
        match layout::scope(key) {
            Scope::KeyTerms => Some("a key rotation is not replayed: rotate the key on this region"),
            Scope::Staged => Some("what a restore has begun is not replayed"),
            Scope::Table if overwrites => {
                Some("it would put back the whole table of that time: make the change again on this region")
            }
            Scope::Table | Scope::Single => None,
        }
    }

    /// While this is held, no client write is between its evaluation and its outcome, and none begins.
    pub async fn hold_writes(&self) -> AllHeld {
        self.core.hold_writes().await
    }
}
