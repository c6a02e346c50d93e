//! Nothing acknowledged is lost but what a failover reported: every region that is whole at the end holds just what the
//! writes of its line come to, and a line leaves out only what lies behind the fork that a promotion put on record, or what
//! a region wrote that was demoted.

use super::super::super::super::epoch::followed;
use super::{Invariant, Place, Region, Seen};
use crate::api::replication::PromoteMode;
use crate::ids::{DatasetId, Epoch, Position, RegionId};
use crate::state::{Batch, Op};
use crate::storage::{KeyRange, ScanLimit};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct NothingIsLost {
    written: BTreeMap<Place, Batch>,
    acknowledged: BTreeSet<Place>,
    demoted: BTreeSet<(DatasetId, Epoch, RegionId)>,
    /// Of each promotion: the epoch it opened, who was promoted, and the fork it recorded.
    forks: BTreeMap<(DatasetId, Epoch, RegionId), Position>,
}

impl Invariant for NothingIsLost {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let path = region.state.path();
        match seen {
            Seen::Written { at, batch } => {
                let other = self.written.insert(Place::on(&path, *at), (*batch).clone());
                match other {
                    Some(other) if other != **batch => Err(format!("two writes at {at}")),
                    _ => Ok(()),
                }
            }
            Seen::Acknowledged { at } => {
                self.acknowledged.insert(Place::on(&path, *at));
                Ok(())
            }
            Seen::Demoted => {
                self.demoted.insert((path.dataset, path.epoch, region.id));
                Ok(())
            }
            Seen::Promoted { record } => {
                // A switchover reports no loss, and excuses none.
                if record.mode == PromoteMode::Forced {
                    self.forks.insert((path.dataset, record.epoch, region.id), record.fork);
                }
                self.estimate(path.dataset, record)
            }
            Seen::Ended if path.is_whole() => self.holds_its_line(region),
            _ => Ok(()),
        }
    }
}

impl NothingIsLost {
    /// “At least so many” must be true when it is said.
    fn estimate(&self, dataset: DatasetId, record: &super::PromotionRecord) -> Result<(), String> {
        let (loss, fork) = (&record.loss, record.fork);
        let behind = |(place, _): &(&Place, &Batch)| {
            place.dataset == dataset && place.at.epoch < record.epoch && place.at.index > fork.index
        };
        let lost = self.written.iter().filter(behind).count() as u64;
        if loss.entries > lost {
            return Err(format!("a promotion reported {} lost behind {fork}, {lost} were written", loss.entries));
        }
        // What is known exactly is the last write of the epoch before.
        let last_epoch = Epoch(record.epoch.0 - 1);
        let of_epoch = self.written.keys().filter(|place| place.dataset == dataset && place.at.epoch == last_epoch);
        let last = of_epoch.map(|place| place.at.index).max().unwrap_or_default();
        if loss.known && last > fork.index + loss.entries {
            return Err(format!("a promotion knew of {} lost behind {fork}, the last was {last}", loss.entries));
        }
        let by_class: u64 = loss.by_class.iter().map(|(_, count)| count).sum();
        match by_class == loss.entries {
            true => Ok(()),
            false => Err(format!("a promotion reported {} lost, by class {by_class}", loss.entries)),
        }
    }

    fn holds_its_line(&self, region: &Region) -> Result<(), String> {
        let path = region.state.path();
        let mut expected = BTreeMap::<Bytes, (Position, Bytes)>::new();
        for (place @ Place { dataset, at, by }, batch) in &self.written {
            // Of epochs that this region never got to, it can leave nothing out.
            if *dataset != path.dataset || at.index > path.applied.index || at.epoch > followed(&path) {
                continue;
            }
            if !place.lies_on(&path) {
                let demoted = by.is_some_and(|by| self.demoted.contains(&(*dataset, at.epoch, by)));
                let reported =
                    self.forks.iter().any(|((of, epoch, _), fork)| of == dataset && *epoch > at.epoch && at > fork);
                if self.acknowledged.contains(place) && !reported && !demoted {
                    return Err(format!("{at} was acknowledged and left out of the line of {}", region.name));
                }
                continue;
            }
            for op in &batch.ops {
                match op {
                    Op::Put { key, value } => expected.insert(key.clone(), (*at, value.clone())),
                    Op::Delete { key } => expected.remove(key),
                };
            }
        }
        let held = region.state.scan_data(&KeyRange::all(), ScanLimit::NONE).expect("memory does not fail");
        let held: BTreeMap<_, _> = held.into_iter().map(|(key, it)| (key, (it.position, it.value))).collect();
        match held == expected {
            true => Ok(()),
            false => Err(format!("region {} at {} holds {held:?}, not {expected:?}", region.name, path.applied)),
        }
    }
}
