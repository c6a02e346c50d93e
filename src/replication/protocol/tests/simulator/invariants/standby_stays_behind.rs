//! A standby applies nothing but what a primary wrote: its position is never ahead of every primary's head.

use super::{Invariant, Region, Seen};
use crate::ids::{DatasetId, Position};
use crate::state::Role;
use std::collections::BTreeSet;

#[derive(Default)]
pub struct StandbyStaysBehind {
    written: BTreeSet<(DatasetId, Position)>,
}

impl Invariant for StandbyStaysBehind {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Written { at, .. } => {
                self.written.insert((region.state.path().dataset, *at));
                Ok(())
            }
            Seen::Agreed { after, .. } if after.role == Role::Standby && after.applied != Position::ZERO => {
                match self.written.contains(&(after.dataset, after.applied)) {
                    true => Ok(()),
                    false => Err(format!("standby {} applied {}, which nobody wrote", region.name, after.applied)),
                }
            }
            _ => Ok(()),
        }
    }
}
