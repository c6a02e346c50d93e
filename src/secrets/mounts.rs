//! The mount table: which engine answers for which path. One replicated record a mount, found by the longest prefix.

use super::core::{View, Written, decode};
use super::layout::{self, Record};
use super::vault::Vault;
use crate::clock;
use crate::error::Result;
use crate::state::Op;
use crate::storage::{KeyRange, ScanLimit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A mount's id: all that its records' keys say about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MountId(pub [u8; 16]);

/// As Vault writes it: groups of 8, 4, 4, 4 and 12 hexadecimal digits.
impl fmt::Display for MountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(self.0);
        let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &digits[range]);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

/// Which of Vault's two tables a mount is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Table {
    /// `sys/mounts`
    Secret,
    /// `sys/auth`, under the path `auth/`
    Auth,
}

/// A mount. Its path in the table ends with a slash: `secret/`, or `token/` under `auth/`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mount {
    pub id: MountId,
    pub table: Table,
    pub path: String,
    /// Vault's name of the engine: `kv`, `cubbyhole`, `system`, `token`.
    pub kind: String,
    pub accessor: String,
    pub description: String,
    /// `{"version": "2"}` of KV v2.
    pub options: BTreeMap<String, String>,
    /// Kept out of replication: none is.
    pub local: bool,
}

impl Mount {
    fn new(table: Table, path: &str, kind: &str, description: &str) -> Mount {
        let suffix = hex::encode(clock::random_bytes::<4>());
        Mount {
            id: MountId(clock::random_bytes()),
            table,
            path: path.to_owned(),
            accessor: format!("{}{kind}_{suffix}", if table == Table::Auth { "auth_" } else { "" }),
            kind: kind.to_owned(),
            description: description.to_owned(),
            options: BTreeMap::new(),
            local: false,
        }
    }

    pub fn is_kv2(&self) -> bool {
        self.kind == "kv" && self.options.get("version").is_some_and(|version| version == "2")
    }

    /// Where requests for it begin: `secret/`, `auth/token/`.
    pub fn route(&self) -> String {
        match self.table {
            Table::Secret => self.path.clone(),
            Table::Auth => format!("auth/{}", self.path),
        }
    }
}

/// What a new region has.
pub fn defaults() -> Vec<Mount> {
    let mut kv = Mount::new(Table::Secret, "secret/", "kv", "key/value secret storage");
    kv.options.insert("version".into(), "2".into());
    vec![
        kv,
        Mount::new(Table::Secret, "cubbyhole/", "cubbyhole", "per-token private secret storage"),
        Mount::new(Table::Secret, "sys/", "system", "system endpoints used for control, policy and debugging"),
        Mount::new(Table::Auth, "token/", "token", "token based credentials"),
    ]
}

/// The operation that stores `mount`.
pub fn put(view: &View, mount: &Mount) -> Result<Op> {
    view.put(Record::Mount(mount.id).key(&view.barrier)?, mount)
}

fn all(view: &View) -> Result<Vec<Mount>> {
    let stored = view.state.scan_data(&KeyRange::prefix(layout::MOUNTS), ScanLimit::NONE)?;
    let mounts = stored.iter().map(|(key, stored)| decode(&view.barrier.decrypt(key, &stored.value)?));
    let mut mounts = mounts.collect::<Result<Vec<Mount>>>()?;
    mounts.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(mounts)
}

impl Vault {
    /// All mounts of a table, by path.
    pub async fn mounts(&self, table: Table) -> Result<Vec<Mount>> {
        let mounts = self.core.read_local(all).await?;
        Ok(mounts.into_iter().filter(|mount| mount.table == table).collect())
    }

    /// The mount that answers for `path` (without `/v1/`), and what is left of the path. `secret` finds `secret/`.
    pub async fn mount_of(&self, path: &str) -> Result<Option<(Mount, String)>> {
        let mounts = self.core.read_local(all).await?;
        let rest_of = |mount: &Mount| {
            let route = mount.route();
            let whole = route.strip_suffix('/') == Some(path);
            path.strip_prefix(&route).or(whole.then_some("")).map(str::to_owned)
        };
        let matches = mounts.into_iter().filter_map(|mount| rest_of(&mount).map(|rest| (mount, rest)));
        Ok(matches.max_by_key(|(mount, _)| mount.route().len()))
    }
}

impl<T> Written<T> {
    /// The same position with another value.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Written<U> {
        Written { value: with(self.value), position: self.position }
    }
}
