//! Reading a stretch of the data tree for a sync.

use super::protocol::RangeRead;
use crate::error::Result;
use crate::state::diff::path_of;
use crate::state::merkle::successor;
use crate::state::{State, Stored};
use crate::storage::{KeyRange, ScanLimit, Tree};

/// The entries behind the key `after` (empty: from the start), up to `limit`, as of one moment. Blocks.
pub(super) fn range(state: &State, after: &[u8], limit: ScanLimit) -> Result<RangeRead> {
    let snapshot = state.store().snapshot()?;
    let behind = |key: &[u8]| KeyRange::from(if key.is_empty() { Vec::new() } else { successor(key) });
    let pairs = snapshot.scan(Tree::Data, &behind(after), limit)?;
    let end = match pairs.last() {
        Some((last, _)) => snapshot.scan(Tree::Data, &behind(last), ScanLimit::entries(1))?.is_empty(),
        None => true,
    };
    let entries = pairs.into_iter().map(|(key, value)| Ok((key, Stored::from_bytes(&value)?)));
    let entries = entries.collect::<Result<Vec<_>>>()?;
    let path = path_of(snapshot.as_ref())?;
    Ok(RangeRead { entries, end, read_at: path.applied })
}
