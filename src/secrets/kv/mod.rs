//! KV v2: secrets with versions, by Vault's rules. A secret is one metadata record (which knows all its versions) and
//! one record of data a version; a batch changes both. The data is the JSON object's text, byte for byte as the client
//! sent it, so that no number loses a digit.
//!
//! `config` is the mount's settings, `metadata` the rules of versions without storage, `data` what `data/PATH` does,
//! `versions` delete, undelete and destroy, `details` what `metadata/PATH` does, `list` folders, `merge` JSON merge patch.
//! `plain` is KV v1 and the cubbyhole, `upgrade` makes a v1 mount a v2 one.

pub mod config;
pub mod data;
pub mod details;
pub mod metadata;
pub mod plain;
pub mod versions;

mod list;
mod merge;
mod upgrade;

pub use config::{DeleteVersionAfter, KvConfig, KvConfigChange};
pub use data::{KvFound, KvPatched, KvVersion};
pub use details::{CustomMetadataChange, KvMetadataChange};
pub use metadata::{KvMetadata, VersionInfo};
pub use plain::Plain;

pub(super) use upgrade::step as upgrade_step;

use super::core::View;
use super::layout::{Record, SecretPath};
use super::lock::{Gate, Lock};
use super::mounts::{self, KvKind, MountId};
use crate::error::Result;
use crate::state::Op;

/// The keys of the versions whose data one write drops hold no more bytes: what is more takes further writes.
const DROPPED_BYTES_MAX: usize = 4 << 20;

/// One secret: its mount and its path in it.
#[derive(Clone)]
struct Secret {
    mount: MountId,
    path: SecretPath,
}

impl Secret {
    fn new(mount: MountId, path: &str) -> Result<Secret> {
        Ok(Secret { mount, path: SecretPath::parse(path)? })
    }

    /// What its writes are locked by.
    fn lock(&self) -> Lock {
        Lock::Within(Gate::Mounts, [self.mount.0.as_slice(), self.path.as_str().as_bytes()].concat())
    }

    /// Fails where the mount is there no longer.
    fn metadata(&self, view: &View) -> Result<Option<KvMetadata>> {
        mounts::expect_kv(view, self.mount, KvKind::Versioned)?;
        view.get(&Record::KvMetadata(self.mount, &self.path).key(&view.barrier)?)
    }

    fn put_metadata(&self, view: &View, metadata: &KvMetadata) -> Result<Op> {
        view.put(Record::KvMetadata(self.mount, &self.path).key(&view.barrier)?, metadata)
    }

    /// Of how many versions one write may drop the data.
    fn drops_max(&self, view: &View) -> Result<usize> {
        let key = Record::KvVersion(self.mount, &self.path, u64::MAX).key(&view.barrier)?;
        Ok(DROPPED_BYTES_MAX / key.len())
    }

    /// The operations that remove the data of `versions`.
    fn drop_data(&self, view: &View, versions: impl IntoIterator<Item = u64>) -> Result<Vec<Op>> {
        let drop =
            |version| Ok(Op::Delete { key: Record::KvVersion(self.mount, &self.path, version).key(&view.barrier)? });
        versions.into_iter().map(drop).collect()
    }
}
