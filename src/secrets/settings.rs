//! What an operator sets for the whole API: which web pages may use it, headers for pages, request headers in the audit log,
//! how often an address may ask, when the key that encrypts is rotated.

use super::core::{View, Written, decode};
use super::layout::Record;
use super::lock::Lock;
use super::quotas::Quotas;
use super::rotation::AutoRotation;
use super::vault::Vault;
use crate::error::{Error, Result};
use crate::state::Class;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All settings together may have as many bytes: they are one record, which many requests read.
const SETTINGS_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    /// `None`: no page of another origin is told anything.
    pub cors: Option<Cors>,
    /// By name: what is sent with pages. There are none yet; what is set is kept for those who look for it.
    pub ui_headers: BTreeMap<String, Vec<String>>,
    /// By name in lower case: whether the audit log shows the header as a hash.
    pub audited_headers: BTreeMap<String, bool>,
    pub quotas: Quotas,
    pub rotation: AutoRotation,
}

/// Which pages may use the API.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Cors {
    /// Each as browsers send it, or `*` alone.
    pub origins: Vec<String>,
    /// Allowed beside those that Vault always allows.
    pub headers: Vec<String>,
}

impl Cors {
    pub fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == "*" || allowed == origin)
    }
}

fn read(view: &View) -> Result<Arc<Settings>> {
    let found = view.known.settings.get(view, &Record::Settings.key(&view.barrier)?, decode)?;
    Ok(found.unwrap_or_default())
}

impl Vault {
    /// As they are on this node.
    pub fn settings(&self) -> Result<Arc<Settings>> {
        self.core.read_local(read)
    }

    pub async fn settings_change<F>(&self, change: F) -> Result<Written<()>>
    where
        F: FnOnce(&mut Settings) -> Result<()> + Send + 'static,
    {
        let evaluate = move |view: &View| {
            let old = read(view)?;
            let mut new = Settings::clone(&old);
            change(&mut new)?;
            if new == *old {
                return Ok(((), Vec::new()));
            }
            if postcard::to_stdvec(&new)?.len() > SETTINGS_BYTES_MAX {
                return Err(Error::invalid(format!("these settings have at most {SETTINGS_BYTES_MAX} bytes in all")));
            }
            Ok(((), vec![view.put(Record::Settings.key(&view.barrier)?, &new)?]))
        };
        self.core.write(Class::System, Lock::Record(b"settings".to_vec()), evaluate).await
    }
}
