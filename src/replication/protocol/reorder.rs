//! What came over the link ahead of its turn: log entries by index, stretches of a sync by where they begin.
//!
//! Requests travel side by side, so they arrive in any order. All of it may be dropped at any time: what is missing
//! is sent again.

use crate::ids::SyncId;
use crate::state::{CopyChunk, PathState, WalEntry};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Bytes that wait for their turn at most. What comes next in turn is always taken.
pub(super) const BUFFERED_BYTES_MAX: u64 = 64 << 20;
/// What keeping anything costs beside its own bytes: without it, what is empty could come without end.
pub(super) const KEEPING_BYTES: u64 = 256;
/// How much of the log one proposal takes.
const FOLLOW_ENTRIES_MAX: usize = 4096;
const FOLLOW_BYTES_MAX: u64 = 4 << 20;

#[derive(Default)]
pub(super) struct Reorder {
    log: BTreeMap<u64, WalEntry>,
    chunks: BTreeMap<Bytes, CopyChunk>,
    bytes: u64,
}

/// What became of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Offered {
    Taken,
    /// The region holds it already.
    Done,
    /// There is no room for what is not next in turn.
    Full,
}

impl Reorder {
    /// Takes entries that continue, or come after, what is applied.
    pub fn offer_log(&mut self, path: &PathState, entries: Vec<WalEntry>) -> Offered {
        let next = path.applied.index + 1;
        let Some(last) = entries.last().map(|entry| entry.position.index).filter(|last| *last >= next) else {
            return Offered::Done;
        };
        let is_next = entries.iter().any(|entry| entry.position.index == next);
        if !is_next && self.bytes >= BUFFERED_BYTES_MAX {
            return Offered::Full;
        }
        for entry in entries.into_iter().filter(|entry| (next..=last).contains(&entry.position.index)) {
            self.bytes += entry_bytes(&entry);
            if let Some(same) = self.log.insert(entry.position.index, entry) {
                self.bytes -= entry_bytes(&same);
            }
        }
        Offered::Taken
    }

    /// Takes a stretch of the sync `path` is in, at or behind its cursor.
    pub fn offer_chunk(&mut self, cursor: &Bytes, chunk: CopyChunk) -> Offered {
        if chunk.after < *cursor {
            return Offered::Done;
        }
        if chunk.after != *cursor && self.bytes >= BUFFERED_BYTES_MAX {
            return Offered::Full;
        }
        self.bytes += chunk_bytes(&chunk);
        if let Some(same) = self.chunks.insert(chunk.after.clone(), chunk) {
            self.bytes -= chunk_bytes(&same);
        }
        Offered::Taken
    }

    /// The entries that come next in turn, as many as one proposal takes.
    pub fn next_log(&self, path: &PathState) -> Vec<WalEntry> {
        let mut next = path.applied.index + 1;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < FOLLOW_ENTRIES_MAX && bytes < FOLLOW_BYTES_MAX {
            let Some(entry) = self.log.get(&next) else { break };
            bytes += entry.batch.bytes();
            entries.push(entry.clone());
            next += 1;
        }
        entries
    }

    pub fn next_chunk(&self, sync: SyncId, cursor: &Bytes) -> Option<&CopyChunk> {
        self.chunks.get(cursor).filter(|chunk| chunk.sync == sync)
    }

    /// Drops what the region holds by now.
    pub fn prune(&mut self, path: &PathState) {
        let cursor = path.sync.as_ref().and_then(|sync| sync.cursor.clone());
        while let Some((index, entry)) = self.log.pop_first() {
            if index > path.applied.index {
                self.log.insert(index, entry);
                break;
            }
            self.bytes -= entry_bytes(&entry);
        }
        while let Some((after, chunk)) = self.chunks.pop_first() {
            if cursor.as_ref().is_some_and(|cursor| after >= *cursor) {
                self.chunks.insert(after, chunk);
                break;
            }
            self.bytes -= chunk_bytes(&chunk);
        }
    }

    pub fn clear(&mut self) {
        *self = Reorder::default();
    }
}

/// What a stretch of the log counts for here. The sender keeps what is on its way below the bound.
pub(super) fn log_cost(entries: &[WalEntry]) -> u64 {
    entries.iter().map(entry_bytes).sum()
}

/// What a stretch of a sync counts for here.
pub(super) fn chunk_cost(chunk: &CopyChunk) -> u64 {
    chunk_bytes(chunk)
}

fn entry_bytes(entry: &WalEntry) -> u64 {
    KEEPING_BYTES * (1 + entry.batch.ops.len() as u64) + entry.batch.bytes()
}

fn chunk_bytes(chunk: &CopyChunk) -> u64 {
    let entries = chunk.entries.iter();
    KEEPING_BYTES + entries.map(|(key, stored)| KEEPING_BYTES + (key.len() + stored.value.len()) as u64).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMs;
    use crate::ids::{DatasetId, Position};
    use crate::state::{Batch, Class};

    #[test]
    fn even_what_is_empty_comes_to_an_end() {
        let path = PathState::first("default", DatasetId::default());
        let mut reorder = Reorder::default();
        let batch = Batch { class: Class::System, at: UnixMs(1), ops: Vec::new() };
        let empty = |index| WalEntry { position: Position::new(path.epoch, index), batch: batch.clone() };
        let far = (0..).map(|request| (request * 4096 + 1000..(request + 1) * 4096 + 1000).map(empty).collect());
        let taken = far.take_while(|entries: &Vec<_>| reorder.offer_log(&path, entries.clone()) == Offered::Taken);
        assert!(taken.count() as u64 <= BUFFERED_BYTES_MAX / KEEPING_BYTES / 4096 + 1);
        assert_eq!(reorder.offer_log(&path, vec![empty(1)]), Offered::Taken, "what is next in turn");
        reorder.clear();
        assert_eq!(reorder.bytes, 0);
    }
}
