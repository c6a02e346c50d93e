//! Audit devices: which there are, and the keyed hash under which they show what is secret.

use super::core::{View, Written, decode};
use super::layout::Record;
use super::lock::Lock;
use super::vault::Vault;
use crate::clock;
use crate::error::{Error, Result};
use crate::state::Class;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::Arc;

/// There may be as many devices.
const DEVICES_MAX: usize = 16;

/// One device, by its path in `sys/audit`, which ends in a slash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditDevice {
    pub path: String,
    /// `file`
    pub kind: String,
    pub description: String,
    pub options: BTreeMap<String, String>,
    /// Told as it was given: a standby region has it, too.
    pub local: bool,
    /// The hashes of two devices differ.
    pub salt: [u8; 16],
}

/// All devices: one record.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AuditTable {
    pub devices: Vec<AuditDevice>,
}

/// Hashes what a device must not show.
pub struct AuditHasher(Hmac<Sha256>);

impl AuditHasher {
    pub fn hash(&self, text: &str) -> String {
        let mut hasher = self.0.clone();
        hasher.update(text.as_bytes());
        format!("hmac-sha256:{}", hex::encode(hasher.finalize().into_bytes()))
    }
}

fn table(view: &View) -> Result<Arc<AuditTable>> {
    let found = view.known.audit.get(view, &Record::Audit.key(&view.barrier)?, decode)?;
    Ok(found.unwrap_or_default())
}

fn hasher(view: &View, device: &AuditDevice) -> AuditHasher {
    let key = super::aead::derive(&view.barrier.keyring().token_key(), "twinkeep 2026 audit hashes");
    let mut hasher = Hmac::new_from_slice(key.as_slice()).expect("a key of any length will do");
    hasher.update(&device.salt);
    AuditHasher(hasher)
}

impl Vault {
    pub fn audit_devices(&self) -> Result<Vec<AuditDevice>> {
        Ok(self.core.read_local(table)?.devices.clone())
    }

    /// All devices, each with its hasher; none on a node that is sealed.
    pub fn audit_hashers(&self) -> Result<Vec<(AuditDevice, AuditHasher)>> {
        let read = |view: &View| {
            let table = table(view)?;
            Ok(table.devices.iter().map(|device| (device.clone(), hasher(view, device))).collect())
        };
        self.core.read_local(read)
    }

    pub async fn audit_enable(&self, mut device: AuditDevice) -> Result<Written<()>> {
        device.salt = clock::random_bytes();
        self.change_audit(move |table| {
            if table.devices.iter().any(|other| other.path == device.path) {
                return Err(Error::invalid("path already in use"));
            }
            if table.devices.len() >= DEVICES_MAX {
                return Err(Error::invalid(format!("a region has at most {DEVICES_MAX} audit devices")));
            }
            table.devices.push(device);
            Ok(())
        })
        .await
    }

    /// One that is not there is disabled already.
    pub async fn audit_disable(&self, path: &str) -> Result<Written<()>> {
        let path = path.to_owned();
        self.change_audit(move |table| {
            table.devices.retain(|device| device.path != path);
            Ok(())
        })
        .await
    }

    async fn change_audit<F>(&self, change: F) -> Result<Written<()>>
    where
        F: FnOnce(&mut AuditTable) -> Result<()> + Send + 'static,
    {
        let evaluate = move |view: &View| {
            let old = table(view)?;
            let mut new = AuditTable::clone(&old);
            change(&mut new)?;
            let key = Record::Audit.key(&view.barrier)?;
            Ok(((), if new == *old { Vec::new() } else { vec![view.put(key, &new)?] }))
        };
        self.core.write(Class::System, Lock::Record(b"audit".to_vec()), evaluate).await
    }
}
