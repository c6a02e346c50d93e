//! Operators of fenced regions: they look at the ledger, replay some of it (`replays`), decide on the rest, and let the
//! region rejoin, some of them before they have looked at all, with a reason. And of two primaries of one epoch: one is
//! demoted.

use super::World;
use super::schedule::Event;
use crate::replication::protocol::tests::simulator::region::Proposer;
use crate::state::{Command, PathChange, RegionChange, Rejoin, Review, Role};
use crate::storage::ScanLimit;
use rand::Rng;

/// What an operator looks at in one go.
const LOOKS_AT: ScanLimit = ScanLimit { entries: 12, bytes: usize::MAX };

impl World {
    pub(super) fn operate(&mut self, index: usize) -> Result<(), String> {
        let after = self.chance.gen_range(300..4_000);
        self.schedule(after, Event::Operator { region: index });
        let region = &self.regions[index];
        let path = region.state.path();
        if region.core.is_none() || path.role != Role::Fenced || path.rejoin.is_some() {
            return Ok(());
        }
        let at = region.now(self.now).wall;
        let unreviewed = path.ledger.as_ref().map_or(0, |ledger| ledger.unreviewed);
        if unreviewed > 0 && self.chance.gen_bool(0.4) {
            return self.replay(index);
        }
        if unreviewed > 0 && self.chance.gen_bool(0.4) {
            let region = &self.regions[index];
            let entries = region.state.ledger_entries(None, ScanLimit::NONE).expect("memory does not fail");
            let open = entries.into_iter().filter(|(_, entry)| entry.review.is_open());
            let discarded = |(id, _)| (id, Review::Discarded { at, reason: "of no use".into() });
            let reviews = open.map(discarded).take(LOOKS_AT.entries).collect();
            self.propose(index, Proposer::Keeper, Command::Review { reviews });
            return Ok(());
        }
        // Without a reason it is refused as long as something was not reviewed, or is not known.
        let hasty = self.chance.gen_bool(0.2);
        let reason = hasty.then(|| "the rest is known".to_owned());
        let change = RegionChange {
            path: Some(PathChange::AllowRejoin(Rejoin { at, reason, to: None })),
            ..RegionChange::default()
        };
        self.propose(index, Proposer::Keeper, Command::Region(change));
        Ok(())
    }

    pub(super) fn choose(&mut self, index: usize) -> Result<(), String> {
        let region = &self.regions[index];
        let path = region.state.path();
        let at = region.now(self.now).wall;
        let reason = "the other is to be primary".to_owned();
        let step = match path.role {
            _ if region.core.is_none() => return Ok(()),
            Role::Primary => PathChange::Demote { at, reason },
            // Until the wrong one was demoted, it waits.
            Role::Standby if self.regions[2].state.path().role == Role::Primary => {
                self.schedule(1_000, Event::Choose { region: index });
                return Ok(());
            }
            Role::Standby => PathChange::AllowRejoin(Rejoin { at, reason: Some(reason), to: Some(self.regions[1].id) }),
            Role::Fenced => return Ok(()),
        };
        let change = RegionChange { path: Some(step), ..RegionChange::default() };
        self.propose(index, Proposer::Keeper, Command::Region(change));
        Ok(())
    }
}
