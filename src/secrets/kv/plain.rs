//! Secrets without versions: KV v1, and the cubbyhole of a token.

use super::data::{check_object, text};
use super::list;
use crate::error::{Error, Result};
use crate::secrets::core::{View, Written};
use crate::secrets::layout::{Folder, Record, SecretPath, Shelf, Tree};
use crate::secrets::lock::{Gate, Lock};
use crate::secrets::mounts::{self, KvKind, MountId};
use crate::secrets::tokens::{Caller, good_record};
use crate::secrets::vault::Vault;
use crate::sensitive::SensitiveString;
use crate::state::{Class, Op};
use crate::storage::{KeyRange, ScanLimit};

/// What the cubbyhole of one token holds at most.
const CUBBYHOLE_ENTRIES_MAX: usize = 256;
const CUBBYHOLE_BYTES_MAX: usize = 4 << 20;

/// Whose secrets: checked again when they are read and written, since a mount or a token may have gone meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plain(Shelf);

impl Plain {
    pub fn of_mount(mount: MountId) -> Plain {
        Plain(Shelf::Kv1(mount))
    }

    pub fn cubbyhole(caller: &Caller) -> Result<Plain> {
        let hash = caller
            .hash()
            .ok_or_else(|| Error::invalid("cubbyhole operations are only supported by \"service\" type tokens"))?;
        Ok(Plain(Shelf::Cubbyhole(hash)))
    }

    fn expect_there(self, view: &View) -> Result<()> {
        match self.0 {
            Shelf::Kv1(mount) => mounts::expect_kv(view, mount, KvKind::Plain),
            Shelf::Cubbyhole(hash) => good_record(view, hash)?.map(|_| ()).ok_or(Error::PermissionDenied),
        }
    }

    /// A mount is bounded by its secrets alone; a cubbyhole goes with its token in one batch, so it has to stay small.
    fn expect_room(self, view: &View, key: &[u8], bytes: usize) -> Result<()> {
        let Shelf::Cubbyhole(_) = self.0 else { return Ok(()) };
        let held = view.state.scan_data(&KeyRange::prefix(&self.0.prefix()), ScanLimit::NONE)?;
        let others = held.iter().filter(|(other, _)| other.as_ref() != key);
        let first = (1, key.len() + bytes);
        let (entries, held) =
            others.fold(first, |(n, sum), (key, stored)| (n + 1, sum + key.len() + stored.value.len()));
        if entries > CUBBYHOLE_ENTRIES_MAX || held > CUBBYHOLE_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a cubbyhole holds at most {CUBBYHOLE_ENTRIES_MAX} secrets and {CUBBYHOLE_BYTES_MAX} bytes: delete some"
            )));
        }
        Ok(())
    }

    fn lock(self, path: &SecretPath) -> Lock {
        match self.0 {
            Shelf::Kv1(mount) => Lock::Within(Gate::Mounts, [&mount.0[..], path.as_str().as_bytes()].concat()),
            // All of it: its room is shared.
            Shelf::Cubbyhole(hash) => Lock::Within(Gate::Tokens, hash.to_vec()),
        }
    }
}

impl Vault {
    /// The JSON text as it was put.
    pub async fn plain_get(&self, of: Plain, path: &str) -> Result<Option<SensitiveString>> {
        let path = SecretPath::parse(path)?;
        let read = move |view: &View| {
            of.expect_there(view)?;
            let data = view.get_bytes(&Record::Plain(of.0, &path).key(&view.barrier)?)?;
            data.map(|data| text(&data)).transpose()
        };
        self.core.read(read).await
    }

    pub async fn plain_put(&self, of: Plain, path: &str, data: SensitiveString) -> Result<Written<()>> {
        let path = SecretPath::parse(path)?;
        check_object(data.expose())?;
        let lock = of.lock(&path);
        let put = move |view: &View| {
            of.expect_there(view)?;
            let key = Record::Plain(of.0, &path).key(&view.barrier)?;
            of.expect_room(view, &key, data.expose().len())?;
            Ok(((), vec![view.put_bytes(key, data.expose().as_bytes())]))
        };
        self.core.write(Class::KvWrite, lock, put).await
    }

    pub async fn plain_delete(&self, of: Plain, path: &str) -> Result<Written<()>> {
        let path = SecretPath::parse(path)?;
        let lock = of.lock(&path);
        let delete = move |view: &View| {
            of.expect_there(view)?;
            let key = Record::Plain(of.0, &path).key(&view.barrier)?;
            let there = view.has(&key)?;
            Ok(((), if there { vec![Op::Delete { key }] } else { Vec::new() }))
        };
        self.core.write(Class::KvDelete, lock, delete).await
    }

    /// As `kv_list`.
    pub async fn plain_list(&self, of: Plain, folder: &str) -> Result<Vec<String>> {
        let folder = Folder::parse(folder)?;
        let list = move |view: &View| {
            of.expect_there(view)?;
            list::names(view, Tree::Plain(of.0), &folder)
        };
        self.core.scan(list).await
    }

    /// As `kv_scan`.
    pub async fn plain_scan(&self, of: Plain, folder: &str) -> Result<Vec<String>> {
        let folder = Folder::parse(folder)?;
        let list = move |view: &View| {
            of.expect_there(view)?;
            list::below(view, Tree::Plain(of.0), &folder)
        };
        self.core.scan(list).await
    }
}
