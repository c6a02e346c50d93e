//! The write-ahead log of the path, as stored: entries by index, kept until no standby needs them or a bound is met.

use super::batch::{Batch, WalEntry};
use crate::error::Result;
use crate::ids::Position;
use crate::storage::keys::Key;
use crate::storage::{KeyRange, Reader, ScanLimit, Tree, WriteBatch};

/// Puts a batch at its position into a storage batch. Returns the bytes that its key and value take.
pub fn append(batch: &mut WriteBatch, position: Position, written: &Batch) -> Result<u64> {
    let key = Key::Wal(position.index).to_bytes();
    // Encoded as a `WalEntry` is, whose fields these are.
    let value = postcard::to_stdvec(&(position, written))?;
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
