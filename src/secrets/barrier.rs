//! The barrier: nothing of a client passes it into storage but as ciphertext.
//!
//! A value is `[format][term u32][nonce 24][ciphertext]`, authenticated together with the storage key it belongs to,
//! so that no value can be moved to another place. A path segment is `[length u16][ciphertext]`, encrypted with
//! AES-SIV, which is deterministic: equal names in the same folder are equal bytes, which is what lets a folder be
//! listed by its prefix. Each segment is authenticated together with the one before it, whose synthetic nonce depends
//! on all above it, so equal names in different folders differ.

use super::aead;
use super::keyring::Keyring;
use crate::error::{Error, Result};
use crate::sensitive::{Key, Sensitive};
use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first byte of every value. Never reuse one.
const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 5;

/// The bytes of an encoded segment's length.
const LENGTH_BYTES: usize = 2;

pub struct Barrier {
    keyring: Keyring,
    path_key: Sensitive,
    token_key: Key,
    /// Values encrypted so far.
    encryptions: AtomicU64,
}

impl Barrier {
    pub fn new(keyring: Keyring) -> Barrier {
        Barrier {
            path_key: keyring.path_key(),
            token_key: keyring.token_key(),
            keyring,
            encryptions: AtomicU64::new(0),
        }
    }

    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub fn encryptions(&self) -> u64 {
        self.encryptions.load(Ordering::Relaxed)
    }

    /// The value to store under `key`.
    pub fn encrypt(&self, key: &[u8], plaintext: &[u8]) -> Bytes {
        self.encryptions.fetch_add(1, Ordering::Relaxed);
        let (term, data_key) = self.keyring.active();
        let header = header(term);
        let encrypted = aead::encrypt(&data_key, &about(&header, key), plaintext);
        let mut value = Vec::with_capacity(HEADER_BYTES + encrypted.len());
        value.extend_from_slice(&header);
        value.extend_from_slice(&encrypted);
        value.into()
    }

    /// What was encrypted to be stored under `key`.
    pub fn decrypt(&self, key: &[u8], value: &[u8]) -> Result<Sensitive> {
        let (header, encrypted) = value
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or_else(|| Error::corrupt("a stored value is shorter than its header"))?;
        let [format, term @ ..] = *header;
        if format != FORMAT {
            return Err(Error::corrupt(format!("a stored value has format {format}, this version knows {FORMAT}")));
        }
        let term = u32::from_be_bytes(term);
        let data_key = self
            .keyring
            .key_of(term)
            .ok_or_else(|| Error::corrupt(format!("a stored value wants the key of term {term}, which is not here")))?;
        aead::decrypt(&data_key, &about(header, key), encrypted)
            .ok_or_else(|| Error::corrupt("a stored value does not verify: it was changed or moved"))
    }

    /// Appends the encoding of `name` to `key`. `above` is the encoded segment before it, or whatever the path hangs on.
    pub fn push_segment(&self, key: &mut Vec<u8>, above: &[u8], name: &str) -> Result<()> {
        let encrypted = self.siv().encrypt([above], name.as_bytes());
        let encrypted = encrypted.map_err(|_| Error::internal("a path segment could not be encrypted"))?;
        let length = u16::try_from(encrypted.len()).map_err(|_| Error::invalid("a path segment is too long"))?;
        key.extend_from_slice(&length.to_be_bytes());
        key.extend_from_slice(&encrypted);
        Ok(())
    }

    /// The name in an encoded segment.
    pub fn open_segment(&self, above: &[u8], segment: &[u8]) -> Result<String> {
        let wrong = || Error::corrupt("a stored path segment does not verify");
        let encrypted = segment.get(LENGTH_BYTES..).ok_or_else(wrong)?;
        let name = self.siv().decrypt([above], encrypted).map_err(|_| wrong())?;
        String::from_utf8(name).map_err(|_| wrong())
    }

    /// A hash under which a token or whatever else has a name is stored: without the keyring nobody can test a guess.
    pub fn token_hash(&self, purpose: TokenHash, text: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.token_key);
        hasher.update(&[purpose as u8]);
        hasher.update(text.as_bytes());
        *hasher.finalize().as_bytes()
    }

    fn siv(&self) -> Aes256Siv {
        Aes256Siv::new_from_slice(self.path_key.expose()).expect("the path key is 64 bytes, as AES-256-SIV wants")
    }
}

/// What a hash is of, so that a token and an accessor with the same text differ. Ordinals are never reused.
#[derive(Clone, Copy)]
pub enum TokenHash {
    Token = 1,
    Accessor = 2,
    Policy = 3,
    Role = 4,
}

/// The encoded segment at the head of `path`, or `None` if there is no whole one.
pub fn first_segment(path: &[u8]) -> Option<&[u8]> {
    let (length, _) = path.split_first_chunk::<LENGTH_BYTES>()?;
    path.get(..LENGTH_BYTES + usize::from(u16::from_be_bytes(*length)))
}

fn header(term: u32) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = term.to_be_bytes();
    [FORMAT, a, b, c, d]
}

fn about(header: &[u8; HEADER_BYTES], key: &[u8]) -> Vec<u8> {
    [header.as_slice(), key].concat()
}
