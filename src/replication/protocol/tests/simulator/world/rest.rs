//! How a world comes to rest: what it must be like when nothing fails any more.

use super::World;
use crate::ids::DatasetId;
use crate::replication::protocol::Peer;
use crate::replication::protocol::tests::simulator::invariants::Seen;
use crate::replication::protocol::tests::simulator::region::Region;
use crate::state::Role;

impl World {
    /// What keeps the world from being as it should be when nothing fails any more.
    pub(super) fn unconverged(&self) -> Option<String> {
        let dataset = DatasetId([1; 16]);
        let path = |index: usize| self.regions[index].state.path();
        let count = self.regions.len();
        let ruling = |index: &usize| path(*index).role == Role::Primary && path(*index).dataset == dataset;
        let primaries = (0..count).filter(ruling);
        let Some(primary) = primaries.max_by_key(|index| path(*index).epoch) else {
            return Some("there is no primary".into());
        };
        let (head, leader) = (path(primary), &self.regions[primary]);
        if let Some(core) = leader.core.as_ref().filter(|core| !core.is_open()) {
            // One that holds other data never confirms anything: an operator has to disconnect it.
            let answers = |peer: &&Peer| self.regions[self.index_of(peer.region)].state.path().dataset == dataset;
            if core.waits_for().iter().all(answers) {
                return Some(format!("{} is closed", leader.name));
            }
        }
        // A region that agreed to take over the data of one that is fenced now waits for another token.
        let follows = |region: &&Region| {
            leader.peers.iter().any(|peer| peer.region == region.id)
                && (region.state.path().dataset == dataset || region.adopts.is_none_or(|it| it.from == leader.id))
                && (region.adopts.is_some() || region.index == 0 || leader.index == 0)
        };
        for region in self.regions.iter().filter(follows) {
            let standing = region.state.path();
            let settled = match standing.role {
                _ if standing.dataset != dataset => false,
                Role::Primary | Role::Fenced => false,
                Role::Standby => standing.is_whole() && standing.applied == head.applied,
            };
            if !settled {
                return Some(format!(
                    "{} is {} in {} at {}, whole: {}; the head is {} in {}",
                    region.name,
                    standing.role,
                    standing.epoch,
                    standing.applied,
                    standing.is_whole(),
                    head.applied,
                    head.epoch
                ));
            }
        }
        None
    }

    pub(super) fn end(&mut self) -> Result<(), String> {
        (0..self.regions.len()).try_for_each(|index| self.see(index, &Seen::Ended))
    }
}
