//! `data/PATH`: put, patch and get.

use super::metadata::KvMetadata;
use super::{Secret, config, merge};
use crate::clock::UnixNs;
use crate::error::{Error, Result};
use crate::secrets::core::{View, Written};
use crate::secrets::layout::Record;
use crate::secrets::mounts::{self, KvKind, MountId};
use crate::secrets::vault::Vault;
use crate::sensitive::{Sensitive, SensitiveString};
use crate::state::{Class, Op};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A version's data may have as many bytes of JSON text. As Vault's limit of a Raft entry.
pub const DATA_BYTES_MAX: usize = 1024 * 1024;

/// So often a read of a secret that is being written begins anew.
const READ_TRIES: usize = 32;

/// What Vault says of a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KvVersion {
    pub version: u64,
    pub created: UnixNs,
    pub deletion: Option<UnixNs>,
    pub destroyed: bool,
    pub custom_metadata: Option<BTreeMap<String, String>>,
}

/// What a read found.
#[derive(Debug)]
pub enum KvFound {
    /// The JSON text of the data, as it was put.
    Live { data: SensitiveString, version: KvVersion },
    /// Deleted or destroyed: 404 with what is known of it.
    Gone(KvVersion),
    /// Never was, or was pruned: 404.
    Missing,
}

/// What a patch did.
#[derive(PartialEq, Eq, Debug)]
pub enum KvPatched {
    Done(KvVersion),
    /// Nothing to patch: as for `KvFound`.
    Gone(KvVersion),
    Missing,
}

impl Vault {
    /// Stores a new version. `data` is the JSON text of an object; with `cas`, only if that is the current version.
    pub async fn kv_put(
        &self,
        mount: MountId,
        path: &str,
        data: SensitiveString,
        cas: Option<u64>,
    ) -> Result<Written<KvVersion>> {
        let secret = Secret::new(mount, path)?;
        check_object(data.expose())?;
        let evaluate = move |view: &View| {
            let config = config::read(view, secret.mount)?;
            let metadata = secret.metadata(view)?.unwrap_or_else(|| KvMetadata::new(view.now));
            check_cas(cas, &metadata, config.cas_required)?;
            add_version(view, &secret, metadata, &config, data.expose())
        };
        self.core.write(Class::KvWrite, Secret::new(mount, path)?.lock(), evaluate).await
    }

    /// Stores a new version that is the current one changed by a JSON merge patch (RFC 7396).
    pub async fn kv_patch(
        &self,
        mount: MountId,
        path: &str,
        patch: SensitiveString,
        cas: Option<u64>,
    ) -> Result<Written<KvPatched>> {
        let secret = Secret::new(mount, path)?;
        check_object(patch.expose())?;
        let evaluate = move |view: &View| {
            let nothing = |patched| Ok((patched, Vec::new()));
            let Some(metadata) = secret.metadata(view)? else { return nothing(KvPatched::Missing) };
            let config = config::read(view, secret.mount)?;
            check_cas(cas, &metadata, config.cas_required)?;
            match find(view, &secret, Some(metadata.clone()), None)? {
                KvFound::Missing => nothing(KvPatched::Missing),
                KvFound::Gone(version) => nothing(KvPatched::Gone(version)),
                KvFound::Live { data, .. } => {
                    let data = merge::merge(data.expose(), patch.expose())?;
                    check_object(data.expose())?;
                    let (version, ops) = add_version(view, &secret, metadata, &config, data.expose())?;
                    Ok((KvPatched::Done(version), ops))
                }
            }
        };
        self.core.write(Class::KvWrite, Secret::new(mount, path)?.lock(), evaluate).await
    }

