//! `metadata/PATH`: what is known of a secret, its own settings, and its removal.

use super::metadata::KvMetadata;
use super::{Secret, config, list};
use crate::error::{Error, Result};
use crate::secrets::core::{View, Written};
use crate::secrets::layout::{Folder, Record, Tree};
use crate::secrets::mounts::{self, KvKind, MountId};
use crate::secrets::vault::Vault;
use crate::state::{Class, Op};
use std::collections::BTreeMap;
use std::time::Duration;

/// What one list tells in detail.
const DETAILS_BYTES_MAX: usize = 32 << 20;
/// Vault's bounds of custom metadata.
const CUSTOM_KEYS_MAX: usize = 64;
const CUSTOM_KEY_BYTES_MAX: usize = 128;
const CUSTOM_VALUE_BYTES_MAX: usize = 512;

/// What to change of a secret's settings; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct KvMetadataChange {
    pub max_versions: Option<u32>,
    pub cas_required: Option<bool>,
    pub metadata_cas_required: Option<bool>,
    /// Only if its settings were written so often.
    pub metadata_cas: Option<u64>,
    /// Zero: what the mount says.
    pub delete_version_after: Option<Duration>,
    pub custom_metadata: Option<CustomMetadataChange>,
}

#[derive(Clone, Debug)]
pub enum CustomMetadataChange {
    /// `POST` and `PUT`.
    Replace(BTreeMap<String, String>),
    /// `PATCH`: `None` removes a key.
    Merge(BTreeMap<String, Option<String>>),
    /// With null.
    Clear,
}

impl KvMetadataChange {
    /// Whether it changes nothing, not even how often the settings were written.
    pub fn is_nothing(&self) -> bool {
        self.max_versions.is_none()
            && self.cas_required.is_none()
            && self.metadata_cas_required.is_none()
            && self.delete_version_after.is_none()
            && self.custom_metadata.is_none()
    }
}

impl Vault {
    /// `None` if there is no such secret.
    pub async fn kv_metadata(&self, mount: MountId, path: &str) -> Result<Option<KvMetadata>> {
        let secret = Secret::new(mount, path)?;
        self.core.read(move |view| secret.metadata(view)).await
    }

    /// Changes a secret's settings; one that is not there yet comes to be, without versions.
    pub async fn kv_put_metadata(&self, mount: MountId, path: &str, change: KvMetadataChange) -> Result<Written<()>> {
        let written = self.change_metadata(mount, path, change, |view| Some(KvMetadata::new(view.now))).await?;
        Ok(written.map(|_| ()))
    }

    /// Changes a secret's settings. Says whether there is such a secret.
    pub async fn kv_patch_metadata(
        &self,
        mount: MountId,
        path: &str,
        change: KvMetadataChange,
    ) -> Result<Written<bool>> {
        self.change_metadata(mount, path, change, |_| None).await
    }

    /// Removes a secret with all its versions. Of one with very many the oldest go first, so that what an interruption
    /// leaves is a secret with the newest.
    pub async fn kv_delete_metadata(&self, mount: MountId, path: &str) -> Result<Written<()>> {
        loop {
            let secret = Secret::new(mount, path)?;
            let lock = secret.lock();
            let step = self.core.write(Class::KvDelete, lock, move |view| delete_step(view, &secret)).await?;
            if step.value == Left::Nothing {
                return Ok(step.map(|_| ()));
            }
        }
    }

    /// The names in a folder in byte order: `a` is a secret, `a/` a folder. Empty if there is no such folder.
    pub async fn kv_list(&self, mount: MountId, folder: &str) -> Result<Vec<String>> {
        let folder = Folder::parse(folder)?;
        let list = move |view: &View| {
            mounts::expect_kv(view, mount, KvKind::Versioned)?;
            list::names(view, Tree::Kv2(mount), &folder)
        };
        self.core.scan(list).await
    }

    /// All paths below a folder, however deep.
    pub async fn kv_scan(&self, mount: MountId, folder: &str) -> Result<Vec<String>> {
        let folder = Folder::parse(folder)?;
        let list = move |view: &View| {
            mounts::expect_kv(view, mount, KvKind::Versioned)?;
            list::below(view, Tree::Kv2(mount), &folder)
        };
        self.core.scan(list).await
    }

    /// The metadata of secrets below a folder, by their paths in it.
    pub async fn kv_details(
        &self,
        mount: MountId,
        folder: &str,
        paths: Vec<String>,
    ) -> Result<BTreeMap<String, KvMetadata>> {
        let folder = folder.trim_end_matches('/').to_owned();
        let read = move |view: &View| {
            let (mut found, mut bytes) = (BTreeMap::new(), 0);
            for path in paths {
                let slash = if folder.is_empty() { "" } else { "/" };
                if let Some(metadata) = Secret::new(mount, &format!("{folder}{slash}{path}"))?.metadata(view)? {
                    bytes += metadata.bytes();
                    if bytes > DETAILS_BYTES_MAX {
                        return Err(Error::invalid("so much is known of these secrets: ask for fewer with `limit`"));
                    }
                    found.insert(path, metadata);
                }
            }
            Ok(found)
        };
        self.core.scan(read).await
    }

