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

/// What `sys/key-status` says of the term that encrypts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyStatus {
    pub term: u32,
    pub since: UnixMs,
    /// How many values this node has encrypted since it opened the keyring.
    pub encryptions: u64,
}

impl Vault {
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
