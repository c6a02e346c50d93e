//! Replays of a ledger on the new primary, as `replication::ledger` and `replication::accept` do them: judged by what the
//! primary's state holds, agreed on there, answered, and noted in the ledger; requests and answers get lost.

use super::World;
use super::schedule::{Event, Replay};
use crate::api::ledger::{AcceptEntry, AcceptOutcome, AcceptRequest};
use crate::ids::Position;
use crate::replication::ledger_wire as wire;
use crate::replication::look::{EveryKey, Look};
use crate::replication::protocol::Core;
use crate::replication::protocol::tests::simulator::region::Proposer;
use crate::state::ledger::Accept;
use crate::state::{Command, LedgerId, Review, Role, line};
use crate::storage::ScanLimit;
use bytes::Bytes;
use std::collections::BTreeSet;

/// Entries of one request.
const ENTRIES_MAX: usize = 8;

impl World {
    /// Sends the next entries that nobody decided on, but for those that build on one that was not sent.
    pub(super) fn replay(&mut self, index: usize) -> Result<(), String> {
        let region = &self.regions[index];
        let dataset = region.state.path().dataset;
        let rules = |index: &usize| {
            let path = self.regions[*index].state.path();
            path.role == Role::Primary && path.dataset == dataset
        };
        let Some(primary) = (0..self.regions.len()).find(rules) else { return Ok(()) };
        let entries = region.state.ledger_entries(None, ScanLimit::NONE).expect("memory does not fail");
        let Some(number) = entries.iter().find(|(_, entry)| entry.review.is_open()).map(|(id, _)| id.number) else {
            return Ok(());
        };
        let head = region.state.ledger_head(number).expect("memory does not fail").expect("a ledger has a head");
        if head.missing > 0 {
            return Ok(());
        }
        let mut unsent = BTreeSet::new();
        let (mut ids, mut sent) = (Vec::new(), Vec::new());
        for (id, entry) in entries.into_iter().filter(|(id, _)| id.number == number) {
            let keys: Vec<Bytes> = entry.batch.ops.iter().map(|op| op.key().clone()).collect();
            let sound = entry.review.is_open() && !keys.iter().any(|key| unsent.contains(key));
            if sound && sent.len() < ENTRIES_MAX {
                let ops = entry.batch.ops.iter().map(wire::op).collect();
                sent.push(AcceptEntry { position: id.position, class: entry.batch.class, ops, overwrite: false });
                ids.push(id);
            } else if !matches!(entry.review, Review::Replayed { .. }) {
                unsent.extend(keys);
            }
        }
        let request = AcceptRequest { region: region.id, number, line: head.line, fork: head.fork, entries: sent };
        let replay = Replay { from: index, ids, request };
        for after in self.network.deliveries(&mut self.chance, index, primary) {
            self.schedule(after, Event::Accept { region: primary, replay: Box::new(replay.clone()) });
        }
        Ok(())
    }

    pub(super) fn accept(&mut self, index: usize, replay: Replay) -> Result<(), String> {
        let region = &self.regions[index];
        let path = region.state.path();
        let open = region.core.as_ref().is_some_and(Core::is_open);
        if !open || path.role != Role::Primary || !path.is_whole() {
            return Ok(());
        }
        let at = region.now(self.now).wall.max(path.applied_at);
        let look = Look::new(&region.state, &EveryKey, &path, &replay.request, at).expect("memory does not fail");
        let (outcomes, entries) = look.evaluate().expect("memory does not fail");
        let conflicts = outcomes.iter().filter(|it| matches!(it, Some(AcceptOutcome::Conflict { .. }))).count();
        let again = outcomes.iter().filter(|it| matches!(it, Some(AcceptOutcome::Replayed { .. }))).count();
        if entries.is_empty() {
            self.replayed(index, &replay, outcomes, None);
        } else {
            let entries = entries.into_iter().map(|(at, batch)| (replay.request.entries[at].position.index, batch));
            let accept = Accept {
                epoch: path.epoch,
                as_of: path.applied,
                origin: replay.request.region,
                number: replay.request.number,
                entries: entries.collect(),
            };
            self.propose(index, Proposer::Replay(Box::new(replay), outcomes), Command::Accept(accept));
        }
        self.coverage.conflicts += conflicts as u32;
        self.coverage.replayed_again += again as u32;
        Ok(())
    }

    /// The answer, to be noted in the ledger. What was written now begins at `first`.
    pub(super) fn replayed(
        &mut self,
        index: usize,
        replay: &Replay,
        outcomes: Vec<Option<AcceptOutcome>>,
        first: Option<Position>,
    ) {
        let mut next = first;
        let mut reviews: Vec<(LedgerId, Review)> = Vec::new();
        let at = self.regions[index].now(self.now).wall;
        for (id, outcome) in replay.ids.iter().zip(outcomes) {
            let position = match (outcome, next) {
                (Some(AcceptOutcome::Replayed { position }), _) => position,
                (None, Some(position)) => {
                    next = Some(Position::new(position.epoch, position.index + 1));
                    self.coverage.replayed += 1;
                    position
                }
                _ => continue,
            };
            reviews.push((*id, Review::Replayed { at, position }));
        }
        if reviews.is_empty() {
            return;
        }
        for after in self.network.deliveries(&mut self.chance, index, replay.from) {
            self.schedule(after, Event::Reviewed { region: replay.from, reviews: reviews.clone() });
        }
    }

    /// Where this region's line left the one that the ledger is of, and where that left the one it was opened for.
    pub(super) fn forks_of(&self, index: usize, accept: &Accept) -> (Position, Position) {
        let origin = self.regions.iter().find(|region| region.id == accept.origin).expect("a region of the world");
        let head = origin.state.ledger_head(accept.number).expect("memory does not fail").expect("a head");
        let path = self.regions[index].state.path();
        (line::fork(&path.history, path.applied, &head.line), head.fork)
    }
}
