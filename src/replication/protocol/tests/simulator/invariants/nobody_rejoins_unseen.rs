//! A fenced region that holds what the new primary lacks leaves its line only by its operator's word, and over an
//! unreviewed ledger only with a reason.

use super::{Invariant, Region, Seen};
use crate::state::Role;

pub struct NobodyRejoinsUnseen;

impl Invariant for NobodyRejoinsUnseen {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let Seen::Agreed { before, after } = seen else { return Ok(()) };
        let leaves = before.dataset == after.dataset && before.role == Role::Fenced && after.role == Role::Standby;
        if !leaves || before.diverged(&after.history).is_none() {
            return Ok(());
        }
        let unreviewed = before.ledger.as_ref().map_or(0, |ledger| ledger.unreviewed);
        match &before.rejoin {
            None => Err(format!("region {} rejoined without its operator's word", region.name)),
            Some(rejoin) if rejoin.reason.is_none() && unreviewed > 0 => {
                Err(format!("region {} rejoined over {unreviewed} unreviewed writes without a reason", region.name))
            }
            Some(_) => Ok(()),
        }
    }
}
