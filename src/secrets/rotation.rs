//! Rotating the key that encrypts: a new term, in the data set, from one batch on. What older terms encrypted stays
//! readable, so nothing stops for it, and a standby follows as it follows everything else.

use super::core::{View, Written};
use super::layout;
use super::lock::Lock;
use super::vault::Vault;
use crate::clock::UnixMs;
use crate::error::Result;
use crate::state::{Class, Op};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What `sys/key-status` says of the term that encrypts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyStatus {
    pub term: u32,
    pub since: UnixMs,
    /// How many values this node has encrypted since it opened the keyring.
    pub encryptions: u64,
}

/// Until it is rotated, one key encrypts no more than this, as in Vault, and so many at least.
pub const OPERATIONS_MAX: u64 = 3_865_470_566;
pub const OPERATIONS_MIN: u64 = 1_000_000;
/// … and a rotation by time comes no more often.
pub const INTERVAL_MIN: Duration = Duration::from_secs(24 * 3600);

/// When the leader rotates the key by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AutoRotation {
    pub enabled: bool,
    /// After so many values that one leader has encrypted.
    pub operations_max: u64,
    /// After this time; zero: whenever.
    pub interval: Duration,
}

impl Default for AutoRotation {
    fn default() -> AutoRotation {
        AutoRotation { enabled: true, operations_max: OPERATIONS_MAX, interval: Duration::ZERO }
    }
}

impl AutoRotation {
    fn is_due(&self, view: &View) -> bool {
        let age = view.now.ms().since(view.barrier.keyring().active_since());
        let is_old = !self.interval.is_zero() && age >= self.interval;
        self.enabled && (is_old || view.barrier.encryptions() >= self.operations_max)
    }
}

impl Vault {
    /// Rotates the key if it is time, and says whether it was. For the leader of a primary region.
    pub async fn rotate_if_due(&self) -> Result<bool> {
        let settings = self.settings()?;
        if !self.core.read_local(|view| Ok(settings.rotation.is_due(view)))? {
            return Ok(false);
        }
        self.rotate().await?;
        tracing::info!("the key that encrypts was rotated, as its settings want it");
        Ok(true)
    }

    pub async fn rotate(&self) -> Result<Written<()>> {
        let rotate = |view: &View| {
            let keyring = view.barrier.keyring().rotated(view.now.ms());
            let value = keyring.terms_for_data()?.into();
            Ok(((), vec![Op::Put { key: Bytes::from_static(layout::TERMS), value }]))
        };
        self.core.write(Class::KeyRotate, Lock::Record(b"rotate".to_vec()), rotate).await
    }

    pub async fn key_status(&self) -> Result<KeyStatus> {
        let read = |view: &View| {
            let keyring = view.barrier.keyring();
            let (term, _) = keyring.active();
            Ok(KeyStatus { term, since: keyring.active_since(), encryptions: view.barrier.encryptions() })
        };
        self.core.read(read).await
    }
}
