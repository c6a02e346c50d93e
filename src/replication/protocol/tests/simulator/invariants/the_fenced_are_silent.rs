//! A fenced region never acknowledges; nor does one, in an older epoch, that answered somebody of a newer one.

use super::{Invariant, Region, Seen};
use crate::ids::{DatasetId, Epoch};
use crate::state::Role;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct TheFencedAreSilent {
    /// The highest epoch that each region answered.
    answered: BTreeMap<(usize, DatasetId), Epoch>,
}

impl Invariant for TheFencedAreSilent {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let path = region.state.path();
        match seen {
            Seen::Answered { asked, .. } if asked.dataset == path.dataset => {
                let highest = self.answered.entry((region.index, asked.dataset)).or_default();
                *highest = asked.epoch.max(*highest);
                Ok(())
            }
            Seen::Acknowledged { at } => {
                let answered = self.answered.get(&(region.index, path.dataset)).copied().unwrap_or_default();
                if path.role == Role::Fenced && path.epoch <= at.epoch {
                    return Err(format!("region {} is fenced and acknowledged {at}", region.name));
                }
                match answered > at.epoch {
                    true => Err(format!("region {} answered epoch {answered}, then acknowledged {at}", region.name)),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}
