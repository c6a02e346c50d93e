//! Delete, undelete and destroy. What names no version there is changes nothing, as in Vault.

use super::metadata::KvMetadata;
use super::{DROPPED_BYTES_MAX, Secret, config};
use crate::error::{Error, Result};
use crate::secrets::core::{View, Written};
use crate::secrets::mounts::MountId;
use crate::secrets::vault::Vault;
use crate::state::{Class, Op};
use crate::storage::KEY_BYTES_MAX;

/// Versions whose data one write destroys, however long their keys are.
const DESTROYED_MAX: usize = DROPPED_BYTES_MAX / KEY_BYTES_MAX;

impl Vault {
    /// Marks the current version as deleted: `DELETE data/PATH`.
    pub async fn kv_delete_latest(&self, mount: MountId, path: &str) -> Result<Written<()>> {
        self.change_versions(mount, path, |view, _, metadata| {
            let current = metadata.current_version;
            Ok((metadata.delete(&[current], view.now), Vec::new()))
        })
        .await
    }

    /// Marks versions as deleted: `POST delete/PATH`.
    pub async fn kv_delete(&self, mount: MountId, path: &str, versions: Vec<u64>) -> Result<Written<()>> {
        expect_versions(&versions)?;
        self.change_versions(mount, path, move |view, _, metadata| {
            Ok((metadata.delete(&versions, view.now), Vec::new()))
        })
        .await
    }

    pub async fn kv_undelete(&self, mount: MountId, path: &str, versions: Vec<u64>) -> Result<Written<()>> {
        expect_versions(&versions)?;
        self.change_versions(mount, path, move |view, _, metadata| {
            let config = config::read(view, mount)?;
            Ok((metadata.undelete(&versions, view.now, &config), Vec::new()))
        })
        .await
    }

    /// Removes the data of versions for good; of very many, one part after the other.
    pub async fn kv_destroy(&self, mount: MountId, path: &str, versions: Vec<u64>) -> Result<Written<()>> {
        expect_versions(&versions)?;
        let (last, others) = versions.split_at(versions.len().min(DESTROYED_MAX));
        for part in others.chunks(DESTROYED_MAX) {
            self.destroy(mount, path, part.to_vec()).await?;
        }
        self.destroy(mount, path, last.to_vec()).await
    }

    async fn destroy(&self, mount: MountId, path: &str, versions: Vec<u64>) -> Result<Written<()>> {
        self.change_versions(mount, path, move |view, secret, metadata| {
            let gone = metadata.destroy(&versions);
            Ok((!gone.is_empty(), secret.drop_data(view, gone)?))
        })
        .await
    }

    /// Stores the metadata as `change` left it, if it says that it changed it, together with its operations.
    async fn change_versions<F>(&self, mount: MountId, path: &str, change: F) -> Result<Written<()>>
    where
        F: FnOnce(&View, &Secret, &mut KvMetadata) -> Result<(bool, Vec<Op>)> + Send + 'static,
    {
        let secret = Secret::new(mount, path)?;
        let lock = secret.lock();
        let evaluate = move |view: &View| {
            let Some(mut metadata) = secret.metadata(view)? else { return Ok(((), Vec::new())) };
            let (changed, mut ops) = change(view, &secret, &mut metadata)?;
            if changed {
                ops.push(secret.put_metadata(view, &metadata)?);
            }
            Ok(((), ops))
        };
        self.core.write(Class::KvDelete, lock, evaluate).await
    }
}

fn expect_versions(versions: &[u64]) -> Result<()> {
    if versions.is_empty() { Err(Error::invalid("No version number provided")) } else { Ok(()) }
}
