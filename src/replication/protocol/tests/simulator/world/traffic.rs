//! Between regions, and between a core and its region: messages, proposals, reads, the handshake.

use super::schedule::Event;
use super::words::kind;
use super::{Asked, World};
use crate::ids::RegionId;
use crate::replication::protocol::tests::simulator::invariants::Seen;
use crate::replication::protocol::tests::simulator::region::{Proposal, Proposer, Region};
use crate::replication::protocol::*;
use crate::state::scrub::Frozen;
use crate::state::{Batch, Command, Outcome, PathState, Role, State};
use crate::storage::{KeyRange, ScanLimit};
use rand::Rng;

/// What one read returns, so small that syncs and streams take many requests.
const LOG_READ: ScanLimit = ScanLimit { entries: 3, bytes: usize::MAX };
const RANGE_READ: ScanLimit = ScanLimit { entries: 2, bytes: usize::MAX };
const DIFF_READ: ScanLimit = ScanLimit { entries: 1, bytes: usize::MAX };

impl World {
    pub(super) fn send(&mut self, index: usize, term: u64, call: CallId, to: RegionId, request: Request) {
        let to = self.index_of(to);
        let arrivals = self.network.deliveries(&mut self.chance, index, to);
        if arrivals.is_empty() && self.chance.gen_bool(0.5) {
            // Otherwise nobody tells, and the deadline does.
            let after = self.chance.gen_range(1..500);
            self.schedule(after, Event::Fail { to: index, term, call, from: to });
        }
        for after in arrivals {
            self.scheduled += 1;
            let number = self.scheduled;
            let header = request.header.clone();
            self.asked.insert(number, Asked { from: index, to, term, call, header });
            self.schedule(after, Event::Arrive { number, request: Box::new(request.clone()) });
        }
    }

    pub(super) fn arrive(&mut self, number: u64, request: Request) -> Result<(), String> {
        let Asked { from, to, term, call, .. } = self.asked[&number];
        if self.regions[to].core.is_none() {
            self.asked.remove(&number);
            if self.chance.gen_bool(0.7) {
                self.schedule(1, Event::Fail { to: from, term, call, from: to });
            }
            return Ok(());
        }
        let from = self.regions[from].id;
        self.step(to, Input::Request { id: RequestId(number), from, request })
    }

    pub(super) fn reply(&mut self, index: usize, id: RequestId, answer: Answer) -> Result<(), String> {
        let Some(asked) = self.asked.remove(&id.0) else {
            return Err(format!("region {} answered a request twice", self.regions[index].name));
        };
        self.see(index, &Seen::Answered { asked: &asked.header, answer: &answer })?;
        for after in self.network.deliveries(&mut self.chance, asked.to, asked.from) {
            let (to, term, call, from) = (asked.from, asked.term, asked.call, asked.to);
            self.schedule(after, Event::Answer { to, term, call, from, answer: Box::new(answer.clone()) });
        }
        Ok(())
    }

    pub(super) fn propose(&mut self, region: usize, by: Proposer, command: Command) {
        self.regions[region].log.push_back(Proposal { by, command });
        let after = self.chance.gen_range(1..25);
        self.schedule(after, Event::Agree { region });
    }

    /// The region agrees on what waits longest.
    pub(super) fn agree(&mut self, index: usize) -> Result<(), String> {
        if self.regions[index].down {
            return Ok(());
        }
        let Some(Proposal { by, command }) = self.regions[index].log.pop_front() else { return Ok(()) };
        let before = self.regions[index].state.path();
        let outcome = self.regions[index].agree(&command);
        let after = self.regions[index].state.path();
        self.agreed(index, &command, &outcome, &before, &after)?;
        let told = self.chance.gen_bool(0.95);
        match (by, &outcome) {
            (Proposer::Client, Outcome::Written { last, .. }) if told => {
                self.see(index, &Seen::Acknowledged { at: *last })?;
            }
            (Proposer::Replay(replay, outcomes), Outcome::Written { first, .. }) => {
                self.replayed(index, &replay, outcomes, Some(*first));
            }
            (Proposer::Core { term, id }, _) if term == self.regions[index].term => {
                let unknown = self.fault(3);
                let result = if unknown { Err(Failure::Retry("no word".into())) } else { Ok(outcome) };
                return self.step(index, Input::Proposed { id, result });
            }
            _ => {}
        }
        match before == after {
            true => Ok(()),
            false => self.step(index, Input::Applied),
        }
    }

