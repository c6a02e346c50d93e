//! The default engine: fjall, a log-structured merge tree. One database, one keyspace per tree.
//!
//! Every write goes to one journal in order, so what a crash takes is a suffix, over all trees at once. A flush is an
//! `fdatasync` of that journal: fjall syncs a new journal's length and directory entry when it makes it, and
//! `fdatasync` saves whatever metadata is needed to read the rest. Before fjall writes a tree's buffer to a table it
//! syncs the journal, so a table never holds what the journal has lost.
//!
//! Values are ciphertext, so nothing is compressed. Buffers are small: a node is one of several on its machine, and
//! the page cache serves it as well as a cache of its own would.

use super::format::DataDirectory;
use super::group::FlushGroup;
use super::{Engine, KeyRange, Pair, Reader, ScanLimit, Snapshot, Store, Tree, WriteBatch};
use crate::error::{Error, Result};
use ::fjall::config::CompressionPolicy;
use ::fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvPair, KvSeparationOptions, PersistMode, Readable,
};
use bytes::Bytes;
use std::collections::HashSet;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

/// Blocks read from tables, kept in memory, for all trees together.
const CACHE_BYTES: u64 = 8 << 20;
/// A tree's writes stay in memory until they come to this. Up to four more such buffers wait to be written to disk.
const WRITE_BUFFER_BYTES: u64 = 6 << 20;
/// The same for the logs, whose keys come in order: small tables of them do not overlap, and cost little to merge.
const LOG_WRITE_BUFFER_BYTES: u64 = 4 << 20;
/// The same for the trees of a few records.
const SMALL_WRITE_BUFFER_BYTES: u64 = 1 << 20;
/// Beyond this, buffers are written to tables early so that old journals can go.
const JOURNALS_BYTES_MAX: u64 = 128 << 20;
/// Values from here on are stored apart from their keys, so that compaction does not copy them again and again.
const LARGE_VALUE_BYTES: u32 = 4096;
/// Log entries are written once and deleted from the front: apart from their keys, whole files of them just go.
const LARGE_ENTRY_BYTES: u32 = 512;
/// The size of a file of large values; one goes, or is rewritten, when a quarter of it is dead.
const VALUE_FILE_BYTES: u64 = 16 << 20;
/// One thread writes buffers to tables and compacts. With more, fjall 3.1 has the first put compactions back into the
/// queue over and over until another thread has time for them, which costs a processor for as long as one lasts.
const WORKER_THREADS: usize = 1;
/// Open tables. Small, since the demo runs many nodes in one process.
const OPEN_FILES_MAX: usize = 128;

pub struct Fjall {
    shared: Arc<Shared>,
}

/// What the store and its snapshots hold. Dropped in order: the directory's lock goes when the engine is closed.
struct Shared {
    trees: [Keyspace; Tree::ALL.len()],
    database: Database,
    flushes: FlushGroup,
    directory: DataDirectory,
}

struct View {
    snapshot: ::fjall::Snapshot,
    shared: Arc<Shared>,
}

impl Fjall {
    /// Opens or creates the database in `path`, inside the locked `directory`.
    pub(super) fn open(path: &Path, directory: DataDirectory) -> Result<Fjall> {
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNALS_BYTES_MAX)
            .journal_compression(CompressionType::None)
            .worker_threads(WORKER_THREADS)
            .max_cached_files(Some(OPEN_FILES_MAX))
            .open()?;
        let keyspace = |tree: Tree| database.keyspace(tree.name(), || options(tree));
        let trees = [
            keyspace(Tree::Node)?,
            keyspace(Tree::Log)?,
            keyspace(Tree::Region)?,
            keyspace(Tree::Data)?,
            keyspace(Tree::Wal)?,
        ];
        let shared = Shared { trees, database, flushes: FlushGroup::default(), directory };
        Ok(Fjall { shared: Arc::new(shared) })
    }

    /// Reads go through a snapshot as well: a bare read of fjall's may see half of a batch that is being written.
    fn view(&self) -> View {
        View { snapshot: self.shared.database.snapshot(), shared: self.shared.clone() }
    }
}

