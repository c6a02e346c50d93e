//! How much of the WAL is kept: what links need, up to a bound in bytes and one in time, and a spare part that none
//! needs now.

use crate::clock::UnixMs;
use crate::consensus::Consensus;
use crate::error::Result;
use crate::state::{Command, PathState, State};
use crate::storage::ScanLimit;
use std::time::Duration;

/// Kept though no link needs it: a standby that was away for a moment, or joins after a promotion, finds it.
const SPARE_BYTES: u64 = 32 << 20;

/// For links that lag, the log is kept until it holds so many bytes or is so old.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    pub bytes_max: u64,
    pub time_max: Duration,
}

/// The bounds, unless the operator says otherwise.
pub const WAL_BYTES_MAX_DEFAULT: u64 = 256 << 20;
pub const WAL_TIME_MAX_DEFAULT: Duration = Duration::from_secs(72 * 3600);

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { bytes_max: WAL_BYTES_MAX_DEFAULT, time_max: WAL_TIME_MAX_DEFAULT }
    }
}

/// Below which index the WAL is to be trimmed; `None` if nothing is to go. `floor` is the oldest index that a link
/// still needs, `young` the oldest that is not too old. Entries are taken to be of equal size: the next look corrects
/// what that got wrong.
pub(super) fn below(path: &PathState, floor: Option<u64>, young: u64, bytes_max: u64) -> Option<u64> {
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
    let below = drop_to(SPARE_BYTES.min(bytes_max)).min(needed).max(drop_to(bytes_max)).max(young.min(next));
    (below > path.wal_first).then_some(below)
}

/// The oldest index of the log whose batch was evaluated after `since`; one behind the newest if none was. Looks at a
/// few entries only, since their times rise but for what clocks do. Blocks.
pub(super) fn first_after(state: &State, since: UnixMs) -> Result<u64> {
    let path = state.path();
    // `low` and what lies below is too old; `high` is young, or behind the end.
    let (mut low, mut high) = (path.wal_first.saturating_sub(1), path.applied.index + 1);
    while low + 1 < high {
        // Most of the time nothing is too old: the oldest is looked at first.
        let middle = if low + 1 == path.wal_first { low + 1 } else { low + (high - low) / 2 };
        match state.wal(middle, ScanLimit::entries(1))?.first() {
            Some(entry) if entry.batch.at > since => high = middle,
            Some(_) => low = middle,
            // It was trimmed meanwhile.
            None => low = middle,
        }
    }
    Ok(high)
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
    use crate::state::{Batch, Class, Op, PathChange, RegionChange};
    use crate::storage::memory::Memory;
    use std::sync::Arc;

    fn holding(first: u64, last: u64, bytes: u64) -> PathState {
        PathState {
            applied: Position::new(Epoch(1), last),
            wal_first: first,
            wal_bytes: bytes,
            ..PathState::first("default", DatasetId([1; 16]))
        }
    }

    #[test]
    fn what_a_link_needs_stays_until_a_bound_is_met() {
        let path = holding(1, 1000, 100 << 20);
        assert_eq!(below(&path, Some(1), 1, 256 << 20), None, "the link needs all of it");
        assert_eq!(below(&path, Some(11), 1, 256 << 20), Some(11), "no more than the link has");
        assert_eq!(below(&path, Some(1), 1, 50 << 20), Some(501), "the bound in bytes wins");
        assert_eq!(below(&path, Some(1), 301, 256 << 20), Some(301), "the bound in time wins");
        assert_eq!(below(&path, Some(1), 5000, 256 << 20), Some(1001), "all of it is too old");
    }

    #[test]
    fn without_a_link_a_spare_part_stays() {
        assert_eq!(below(&holding(1, 1000, SPARE_BYTES), None, 1, 256 << 20), None);
        assert_eq!(below(&holding(1, 1000, 2 * SPARE_BYTES), None, 1, 256 << 20), Some(501));
        assert_eq!(below(&holding(1001, 1000, 0), None, 1001, 256 << 20), None, "an empty log");
    }

    #[test]
    fn the_oldest_young_entry_is_found() {
        let state = State::open(Arc::new(Memory::new()), "default").expect("an empty store");
        let agree = |command: &Command| state.apply(1, command, &[]).expect("memory does not fail");
        let first = PathChange::Initialise { dataset: DatasetId([1; 16]) };
        agree(&Command::Region(RegionChange { path: Some(first), ..RegionChange::default() }));
        assert_eq!(first_after(&state, UnixMs(0)).expect("read"), 1, "an empty log");
        for at in 1..=100u64 {
            let ops = vec![Op::Delete { key: "k".into() }];
            let batches = vec![Batch { class: Class::KvDelete, at: UnixMs(at * 10), ops }];
            agree(&Command::Write { term: 1, epoch: Epoch(1), batches });
        }
        for (since, young) in [(0, 1), (10, 2), (15, 2), (500, 51), (999, 100), (1_000, 101)] {
            assert_eq!(first_after(&state, UnixMs(since)).expect("read"), young, "{since}");
        }
        agree(&Command::TrimWal { below: 60 });
        assert_eq!(first_after(&state, UnixMs(500)).expect("read"), 60);
        assert_eq!(first_after(&state, UnixMs(700)).expect("read"), 71);
    }
}