    /// The data of a version, or of the current one.
    pub async fn kv_get(&self, mount: MountId, path: &str, version: Option<u64>) -> Result<KvFound> {
        let secret = Secret::new(mount, path)?;
        let read = move |view: &View| {
            mounts::expect_kv(view, secret.mount, KvKind::Versioned)?;
            let key = Record::KvMetadata(secret.mount, &secret.path).key(&view.barrier)?;
            let mut before = view.state.data(&key)?;
            for _ in 0..READ_TRIES {
                let metadata = before.as_ref().map(|stored| view.open(&key, stored)).transpose()?;
                let found = find(view, &secret, metadata, version);
                let after = view.state.data(&key)?;
                // A write between the two records would show the data of one version as another's.
                if after == before {
                    return found;
                }
                before = after;
            }
            Err(Error::unavailable("this secret changes faster than it can be read: try again"))
        };
        self.core.read(read).await
    }
}

fn find(view: &View, secret: &Secret, metadata: Option<KvMetadata>, version: Option<u64>) -> Result<KvFound> {
    let Some(metadata) = metadata else { return Ok(KvFound::Missing) };
    let number = version.filter(|number| *number > 0).unwrap_or(metadata.current_version);
    let Some(info) = metadata.versions.get(&number) else { return Ok(KvFound::Missing) };
    let version = shown(&metadata, number)?;
    if !info.is_live(view.now) {
        return Ok(KvFound::Gone(version));
    }
    let data = view.get_bytes(&Record::KvVersion(secret.mount, &secret.path, number).key(&view.barrier)?)?;
    let data = data.ok_or_else(|| Error::corrupt("a secret's metadata names a version whose data is not there"))?;
    Ok(KvFound::Live { data: text(&data)?, version })
}

fn add_version(
    view: &View,
    secret: &Secret,
    mut metadata: KvMetadata,
    config: &config::KvConfig,
    data: &str,
) -> Result<(KvVersion, Vec<Op>)> {
    let pruned = metadata.add_version(view.now, config, secret.drops_max(view)?);
    let number = metadata.current_version;
    let key = Record::KvVersion(secret.mount, &secret.path, number).key(&view.barrier)?;
    let mut ops = vec![view.put_bytes(key, data.as_bytes()), secret.put_metadata(view, &metadata)?];
    ops.extend(secret.drop_data(view, pruned)?);
    Ok((shown(&metadata, number)?, ops))
}

fn shown(metadata: &KvMetadata, number: u64) -> Result<KvVersion> {
    let info = metadata.versions.get(&number).ok_or_else(|| Error::internal("a version without its metadata"))?;
    Ok(KvVersion {
        version: number,
        created: info.created,
        deletion: info.deletion,
        destroyed: info.destroyed,
        custom_metadata: metadata.custom_metadata.clone(),
    })
}

pub fn cas_mismatch() -> Error {
    Error::invalid("check-and-set parameter did not match the current version")
}

fn check_cas(cas: Option<u64>, metadata: &KvMetadata, required_by_mount: bool) -> Result<()> {
    match cas {
        Some(expected) if expected != metadata.current_version => Err(cas_mismatch()),
        None if required_by_mount || metadata.cas_required => {
            Err(Error::invalid("check-and-set parameter required for this call"))
        }
        _ => Ok(()),
    }
}

/// Fails if it is no JSON object or too large. The parser's own words could quote the secret: they are left out.
pub fn check_object(data: &str) -> Result<()> {
    if data.len() > DATA_BYTES_MAX {
        return Err(Error::ValueTooLarge { got: data.len() as u64, max: DATA_BYTES_MAX as u64 });
    }
    let value: &RawValue = serde_json::from_str(data).map_err(|_| Error::invalid("data is no valid JSON"))?;
    match value.get().as_bytes().first() {
        Some(b'{') => Ok(()),
        Some(b'n') => Err(Error::invalid("no data provided")),
        _ => Err(Error::invalid("data must be a JSON object")),
    }
}

pub fn text(data: &Sensitive) -> Result<SensitiveString> {
    let text = std::str::from_utf8(data.expose()).map_err(|_| Error::corrupt("a version's data is no text"))?;
    Ok(SensitiveString::new(text))
}