    async fn change_metadata(
        &self,
        mount: MountId,
        path: &str,
        change: KvMetadataChange,
        missing: fn(&View) -> Option<KvMetadata>,
    ) -> Result<Written<bool>> {
        let secret = Secret::new(mount, path)?;
        let lock = secret.lock();
        let evaluate = move |view: &View| {
            let Some(mut metadata) = secret.metadata(view)?.or_else(|| missing(view)) else {
                return Ok((false, Vec::new()));
            };
            let config = config::read(view, secret.mount)?;
            check_cas(change.metadata_cas, &metadata, config.metadata_cas_required)?;
            apply(&mut metadata, change)?;
            Ok((true, vec![secret.put_metadata(view, &metadata)?]))
        };
        self.core.write(Class::KvWrite, lock, evaluate).await
    }
}

/// What a step of a removal left.
#[derive(PartialEq, Eq)]
enum Left {
    Nothing,
    Versions,
}

fn delete_step(view: &View, secret: &Secret) -> Result<(Left, Vec<Op>)> {
    let Some(mut metadata) = secret.metadata(view)? else { return Ok((Left::Nothing, Vec::new())) };
    if let Some(dropped) = metadata.prune_first(secret.drops_max(view)?) {
        let mut ops = secret.drop_data(view, dropped)?;
        ops.push(secret.put_metadata(view, &metadata)?);
        return Ok((Left::Versions, ops));
    }
    let mut ops = secret.drop_data(view, metadata.stored())?;
    ops.push(Op::Delete { key: Record::KvMetadata(secret.mount, &secret.path).key(&view.barrier)? });
    Ok((Left::Nothing, ops))
}

pub fn cas_mismatch() -> Error {
    Error::invalid("metadata check-and-set parameter does not match the current version")
}

fn check_cas(cas: Option<u64>, metadata: &KvMetadata, required_by_mount: bool) -> Result<()> {
    match cas {
        Some(expected) if expected != metadata.metadata_version => Err(cas_mismatch()),
        None if required_by_mount || metadata.metadata_cas_required => {
            Err(Error::invalid("metadata check-and-set parameter required for this call"))
        }
        _ => Ok(()),
    }
}

fn apply(metadata: &mut KvMetadata, change: KvMetadataChange) -> Result<()> {
    metadata.metadata_version += 1;
    if let Some(max_versions) = change.max_versions {
        metadata.max_versions = max_versions;
    }
    if let Some(cas_required) = change.cas_required {
        metadata.cas_required = cas_required;
    }
    if let Some(metadata_cas_required) = change.metadata_cas_required {
        metadata.metadata_cas_required = metadata_cas_required;
    }
    if let Some(delete_version_after) = change.delete_version_after {
        metadata.delete_version_after = delete_version_after;
    }
    match change.custom_metadata {
        None => {}
        Some(CustomMetadataChange::Clear) => metadata.custom_metadata = None,
        Some(CustomMetadataChange::Replace(new)) => metadata.custom_metadata = Some(new),
        Some(CustomMetadataChange::Merge(changes)) => {
            let custom = metadata.custom_metadata.get_or_insert_default();
            for (key, value) in changes {
                match value {
                    Some(value) => custom.insert(key, value),
                    None => custom.remove(&key),
                };
            }
        }
    }
    // None is one way to say it, and the one that is shown.
    metadata.custom_metadata.take_if(|custom| custom.is_empty());
    metadata.custom_metadata.as_ref().map_or(Ok(()), check_custom)
}

fn check_custom(custom: &BTreeMap<String, String>) -> Result<()> {
    let wrong = |why: String| Err(Error::invalid(format!("custom_metadata validation failed: {why}")));
    if custom.len() > CUSTOM_KEYS_MAX {
        return wrong(format!("payload must contain at most {CUSTOM_KEYS_MAX} keys, provided {}", custom.len()));
    }
    // Vault's form of one error among others.
    let wrong = |why: String| {
        Err(Error::invalid(format!("1 error occurred:\n\t* custom_metadata validation failed: {why}\n\n")))
    };
    for (key, value) in custom {
        if key.is_empty() || key.len() > CUSTOM_KEY_BYTES_MAX {
            let length = key.len();
            return wrong(format!(
                "length of key {key:?} is {length} but must be 0 < len(key) <= {CUSTOM_KEY_BYTES_MAX}"
            ));
        }
        if value.is_empty() || value.len() > CUSTOM_VALUE_BYTES_MAX {
            let length = value.len();
            return wrong(format!(
                "length of value for key {key:?} is {length} but must be 0 < len(value) <= {CUSTOM_VALUE_BYTES_MAX}"
            ));
        }
        if key.chars().any(char::is_control) || value.chars().any(char::is_control) {
            return wrong(format!("key {key:?} or its value contains unprintable characters"));
        }
    }
    Ok(())
}
