//! A region's epoch of a data set never goes down.

use super::{Invariant, Region, Seen};

pub struct EpochsRise;

impl Invariant for EpochsRise {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Agreed { before, after } if before.dataset == after.dataset && after.epoch < before.epoch => {
                Err(format!("region {} went from epoch {} to {}", region.name, before.epoch, after.epoch))
            }
            _ => Ok(()),
        }
    }
}