    pub(super) fn agreed(
        &mut self,
        index: usize,
        command: &Command,
        outcome: &Outcome,
        before: &PathState,
        after: &PathState,
    ) -> Result<(), String> {
        let refused = matches!(outcome, Outcome::Refused(_));
        self.note(format!(
            "{} agreed on {}{}: {} {} {}{}",
            self.regions[index].name,
            kind(command),
            if refused { ", refused" } else { "" },
            after.role,
            after.epoch,
            after.applied,
            if after.is_whole() { "" } else { " syncing" }
        ));
        if let Outcome::Written { first, .. } = outcome {
            let batches: Vec<&Batch> = match command {
                Command::Write { batches, .. } => batches.iter().collect(),
                Command::Accept(accept) => accept.entries.iter().map(|(_, batch)| batch).collect(),
                _ => Vec::new(),
            };
            if let Command::Accept(accept) = command {
                let (on_line, fork) = self.forks_of(index, accept);
                self.see(index, &Seen::Accepted { accept, first: *first, on_line, fork })?;
            }
            for (offset, batch) in batches.into_iter().enumerate() {
                let at = crate::ids::Position::new(first.epoch, first.index + offset as u64);
                self.see(index, &Seen::Written { at, batch })?;
            }
        }
        match command {
            Command::Patch(patch) if !refused => {
                self.coverage.puts += u32::from(!patch.puts.is_empty());
                self.coverage.deletes += u32::from(!patch.deletes.is_empty());
            }
            Command::Write { .. } if !refused && self.regions.iter().any(Region::is_patched) => {
                self.coverage.diff_writes += 1;
            }
            _ => {}
        }
        let same_epoch = (before.dataset, before.epoch) == (after.dataset, after.epoch);
        if before.handover.asks.is_some() && after.handover.asks.is_none() && same_epoch {
            self.coverage.declined += 1;
        }
        if before.handover.gave_up.is_some() && after.role == Role::Primary && !same_epoch {
            self.coverage.promoted_itself += 1;
        }
        let demoted = after.fence.as_ref().is_some_and(|fence| fence.demoted.is_some());
        if demoted && (before.role, after.role) == (Role::Primary, Role::Fenced) {
            self.see(index, &Seen::Demoted)?;
        }
        if before != after {
            self.see(index, &Seen::Agreed { before, after })?;
        }
        Ok(())
    }

    pub(super) fn read(&mut self, index: usize, effect: Effect) -> Result<(), String> {
        let fails = self.fault(2);
        let state = Some(&self.regions[index].state).filter(|_| !fails);
        let failure = || Failure::Retry("the disk is slow".into());
        let input = match effect {
            Effect::ReadWal { read, from, .. } => {
                let result = state.map(|it| it.wal(from, LOG_READ).expect("memory does not fail")).ok_or_else(failure);
                Input::WalRead { read, result }
            }
            Effect::ReadRange { read, after, .. } => {
                let start = if after.is_empty() { Vec::new() } else { crate::state::merkle::successor(&after) };
                let range = state.map(|state| {
                    let entries = state.scan_data(&KeyRange::from(start), RANGE_READ).expect("memory does not fail");
                    let end = entries.len() < RANGE_READ.entries;
                    RangeRead { entries, end, read_at: state.path().applied }
                });
                Input::RangeRead { read, result: range.ok_or_else(failure) }
            }
            Effect::ReadNodes { read, parents } => {
                Input::NodesRead { read, result: state.map(|it| it.nodes(&parents)).ok_or_else(failure) }
            }
            Effect::ReadHeld { read, buckets, bytes_max } => {
                // Now and then there is room for one bucket only.
                let room = if self.chance.gen_bool(0.2) { 1 } else { bytes_max };
                let held = state.map(|it| it.held(&buckets, room).expect("memory does not fail"));
                Input::HeldRead { read, result: held.ok_or_else(failure) }
            }
            Effect::Freeze { read, moment } => {
                let frozen = state.map(|it| it.freeze().expect("memory does not fail"));
                let result = frozen.as_ref().map(Frozen::at).ok_or_else(failure);
                self.regions[index].kept = frozen.map(|frozen| (moment, frozen));
                Input::Frozen { read, result }
            }
            Effect::Scrub { .. } | Effect::ReadFrozenNodes { .. } | Effect::ReadFrozenHeld { .. } => {
                self.regions[index].read_kept(effect)
            }
            Effect::ReadUnnamed { read, named, after, .. } => {
                let unnamed = |it: &State| it.unnamed(&named, &after, DIFF_READ).expect("memory does not fail");
                Input::UnnamedRead { read, result: state.map(unnamed).ok_or_else(failure) }
            }
            Effect::ReadRoot if fails => return Ok(()),
            Effect::ReadRoot => Input::Root(self.regions[index].root()),
            _ => return Ok(()),
        };
        self.step(index, input)
    }

    /// The handshake with an activation token, which the driver does: both sides keep a credential.
    pub(super) fn activate(&mut self, index: usize, peer: usize) -> Result<(), String> {
        let (primary, standby) = (self.regions[index].id, self.regions[peer].id);
        let fails = self.fault(15) || self.regions[peer].core.is_none();
        let result = if fails {
            Err(Failure::Retry("the handshake was cut short".into()))
        } else {
            let ours = &mut self.regions[index];
            let dataset = ours.state.path().dataset;
            let mut credential = ours.peers.iter().find(|it| it.region == standby).expect("it is dialled").clone();
            ours.peers.iter_mut().filter(|it| it.region == standby).for_each(|it| it.activated = true);
            credential.activated = true;
            credential.region = primary;
            credential.name = ours.name.clone();
            let theirs = &mut self.regions[peer];
            theirs.peers.retain(|it| it.region != primary);
            theirs.peers.push(credential);
            theirs.adopts = Some(Adoption { from: primary, dataset });
            self.tell_peers(peer)?;
            self.tell_peers(index)?;
            Ok(())
        };
        self.step(index, Input::Activation { peer: standby, result })
    }

    pub(super) fn tell_peers(&mut self, index: usize) -> Result<(), String> {
        let (peers, adopts) = (self.regions[index].peers.clone(), self.regions[index].adopts);
        self.step(index, Input::Peers { peers, adopts, anew: Vec::new() })
    }
}
