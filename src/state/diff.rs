//! Finding what differs between two regions of one data set: nodes of the Merkle tree, and the entries of its buckets.
//!
//! Entries are named by their hash, which covers key, position and value: who is told the hashes that another region
//! holds in a bucket knows which of its own that one lacks, and which it must lose. Both sides read the tree once for
//! many buckets, since keys of one bucket lie all over it.

use super::apply::State;
use super::batch::Stored;
use super::merkle::{self, EntryHasher, LEAVES, Merkle, Nodes, Short};
use super::path::PathState;
use crate::error::{Error, Result};
use crate::ids::Position;
use crate::storage::keys::Key;
use crate::storage::{KeyRange, Reader, ScanLimit, Tree};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// How much of the tree is read at a time.
const SCAN_CHUNK: ScanLimit = ScanLimit { entries: 4096, bytes: 4 << 20 };

/// A bucket of the Merkle tree, with the entries that a region holds in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Named {
    pub bucket: u16,
    pub entries: Vec<Short>,
}

/// Entries of buckets, by the hash that names them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Held {
    /// Those buckets that were asked for, in order, as many of them as there was room for; at least one.
    pub buckets: Vec<(u16, Vec<(Short, Bytes)>)>,
}

/// What of some buckets was not named, in a stretch of the tree at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unnamed {
    pub entries: Vec<(Bytes, Stored)>,
    /// Those that were named and are there.
    pub found: Vec<Short>,
    /// Where the stretch ends; `None`: at the end of the tree.
    pub through: Option<Bytes>,
    /// The applied position of the moment.
    pub read_at: Position,
}

impl State {
    /// What lies below some nodes of the Merkle tree, and the position that it belongs to.
    pub fn nodes(&self, parents: &[u32]) -> (Position, Vec<Nodes>) {
        let mut inner = self.inner();
        let nodes = parents.iter().filter_map(|parent| inner.merkle.below(*parent)).collect();
        (inner.path.applied, nodes)
    }

    /// The entries of `buckets` (ascending), as many buckets as keep within `bytes_max`.
    pub fn held(&self, buckets: &[u16], bytes_max: usize) -> Result<Held> {
        held(self.store().snapshot()?.as_ref(), buckets, bytes_max)
    }

    /// What of `named` buckets was not named, behind the key `after` (empty: from the start), up to `limit`.
    pub fn unnamed(&self, named: &[Named], after: &[u8], limit: ScanLimit) -> Result<Unnamed> {
        unnamed(self.store().snapshot()?.as_ref(), named, after, limit)
    }
}

/// The path's record as of a snapshot: what `State::path` publishes may be older than what the trees hold already.
pub fn path_of(reader: &dyn Reader) -> Result<PathState> {
    let path = reader.get(Tree::Region, &Key::Path.to_bytes())?;
    let path = path.ok_or_else(|| Error::unavailable("this region is not initialised: there is nothing to read"))?;
    Ok(postcard::from_bytes(&path)?)
}

pub fn held(reader: &dyn Reader, buckets: &[u16], bytes_max: usize) -> Result<Held> {
    let hasher = EntryHasher::new(path_of(reader)?.dataset);
    let mut held: BTreeMap<u16, Vec<(Short, Bytes)>> = buckets.iter().map(|bucket| (*bucket, Vec::new())).collect();
    let mut wanted = Wanted::of(buckets.iter().copied());
    let mut bytes = 0;
    each_entry(reader, KeyRange::all(), |key, value| {
        let bucket = Merkle::bucket(&key) as u16;
        if !wanted.has(bucket) {
            return Ok(true);
        }
        let name = hasher.short(&key, &Stored::from_bytes(&value)?);
        bytes += held_bytes(&key);
        held.entry(bucket).or_default().push((name, key));
        while bytes > bytes_max && held.len() > 1 {
            let Some((dropped, entries)) = held.pop_last() else { break };
            wanted.drop(dropped);
            bytes -= entries.iter().map(|(_, key)| held_bytes(key)).sum::<usize>();
        }
        Ok(true)
    })?;
    Ok(Held { buckets: held.into_iter().collect() })
}

pub fn unnamed(reader: &dyn Reader, named: &[Named], after: &[u8], limit: ScanLimit) -> Result<Unnamed> {
    let path = path_of(reader)?;
    let hasher = EntryHasher::new(path.dataset);
    let wanted = Wanted::of(named.iter().map(|named| named.bucket));
    let names: HashSet<Short> = named.iter().flat_map(|named| named.entries.iter().copied()).collect();
    let start = if after.is_empty() { Vec::new() } else { merkle::successor(after) };
    let (mut entries, mut found, mut bytes, mut through) = (Vec::new(), Vec::new(), 0, None);
    each_entry(reader, KeyRange::from(start), |key, value| {
        if !wanted.has(Merkle::bucket(&key) as u16) {
            return Ok(true);
        }
        let stored = Stored::from_bytes(&value)?;
        let name = hasher.short(&key, &stored);
        if names.contains(&name) {
            found.push(name);
            return Ok(true);
        }
        bytes += key.len() + value.len();
        entries.push((key.clone(), stored));
        let full = bytes >= limit.bytes || entries.len() >= limit.entries;
        through = full.then_some(key);
        Ok(!full)
    })?;
    Ok(Unnamed { entries, found, through, read_at: path.applied })
}

/// Calls with each entry of a range in key order, until it says that it wants no more.
fn each_entry(
    reader: &dyn Reader,
    mut range: KeyRange,
    mut wants_more: impl FnMut(Bytes, Bytes) -> Result<bool>,
) -> Result<()> {
    loop {
        let chunk = reader.scan(Tree::Data, &range, SCAN_CHUNK)?;
        let Some((last, _)) = chunk.last() else { return Ok(()) };
        range.start = merkle::successor(last);
        for (key, value) in chunk {
            if !wants_more(key, value)? {
                return Ok(());
            }
        }
    }
}

/// What an entry that is held takes: its key, and its place in a few maps.
fn held_bytes(key: &Bytes) -> usize {
    const PLACES: usize = 128;
    key.len() + PLACES
}

/// A set of buckets.
struct Wanted(Vec<bool>);

impl Wanted {
    fn of(buckets: impl Iterator<Item = u16>) -> Wanted {
        let mut wanted = vec![false; LEAVES];
        buckets.for_each(|bucket| wanted[usize::from(bucket)] = true);
        Wanted(wanted)
    }

    fn has(&self, bucket: u16) -> bool {
        self.0[usize::from(bucket)]
    }

    fn drop(&mut self, bucket: u16) {
        self.0[usize::from(bucket)] = false;
    }
}
