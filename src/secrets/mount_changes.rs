//! Changing the mount table: enable, disable, tune, move. What takes long (the secrets of a mount that was disabled, the
//! secrets of one that is upgraded) is done in steps, which any later leader can go on with.

use super::core::{View, Written};
use super::kv;
use super::layout;
use super::lock::{Gate, Lock};
use super::mount_config::{MountConfigChange, expect_short, expect_short_options};
use super::mounts::{self, KvKind, Mount, MountTable, Table};
use super::vault::Vault;
use crate::error::{Error, Result};
use crate::state::{Class, Op};
use crate::storage::{KeyRange, ScanLimit};
use std::collections::BTreeMap;

/// A mount's path may be as long.
const PATH_BYTES_MAX: usize = 512;
/// There may be as many mounts: the table is one record.
const MOUNTS_MAX: usize = 2000;
/// What one step of dropping a mount takes away.
const DROP_STEP: ScanLimit = ScanLimit { entries: 500, bytes: 8 << 20 };

/// A mount to enable.
#[derive(Clone, Debug, Default)]
pub struct MountRequest {
    /// `kv`, or `kv-v1` and `kv-v2`.
    pub kind: String,
    pub description: String,
    pub options: BTreeMap<String, String>,
    pub local: bool,
    pub seal_wrap: bool,
    pub external_entropy: bool,
    pub config: MountConfigChange,
}

/// What to change of a mount; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct MountTuning {
    pub description: Option<String>,
    /// Added to those there are; an empty one goes.
    pub options: Option<BTreeMap<String, String>>,
    pub config: MountConfigChange,
}

impl MountTuning {
    /// The name of something that it changes and that what is built in keeps, as in Vault.
    fn fixed_of_built_in(&self) -> Option<&'static str> {
        let fixed = [
            (self.description.is_some(), "description"),
            (self.options.as_ref().is_some_and(|options| !options.is_empty()), "options"),
            (self.config.default_ttl.is_some(), "default_lease_ttl"),
            (self.config.max_ttl.is_some(), "max_lease_ttl"),
            (self.config.listing.is_some(), "listing_visibility"),
            (self.config.passthrough_request_headers.is_some(), "passthrough_request_headers"),
            (self.config.allowed_response_headers.is_some(), "allowed_response_headers"),
        ];
        fixed.into_iter().find(|(is_set, _)| *is_set).map(|(_, name)| name)
    }
}

impl Vault {
    pub async fn mount_enable(&self, path: &str, request: MountRequest) -> Result<Written<()>> {
        let path = mount_path(path)?;
        let mut options = request.options;
        let kind = match request.kind.as_str() {
            "" => return Err(Error::invalid("backend type must be specified as a string")),
            "kv" | "generic" => "kv",
            "kv-v1" => {
                options.insert("version".into(), "1".into());
                "kv"
            }
            "kv-v2" => {
                options.insert("version".into(), "2".into());
                "kv"
            }
            other @ ("cubbyhole" | "system" | "identity") => {
                return Err(Error::invalid(format!("mount type of \"{other}\" is not mountable")));
            }
            other => return Err(Error::invalid(format!("plugin not found in the catalog: {other}"))),
        };
        expect_version(&options)?;
        expect_short(&request.description)?;
        expect_short_options(&options)?;
        let mut mount = Mount::new(Table::Secret, &path, kind, &request.description);
        mount.options = options;
        (mount.local, mount.seal_wrap, mount.external_entropy) =
            (request.local, request.seal_wrap, request.external_entropy);
        request.config.apply(&mut mount.config)?;
        mount.config.expect_leases_of_new(self.core.leases())?;
        self.change_mounts(move |view, table| {
            if table.mounts.len() >= MOUNTS_MAX {
                return Err(Error::invalid(format!("a region has at most {MOUNTS_MAX} mounts")));
            }
            give_way(view, table, &path)?;
            if let Some(mount) = taken(table, &path) {
                return Err(Error::invalid(format!("path is already in use at {mount}")));
            }
            table.mounts.push(mount);
            Ok(())
        })
        .await
    }