fn options(tree: Tree) -> KeyspaceCreateOptions {
    let values_apart = |from_bytes: u32| {
        let options = KvSeparationOptions::default();
        let options = options.separation_threshold(from_bytes).file_target_size(VALUE_FILE_BYTES);
        Some(options.compression(CompressionType::None))
    };
    let (buffer, values_apart) = match tree {
        Tree::Node | Tree::Region => (SMALL_WRITE_BUFFER_BYTES, None),
        Tree::Data => (WRITE_BUFFER_BYTES, values_apart(LARGE_VALUE_BYTES)),
        Tree::Log | Tree::Wal => (LOG_WRITE_BUFFER_BYTES, values_apart(LARGE_ENTRY_BYTES)),
    };
    KeyspaceCreateOptions::default()
        .max_memtable_size(buffer)
        .data_block_compression_policy(CompressionPolicy::disabled())
        .with_kv_separation(values_apart)
}

impl Shared {
    fn tree(&self, tree: Tree) -> &Keyspace {
        &self.trees[tree as usize]
    }
}

impl Reader for Fjall {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>> {
        self.view().get(tree, key)
    }

    fn scan(&self, tree: Tree, range: &KeyRange, limit: ScanLimit) -> Result<Vec<Pair>> {
        self.view().scan(tree, range, limit)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>> {
        self.view().last(tree)
    }
}

impl Store for Fjall {
    fn write(&self, batch: WriteBatch) -> Result<()> {
        batch.check_keys()?;
        let mut writes = self.shared.database.batch();
        // All of a batch gets one sequence number: of two operations on a key only the last may be passed on.
        let mut seen = HashSet::with_capacity(batch.len());
        for (tree, key, value) in batch.ops().iter().rev() {
            if !seen.insert((*tree, key)) {
                continue;
            }
            let keyspace = self.shared.tree(*tree);
            match value {
                Some(value) => writes.insert(keyspace, key.as_ref(), value.as_ref()),
                None => writes.remove(keyspace, key.as_ref()),
            }
        }
        Ok(writes.commit()?)
    }

    fn flush(&self) -> Result<()> {
        self.shared.flushes.run(|| Ok(self.shared.database.persist(PersistMode::SyncData)?))
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(self.view()))
    }

    fn disk_bytes(&self) -> Result<u64> {
        self.shared.directory.disk_bytes()
    }

    fn engine(&self) -> Engine {
        Engine::Fjall
    }
}

impl Snapshot for View {}

impl Reader for View {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.snapshot.get(self.shared.tree(tree), key)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, tree: Tree, range: &KeyRange, limit: ScanLimit) -> Result<Vec<Pair>> {
        let mut found = Vec::new();
        if range.is_empty() {
            return Ok(found);
        }
        let start = Bound::Included(range.start.as_slice());
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries = self.snapshot.range::<&[u8], _>(self.shared.tree(tree), (start, end));
        let mut bytes = 0;
        while found.len() < limit.entries && bytes < limit.bytes {
            let Some(entry) = entries.next() else { break };
            let (key, value) = pair(entry.into_inner()?);
            bytes += key.len() + value.len();
            found.push((key, value));
        }
        Ok(found)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>> {
        let last = self.snapshot.last_key_value(self.shared.tree(tree));
        Ok(last.map(|entry| entry.into_inner()).transpose()?.map(pair))
    }
}

fn pair((key, value): KvPair) -> Pair {
    (Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value))
}

impl From<::fjall::Error> for Error {
    fn from(error: ::fjall::Error) -> Error {
        match error {
            ::fjall::Error::Poisoned => Error::Storage(
                "an earlier write or flush failed, so nothing more is written: see to the disk and restart the node"
                    .into(),
            ),
            other => Error::Storage(other.to_string()),
        }
    }
}
