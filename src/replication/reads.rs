//! Reading a stretch of the data tree for a sync.

use super::protocol::RangeRead;
use crate::error::{Error, Result};
use crate::state::merkle::successor;
use crate::state::{PathState, State, Stored};
use crate::storage::keys::Key;
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
    // Of the same moment: what `State::path` publishes may be older than what the trees hold already.
    let path = snapshot.get(Tree::Region, &Key::Path.to_bytes())?;
    let path = path.ok_or_else(|| Error::unavailable("this region is not initialised: there is nothing to copy"))?;
    let path: PathState = postcard::from_bytes(&path)?;
    Ok(RangeRead { entries, end, read_at: path.applied })
}
