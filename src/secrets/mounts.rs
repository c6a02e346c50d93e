//! The mount table: which engine answers for which path, found by the longest prefix.

use super::core::{View, Written, decode};
use super::layout::Record;
use super::mount_config::MountConfig;
use super::tokens::Leases;
use super::vault::Vault;
use crate::clock;
use crate::error::{Error, Result};
use crate::ids;
use crate::state::Op;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A mount's id: all that its records' keys say about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MountId(pub [u8; 16]);

impl fmt::Display for MountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ids::uuid(self.0))
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
    /// Vault keeps such a mount out of performance replication, which there is none of here: a standby region has it, as
    /// Vault's disaster recovery secondary does.
    pub local: bool,
    /// Asked for as Vault is asked for them, and told again. All values are encrypted here, and all entropy is the system's.
    pub seal_wrap: bool,
    pub external_entropy: bool,
    pub config: MountConfig,
    /// It was of KV v1 and some of its secrets still are: it serves nothing until they are taken over.
    pub upgrading: bool,
}

/// The two kinds of KV mounts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KvKind {
    /// Version 1.
    Plain,
    /// Version 2.
    Versioned,
}

impl Mount {
    pub(super) fn new(table: Table, path: &str, kind: &str, description: &str) -> Mount {
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
            seal_wrap: false,
            external_entropy: false,
            config: MountConfig::default(),
            upgrading: false,
        }
    }

    /// Where a newcomer's first secrets go, as in Vault's development server.
    fn first_kv() -> Mount {
        let mut kv = Mount::new(Table::Secret, "secret/", "kv", "key/value secret storage");
        kv.options.insert("version".into(), "2".into());
        kv
    }

    /// Whether a new region has it so, and nobody said anything of it since.
    pub(super) fn is_as_it_came(&self) -> bool {
        let first = Mount::first_kv();
        *self == Mount { id: self.id, accessor: self.accessor.clone(), ..first }
    }

    /// `None` of what is no KV mount.
    pub fn kv(&self) -> Option<KvKind> {
        let versioned = self.options.get("version").is_some_and(|version| version == "2");
        let kind = if versioned { KvKind::Versioned } else { KvKind::Plain };
        (self.kind == "kv").then_some(kind)
    }

    /// Where requests for it begin: `secret/`, `auth/token/`.
    pub fn route(&self) -> String {
        match self.table {
            Table::Secret => self.path.clone(),
            Table::Auth => format!("auth/{}", self.path),
        }
    }
}

/// All mounts of a region: one record, so that it changes as one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MountTable {
    pub(super) mounts: Vec<Mount>,
    /// Mounts that were disabled, and whose secrets are not all gone yet.
    pub(super) dropping: Vec<MountId>,
    /// A snapshot is being restored: nothing is mounted until it is.
    pub(super) restoring: bool,
}

impl MountTable {
    pub fn by_id(&self, id: MountId) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.id == id)
    }

    /// What a new region has.
    pub fn new() -> MountTable {
        let mounts = vec![
            Mount::new(Table::Secret, "cubbyhole/", "cubbyhole", "per-token private secret storage"),
            Mount::first_kv(),
            Mount::new(Table::Secret, "sys/", "system", "system endpoints used for control, policy and debugging"),
            Mount::new(Table::Auth, "token/", "token", "token based credentials"),
        ];
        MountTable { mounts, ..MountTable::default() }
    }

    pub(super) fn is_restoring(&self) -> bool {
        self.restoring
    }

    /// While a snapshot is restored.
    pub(super) fn restoring() -> MountTable {
        MountTable { restoring: true, ..MountTable::default() }
    }

    /// The mount that answers for `path` (without `/v1/`), and what is left of the path. `secret` finds `secret/`.
    pub fn find(&self, path: &str) -> Option<(&Mount, String)> {
        let rest_of = |mount: &Mount| {
            let route = mount.route();
            let whole = route.strip_suffix('/') == Some(path);
            path.strip_prefix(&route).or(whole.then_some("")).map(str::to_owned)
        };
        let matches = self.mounts.iter().filter_map(|mount| rest_of(mount).map(|rest| (mount, rest)));
        matches.max_by_key(|(mount, _)| mount.route().len())
    }
}

/// Fails where there is no such mount of this kind, or none that serves just now.
pub fn expect_kv(view: &View, id: MountId, kind: KvKind) -> Result<()> {
    let table = table(view)?;
    match table.mounts.iter().find(|mount| mount.id == id) {
        Some(mount) if mount.upgrading => Err(Error::invalid(
            "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and \
             will resume service shortly.",
        )),
        Some(mount) if mount.kv() == Some(kind) => Ok(()),
        _ => Err(Error::NotFound("the mount is there no longer".to_owned())),
    }
}

/// How long tokens may live, by the tuning of their mount.
pub fn token_leases(view: &View, usual: Leases) -> Result<Leases> {
    let table = table(view)?;
    let tokens = table.mounts.iter().find(|mount| mount.table == Table::Auth && mount.kind == "token");
    Ok(tokens.map_or(usual, |mount| usual.tuned(mount.config.default_ttl, mount.config.max_ttl)))
}

/// The operation that stores the table.
pub fn put(view: &View, table: &MountTable) -> Result<Op> {
    view.put(Record::Mounts.key(&view.barrier)?, table)
}

/// The table as it is stored now.
pub fn table(view: &View) -> Result<Arc<MountTable>> {
    let found = view.known.mounts.get(view, &Record::Mounts.key(&view.barrier)?, decode)?.unwrap_or_default();
    if found.restoring {
        return Err(restoring());
    }
    Ok(found)
}

/// What is told meanwhile.
pub(super) fn restoring() -> Error {
    Error::unavailable("a snapshot is being restored, by the next leader if this one stops: try again when it is")
}

impl Vault {
    /// All mounts of a table, by path.
    pub fn mounts(&self, of: Table) -> Result<Vec<Mount>> {
        let table = self.core.read_local(table)?;
        Ok(table.mounts.iter().filter(|mount| mount.table == of).cloned().collect())
    }

    /// The mount that answers for `path` (without `/v1/`), and what is left of the path.
    pub fn mount_of(&self, path: &str) -> Result<Option<(Mount, String)>> {
        self.core.read_local(|view| Ok(table(view)?.find(path).map(|(mount, rest)| (mount.clone(), rest))))
    }
}

impl<T> Written<T> {
    /// The same position with another value.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Written<U> {
        Written { value: with(self.value), position: self.position }
    }
}
