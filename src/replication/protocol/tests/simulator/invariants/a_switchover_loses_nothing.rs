//! A switchover leaves out nothing that was acknowledged in the epoch that it ends, before it or after.

use super::{Invariant, Region, Seen};
use crate::api::replication::PromoteMode;
use crate::ids::{DatasetId, Epoch, Position};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct ASwitchoverLosesNothing {
    /// The last index that was acknowledged in each epoch.
    acknowledged: BTreeMap<(DatasetId, Epoch), u64>,
    /// Of each epoch that a switchover ended: where.
    ended: BTreeMap<(DatasetId, Epoch), Position>,
}

impl Invariant for ASwitchoverLosesNothing {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let dataset = region.state.path().dataset;
        let epoch = match seen {
            Seen::Acknowledged { at } => {
                let last = self.acknowledged.entry((dataset, at.epoch)).or_default();
                *last = at.index.max(*last);
                at.epoch
            }
            Seen::Promoted { record } if record.mode == PromoteMode::Planned => {
                let epoch = Epoch(record.epoch.0 - 1);
                self.ended.insert((dataset, epoch), record.fork);
                epoch
            }
            _ => return Ok(()),
        };
        match (self.acknowledged.get(&(dataset, epoch)), self.ended.get(&(dataset, epoch))) {
            (Some(last), Some(end)) if *last > end.index => {
                Err(format!("index {last} was acknowledged in epoch {epoch}, which a switchover ended at {end}"))
            }
            _ => Ok(()),
        }
    }
}
