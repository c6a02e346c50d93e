//! The write-ahead log of the path, as stored: entries by index, kept until no standby needs them or a bound is met.

use super::batch::WalEntry;
use crate::error::Result;
use crate::storage::keys::{self, Key};
use crate::storage::{KeyRange, Reader, ScanLimit, Tree, WriteBatch};

/// What the log holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WalBounds {
    /// The oldest index it still has; `next` if it is empty.
    pub first: u64,
    /// One behind the newest.
    pub next: u64,
}

/// Puts `entry` into a storage batch. Returns the bytes that its key and value take.
pub fn append(batch: &mut WriteBatch, entry: &WalEntry) -> Result<u64> {
    let key = Key::Wal(entry.position.index).to_bytes();
    let value = postcard::to_stdvec(entry)?;
    let bytes = (key.len() + value.len()) as u64;
    batch.put(Tree::Wal, key, value);
    Ok(bytes)
}

/// Entries from index `from` on, ascending, up to `limit`.
pub fn read(reader: &dyn Reader, from: u64, limit: ScanLimit) -> Result<Vec<WalEntry>> {
    let range = KeyRange::from(Key::Wal(from).to_bytes().to_vec());
    let pairs = reader.scan(Tree::Wal, &range, limit)?;
    pairs.iter().map(|(_, value)| Ok(postcard::from_bytes(value)?)).collect()
}

/// What the log holds, given the index of the newest applied entry.
pub fn bounds(reader: &dyn Reader, applied_index: u64) -> Result<WalBounds> {
    let first = reader.scan(Tree::Wal, &KeyRange::all(), ScanLimit::entries(1))?;
    let first = first.first().and_then(|(key, _)| keys::index_of(key));
    Ok(WalBounds { first: first.unwrap_or(applied_index + 1), next: applied_index + 1 })
}
