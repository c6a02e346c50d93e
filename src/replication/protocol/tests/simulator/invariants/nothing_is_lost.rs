//! Nothing acknowledged is lost but what a failover reported: every region that is whole at the end holds just what the
//! writes of its line come to, and a line leaves out only what lies behind the fork that a promotion put on record.

use super::super::super::super::epoch::{followed, holds};
use super::{Invariant, Region, Seen};
use crate::api::replication::PromoteMode;
use crate::ids::{DatasetId, Epoch, Position};
use crate::state::{Batch, Op};
use crate::storage::{KeyRange, ScanLimit};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct NothingIsLost {
    written: BTreeMap<(DatasetId, Position), Batch>,
    acknowledged: BTreeSet<(DatasetId, Position)>,
    /// Of each promotion: the epoch it opened and the fork it recorded.
    forks: BTreeMap<(DatasetId, Epoch), Position>,
}

impl Invariant for NothingIsLost {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let path = region.state.path();
        match seen {
            Seen::Written { at, batch } => {
                let other = self.written.insert((path.dataset, *at), (*batch).clone());
                match other {
                    Some(other) if other != **batch => Err(format!("two writes at {at}")),
                    _ => Ok(()),
                }
            }
            Seen::Acknowledged { at } => {
                self.acknowledged.insert((path.dataset, *at));
                Ok(())
            }
            Seen::Promoted { record } => {
                // A switchover reports no loss, and excuses none.
                if record.mode == PromoteMode::Forced {
                    self.forks.insert((path.dataset, record.epoch), record.fork);
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
        let behind = |(at, _): &(&(DatasetId, Position), &Batch)| {
            at.0 == dataset && at.1.epoch < record.epoch && at.1.index > fork.index
        };
        let lost = self.written.iter().filter(behind).count() as u64;
        if loss.entries > lost {
            return Err(format!("a promotion reported {} lost behind {fork}, {lost} were written", loss.entries));
        }
        // What is known exactly is the last write of the epoch before.
        let last_epoch = Epoch(record.epoch.0 - 1);
        let epoch = (dataset, Position::new(last_epoch, 0))..=(dataset, Position::new(last_epoch, u64::MAX));
        let last = self.written.range(epoch).next_back().map_or(0, |((_, at), _)| at.index);
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
        for ((dataset, at), batch) in &self.written {
            // Of epochs that this region never got to, it can leave nothing out.
            if *dataset != path.dataset || at.index > path.applied.index || at.epoch > followed(&path) {
                continue;
            }
            if !holds(&path.history, *at) {
                let reported =
                    self.forks.iter().any(|((of, epoch), fork)| of == dataset && *epoch > at.epoch && at > fork);
                if self.acknowledged.contains(&(*dataset, *at)) && !reported {
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
