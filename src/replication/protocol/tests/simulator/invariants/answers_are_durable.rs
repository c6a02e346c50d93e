//! What an answer says of its region, the region has agreed on.

use super::{Invariant, Region, Seen};

pub struct AnswersAreDurable;

impl Invariant for AnswersAreDurable {
    fn see(&mut self, region: &Region, seen: &Seen) -> Result<(), String> {
        let Seen::Answered { answer, .. } = seen else { return Ok(()) };
        let (said, path) = (&answer.standing, region.state.path());
        if (said.dataset, said.role, said.epoch) != (path.dataset, path.role, path.epoch) {
            return Err(format!("region {} said it is {} in {}", region.name, said.role, said.epoch));
        }
        match said.applied.max(said.received) > path.applied {
            true => Err(format!("region {} said {}, and has {}", region.name, said.applied, path.applied)),
            false => Ok(()),
        }
    }
}
