//! The right that a primary gave up is opened by the other side or taken back, never both, and opened by nobody whom it
//! was not given to.

use super::{Invariant, Region, Seen};
use crate::ids::PromotionId;
use crate::state::{PathState, Role};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct ARightIsHeldOnce {
    /// By switchover: who gave up, and to whom.
    given: BTreeMap<PromotionId, usize>,
    taken_back: BTreeSet<PromotionId>,
    opened: BTreeSet<PromotionId>,
}

impl Invariant for ARightIsHeldOnce {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let Seen::Agreed { before, after } = seen else { return Ok(()) };
        if let (None, Some(gave_up)) = (&before.handover.gave_up, &after.handover.gave_up) {
            // It may be given once more, to an old word of the standby: then it is to be taken back once more.
            self.given.insert(gave_up.id, region.index);
            self.taken_back.remove(&gave_up.id);
        }
        if let Some(id) = taken_back(before, after) {
            self.taken_back.insert(id);
            if self.opened.contains(&id) {
                return Err(format!("region {} took back what was opened", region.name));
            }
        }
        if let Some(id) = opened(before, after) {
            self.opened.insert(id);
            if !self.given.contains_key(&id) {
                return Err(format!("region {} opened what nobody gave up", region.name));
            }
            if self.taken_back.contains(&id) {
                return Err(format!("region {} opened what was taken back", region.name));
            }
        }
        Ok(())
    }
}

fn taken_back(before: &PathState, after: &PathState) -> Option<PromotionId> {
    let gave_up = before.handover.gave_up.as_ref()?;
    (after.role == Role::Primary && after.epoch == before.epoch).then_some(gave_up.id)
}

fn opened(before: &PathState, after: &PathState) -> Option<PromotionId> {
    let ask = before.handover.asks.as_ref()?;
    (after.role == Role::Primary && after.handover.ended != Some(ask.id)).then_some(ask.id)
}
