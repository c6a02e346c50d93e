//! A replay writes no entry of a ledger twice on one line, nor one that lies on it already, and overwrites nothing that somebody wrote since the fork.

use super::{Invariant, Place, Region, Seen};
use crate::ids::RegionId;
use crate::state::Batch;
use std::collections::BTreeMap;

/// The region whose ledger it is, and the ledger's number there.
type Ledger = (RegionId, u32);

#[derive(Default)]
pub struct AReplayWritesOnce {
    written: BTreeMap<Place, Batch>,
    /// Which entry of which ledger was written where.
    replayed: BTreeMap<Place, (Ledger, u64)>,
}

impl Invariant for AReplayWritesOnce {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let path = region.state.path();
        let (accept, first, on_line_up_to, fork) = match seen {
            Seen::Written { at, batch } => {
                self.written.insert(Place::on(&path, *at), (*batch).clone());
                return Ok(());
            }
            Seen::Accepted { accept, first, on_line, fork } => (accept, first, on_line, fork),
            _ => return Ok(()),
        };
        let ledger = (accept.origin, accept.number);
        let on_line = |place: &Place| place.lies_on(&path) && place.at.index < first.index;
        for (offset, (entry, batch)) in accept.entries.iter().enumerate() {
            if *entry <= on_line_up_to.index {
                return Err(format!("entry {entry} of the ledger of {} lies on this very line", ledger.0));
            }
            let earlier = self.replayed.iter().find(|(place, it)| **it == (ledger, *entry) && on_line(place));
            if let Some((place, _)) = earlier {
                return Err(format!("entry {entry} of the ledger of {} was written at {} already", ledger.0, place.at));
            }
            for op in &batch.ops {
                let changes = |batch: &Batch| batch.ops.iter().any(|it| it.key() == op.key());
                let since = self.written.iter().filter(|(place, batch)| on_line(place) && changes(batch));
                let newest = since.map(|(place, _)| place).max_by_key(|place| place.at.index);
                let newest = newest.filter(|place| place.at.index > on_line_up_to.index.min(fork.index));
                let of_ledger = |place: &Place| self.replayed.get(place).is_some_and(|(of, _)| *of == ledger);
                if let Some(place) = newest.filter(|place| !of_ledger(place)) {
                    return Err(format!("entry {entry} of a ledger overwrote what was written at {}", place.at));
                }
            }
            let at = crate::ids::Position::new(first.epoch, first.index + offset as u64);
            self.replayed.insert(Place::on(&path, at), (ledger, *entry));
        }
        Ok(())
    }
}
