//! What a KV v2 mount says for all its secrets: `config`.

use crate::error::Result;
use crate::secrets::core::{View, Written};
use crate::secrets::layout::Record;
use crate::secrets::lock::{Gate, Lock};
use crate::secrets::mounts::{self, KvKind, MountId};
use crate::secrets::vault::Vault;
use crate::state::Class;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KvConfig {
    /// 0: `metadata::DEFAULT_MAX_VERSIONS`.
    pub max_versions: u32,
    pub cas_required: bool,
    /// … of those who change a secret's settings as well.
    pub metadata_cas_required: bool,
    pub delete_version_after: DeleteVersionAfter,
}

/// Whether new versions delete themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum DeleteVersionAfter {
    #[default]
    Unset,
    /// Whatever a secret says. Vault's clients send a negative duration.
    Disabled,
    After(Duration),
}

/// What to change; `None` leaves a field as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct KvConfigChange {
    pub max_versions: Option<u32>,
    pub cas_required: Option<bool>,
    pub metadata_cas_required: Option<bool>,
    pub delete_version_after: Option<DeleteVersionAfter>,
}

/// The configuration of a mount; the defaults if nobody changed them.
pub fn read(view: &View, mount: MountId) -> Result<KvConfig> {
    mounts::expect_kv(view, mount, KvKind::Versioned)?;
    Ok(view.get(&Record::KvConfig(mount).key(&view.barrier)?)?.unwrap_or_default())
}

impl Vault {
    pub async fn kv_config(&self, mount: MountId) -> Result<KvConfig> {
        self.core.read(move |view| read(view, mount)).await
    }

    pub async fn kv_configure(&self, mount: MountId, change: KvConfigChange) -> Result<Written<()>> {
        let lock = Lock::Within(Gate::Mounts, mount.0.to_vec());
        let evaluate = move |view: &View| {
            let old = read(view, mount)?;
            let new = KvConfig {
                max_versions: change.max_versions.unwrap_or(old.max_versions),
                cas_required: change.cas_required.unwrap_or(old.cas_required),
                metadata_cas_required: change.metadata_cas_required.unwrap_or(old.metadata_cas_required),
                delete_version_after: change.delete_version_after.unwrap_or(old.delete_version_after),
            };
            let key = Record::KvConfig(mount).key(&view.barrier)?;
            Ok(((), if new == old { Vec::new() } else { vec![view.put(key, &new)?] }))
        };
        self.core.write(Class::Mount, lock, evaluate).await
    }
}