    /// Takes a mount away, and begins to remove what lies in it. One that is not there is gone already.
    pub async fn mount_disable(&self, path: &str) -> Result<Written<()>> {
        let path = with_slash(path);
        if is_built_in(&path) {
            return Err(Error::invalid(format!("cannot unmount \"{path}\"")));
        }
        let change = move |_: &View, table: &mut MountTable| {
            let gone = |mount: &Mount| mount.table == Table::Secret && mount.path == path;
            let ids = table.mounts.iter().filter(|mount| gone(mount)).map(|mount| mount.id).collect::<Vec<_>>();
            table.mounts.retain(|mount| !gone(mount));
            table.dropping.extend(ids);
            Ok(())
        };
        self.change_mounts(change).await
    }

    pub async fn mount_move(&self, from: &str, to: &str) -> Result<Written<()>> {
        let (from, to) = (with_slash(from), mount_path(to)?);
        if is_built_in(&from) {
            return Err(Error::invalid(format!("cannot remount \"{from}\"")));
        }
        self.change_mounts(move |_, table| {
            let missing = || Error::invalid(format!("no matching mount at \"{from}\""));
            let is_it = |mount: &Mount| mount.table == Table::Secret && mount.path == from;
            let at = table.mounts.iter().position(is_it).ok_or_else(missing)?;
            if let Some(mount) = taken(table, &to) {
                return Err(Error::invalid(format!("path already in use at \"{mount}\"")));
            }
            table.mounts[at].path = to;
            Ok(())
        })
        .await
    }

    /// Changes what is said of a way to log in.
    pub async fn auth_tune(&self, path: &str, tuning: MountTuning) -> Result<Written<()>> {
        let path = with_slash(path);
        let change = move |_: &View, table: &mut MountTable| {
            let mount = table.mounts.iter_mut().find(|mount| mount.table == Table::Auth && mount.path == path);
            let mount = mount
                .ok_or_else(|| Error::invalid(format!("tune of path \"auth/{path}\" failed: no mount entry found")))?;
            if let Some(description) = tuning.description {
                expect_short(&description)?;
                mount.description = description;
            }
            tuning.config.apply(&mut mount.config)?;
            mount.config.expect_leases()
        };
        self.change_mounts(change).await
    }

    /// Whether the mount is being upgraded to KV v2 by it.
    pub async fn mount_tune(&self, path: &str, tuning: MountTuning) -> Result<Written<bool>> {
        let path = with_slash(path);
        if is_built_in(&path)
            && let Some(name) = tuning.fixed_of_built_in()
        {
            return Err(Error::invalid(format!("cannot tune parameter {name} of {path}")));
        }
        if let Some(options) = &tuning.options {
            expect_version(options)?;
        }
        let change = move |_: &View, table: &mut MountTable| {
            let mount = table.mounts.iter_mut().find(|mount| mount.table == Table::Secret && mount.path == path);
            let mount =
                mount.ok_or_else(|| Error::invalid(format!("tune of path \"{path}\" failed: no mount entry found")))?;
            if let Some(description) = tuning.description {
                expect_short(&description)?;
                mount.description = description;
            }
            tuning.config.apply(&mut mount.config)?;
            mount.config.expect_leases()?;
            if let Some(options) = tuning.options {
                let was = mount.kv();
                mount.options.extend(options);
                mount.options.retain(|name, value| name == "version" || !value.is_empty());
                expect_short_options(&mount.options)?;
                match (was, mount.kv()) {
                    (Some(KvKind::Plain), Some(KvKind::Versioned)) => mount.upgrading = true,
                    (Some(KvKind::Versioned), Some(KvKind::Plain)) => {
                        return Err(Error::invalid("cannot downgrade mount from version 2"));
                    }
                    _ => {}
                }
            }
            Ok(())
        };
        let written = self.change_mounts(change).await?;
        let upgrading = self.core.read_local(|view| Ok(mounts::table(view)?.has_work()))?;
        Ok(written.map(|()| upgrading))
    }

