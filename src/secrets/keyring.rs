//! The keyring: every key that the data set is encrypted with. It crosses the link once (see `handover`) and is
//! stored in `Key::Keyring`, encrypted under the region's root key.

use super::aead;
use crate::clock::{self, UnixMs};
use crate::error::{Error, Result};
use crate::sensitive::{Key, Sensitive};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What the stored keyring, and the terms beside it, are authenticated as. The last word is the format's version.
const ABOUT: &[u8] = b"twinkeep keyring 1";
const ABOUT_TERMS: &[u8] = b"twinkeep key terms 1";

/// Room for the serialised keyring, so that growing it leaves no copies behind.
const SERIALISED_BYTES: usize = 512;

/// Keys of a data set. Values name the term of their key, so old terms stay readable.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Keyring {
    /// The two halves of the AES-SIV key of path segments. It never changes, since a path's ciphertext is its name.
    path_key: [[u8; 32]; 2],
    /// Keys the hashes under which tokens are stored.
    token_key: [u8; 32],
    /// Ascending by term, never empty.
    terms: Vec<DataKey>,
    /// How many terms the data set has, of which the last one encrypts: the first of all, where it says nothing. A region
    /// may hold terms that its data set does not know, of a rotation that was lost in a failover or undone by a restore:
    /// those only decrypt, since no other region has them.
    #[serde(skip)]
    active: Option<u32>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct DataKey {
    term: u32,
    key: [u8; 32],
    /// Milliseconds since 1970.
    created_at: u64,
}

impl DataKey {
    fn copy(&self) -> DataKey {
        DataKey { term: self.term, key: self.key, created_at: self.created_at }
    }
}

impl Keyring {
    pub fn generate(now: UnixMs) -> Keyring {
        let first = DataKey { term: 1, key: clock::random_bytes(), created_at: now.0 };
        Keyring {
            path_key: [clock::random_bytes(), clock::random_bytes()],
            token_key: clock::random_bytes(),
            terms: vec![first],
            active: None,
        }
    }

    /// The term and the key that encrypt now.
    pub fn active(&self) -> (u32, Key) {
        let active = self.active_key();
        (active.term, Key::new(active.key))
    }

    fn active_key(&self) -> &DataKey {
        let of_data = self.terms.iter().find(|key| Some(key.term) == self.active);
        of_data.or(self.terms.first()).expect("a keyring has a term: `generate` and `from_bytes` see to it")
    }

    /// The keyring with one more term, which encrypts from now on.
    pub fn rotated(&self, now: UnixMs) -> Keyring {
        let term = self.terms.last().map_or(0, |key| key.term) + 1;
        let next = DataKey { term, key: clock::random_bytes(), created_at: now.0 };
        let terms = self.terms.iter().map(DataKey::copy).chain([next]).collect();
        Keyring { path_key: self.path_key, token_key: self.token_key, terms, active: Some(term) }
    }

    /// The terms as they travel in the data set, from where every region that holds its keyring, of whatever term, takes
    /// them over.
    pub fn terms_for_data(&self) -> Result<Vec<u8>> {
        let bytes = postcard::to_extend(&self.terms, Vec::with_capacity(SERIALISED_BYTES))?;
        Ok(aead::encrypt(&self.terms_key(), ABOUT_TERMS, Sensitive::new(bytes).expose()))
    }

    /// The keyring with the terms that the data set has.
    pub fn with_terms(mut self, stored: &[u8]) -> Result<Keyring> {
        let wrong = || Error::corrupt("the data set's key terms do not open with the region's keyring");
        let bytes = aead::decrypt(&self.terms_key(), ABOUT_TERMS, stored).ok_or_else(wrong)?;
        let terms: Vec<DataKey> = postcard::from_bytes(bytes.expose()).map_err(|_| wrong())?;
        self.active = Some(terms.iter().map(|key| key.term).max().ok_or_else(wrong)?);
        // The data set's own count: a term that was made elsewhere and lost may have had the same number.
        let mut own = std::mem::replace(&mut self.terms, terms);
        own.retain(|key| !self.terms.iter().any(|term| term.term == key.term));
        self.terms.append(&mut own);
        self.terms.sort_by_key(|key| key.term);
        Ok(self)
    }

    fn terms_key(&self) -> Key {
        aead::derive(&self.token_key(), "twinkeep 2026 key terms")
    }

    /// When the active term began.
    pub fn active_since(&self) -> UnixMs {
        UnixMs(self.active_key().created_at)
    }

    pub fn key_of(&self, term: u32) -> Option<Key> {
        let found = self.terms.iter().find(|key| key.term == term)?;
        Some(Key::new(found.key))
    }

    pub fn path_key(&self) -> Sensitive {
        Sensitive::new(self.path_key.concat())
    }

    pub fn token_key(&self) -> Key {
        Key::new(self.token_key)
    }

    pub fn to_bytes(&self) -> Result<Sensitive> {
        Ok(Sensitive::new(postcard::to_extend(self, Vec::with_capacity(SERIALISED_BYTES))?))
    }

    pub fn from_bytes(bytes: &Sensitive) -> Result<Keyring> {
        // The decoder's own words could quote a key: they are left out.
        let wrong = || Error::corrupt("the keyring does not decode");
        let keyring: Keyring = postcard::from_bytes(bytes.expose()).map_err(|_| wrong())?;
        if keyring.terms.is_empty() { Err(wrong()) } else { Ok(keyring) }
    }

    /// As stored in `Key::Keyring`.
    pub fn encrypt(&self, root: &Key) -> Result<Vec<u8>> {
        Ok(aead::encrypt(root, ABOUT, self.to_bytes()?.expose()))
    }

    pub fn decrypt(root: &Key, stored: &[u8]) -> Result<Keyring> {
        let bytes = aead::decrypt(root, ABOUT, stored)
            .ok_or_else(|| Error::corrupt("the stored keyring does not open with this region's root key"))?;
        Keyring::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(keyring: &Keyring) -> u32 {
        keyring.active().0
    }

    /// A term that was made and lost, in a failover or by a restore, is in a keyring that was carried over meanwhile.
    #[test]
    fn a_term_that_the_data_set_does_not_know_only_decrypts() {
        let first = Keyring::generate(UnixMs(1));
        let rotated = first.rotated(UnixMs(2));
        assert_eq!((active(&first), active(&rotated)), (1, 2));
        let again = |keyring: &Keyring| Keyring::from_bytes(&keyring.to_bytes().expect("bytes")).expect("a keyring");
        let carried = again(&rotated);
        assert_eq!(active(&carried), 1, "the data set names no terms: it was never rotated");
        let carried = carried.with_terms(&first.terms_for_data().expect("bytes")).expect("its terms");
        assert_eq!((active(&carried), carried.active_since()), (1, UnixMs(1)));
        assert!(carried.key_of(2).is_some());
        assert_eq!(active(&carried.rotated(UnixMs(3))), 3, "and its number is not given again");
        let followed = again(&first).with_terms(&rotated.terms_for_data().expect("bytes")).expect("its terms");
        assert_eq!(active(&followed), 2);
    }
}
