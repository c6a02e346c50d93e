//! The few cryptographic steps of a link, each with its own context string, so that no key serves two purposes.

use crate::clock;
use crate::error::{Error, Result};
use crypto_box::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes that are stored or sealed, but never shown; wiped when dropped, compared in constant time.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    pub fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    pub fn random() -> Secret {
        Secret(clock::random_bytes())
    }

    /// The bytes themselves. Each call is a place to look at in a review.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another secret, for the purpose that `context` names. One way: it says nothing about this one.
    pub fn derive(&self, context: &str, parts: &[&[u8]]) -> Secret {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&self.0);
        update_with_lengths(&mut hasher, parts);
        Secret(*hasher.finalize().as_bytes())
    }

    /// An authenticator of `parts` under this secret. The parts can't run into each other.
    pub fn authenticate(&self, parts: &[&[u8]]) -> Mac {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        update_with_lengths(&mut hasher, parts);
        Mac(*hasher.finalize().as_bytes())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// What `Secret::authenticate` made. Compared in constant time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Mac(pub [u8; 32]);

impl PartialEq for Mac {
    fn eq(&self, other: &Mac) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Mac {}

fn update_with_lengths(hasher: &mut blake3::Hasher, parts: &[&[u8]]) {
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
}

/// A fresh X25519 key pair: what opens, and what anybody may seal to.
pub fn key_pair() -> (Secret, [u8; 32]) {
    let opening = SecretKey::generate(&mut clock::rng());
    (Secret(opening.to_bytes()), *opening.public_key().as_bytes())
}

/// Encrypts `plaintext` so that only the holder of the opening key reads it (libsodium's sealed box).
pub fn seal(recipient: &[u8; 32], plaintext: &[u8]) -> Result<Vec<u8>> {
    let recipient = PublicKey::from_bytes(*recipient);
    recipient.seal(&mut clock::rng(), plaintext).map_err(|_| Error::internal("sealing to the token's key failed"))
}

/// Opens what `seal` made.
pub fn open(opening: &Secret, sealed: &[u8]) -> Result<Vec<u8>> {
    let opening = SecretKey::from_bytes(*opening.expose());
    opening
        .unseal(sealed)
        .map_err(|_| Error::corrupt("what was sealed to this region's activation token does not open"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other_and_contexts_separate() {
        let secret = Secret::new([7; 32]);
        assert_ne!(secret.authenticate(&[b"ab", b"c"]), secret.authenticate(&[b"a", b"bc"]));
        assert_ne!(secret.derive("one", &[]), secret.derive("two", &[]));
        assert!(!format!("{secret:?}").contains('7'));
    }

    #[test]
    fn a_sealed_box_opens_with_its_key_only() {
        let (opening, public) = key_pair();
        let (other, _) = key_pair();
        let sealed = seal(&public, b"keyring").expect("sealed");
        assert_eq!(open(&opening, &sealed).expect("opened"), b"keyring");
        assert!(open(&other, &sealed).is_err());
    }
}
