//! The seal: who can open a region. The unseal key, which is never stored, encrypts the root key, which encrypts the
//! keyring. The unseal key is either split into Shamir shares or lies in a key file for unsealing without a person.
//!
//! With shares, a share is 33 bytes: its number, then 32 bytes (constant-time arithmetic in GF(256), by vsss-rs). A
//! single share is the unseal key itself, as in Vault.

use super::aead;
use crate::clock;
use crate::error::{Error, Result};
use crate::sensitive::{Key, Sensitive, SensitiveString};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vsss_rs::Gf256;
use zeroize::Zeroizing;

/// What the stored root key is authenticated as. The last word is the format's version.
const ABOUT: &[u8] = b"twinkeep root key 1";

const KEY_BYTES: usize = 32;
const SHARE_BYTES: usize = 1 + KEY_BYTES;

/// How this node's configuration wants its region unsealed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SealKind {
    #[default]
    Shamir,
    /// The unseal key lies in this file: a region that is initialised makes it, every other node needs a copy.
    File(PathBuf),
}

impl SealKind {
    pub fn name(&self) -> &'static str {
        match self {
            SealKind::Shamir => SHAMIR,
            SealKind::File(_) => FILE,
        }
    }
}

const SHAMIR: &str = "shamir";
const FILE: &str = "file";

/// The seal of a region, as stored in `Key::Seal` and as sent to a node that joins: nothing in it is secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct SealRecord {
    /// `shamir` or `file`.
    #[serde(rename = "type")]
    kind: String,
    shares: u8,
    threshold: u8,
    /// The root key, encrypted by the unseal key, in base64.
    root_key: String,
}

impl SealRecord {
    pub fn new(kind: &SealKind, split: Split, unseal_key: &Key, root: &Key) -> SealRecord {
        let root_key = BASE64.encode(aead::encrypt(unseal_key, ABOUT, root.as_slice()));
        SealRecord { kind: kind.name().to_owned(), shares: split.shares, threshold: split.threshold, root_key }
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<SealRecord> {
        let record: SealRecord = serde_json::from_slice(bytes)
            .map_err(|error| Error::corrupt(format!("the seal's configuration does not decode: {error}")))?;
        let of_shamir = record.kind == SHAMIR && Split::new(record.shares, record.threshold).is_ok();
        if of_shamir || record.kind == FILE { Ok(record) } else { Err(Error::corrupt("the seal is of no known kind")) }
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::internal(error.to_string()))
    }

    /// `shamir` or `file`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// How many shares there are, and how many open it; 0 of 0 with a key file.
    pub fn split(&self) -> Split {
        Split { shares: self.shares, threshold: self.threshold }
    }

    /// Fails where the node's configuration names another kind of seal than the region was initialised with.
    pub fn expect_kind(&self, configured: &SealKind) -> Result<()> {
        if self.kind == configured.name() {
            return Ok(());
        }
        let (here, there) = (configured.name(), &self.kind);
        Err(Error::invalid(format!(
            "this node is configured for the seal `{here}`, but its region was initialised with `{there}`"
        )))
    }

    /// The root key; `None` if it was another unseal key.
    pub fn open(&self, unseal_key: &Key) -> Result<Option<Key>> {
        let encrypted =
            BASE64.decode(&self.root_key).map_err(|_| Error::corrupt("the stored root key is no base64"))?;
        aead::decrypt(unseal_key, ABOUT, &encrypted).map(|root| key_from(root.expose())).transpose()
    }
}

/// Into how many shares the unseal key is split, and how many of them make it whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Split {
    pub shares: u8,
    pub threshold: u8,
}

impl Split {
    pub fn new(shares: u8, threshold: u8) -> Result<Split> {
        let wrong = |why: &str| Err(Error::invalid(format!("invalid seal configuration: {why}")));
        match (shares, threshold) {
            (0, _) => wrong("shares must be at least one"),
            (_, 0) => wrong("threshold must be at least one"),
            (shares, threshold) if threshold > shares => wrong("threshold cannot be larger than shares"),
            (2.., 1) => wrong("threshold must be greater than one for multiple shares"),
            _ => Ok(Split { shares, threshold }),
        }
    }
}

/// The shares of `unseal_key`.
pub fn split_key(unseal_key: &Key, split: Split) -> Result<Vec<Sensitive>> {
    if split.shares == 1 {
        return Ok(vec![Sensitive::new(unseal_key.to_vec())]);
    }
    let (threshold, shares) = (usize::from(split.threshold), usize::from(split.shares));
    let split = Gf256::split_array(threshold, shares, unseal_key.as_slice(), clock::rng());
    let shares = split.map_err(|error| Error::internal(format!("the unseal key could not be split: {error}")))?;
    Ok(shares.into_iter().map(Sensitive::new).collect())
}

