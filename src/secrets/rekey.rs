//! New shares for the same root key, made by enough holders of the old ones. Nothing is encrypted anew: only the record
//! that keeps the root key under the unseal key is another one afterwards. With verification the new shares count only
//! once enough of them were given back.
//!
//! What is under way is kept by the leader in memory: with another leader it begins anew.

use super::aead;
use super::seal::{Attempt, SealKind, SealRecord, Split, split_key};
use super::vault::Vault;
use crate::clock;
use crate::error::{Error, Result};
use crate::sensitive::{Sensitive, SensitiveString};
use crate::state::{Command, Outcome, RegionChange};
use crate::storage::keys::Key;
use bytes::Bytes;
use std::sync::{MutexGuard, PoisonError};
use tracing::info;

/// A rekey under way.
pub struct Rekey {
    nonce: String,
    split: Split,
    verify: bool,
    attempt: Attempt,
    /// The new shares are made, but not given back yet.
    made: Option<Made>,
}

/// A seal that waits until enough of its shares were given back.
struct Made {
    nonce: String,
    /// The seal that it replaces, as stored.
    old: Bytes,
    new: SealRecord,
    attempt: Attempt,
}

/// What is told of a rekey. Nothing in it is secret.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RekeyStatus {
    pub started: bool,
    pub nonce: String,
    /// Of the new shares.
    pub split: Split,
    pub progress: u8,
    /// How many of the old shares it takes.
    pub required: u8,
    pub verify: bool,
    /// There once the new shares are made and wait to be given back.
    pub verification: Option<Verification>,
}

/// How far the new shares were given back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verification {
    pub nonce: String,
    pub progress: u8,
}

/// What one more share came to.
pub enum Rekeyed {
    More(RekeyStatus),
    /// The new shares, told once, and what there was to know of the rekey.
    Made(Vec<Sensitive>, RekeyStatus),
}

impl Vault {
    pub fn rekey_status(&self) -> Result<RekeyStatus> {
        let required = self.stored_seal()?.0.split().threshold;
        Ok(status(&self.rekey(), required))
    }

    /// Begins a rekey to `split`.
    pub fn rekey_begin(&self, split: Split, verify: bool) -> Result<RekeyStatus> {
        let (record, _) = self.stored_seal()?;
        record.expect_kind(&SealKind::Shamir).map_err(|_| {
            Error::invalid("this region is unsealed by its key file: it has no shares that could be made anew")
        })?;
        let mut rekey = self.rekey();
        // One whose new shares were told already is ended by nobody's waiting.
        let stays = |rekey: &Rekey| rekey.made.is_some() || !rekey.attempt.gives_way(clock::steady());
        if rekey.as_ref().is_some_and(stays) {
            return Err(Error::invalid("rekey already in progress"));
        }
        let nonce = clock::random_uuid();
        *rekey = Some(Rekey { nonce, split, verify, attempt: Attempt::begin(), made: None });
        info!(shares = split.shares, threshold = split.threshold, "a rekey of the seal begins");
        Ok(status(&rekey, record.split().threshold))
    }

    /// Whether there was one.
    pub fn rekey_cancel(&self) -> bool {
        let was = self.rekey().take().is_some();
        if was {
            info!("the rekey of the seal was given up");
        }
        was
    }

