//! The keyring's way to another region: sealed by the primary to the public key that the standby's activation token
//! carries (an X25519 sealed box), and there encrypted under that region's own root key.

use super::keyring::Keyring;
use super::vault::Vault;
use crate::clock;
use crate::error::{Error, Result};
use crate::sensitive::Sensitive;
use crate::storage::keys::Key;
use bytes::Bytes;
use crypto_box::{PublicKey, SecretKey};

impl Vault {
    /// The keyring, for who holds the secret key of `recipient` only.
    pub fn export_keyring(&self, recipient: &[u8; 32]) -> Result<Vec<u8>> {
        let barrier = self.core.barrier()?;
        let plain = barrier.keyring().to_bytes()?;
        let sealed = PublicKey::from_bytes(*recipient).seal(&mut clock::rng(), plain.expose());
        sealed.map_err(|_| Error::internal("the keyring could not be sealed"))
    }

    /// What the region must store to use a keyring that was exported to it. The keys in memory follow by themselves
    /// once that is applied.
    pub fn import_keyring(&self, sealed: &[u8], secret_key: &[u8; 32]) -> Result<Vec<(Bytes, Option<Bytes>)>> {
        let root = self.core.root()?;
        let plain = SecretKey::from_bytes(*secret_key).unseal(sealed).map(Sensitive::new);
        let plain =
            plain.map_err(|_| Error::invalid("the keyring was sealed to another key, or changed on its way"))?;
        let keyring = Keyring::from_bytes(&plain)?;
        Ok(vec![(Key::Keyring.to_bytes(), Some(keyring.encrypt(&root)?.into()))])
    }
}
