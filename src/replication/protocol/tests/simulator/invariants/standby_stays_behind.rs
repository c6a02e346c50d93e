//! A standby applies nothing but what a primary wrote: its position is never ahead of every primary's head.

use super::{Invariant, Place, Region, Seen};
use crate::ids::Position;
use crate::state::Role;
use std::collections::BTreeSet;

#[derive(Default)]
pub struct StandbyStaysBehind {
    written: BTreeSet<Place>,
}

impl Invariant for StandbyStaysBehind {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Written { at, .. } => {
                self.written.insert(Place::on(&region.state.path(), *at));
                Ok(())
            }
            Seen::Agreed { after, .. } if after.role == Role::Standby && after.applied != Position::ZERO => {
                match self.written.contains(&Place::on(after, after.applied)) {
                    true => Ok(()),
                    false => Err(format!("standby {} applied {}, which nobody wrote", region.name, after.applied)),
                }
            }
            _ => Ok(()),
        }
    }
}
