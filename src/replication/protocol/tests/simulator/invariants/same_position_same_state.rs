//! The same position of a data set means the same data, wherever and whenever a whole region stands there.

use super::{Invariant, Place, Region, Seen};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct SamePositionSameState {
    digests: BTreeMap<Place, ([u8; 32], usize)>,
}

impl Invariant for SamePositionSameState {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let Seen::Agreed { before, after } = seen else { return Ok(()) };
        let moved = (before.dataset, before.applied, before.is_whole()) != (after.dataset, after.applied, true);
        if !after.is_whole() || !moved {
            return Ok(());
        }
        let digest = region.digest();
        let (first, by) = *self.digests.entry(Place::on(after, after.applied)).or_insert((digest, region.index));
        match first == digest {
            true => Ok(()),
            false => Err(format!("regions {by} and {} differ at {}", region.index, after.applied)),
        }
    }
}
