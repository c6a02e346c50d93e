//! The engine sled (0.34): one sled tree, in which the first byte of a key names our tree, since sled's batches are
//! atomic over one tree only.
//!
//! * **Flushing.** sled's `flush` ends in `sync_file_range`, which is no fsync: it saves neither metadata nor what the
//!   disk's cache holds, and values of more than 128 KiB go to files that sled never syncs. So `flush` here is
//!   sled's, then `syncfs` on the file system of its directory.
//! * **Snapshots.** sled has none. While a snapshot is open, a write keeps what it replaces in memory (the undo log
//!   below), and the snapshot's reader puts that back. Beyond `UNDO_BYTES_MAX` all open snapshots are given up: their
//!   readers get a retryable error.
//! * **Reading** takes the lock shared and **writing** takes it alone, so that a read sees all of a batch or nothing.

use super::format::DataDirectory;
use super::group::FlushGroup;
use super::undo::{self, Undo};
use super::{Engine, KeyRange, Pair, Reader, ScanLimit, Snapshot, Store, Tree, WriteBatch};
use crate::error::{Error, Result};
use ::sled::{Config, Db, IVec, Mode};
use bytes::Bytes;
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Pages that sled keeps in memory.
const CACHE_BYTES: u64 = 64 << 20;

pub struct Sled {
    shared: Arc<Shared>,
}

/// What the store and its snapshots hold. Dropped in order: the directory's lock goes when the engine is closed.
struct Shared {
    database: Db,
    undo: RwLock<Undo>,
    flushes: FlushGroup,
    /// The directory of sled's files, open for `syncfs`.
    files: File,
    directory: DataDirectory,
}

struct View {
    moment: undo::Moment,
    shared: Arc<Shared>,
}

impl Sled {
    /// Opens or creates the database in `path`, inside the locked `directory`.
    pub(super) fn open(path: &Path, directory: DataDirectory) -> Result<Sled> {
        let config = Config::new().path(path).cache_capacity(CACHE_BYTES).mode(Mode::HighThroughput);
        // Who needs durability flushes; a flush now and then on top of that would only cost time.
        let database = config.flush_every_ms(None).open()?;
        let files = File::open(path)?;
        let shared = Shared { database, undo: RwLock::default(), flushes: FlushGroup::default(), files, directory };
        Ok(Sled { shared: Arc::new(shared) })
    }
}

impl Reader for Sled {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>> {
        let _reading = self.shared.reading();
        self.shared.get(&prefixed(tree, key))
    }

    fn scan(&self, tree: Tree, range: &KeyRange, limit: ScanLimit) -> Result<Vec<Pair>> {
        let _reading = self.shared.reading();
        let entries = self.shared.entries(tree, range);
        collect(entries.map(|entry| Ok(unprefixed(&entry?))), limit)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>> {
        let _reading = self.shared.reading();
        let last = self.shared.entries(tree, &KeyRange::all()).next_back();
        Ok(last.transpose()?.map(|entry| unprefixed(&entry)))
    }
}

impl Store for Sled {
    fn write(&self, batch: WriteBatch) -> Result<()> {
        batch.check_keys()?;
        let mut undo = self.shared.writing();
        if undo.is_wanted() {
            let mut seen = HashSet::with_capacity(batch.len());
            for (tree, key, _) in batch.ops() {
                if seen.insert((*tree, key)) {
                    let key = prefixed(*tree, key);
                    let before = self.shared.get(&key)?;
                    undo.record(key, before);
                }
            }
            undo.advance();
        }
        let mut writes = ::sled::Batch::default();
        for (tree, key, value) in batch.ops() {
            match value {
                Some(value) => writes.insert(prefixed(*tree, key), value.as_ref()),
                None => writes.remove(prefixed(*tree, key)),
            }
        }
        Ok(self.shared.database.apply_batch(writes)?)
    }

    fn flush(&self) -> Result<()> {
        self.shared.flushes.run(|| {
            self.shared.database.flush()?;
            Ok(rustix::fs::syncfs(&self.shared.files).map_err(std::io::Error::from)?)
        })
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        let moment = self.shared.writing().open();
        Ok(Box::new(View { moment, shared: self.shared.clone() }))
    }

    fn disk_bytes(&self) -> Result<u64> {
        self.shared.directory.disk_bytes()
    }

