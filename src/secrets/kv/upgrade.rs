//! From KV v1 to v2, in steps of bounded size: each secret becomes the first version of itself.

use super::Secret;
use super::metadata::{KvMetadata, VersionInfo};
use crate::error::Result;
use crate::secrets::core::View;
use crate::secrets::layout::{self, Record, Shelf};
use crate::secrets::mounts::MountId;
use crate::state::Op;
use crate::storage::{KeyRange, ScanLimit};

/// What one step takes over.
const STEP: ScanLimit = ScanLimit { entries: 200, bytes: 4 << 20 };

/// The operations of the next step; none once nothing is left.
pub fn step(view: &View, mount: MountId) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    for (key, stored) in view.state.scan_data(&KeyRange::prefix(&Shelf::Kv1(mount).prefix()), STEP)? {
        let data = view.barrier.decrypt(&key, &stored.value)?;
        let secret = Secret { mount, path: layout::plain_path(&view.barrier, &key)? };
        let mut metadata = KvMetadata::new(view.now);
        metadata.current_version = 1;
        metadata.versions.insert(1, VersionInfo { created: view.now, deletion: None, destroyed: false });
        let version = Record::KvVersion(mount, &secret.path, 1).key(&view.barrier)?;
        ops.push(view.put_bytes(version, data.expose()));
        ops.push(secret.put_metadata(view, &metadata)?);
        ops.push(Op::Delete { key });
    }
    Ok(ops)
}