    /// One step of what changes of mounts left to do. Whether there is more. For the leader of a primary region.
    pub async fn tidy_mounts(&self) -> Result<bool> {
        if !self.core.read_local(|view| Ok(mounts::table(view)?.has_work()))? {
            return Ok(false);
        }
        let step = |view: &View| {
            let mut table = MountTable::clone(&*mounts::table(view)?);
            let mut ops = Vec::new();
            if let Some(mount) = table.mounts.iter_mut().find(|mount| mount.upgrading) {
                ops = kv::upgrade_step(view, mount.id)?;
                if !ops.is_empty() {
                    return Ok((true, ops));
                }
                mount.upgrading = false;
            } else if let Some(mount) = table.dropping.first() {
                for prefix in layout::of_mount(*mount) {
                    let found = view.state.scan_data(&KeyRange::prefix(&prefix), DROP_STEP)?;
                    ops.extend(found.into_iter().map(|(key, _)| Op::Delete { key }));
                    if !ops.is_empty() {
                        return Ok((true, ops));
                    }
                }
                table.dropping.remove(0);
            }
            ops.push(mounts::put(view, &table)?);
            Ok((table.has_work(), ops))
        };
        Ok(self.core.write(Class::Mount, Lock::Whole(Gate::Mounts), step).await?.value)
    }

    async fn change_mounts<F>(&self, change: F) -> Result<Written<()>>
    where
        F: FnOnce(&View, &mut MountTable) -> Result<()> + Send + 'static,
    {
        let evaluate = move |view: &View| {
            let old = mounts::table(view)?;
            let mut table = MountTable::clone(&old);
            change(view, &mut table)?;
            table.mounts.sort_by(|one, other| one.path.cmp(&other.path));
            Ok(((), if table == *old { Vec::new() } else { vec![mounts::put(view, &table)?] }))
        };
        self.core.write(Class::Mount, Lock::Whole(Gate::Mounts), evaluate).await
    }
}

impl MountTable {
    fn has_work(&self) -> bool {
        !self.dropping.is_empty() || self.mounts.iter().any(|mount| mount.upgrading)
    }
}

/// What a new region has mounted at `path` makes room for what is asked for there, as long as nothing was changed of it or
/// written to it: in Vault there is nothing there, and runbooks mount it.
fn give_way(view: &View, table: &mut MountTable, path: &str) -> Result<()> {
    let came_so = |mount: &Mount| mount.path == path && mount.is_as_it_came();
    let Some(at) = table.mounts.iter().position(came_so) else { return Ok(()) };
    for prefix in layout::of_mount(table.mounts[at].id) {
        if !view.state.scan_data(&KeyRange::prefix(&prefix), ScanLimit::entries(1))?.is_empty() {
            return Ok(());
        }
    }
    let mount = table.mounts.remove(at);
    // A write may be under way.
    table.dropping.push(mount.id);
    Ok(())
}

/// The mount that takes the place of one at `path`: none may lie in another.
fn taken<'a>(table: &'a MountTable, path: &str) -> Option<&'a str> {
    let mut secrets = table.mounts.iter().filter(|mount| mount.table == Table::Secret);
    let found = secrets.find(|mount| mount.path.starts_with(path) || path.starts_with(&mount.path));
    found.map(|mount| mount.path.as_str())
}

fn expect_version(options: &BTreeMap<String, String>) -> Result<()> {
    match options.get("version").map(String::as_str) {
        None | Some("" | "1" | "2") => Ok(()),
        Some(other) => Err(Error::invalid(format!("invalid version provided: {other}"))),
    }
}

/// Vault's identities have a place of their own, where nothing is here.
fn is_built_in(path: &str) -> bool {
    ["sys/", "auth/", "audit/", "cubbyhole/", "identity/"].iter().any(|built_in| path.starts_with(built_in))
}

fn with_slash(path: &str) -> String {
    format!("{}/", path.trim_matches('/'))
}

/// A path where something can be mounted.
fn mount_path(path: &str) -> Result<String> {
    let path = with_slash(path);
    if path == "/" {
        return Err(Error::invalid("the mount's path is missing"));
    }
    if is_built_in(&path) {
        return Err(Error::invalid(format!("cannot mount \"{path}\"")));
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(Error::invalid(format!("a mount's path has at most {PATH_BYTES_MAX} bytes")));
    }
    let odd =
        |segment: &str| segment.is_empty() || segment == "." || segment == ".." || segment.contains(char::is_control);
    if path.trim_end_matches('/').split('/').any(odd) {
        return Err(Error::invalid("the mount's path has an empty or odd name in it"));
    }
    Ok(path)
}
