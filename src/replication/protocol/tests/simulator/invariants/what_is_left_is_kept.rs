//! A whole region that leaves its line has every write that lies behind the fork in its ledger, as it was written, but
//! those that its log no longer held: these it counts.

use super::{Invariant, Place, Region, Seen};
use crate::state::{Batch, LedgerId, PathState, Role};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct WhatIsLeftIsKept {
    written: BTreeMap<Place, Batch>,
}

impl Invariant for WhatIsLeftIsKept {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Written { at, batch } => {
                self.written.insert(Place::on(&region.state.path(), *at), (*batch).clone());
                Ok(())
            }
            Seen::Agreed { before, after } if left(before, after) => self.is_kept(region, before, after),
            _ => Ok(()),
        }
    }
}

/// Whether a region that was whole went to another line, or to another one.
fn left(before: &PathState, after: &PathState) -> bool {
    before.dataset == after.dataset
        && before.is_whole()
        && after.role == Role::Standby
        && before.history != after.history
}

impl WhatIsLeftIsKept {
    fn is_kept(&self, region: &Region, before: &PathState, after: &PathState) -> Result<(), String> {
        let held = |place: &Place| place.at.index <= before.applied.index && place.lies_on(before);
        let left = self.written.iter().filter(|(place, _)| held(place) && !place.lies_on(after));
        for (Place { at, .. }, batch) in left {
            let Some(ledger) = &after.ledger else {
                return Err(format!("region {} left {at} without a ledger", region.name));
            };
            let id = LedgerId { number: ledger.number, position: *at };
            let entry = region.state.ledger_entry(id).expect("memory does not fail");
            let counted = at.index <= ledger.fork.index + ledger.missing;
            match entry {
                Some(entry) if entry.batch == *batch => {}
                None if counted => {}
                other => return Err(format!("region {} left {at}, its ledger has {other:?}", region.name)),
            }
        }
        Ok(())
    }
}
