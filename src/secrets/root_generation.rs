//! A new root token, made by enough holders of shares: for when nobody has one any more. It is told encrypted by a
//! one-time password that only whoever began has seen, so that no holder of a share learns it.
//!
//! What is under way is kept by the leader in memory: with another leader it begins anew.

use super::core::{Access, View};
use super::lock::{Gate, Lock};
use super::rekey::expect_nonce;
use super::seal::Attempt;
use super::tokens::{TOKEN_LENGTH, new_root, random_text};
use super::vault::Vault;
use crate::clock;
use crate::error::{Error, Result};
use crate::ids::Position;
use crate::sensitive::SensitiveString;
use crate::state::Class;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use std::sync::{MutexGuard, PoisonError};
use tracing::info;

/// One under way.
pub struct RootGeneration {
    nonce: String,
    otp: SensitiveString,
    attempt: Attempt,
}

/// What is told of it. Nothing in it is secret.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RootGenerationStatus {
    pub started: bool,
    pub nonce: String,
    pub progress: u8,
    /// How many shares it takes.
    pub required: u8,
}

/// The new token, encrypted by the one-time password, and where it was written.
pub struct NewRoot {
    pub encoded: String,
    pub status: RootGenerationStatus,
    pub position: Position,
}

/// How long a one-time password is: as long as a token.
pub const OTP_LENGTH: usize = TOKEN_LENGTH;

impl Vault {
    pub fn root_generation_status(&self) -> Result<RootGenerationStatus> {
        let required = self.stored_seal()?.0.split().threshold;
        Ok(status(&self.root_generation(), required))
    }

    /// Begins; with a one-time password that is made here if none is given, and then told once.
    pub fn root_generation_begin(
        &self,
        otp: Option<SensitiveString>,
    ) -> Result<(RootGenerationStatus, Option<SensitiveString>)> {
        // A region that can't store the token must not ask for shares.
        self.core.expect_serving(Access::Write)?;
        let required = self.stored_seal()?.0.split().threshold;
        if required == 0 {
            return Err(Error::invalid("this region is unsealed by its key file: it has no shares to make a token by"));
        }
        if otp.as_ref().is_some_and(|otp| otp.expose().len() != OTP_LENGTH) {
            return Err(Error::invalid(format!("OTP string has incorrect length: {OTP_LENGTH} characters are needed")));
        }
        let mut under_way = self.root_generation();
        if under_way.as_ref().is_some_and(|one| !one.attempt.gives_way(clock::steady())) {
            return Err(Error::invalid("root generation already in progress"));
        }
        let made = otp.is_none().then(|| SensitiveString::new(random_text(OTP_LENGTH)));
        let otp = otp.or_else(|| made.clone()).unwrap_or_else(|| SensitiveString::new(""));
        *under_way = Some(RootGeneration { nonce: clock::random_uuid(), otp, attempt: Attempt::begin() });
        info!("the generation of a root token begins");
        Ok((status(&under_way, required), made))
    }

    /// Whether there was one.
    pub fn root_generation_cancel(&self) -> bool {
        self.root_generation().take().is_some()
    }

    /// Takes one share; with enough of them the token is made. `Err` of the status: more are needed.
    pub async fn root_generation_update(
        &self,
        share: &SensitiveString,
        nonce: &str,
    ) -> Result<Result<NewRoot, RootGenerationStatus>> {
        let (record, _) = self.stored_seal()?;
        let required = record.split().threshold;
        let done = {
            let mut under_way = self.root_generation();
            let generation = under_way.as_mut().ok_or_else(|| Error::invalid("no root generation in progress"))?;
            expect_nonce(nonce, &generation.nonce)?;
            if generation.attempt.add(&record, share)?.is_none() {
                return Ok(Err(status(&under_way, required)));
            }
            // The shares were right: whatever comes now, nobody goes on with this one.
            under_way.take().ok_or_else(|| Error::internal("the root generation is gone"))?
        };
        let make = |view: &View| new_root(view);
        let lock = Lock::Within(Gate::Tokens, b"root generation".to_vec());
        let made = self.core.write(Class::TokenCreate, lock, make).await?;
        info!("a root token was generated");
        let pairs = made.value.expose().bytes().zip(done.otp.expose().bytes());
        let encoded = BASE64.encode(pairs.map(|(one, other)| one ^ other).collect::<Vec<u8>>());
        let status = RootGenerationStatus { started: true, nonce: done.nonce, progress: required, required };
        Ok(Ok(NewRoot { encoded, status, position: made.position }))
    }

    fn root_generation(&self) -> MutexGuard<'_, Option<RootGeneration>> {
        self.root_generation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn status(under_way: &Option<RootGeneration>, required: u8) -> RootGenerationStatus {
    let Some(generation) = under_way else {
        return RootGenerationStatus { required, ..RootGenerationStatus::default() };
    };
    RootGenerationStatus {
        started: true,
        nonce: generation.nonce.clone(),
        progress: generation.attempt.progress(),
        required,
    }
}
