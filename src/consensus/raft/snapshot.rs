//! Snapshots: what a follower gets whose missing entries are purged from the leader's log.
//!
//! The store *is* the state machine, so a snapshot costs nothing before a follower needs it: "building" one flushes
//! the store and names what is applied, which lets openraft purge the log. Only when a follower asks is a read-only
//! view of the store taken, and streamed from there in parts of bounded size; no file is written.
//!
//! The receiver keeps the parts in its own store (`Key::SnapshotPart`) and touches nothing else before it has them
//! all. Installing then goes: mark (`Key::Installing`) and flush; empty the trees; fill them from the parts, in
//! bounded batches; in one last batch set what is applied and take the mark away. A node that finds the mark when it
//! opens does the same again from the parts it has, so a crash leaves either the old state or the new. Local reads
//! mean nothing meanwhile: only followers install, and a follower answers no client.

use super::codec::{Applied, AppliedForm, Encoded};
use crate::decoding::Decoder;
use crate::error::{Error, Result};
use crate::storage::keys::{Key, SNAPSHOT_PARTS};
use crate::storage::{KeyRange, Pair, Reader, ScanLimit, SharedStore, Snapshot, Tree, WriteBatch, keys};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes of keys and values that a part holds, give or take its last entry; also of a batch while installing.
pub const PART_BYTES: usize = 512 << 10;
/// Entries of a part at most, so that small entries don't make a part many times its bytes.
const PART_ENTRIES_MAX: usize = 8192;
/// The trees that a region agrees on.
const TREES: [Tree; 3] = [Tree::Region, Tree::Data, Tree::Wal];

/// openraft's handle on a snapshot's data.
#[derive(Clone)]
pub enum SnapshotData {
    /// On the sender: a view of the store at the moment that the metadata names.
    View(Arc<dyn Snapshot>),
    /// On the receiver: so many parts in the store.
    Parts(u64),
}

/// A stretch of a tree.
#[derive(Serialize, Deserialize)]
pub struct Part {
    tree: u8,
    entries: Vec<Pair>,
}

/// What `Key::Installing` holds.
#[derive(Serialize, Deserialize)]
struct Mark {
    applied: AppliedForm,
    parts: u64,
}

/// Parts, as a sender cuts them, and the mark of an install.
pub const DECODERS: &[Decoder] =
    &[Decoder::postcard::<Part>("raft-snapshot-part"), Decoder::postcard::<Mark>("raft-snapshot-mark")];

/// Reads what a store, or a view of it, has applied.
pub fn read_applied(reader: &(impl Reader + ?Sized)) -> Result<Applied> {
    match reader.get(Tree::Node, &Key::Applied.to_bytes())? {
        Some(bytes) => Applied::decode(&bytes),
        None => Ok(Applied::default()),
    }
}

/// Cuts a view of the store into parts, in order.
pub struct Cutter {
    view: Arc<dyn Snapshot>,
    tree: usize,
    start: Vec<u8>,
}

impl Cutter {
    pub fn new(view: Arc<dyn Snapshot>) -> Cutter {
        Cutter { view, tree: 0, start: Vec::new() }
    }

    /// The next part, encoded; `None` after the last.
    pub fn next_part(&mut self) -> Result<Option<Bytes>> {
        while let Some(tree) = TREES.get(self.tree) {
            let limit = ScanLimit { entries: PART_ENTRIES_MAX, bytes: PART_BYTES };
            let entries = self.view.scan(*tree, &KeyRange::from(self.start.clone()), limit)?;
            let Some((last, _)) = entries.last() else {
                self.tree += 1;
                self.start.clear();
                continue;
            };
            self.start = [last.as_ref(), &[0]].concat();
            let part = Part { tree: self.tree as u8, entries };
            return Ok(Some(postcard::to_stdvec(&part)?.into()));
        }
        Ok(None)
    }
}

/// Keeps a received part until the snapshot is installed.
pub fn keep_part(store: &SharedStore, number: u64, part: Bytes) -> Result<()> {
    let mut batch = WriteBatch::new();
    put(&mut batch, Key::SnapshotPart(number), part);
    store.write(batch)
}

/// Drops all parts, of an attempt that came to nothing or of a snapshot that is installed.
pub fn drop_parts(store: &SharedStore) -> Result<()> {
    loop {
        let limit = ScanLimit { entries: PART_ENTRIES_MAX, bytes: 16 * PART_BYTES };
        let parts = store.scan(Tree::Node, &KeyRange::prefix(SNAPSHOT_PARTS), limit)?;
        if parts.is_empty() {
            return Ok(());
        }
        let mut batch = WriteBatch::new();
        for (key, _) in parts {
            batch.delete(Tree::Node, key);
        }
        store.write(batch)?;
    }
}

/// Replaces the region's trees by the kept parts.
pub fn install(store: &SharedStore, applied: &Applied, parts: u64) -> Result<()> {
    let mark = Mark { applied: applied.to_form(), parts };
    let mut batch = WriteBatch::new();
    put(&mut batch, Key::Installing, postcard::to_stdvec(&mark)?.into());
    store.write(batch)?;
    store.flush()?;
    replace(store, applied, parts)
}

/// Finishes what a crash interrupted: an install that had begun (then it returns true), or parts of one that had not.
pub fn recover(store: &SharedStore) -> Result<bool> {
    if let Some(mark) = store.get(Tree::Node, &Key::Installing.to_bytes())? {
        let mark: Mark = postcard::from_bytes(&mark)?;
        tracing::info!("finishing the install of a snapshot that was interrupted");
        replace(store, &Applied::from_form(mark.applied), mark.parts)?;
        return Ok(true);
    }
    drop_parts(store)?;
    Ok(false)
}

fn replace(store: &SharedStore, applied: &Applied, parts: u64) -> Result<()> {
    for tree in TREES {
        empty(store, tree)?;
    }
    for number in 0..parts {
        let part = store.get(Tree::Node, &Key::SnapshotPart(number).to_bytes())?;
        let part = part.ok_or_else(|| Error::corrupt(format!("part {number} of a Raft snapshot is missing")))?;
        let part: Part = postcard::from_bytes(&part)?;
        let tree = TREES.get(usize::from(part.tree));
        let tree = *tree.ok_or_else(|| Error::corrupt("a Raft snapshot names a tree that does not exist"))?;
        let mut batch = WriteBatch::new();
        for (key, value) in part.entries {
            batch.put(tree, key, value);
        }
        store.write(batch)?;
    }
    let mut batch = WriteBatch::new();
    put(&mut batch, Key::Applied, applied.encode());
    batch.delete(Tree::Node, Key::Installing.to_bytes());
    store.write(batch)?;
    store.flush()?;
    drop_parts(store)
}

fn empty(store: &SharedStore, tree: Tree) -> Result<()> {
    loop {
        let limit = ScanLimit { entries: PART_ENTRIES_MAX, bytes: 16 * PART_BYTES };
        let entries = store.scan(tree, &KeyRange::all(), limit)?;
        if entries.is_empty() {
            return Ok(());
        }
        let mut batch = WriteBatch::new();
        for (key, _) in entries {
            batch.delete(tree, key);
        }
        store.write(batch)?;
    }
}

fn put(batch: &mut WriteBatch, key: keys::Key, value: Bytes) {
    batch.put(key.tree(), key.to_bytes(), value);
}