    /// Takes one of the old shares; with enough of them the new ones are made.
    pub async fn rekey_update(&self, share: &SensitiveString, nonce: &str) -> Result<Rekeyed> {
        let (record, stored) = self.stored_seal()?;
        let required = record.split().threshold;
        let (split, verify, root) = {
            let mut under_way = self.rekey();
            let rekey = under_way.as_mut().ok_or_else(|| Error::invalid("no barrier rekey in progress"))?;
            expect_nonce(nonce, &rekey.nonce)?;
            if rekey.made.is_some() {
                return Err(Error::invalid("rekey operation already finished; verification must be performed"));
            }
            let Some(root) = rekey.attempt.add(&record, share)? else {
                return Ok(Rekeyed::More(status(&under_way, required)));
            };
            (rekey.split, rekey.verify, root)
        };
        let unseal_key = aead::new_key();
        let shares = split_key(&unseal_key, split)?;
        let new = SealRecord::new(&SealKind::Shamir, split, &unseal_key, &root);
        if verify {
            let mut under_way = self.rekey();
            let rekey = under_way.as_mut().ok_or_else(|| Error::invalid("the rekey was cancelled meanwhile"))?;
            let nonce = clock::random_uuid();
            rekey.made = Some(Made { nonce, old: stored, new, attempt: Attempt::default() });
            return Ok(Rekeyed::Made(shares, status(&under_way, required)));
        }
        let done = status(&self.rekey(), required);
        self.replace_seal(stored, &new).await?;
        *self.rekey() = None;
        Ok(Rekeyed::Made(shares, done))
    }

    /// Takes one of the new shares back. With enough of them they count from now on, and the nonce of the verification
    /// is told once more; `None`: more are needed.
    pub async fn rekey_verify(&self, share: &SensitiveString, nonce: &str) -> Result<Option<String>> {
        let (old, new, nonce) = {
            let mut under_way = self.rekey();
            let rekey = under_way.as_mut().ok_or_else(no_verification)?;
            let made = rekey.made.as_mut().ok_or_else(no_verification)?;
            // The rekey's own counts as well: OpenBao's command line learns no other without a token.
            if nonce != rekey.nonce {
                expect_nonce(nonce, &made.nonce)?;
            }
            if made.attempt.add(&made.new, share)?.is_none() {
                return Ok(None);
            }
            (made.old.clone(), made.new.clone(), made.nonce.clone())
        };
        self.replace_seal(old, &new).await?;
        *self.rekey() = None;
        Ok(Some(nonce))
    }

    /// Forgets which of the new shares were given back.
    pub fn rekey_verify_restart(&self) -> Result<RekeyStatus> {
        let required = self.stored_seal()?.0.split().threshold;
        let mut under_way = self.rekey();
        let made = under_way.as_mut().and_then(|rekey| rekey.made.as_mut()).ok_or_else(no_verification)?;
        made.attempt = Attempt::default();
        made.nonce = clock::random_uuid();
        Ok(status(&under_way, required))
    }

    /// Stores another seal for the same root key, unless somebody else did so meanwhile.
    async fn replace_seal(&self, old: Bytes, new: &SealRecord) -> Result<()> {
        let key = Key::Seal.to_bytes();
        let change = RegionChange {
            expect: vec![(key.clone(), Some(old))],
            puts: vec![(key, Some(new.to_bytes()?.into()))],
            path: None,
        };
        match self.core.consensus.propose(Command::Region(change)).await? {
            Outcome::Changed => {
                info!("the seal has new shares");
                Ok(())
            }
            Outcome::Refused(refusal) => {
                Err(Error::Conflict(format!("the seal was not changed: {refusal}; begin again")))
            }
            other => Err(Error::internal(format!("to change the seal came out as {other:?}"))),
        }
    }

    fn rekey(&self) -> MutexGuard<'_, Option<Rekey>> {
        self.rekey.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn status(rekey: &Option<Rekey>, required: u8) -> RekeyStatus {
    let Some(rekey) = rekey else { return RekeyStatus { required, ..RekeyStatus::default() } };
    let verification = |made: &Made| Verification { nonce: made.nonce.clone(), progress: made.attempt.progress() };
    RekeyStatus {
        started: true,
        nonce: rekey.nonce.clone(),
        split: rekey.split,
        progress: rekey.attempt.progress(),
        required,
        verify: rekey.verify,
        verification: rekey.made.as_ref().map(verification),
    }
}

/// Vault's error tells the right one. It needs no token, and whoever has the nonce may end what is under way.
pub(super) fn expect_nonce(given: &str, expected: &str) -> Result<()> {
    if given == expected { Ok(()) } else { Err(Error::invalid("incorrect nonce supplied")) }
}

fn no_verification() -> Error {
    Error::invalid("no rekey verification in progress")
}
