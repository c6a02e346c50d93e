//! At most one region acknowledges writes in one epoch of a data set.

use super::{Invariant, Region, Seen};
use crate::ids::{DatasetId, Epoch};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct OneRegionAcknowledges {
    by: BTreeMap<(DatasetId, Epoch), usize>,
}

impl Invariant for OneRegionAcknowledges {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let Seen::Acknowledged { at } = seen else { return Ok(()) };
        let first = *self.by.entry((region.state.path().dataset, at.epoch)).or_insert(region.index);
        match first == region.index {
            true => Ok(()),
            false => Err(format!("regions {first} and {} both acknowledged in epoch {}", region.index, at.epoch)),
        }
    }
}
