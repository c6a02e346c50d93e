//! A region that restarted as a whole acknowledges nothing in its old epoch before every region that it is linked with
//! confirmed that it knows of no higher one, or an operator overrode that.

use super::{Invariant, Region, Seen};
use crate::ids::{DatasetId, Epoch, RegionId};
use crate::state::Role;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct ARestartedRegionWaits {
    restarted: BTreeMap<usize, Restarted>,
}

struct Restarted {
    line: (DatasetId, Epoch),
    unconfirmed: BTreeSet<RegionId>,
}

impl Invariant for ARestartedRegionWaits {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let path = region.state.path();
        let line = (path.dataset, path.epoch);
        match seen {
            Seen::Restarted if path.role == Role::Primary => {
                let replaces_us = |id: RegionId| {
                    region.adopts.is_some_and(|adopts| adopts.from == id && adopts.dataset != path.dataset)
                };
                let linked = region.peers.iter().filter(|peer| peer.activated && !replaces_us(peer.region));
                let unconfirmed = linked.map(|peer| peer.region).collect();
                self.restarted.insert(region.index, Restarted { line, unconfirmed });
            }
            Seen::Heard { from, answer } => {
                let standing = &answer.standing;
                if let Some(restarted) = self.restarted.get_mut(&region.index)
                    && (standing.dataset, standing.epoch) == restarted.line
                {
                    restarted.unconfirmed.remove(from);
                }
            }
            Seen::Overridden => {
                self.restarted.remove(&region.index);
            }
            Seen::Acknowledged { at } => {
                if let Some(restarted) = self.restarted.get(&region.index)
                    && (path.dataset, at.epoch) == restarted.line
                    && !restarted.unconfirmed.is_empty()
                {
                    return Err(format!("region {} restarted and acknowledged {at}, unconfirmed", region.name));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
