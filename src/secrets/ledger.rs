//! What the replay of another region's ledger asks of a vault.

use super::lock::AllHeld;
use super::vault::Vault;
use crate::error::Result;

impl Vault {
    /// Whether `value` was encrypted for `key` with a key of this region's keyring. Blocks on storage.
    pub fn opens(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        Ok(self.core.barrier()?.decrypt(key, value).is_ok())
    }

    /// While this is held, no client write is between its evaluation and its outcome, and none begins.
    pub async fn hold_writes(&self) -> AllHeld {
        self.core.hold_writes().await
    }
}
