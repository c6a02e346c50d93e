//! Those who use the regions: clients, operators, and the driver with its housekeeping.

use super::World;
use super::schedule::Event;
use crate::api::replication::PromoteMode;
use crate::ids::PromotionId;
use crate::replication::protocol::tests::simulator::invariants::Seen;
use crate::replication::protocol::tests::simulator::region::{Proposer, sound};
use crate::replication::protocol::*;
use crate::state::{Batch, Class, Command, Op, Role};
use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;

/// Keys that clients write: few, so that they overwrite and delete each other's.
const KEYS: u8 = 12;

impl World {
    /// Clients write to whoever takes it.
    pub(super) fn client(&mut self) -> Result<(), String> {
        if self.is_calm() {
            return Ok(());
        }
        let after = self.chance.gen_range(20..500);
        self.schedule(after, Event::Client);
        let index = self.chance.gen_range(0..self.regions.len());
        let region = &self.regions[index];
        if !region.core.as_ref().is_some_and(Core::is_open) {
            return Ok(());
        }
        let (term, epoch, at) = (region.term, region.state.path().epoch, region.now(self.now).wall);
        let batch = |chance: &mut StdRng| {
            let key = Bytes::from(vec![b'k', chance.gen_range(0..KEYS)]);
            let value = Bytes::from(chance.r#gen::<u32>().to_string());
            let (class, op) = match chance.gen_bool(0.75) {
                true => (Class::KvWrite, Op::Put { key, value }),
                false => (Class::KvDelete, Op::Delete { key }),
            };
            Batch { class, at, ops: vec![op] }
        };
        let batches = (0..self.chance.gen_range(1..4)).map(|_| batch(&mut self.chance)).collect();
        self.propose(index, Proposer::Client, Command::Write { term, epoch, batches });
        Ok(())
    }

    /// An operator is sure that no other region was promoted, or thinks so.
    pub(super) fn override_closed(&mut self, index: usize) -> Result<(), String> {
        let region = &self.regions[index];
        let path = region.state.path();
        let closed = path.role == Role::Primary && region.core.as_ref().is_some_and(|core| !core.is_open());
        if !closed {
            return Ok(());
        }
        self.coverage.overrides += 1;
        self.see(index, &Seen::Overridden)?;
        let by = OpenedBy::Override { reason: "the operator knows".into() };
        self.step(index, Input::Open { dataset: path.dataset, epoch: path.epoch, by })
    }

    /// No disk of a world is ever damaged.
    pub(super) fn verified(&mut self, verified: &Verified) -> Result<(), String> {
        for (peer, standby) in &verified.standbys {
            match &standby.outcome {
                VerifyOutcome::Equal => self.coverage.verified += 1,
                VerifyOutcome::Unchecked(_) => self.coverage.unchecked += 1,
                other => return Err(format!("the verification of {peer} came out as {other:?}")),
            }
        }
        match verified.own {
            OwnDisk::NotRead | OwnDisk::Sound | OwnDisk::Unreadable(_) => Ok(()),
            OwnDisk::Differs(_) => Err(format!("the own disk came out as {:?}", verified.own)),
        }
    }

    /// The driver's housekeeping: trims the log, computes roots, verifies now and then.
    pub(super) fn keep(&mut self, index: usize) -> Result<(), String> {
        let after = self.chance.gen_range(200..3_000);
        self.schedule(after, Event::Keep { region: index });
        if self.chance.gen_bool(0.1) {
            let id = self.chance.r#gen();
            self.step(index, Input::Verify { id })?;
        }
        let region = &self.regions[index];
        let Some(core) = &region.core else { return Ok(()) };
        let path = region.state.path();
        let all_but_few = path.applied.index.saturating_sub(2);
        let floor = core.wal_floor().unwrap_or(all_but_few);
        let below = if self.stingy && !self.is_calm() { floor.max(all_but_few) } else { floor };
        let root = region.root();
        if below > path.wal_first {
            self.propose(index, Proposer::Keeper, Command::TrimWal { below });
        }
        if path.is_whole() {
            self.step(index, Input::Root(root))?;
        }
        Ok(())
    }

    pub(super) fn promote(&mut self, index: usize, id: PromotionId, attempts: u32) -> Result<(), String> {
        let again = Event::Promote { region: index, id, attempts: attempts - 1 };
        let after = self.chance.gen_range(10..2_000);
        if attempts > 1 {
            self.schedule(after, again);
        }
        if self.is_calm() {
            return Ok(());
        }
        let now = self.regions[index].now(self.now);
        let path = self.regions[index].state.path();
        let opens = (path.dataset, path.next_epoch());
        let earlier = self.regions[index].promotion(id);
        let Some(core) = self.regions[index].core.as_mut() else { return Ok(()) };
        let outside = sound();
        let plan = core.plan(now, &outside, PromoteMode::Forced).hash;
        if *self.claimed.entry(opens).or_insert(index) != index && !self.rash {
            return Ok(());
        }
        let accept_loss = self.chance.gen_bool(0.8);
        self.step(index, Input::Promote(PromoteOrder { id, plan, accept_loss, outside, earlier }))
    }
}
