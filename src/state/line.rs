//! Lines of history: which region opened each epoch and where it began, which positions lie on a line, where two part.
//!
//! Two promotions that did not see each other open one epoch twice, and then write different batches at the same
//! positions. So an epoch's start names the region that opened it, and lines are compared by their starts, never by
//! the positions alone.

use crate::ids::{Epoch, Position, RegionId};
use serde::{Deserialize, Serialize};

/// The first index that an epoch wrote. The list of them is the path's history, by which a fork is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EpochStart {
    pub epoch: Epoch,
    pub first_index: u64,
    /// The region that was promoted; zero for the first epoch of a data set, which its id tells apart.
    pub by: RegionId,
}

/// Whether a line of history passes through `position`: whether the epoch it names wrote that index there.
pub fn holds(history: &[EpochStart], position: Position) -> bool {
    position.index == 0 || at(history, position.index).epoch == position.epoch
}

/// The position that a line has at `index`.
pub fn at(history: &[EpochStart], index: u64) -> Position {
    let writer = history.iter().rev().find(|start| start.first_index <= index);
    writer.filter(|_| index > 0).map_or(Position::ZERO, |writer| Position::new(writer.epoch, index))
}

/// The last position that two lines share: `ours` up to `head`, and `theirs` as far as it goes.
pub fn fork(ours: &[EpochStart], head: Position, theirs: &[EpochStart]) -> Position {
    let shared = ours.iter().zip(theirs).take_while(|(one, other)| one == other).count();
    let ends = |line: &[EpochStart]| line.get(shared).map_or(u64::MAX, |start| start.first_index);
    let end = ends(ours).min(ends(theirs));
    at(ours, head.index.min(end.saturating_sub(1)))
}

/// Whether `theirs` passes through all that `ours` wrote up to `head`.
pub fn extends(theirs: &[EpochStart], ours: &[EpochStart], head: Position) -> bool {
    fork(ours, head, theirs).index == head.index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(epoch: u64, first_index: u64, by: u8) -> EpochStart {
        EpochStart { epoch: Epoch(epoch), first_index, by: RegionId([by; 16]) }
    }

    fn position(epoch: u64, index: u64) -> Position {
        Position::new(Epoch(epoch), index)
    }

    #[test]
    fn a_line_of_history_passes_through_what_its_own_epochs_wrote() {
        let history = [start(1, 1, 0), start(3, 51, 2)];
        for (epoch, index, held) in
            [(0, 0, true), (1, 1, true), (1, 50, true), (1, 51, false), (3, 50, false), (3, 51, true), (2, 51, false)]
        {
            assert_eq!(holds(&history, position(epoch, index)), held, "{epoch}:{index}");
        }
    }

    #[test]
    fn the_fork_is_the_last_position_on_both_lines() {
        let first = start(1, 1, 0);
        let theirs = [first, start(2, 51, 2)];
        assert_eq!(fork(&[first], position(1, 60), &theirs), position(1, 50), "the old primary went on");
        assert_eq!(fork(&[first], position(1, 50), &theirs), position(1, 50), "it had stopped just there");
        assert_eq!(fork(&[first], position(1, 40), &theirs), position(1, 40), "a standby that lagged");
        assert_eq!(fork(&theirs, position(2, 70), &theirs), position(2, 70), "one line");
        assert_eq!(fork(&[first], position(1, 9), &[first, start(2, 1, 2)]), Position::ZERO, "nothing is shared");
        // An epoch that wrote nothing is left out of the line of who is promoted after it.
        let unwritten = [first, start(2, 51, 2)];
        assert_eq!(fork(&unwritten, position(1, 50), &[first, start(3, 51, 3)]), position(1, 50));
        assert!(extends(&theirs, &[first], position(1, 50)) && !extends(&theirs, &[first], position(1, 51)));
    }

    #[test]
    fn an_epoch_that_two_regions_opened_is_two_lines() {
        let (ours, theirs) = ([start(1, 1, 0), start(2, 51, 2)], [start(1, 1, 0), start(2, 51, 3)]);
        assert_eq!(fork(&ours, position(2, 60), &theirs), position(1, 50));
    }
}
