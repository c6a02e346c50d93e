//! Authenticated encryption under a 32-byte key, and keys derived from another: what everything encrypted in this
//! layer is made of. XChaCha20-Poly1305: its nonce is long enough to be drawn at random for each message.

use crate::clock;
use crate::sensitive::{Key, Sensitive};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

const NONCE_BYTES: usize = 24;

/// A fresh key from the operating system's generator.
pub fn new_key() -> Key {
    Key::new(clock::random_bytes())
}

/// A key for one purpose, named by `context`, that tells nothing about `key`.
pub fn derive(key: &Key, context: &str) -> Key {
    Key::new(blake3::derive_key(context, key.as_slice()))
}

/// 24 bytes of nonce, then the ciphertext with its tag. `about` is authenticated, not stored: what is decrypted as
/// something else than it was encrypted for fails.
pub fn encrypt(key: &Key, about: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_BYTES] = clock::random_bytes();
    let cipher = XChaCha20Poly1305::new(key.as_slice().into());
    let payload = Payload { msg: plaintext, aad: about };
    let encrypted = cipher.encrypt(XNonce::from_slice(&nonce), payload).expect("messages are far below 256 GiB");
    let mut bytes = Vec::with_capacity(NONCE_BYTES + encrypted.len());
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&encrypted);
    bytes
}

/// What `encrypt` was given; `None` if the key or `about` is another or a bit was changed.
pub fn decrypt(key: &Key, about: &[u8], bytes: &[u8]) -> Option<Sensitive> {
    let (nonce, encrypted) = bytes.split_at_checked(NONCE_BYTES)?;
    let cipher = XChaCha20Poly1305::new(key.as_slice().into());
    let payload = Payload { msg: encrypted, aad: about };
    Some(Sensitive::new(cipher.decrypt(XNonce::from_slice(nonce), payload).ok()?))
}
