//! The engine sled (0.34): one sled tree, in which the first byte of a key names our tree, since sled's batches are
//! atomic over one tree only.
//!
//! * **Flushing.** sled's `flush` ends in `sync_file_range`, which is no fsync: it saves neither metadata nor what the
//!   disk's cache holds. So `flush` here is sled's, then `syncfs` on the file system of its directory.
//! * **Large values** are cut into pieces. sled puts a page of more than a quarter of a segment into a file of its own,
//!   which is not in the order of its log: after a power cut, batches that were not flushed come back without the
//!   entries of such pages, torn. A leaf holds up to some 20 entries, so pieces and segments are sized such that no
//!   leaf comes near that.
//! * **Snapshots.** sled has none. While a snapshot is open, a write keeps what it replaces in memory (the undo log
//!   below), and the snapshot's reader puts that back. Beyond `UNDO_BYTES_MAX` all open snapshots are given up: their
//!   readers get a retryable error.
//! * **Reading** takes the lock shared and **writing** takes it alone, so that a read sees all of a batch or nothing.

use super::format::DataDirectory;
use super::group::FlushGroup;
use super::pieces::{self, Head};
use super::undo::{self, Undo};
use super::{Engine, KeyRange, Pair, Reader, ScanLimit, Snapshot, Store, Tree, WriteBatch};
use crate::error::{Error, Result};
use ::sled::{Config, Db, IVec, Mode};
use bytes::Bytes;
use rustix::fs::FlockOperation;
use std::collections::HashSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Pages that sled keeps in memory.
const CACHE_BYTES: u64 = 64 << 20;
/// The unit of sled's log.
const SEGMENT_BYTES: usize = 4 << 20;

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
        wait_for_predecessor(path)?;
        let config =
            Config::new().path(path).cache_capacity(CACHE_BYTES).mode(Mode::HighThroughput).segment_size(SEGMENT_BYTES);
        // Who needs durability flushes; a flush now and then on top of that would only cost time.
        let database = config.flush_every_ms(None).open()?;
        let files = File::open(path)?;
        let shared = Shared { database, undo: RwLock::default(), flushes: FlushGroup::default(), files, directory };
        Ok(Sled { shared: Arc::new(shared) })
    }
}

/// After sled was closed its threads may still hold its file, locked, for a moment: an opening meanwhile would fail.
/// The directory's own lock says that nobody else is there to wait for.
fn wait_for_predecessor(path: &Path) -> Result<()> {
    match File::open(path.join("db")) {
        Ok(file) => Ok(rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(std::io::Error::from)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
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
        collect(entries.map(|entry| self.shared.pair(&entry?)), limit)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>> {
        let _reading = self.shared.reading();
        let last = self.shared.entries(tree, &KeyRange::all()).next_back();
        last.map(|entry| self.shared.pair(&entry?)).transpose()
    }
}

impl Store for Sled {
    fn write(&self, batch: WriteBatch) -> Result<()> {
        batch.check_keys()?;
        let mut undo = self.shared.writing();
        let mut writes = ::sled::Batch::default();
        let mut seen = HashSet::with_capacity(batch.len());
        for (tree, key, value) in batch.ops().iter().rev() {
            // The last operation on a key counts.
            if seen.insert((*tree, key)) {
                self.shared.replace(&mut writes, &mut undo, prefixed(*tree, key), value.as_ref())?;
            }
        }
        undo.advance();
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
        self.database.get(key)?.map(|entry| self.value(key, &entry)).transpose()
    }

    /// The value that `entry` under `key` stands for.
    fn value(&self, key: &[u8], entry: &[u8]) -> Result<Bytes> {
        match Head::parse(entry)? {
            Head::Whole(value) => Ok(Bytes::copy_from_slice(value)),
            Head::InPieces { bytes } => {
                let pieces = self.database.range(pieces::piece_key(key, 0)..=pieces::piece_key(key, u32::MAX));
                pieces::join(bytes, pieces.map(|piece| Ok(piece?.1)))
            }
        }
    }

    /// An entry without its tree's byte, whole.
    fn pair(&self, (key, entry): &(IVec, IVec)) -> Result<Pair> {
        Ok((Bytes::copy_from_slice(&key[1..]), self.value(key, entry)?))
    }

    /// Adds to `writes` what puts `value` in the place of what `key` holds, and records the latter if need be.
    fn replace(&self, writes: &mut ::sled::Batch, undo: &mut Undo, key: Vec<u8>, value: Option<&Bytes>) -> Result<()> {
        let old = self.database.get(&key)?;
        let old_pieces = old.as_ref().map_or(Ok(0), |entry| Head::parse(entry).map(|head| head.pieces()))?;
        if undo.is_wanted() {
            undo.record(key.clone(), old.map(|entry| self.value(&key, &entry)).transpose()?);
        }
        let mut new_pieces = 0;
        match value {
            Some(value) => {
                let (entry, pieces) = pieces::cut(value)?;
                for piece in pieces {
                    writes.insert(pieces::piece_key(&key, new_pieces), piece);
                    new_pieces += 1;
                }
                writes.insert(key.as_slice(), entry);
            }
            None => writes.remove(key.as_slice()),
        }
        (new_pieces..old_pieces).for_each(|number| writes.remove(pieces::piece_key(&key, number)));
        Ok(())
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
                    return now.next().map(|entry| self.shared.pair(&entry?));
                }
                let (key, value) = then.next()?;
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
                entry => break entry.map(|entry| self.shared.pair(&entry)).transpose()?,
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
