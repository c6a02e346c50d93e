//! What every request reads, decoded once: the mount table, the audit devices, policies and settings. A decoded record
//! counts only as long as the stored bytes are those it was decoded from, so a sync or a new leader needs to tell nobody. Sealing drops it.

use super::audit::AuditTable;
use super::core::View;
use super::mounts::MountTable;
use super::policy::Policy;
use super::settings::Settings;
use crate::error::Result;
use crate::sensitive::Sensitive;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// More decoded records than this are forgotten, all at once, and decoded anew as they are wanted.
const ENTRIES_MAX: usize = 1024;

#[derive(Default)]
pub struct Known {
    pub mounts: Decoded<MountTable>,
    pub policies: Decoded<Policy>,
    pub audit: Decoded<AuditTable>,
    pub settings: Decoded<Settings>,
}

/// By storage key: the stored bytes and what they mean.
pub struct Decoded<T>(Mutex<HashMap<Bytes, (Bytes, Arc<T>)>>);

impl<T> Default for Decoded<T> {
    fn default() -> Decoded<T> {
        Decoded(Mutex::default())
    }
}

impl<T> Decoded<T> {
    /// The record at `key`, decoded by `decode` unless it is known already.
    pub fn get(
        &self,
        view: &View,
        key: &Bytes,
        decode: impl FnOnce(&Sensitive) -> Result<T>,
    ) -> Result<Option<Arc<T>>> {
        let Some(stored) = view.state.data(key)? else { return Ok(None) };
        if let Some((bytes, decoded)) = self.lock().get(key)
            && *bytes == stored.value
        {
            return Ok(Some(decoded.clone()));
        }
        let decoded = Arc::new(decode(&view.barrier.decrypt(key, &stored.value)?)?);
        let mut entries = self.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key.clone(), (stored.value, decoded.clone()));
        Ok(Some(decoded))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Bytes, (Bytes, Arc<T>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
