//! What must hold at every step, one a file.

mod a_replay_writes_once;
mod a_restarted_region_waits;
mod a_right_is_held_once;
mod a_switchover_loses_nothing;
mod answers_are_durable;
mod epochs_rise;
mod nobody_rejoins_unseen;
mod nothing_is_lost;
mod one_region_acknowledges;
mod same_position_same_state;
mod standby_stays_behind;
mod the_fenced_are_silent;
mod what_is_left_is_kept;

use super::super::super::{Answer, Header, PromotionRecord};
use super::region::Region;
use crate::ids::{DatasetId, Position, RegionId};
use crate::state::ledger::Accept;
use crate::state::{Batch, EpochStart, PathState, line};

/// A position, and who opened its epoch: where two regions opened one, the position alone says too little.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    pub dataset: DatasetId,
    pub at: Position,
    pub by: Option<RegionId>,
}

impl Place {
    /// Of a position on the line that a region is on.
    pub fn on(path: &PathState, at: Position) -> Place {
        Place { dataset: path.dataset, at, by: opener(&path.history, at) }
    }

    pub fn lies_on(&self, path: &PathState) -> bool {
        self.dataset == path.dataset && line::holds(&path.history, self.at) && self.by == opener(&path.history, self.at)
    }
}

fn opener(history: &[EpochStart], at: Position) -> Option<RegionId> {
    history.iter().find(|start| start.epoch == at.epoch).map(|start| start.by)
}

/// Something that happened in a region.
pub enum Seen<'a> {
    /// A client was told that its write is safe.
    Acknowledged { at: Position },
    /// A client's write was agreed on at this position, whether or not anybody was told.
    Written { at: Position, batch: &'a Batch },
    /// Entries of a ledger were agreed on as new writes, from `first` on. The line that the ledger is of leaves this one
    /// behind `on_line`; it was opened for one that it left behind `fork`.
    Accepted { accept: &'a Accept, first: Position, on_line: Position, fork: Position },
    /// Anything was agreed on.
    Agreed { before: &'a PathState, after: &'a PathState },
    /// An answer left.
    Answered { asked: &'a Header, answer: &'a Answer },
    /// A promotion is done.
    Promoted { record: &'a PromotionRecord },
    /// The region came up again after all of it was down.
    Restarted,
    /// An answer reached the region's leader.
    Heard { from: RegionId, answer: &'a Answer },
    /// An operator opened the region for writes.
    Overridden,
    /// An operator had this primary stop being it.
    Demoted,
    /// The world came to rest.
    Ended,
}

pub trait Invariant {
    /// Looks at what happened in `region`, after it happened. `Err` says what broke.
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String>;
}

/// Every invariant, with nothing seen. Where operators promote two standbys at once, one region an epoch is too much to
/// ask; all else holds there as well.
pub fn all(rash: bool) -> Vec<Box<dyn Invariant>> {
    let mut all: Vec<Box<dyn Invariant>> = vec![
        Box::new(a_replay_writes_once::AReplayWritesOnce::default()),
        Box::new(nothing_is_lost::NothingIsLost::default()),
        Box::new(same_position_same_state::SamePositionSameState::default()),
        Box::new(epochs_rise::EpochsRise),
        Box::new(the_fenced_are_silent::TheFencedAreSilent::default()),
        Box::new(standby_stays_behind::StandbyStaysBehind::default()),
        Box::new(answers_are_durable::AnswersAreDurable),
        Box::new(a_restarted_region_waits::ARestartedRegionWaits::default()),
        Box::new(what_is_left_is_kept::WhatIsLeftIsKept::default()),
        Box::new(nobody_rejoins_unseen::NobodyRejoinsUnseen),
        Box::new(a_switchover_loses_nothing::ASwitchoverLosesNothing::default()),
        Box::new(a_right_is_held_once::ARightIsHeldOnce::default()),
    ];
    if !rash {
        all.push(Box::new(one_region_acknowledges::OneRegionAcknowledges::default()));
    }
    all
}