    fn engine(&self) -> Engine {
        Engine::Sled
    }
}

impl Shared {
    fn reading(&self) -> RwLockReadGuard<'_, Undo> {
        self.undo.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Undo> {
        self.undo.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.database.get(key)?.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn entries(
        &self,
        tree: Tree,
        range: &KeyRange,
    ) -> impl DoubleEndedIterator<Item = ::sled::Result<(IVec, IVec)>> + use<> {
        let (start, end) = bounds(tree, range);
        (start < end).then(|| self.database.range(start..end)).into_iter().flatten()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.shared.writing().close(self.moment);
    }
}

impl Snapshot for View {}

impl Reader for View {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>> {
        let undo = self.shared.reading();
        let key = prefixed(tree, key);
        match undo.get(self.moment, &key)? {
            Some(then) => Ok(then.clone()),
            None => self.shared.get(&key),
        }
    }

    fn scan(&self, tree: Tree, range: &KeyRange, limit: ScanLimit) -> Result<Vec<Pair>> {
        let undo = self.shared.reading();
        let (start, end) = bounds(tree, range);
        let mut now = self.shared.entries(tree, range).peekable();
        let mut then = undo.range(self.moment, start, end)?.peekable();
        // Merges what is there now with what has been replaced since; of a key in both, the latter counts.
        let merged = std::iter::from_fn(|| {
            loop {
                let replaced_first = match (now.peek(), then.peek()) {
                    (None, None) => return None,
                    (Some(Err(_)), _) | (Some(_), None) => false,
                    (None, Some(_)) => true,
                    (Some(Ok((now, _))), Some((then, _))) => then[..] <= now[..],
                };
                if !replaced_first {
                    return now.next().map(|entry| Ok(unprefixed(&entry?)));
                }
                let Some((key, value)) = then.next() else { return None };
                now.next_if(|entry| entry.as_ref().is_ok_and(|(now, _)| now[..] == key[..]));
                if let Some(value) = value {
                    return Some(Ok((key.slice(1..), value.clone())));
                }
            }
        });
        collect(merged, limit)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>> {
        let undo = self.shared.reading();
        let mut now = self.shared.entries(tree, &KeyRange::all()).rev();
        let newest_unchanged = loop {
            match now.next().transpose()? {
                Some(entry) if undo.get(self.moment, &entry.0)?.is_some() => continue,
                entry => break entry.map(|entry| unprefixed(&entry)),
            }
        };
        let (start, end) = bounds(tree, &KeyRange::all());
        let replaced = undo.range(self.moment, start, end)?.rev();
        let replaced = replaced.filter_map(|(key, value)| Some((key.slice(1..), value.clone()?))).next();
        Ok(newest_unchanged.max(replaced))
    }
}

fn collect(entries: impl Iterator<Item = Result<Pair>>, limit: ScanLimit) -> Result<Vec<Pair>> {
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut entries = entries;
    while found.len() < limit.entries && bytes < limit.bytes {
        let Some((key, value)) = entries.next().transpose()? else { break };
        bytes += key.len() + value.len();
        found.push((key, value));
    }
    Ok(found)
}

/// The tree's byte in sled. Never reuse one.
fn tag(tree: Tree) -> u8 {
    match tree {
        Tree::Node => 1,
        Tree::Log => 2,
        Tree::Region => 3,
        Tree::Data => 4,
        Tree::Wal => 5,
    }
}

fn prefixed(tree: Tree, key: &[u8]) -> Vec<u8> {
    let mut prefixed = Vec::with_capacity(1 + key.len());
    prefixed.push(tag(tree));
    prefixed.extend_from_slice(key);
    prefixed
}

fn unprefixed((key, value): &(IVec, IVec)) -> Pair {
    (Bytes::copy_from_slice(&key[1..]), Bytes::copy_from_slice(value))
}

/// The range with the tree's byte: start inclusive, end exclusive.
fn bounds(tree: Tree, range: &KeyRange) -> (Vec<u8>, Vec<u8>) {
    let end = range.end.as_ref().map_or_else(|| vec![tag(tree) + 1], |end| prefixed(tree, end));
    (prefixed(tree, &range.start), end)
}

impl From<::sled::Error> for Error {
    fn from(error: ::sled::Error) -> Error {
        Error::Storage(error.to_string())
    }
}
