//! How much of the WAL is kept: what links need, up to a bound in bytes, and a spare part that none needs now.

use crate::consensus::Consensus;
use crate::error::Result;
use crate::state::{Command, PathState};

/// Kept though no link needs it: a standby that was away for a moment, or joins after a promotion, finds it.
const SPARE_BYTES: u64 = 32 << 20;

/// Below which index the WAL is to be trimmed; `None` if nothing is to go. `floor` is the oldest index that a link
/// still needs. Entries are taken to be of equal size: the next look corrects what that got wrong.
pub(super) fn below(path: &PathState, floor: Option<u64>, bytes_max: u64) -> Option<u64> {
    let next = path.applied.index + 1;
    let held = next.saturating_sub(path.wal_first);
    if held == 0 {
        return None;
    }
    let drop_to = |bytes: u64| {
        let excess = u128::from(path.wal_bytes.saturating_sub(bytes));
        let entries = (excess * u128::from(held)).div_ceil(u128::from(path.wal_bytes.max(1)));
        path.wal_first + entries as u64
    };
    let needed = floor.unwrap_or(next).min(next);
    let below = drop_to(SPARE_BYTES.min(bytes_max)).min(needed).max(drop_to(bytes_max));
    (below > path.wal_first).then_some(below)
}

/// Proposals of one trimming, each of which takes a bounded number of entries. The next trimming goes on.
const TRIMS_MAX: usize = 64;

/// Drops what lies below an index.
pub(super) async fn trim(consensus: &dyn Consensus, below: u64) -> Result<()> {
    for _ in 0..TRIMS_MAX {
        if consensus.state().path().wal_first >= below {
            break;
        }
        consensus.propose(Command::TrimWal { below }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DatasetId, Epoch, Position};

    fn holding(first: u64, last: u64, bytes: u64) -> PathState {
        PathState {
            applied: Position::new(Epoch(1), last),
            wal_first: first,
            wal_bytes: bytes,
            ..PathState::first("default", DatasetId([1; 16]))
        }
    }

    #[test]
    fn what_a_link_needs_stays_until_the_bound_is_met() {
        let path = holding(1, 1000, 100 << 20);
        assert_eq!(below(&path, Some(1), 256 << 20), None, "the link needs all of it");
        assert_eq!(below(&path, Some(11), 256 << 20), Some(11), "no more than the link has");
        assert_eq!(below(&path, Some(1), 50 << 20), Some(501), "the bound wins");
    }

    #[test]
    fn without_a_link_a_spare_part_stays() {
        assert_eq!(below(&holding(1, 1000, SPARE_BYTES), None, 256 << 20), None);
        assert_eq!(below(&holding(1, 1000, 2 * SPARE_BYTES), None, 256 << 20), Some(501));
        assert_eq!(below(&holding(1001, 1000, 0), None, 256 << 20), None, "an empty log");
    }
}
