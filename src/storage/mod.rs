//! An ordered key-value store of named trees behind one small trait.
//!
//! Engines: `fjall` (the default), `sled`, and `memory` for tests, which can crash and forget what was not
//! flushed. Each engine is known by one file only; nothing outside this folder knows which one runs, and
//! nothing outside flushes but the Raft log and who must forget it.
//!
//! What every engine holds:
//! * `write` is atomic over all its trees: after a crash all of a batch is there or nothing of it.
//! * What was written before a `flush` that returned is there after a power cut. What was not flushed may be
//!   lost, but only from the end: if a batch survives, so do all that were written before it.
//! * A `Snapshot` shows the state of one moment, whatever is written later.
//!
//! All calls block: keep them off the async threads.

pub mod fjall;
pub mod format;
mod group;
pub mod keys;
pub mod memory;
mod pieces;
pub mod sled;
mod undo;

use crate::error::{Error, Result};
use bytes::Bytes;
use std::sync::Arc;

pub use format::{claim_node, open};
pub use keys::{Key, Tree};

/// The longest key that every engine takes.
pub const KEY_BYTES_MAX: usize = 8 << 10;

/// The storage engine of a data directory, chosen once by `engine` in the `storage` stanza.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Engine {
    #[default]
    Fjall,
    Sled,
    Memory,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::Fjall => "fjall",
            Engine::Sled => "sled",
            Engine::Memory => "memory",
        }
    }

    pub fn from_name(name: &str) -> Option<Engine> {
        [Engine::Fjall, Engine::Sled, Engine::Memory].into_iter().find(|engine| engine.name() == name)
    }
}

/// Keys from `start` (inclusive) up to `end` (exclusive; `None`: to the end of the tree).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyRange {
    pub start: Vec<u8>,
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    pub fn all() -> KeyRange {
        KeyRange::default()
    }

    pub fn from(start: impl Into<Vec<u8>>) -> KeyRange {
        KeyRange { start: start.into(), end: None }
    }

    pub fn new(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> KeyRange {
        KeyRange { start: start.into(), end: Some(end.into()) }
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        KeyRange { start: prefix.to_vec(), end: after_prefix(prefix) }
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.end.as_deref().is_none_or(|end| key < end)
    }

    /// Whether no key can lie in it, so that engines need not be asked (some panic on a reversed range).
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

/// The smallest key that sorts after every key with this prefix; `None` if there is none.
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// Where a scan stops: after `entries` entries, or with the entry that brings keys and values to `bytes` or more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScanLimit {
    pub entries: usize,
    pub bytes: usize,
}

impl ScanLimit {
    pub const NONE: ScanLimit = ScanLimit { entries: usize::MAX, bytes: usize::MAX };

    pub fn entries(entries: usize) -> ScanLimit {
        ScanLimit { entries, ..ScanLimit::NONE }
    }
}

/// A key and its value.
pub type Pair = (Bytes, Bytes);

/// Reading, of the present state (`Store`) or of one moment (`Snapshot`).
pub trait Reader: Send + Sync {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>>;

    /// Entries of `range` in ascending order, up to `limit`.
    fn scan(&self, tree: Tree, range: &KeyRange, limit: ScanLimit) -> Result<Vec<Pair>>;

    /// The entry with the greatest key of the tree.
    fn last(&self, tree: Tree) -> Result<Option<Pair>>;
}

/// A read-only view of one moment. Holding one costs the engine space: drop it soon.
pub trait Snapshot: Reader {}

pub trait Store: Reader {
    /// Makes all of `batch` visible at once. Not durable before the next `flush` returns.
    fn write(&self, batch: WriteBatch) -> Result<()>;

    /// Returns when all that was written before the call is durable.
    fn flush(&self) -> Result<()>;

    fn snapshot(&self) -> Result<Box<dyn Snapshot>>;

    /// Bytes on disk now.
    fn disk_bytes(&self) -> Result<u64>;

    fn engine(&self) -> Engine;
}

pub type SharedStore = Arc<dyn Store>;

/// Puts and deletes over several trees, applied in order, all or nothing.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    ops: Vec<(Tree, Bytes, Option<Bytes>)>,
}

impl WriteBatch {
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }

    pub fn put(&mut self, tree: Tree, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.ops.push((tree, key.into(), Some(value.into())));
    }

    pub fn delete(&mut self, tree: Tree, key: impl Into<Bytes>) {
        self.ops.push((tree, key.into(), None));
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Refuses keys that no engine would take.
    fn check_keys(&self) -> Result<()> {
        match self.ops.iter().find(|(_, key, _)| key.is_empty() || key.len() > KEY_BYTES_MAX) {
            Some((tree, key, _)) => Err(Error::internal(format!(
                "a key of {} bytes in the {} tree: 1 to {KEY_BYTES_MAX} are taken",
                key.len(),
                tree.name()
            ))),
            None => Ok(()),
        }
    }

    /// The operations in order; `None` deletes.
    pub fn ops(&self) -> &[(Tree, Bytes, Option<Bytes>)] {
        &self.ops
    }

    pub fn into_ops(self) -> Vec<(Tree, Bytes, Option<Bytes>)> {
        self.ops
    }
}