/// The key that `shares` make; one of no use if they don't belong together, which only `SealRecord::open` finds out.
fn combine(shares: &[Sensitive]) -> Result<Key> {
    if let [key] = shares {
        return key_from(key.expose());
    }
    let shares = Zeroizing::new(shares.iter().map(|share| share.expose().to_vec()).collect::<Vec<_>>());
    // The crate's errors only name the kind of misfit, never a byte.
    let key = Gf256::combine_array(&*shares).map_err(|error| Error::invalid(format!("unseal failed: {error}")))?;
    key_from(&Zeroizing::new(key))
}

fn key_from(bytes: &[u8]) -> Result<Key> {
    let key = <[u8; KEY_BYTES]>::try_from(bytes);
    Ok(Key::new(key.map_err(|_| Error::invalid(format!("a key has {} bytes, not {KEY_BYTES}", bytes.len())))?))
}

/// So long after its last share an attempt that anybody may begin gives way to another one: its nonce is known to whoever
/// began it, and nobody else can end it without a token.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(600);

/// Shares that were given so far. `nonce` names the attempt.
#[derive(Default)]
pub struct Attempt {
    shares: Vec<Sensitive>,
    nonce: String,
    /// When a share came last.
    moved_at: Option<Instant>,
}

impl Attempt {
    /// One that begins now.
    pub fn begin() -> Attempt {
        Attempt { moved_at: Some(clock::steady()), ..Attempt::default() }
    }

    pub fn gives_way(&self, now: Instant) -> bool {
        self.moved_at.is_some_and(|at| now.saturating_duration_since(at) > GIVES_WAY_AFTER)
    }

    pub fn progress(&self) -> u8 {
        u8::try_from(self.shares.len()).unwrap_or(u8::MAX)
    }

    /// Empty before the first share.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// As `add`; a share that is in already changes nothing, as in Vault.
    pub fn add_once(&mut self, record: &SealRecord, share: &SensitiveString) -> Result<Option<Key>> {
        let decoded = decode_share(share, record.split().shares)?;
        if self.shares.contains(&decoded) { Ok(None) } else { self.add(record, share) }
    }

    /// Takes one more share. The root key, once there are enough; then, or when they turn out not to fit, the attempt
    /// starts anew.
    pub fn add(&mut self, record: &SealRecord, share: &SensitiveString) -> Result<Option<Key>> {
        let Split { shares, threshold } = record.split();
        let share = decode_share(share, shares)?;
        let number = |share: &Sensitive| share.expose().first().copied();
        if let Some(given) = self.shares.iter().find(|given| number(given) == number(&share)) {
            let same = if *given == share { "this share" } else { "another share with the same number" };
            let progress = self.progress();
            return Err(Error::invalid(format!(
                "{same} was given already: {progress} of {threshold} needed shares are in; give a different one, or \
                 reset and start again"
            )));
        }
        if self.shares.is_empty() {
            self.nonce = clock::random_uuid();
        }
        self.shares.push(share);
        self.moved_at = self.moved_at.map(|_| clock::steady());
        if self.progress() < threshold {
            return Ok(None);
        }
        let moved_at = self.moved_at;
        let given = std::mem::replace(self, Attempt { moved_at, ..Attempt::default() });
        let root = record.open(&combine(&given.shares)?)?;
        root.map(Some).ok_or_else(|| {
            Error::invalid(
                "unseal failed, invalid key: the given shares do not belong together, or to another region; start \
                 again with the first share",
            )
        })
    }
}

/// Fails unless it is written as a share could be.
pub fn expect_legible(text: &SensitiveString) -> Result<()> {
    decode(text).map(drop)
}

/// A share as people paste it: hexadecimal or base64.
fn decode(text: &SensitiveString) -> Result<Sensitive> {
    let text = text.expose().trim();
    let bytes = hex::decode(text).or_else(|_| BASE64.decode(text));
    let bytes = bytes.map_err(|_| Error::invalid("'key' must be a valid hex or base64 string"))?;
    Ok(Sensitive::new(bytes))
}

fn decode_share(text: &SensitiveString, shares: u8) -> Result<Sensitive> {
    let share = decode(text)?;
    let (expected, got) = (if shares == 1 { KEY_BYTES } else { SHARE_BYTES }, share.expose().len());
    if got != expected {
        return Err(Error::invalid(format!("an unseal key of this region has {expected} bytes, this one {got}")));
    }
    Ok(share)
}
