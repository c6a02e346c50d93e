//! Operators who switch over, change their minds, ask again, and lose patience in the middle.

use super::schedule::Event;
use super::{FAULTS_MS, World};
use crate::api::replication::PromoteMode;
use crate::ids::PromotionId;
use crate::replication::protocol::tests::simulator::region::{Proposer, sound};
use crate::replication::protocol::*;
use crate::state::{Command, HandoverChange, PathChange, RegionChange, Role};
use rand::Rng;

impl World {
    pub(super) fn set_up_switchovers(&mut self, count: usize) {
        for _ in 0..self.chance.gen_range(0..=3) {
            let at = self.chance.gen_range(500..FAULTS_MS);
            let region = self.chance.gen_range(0..count);
            let id = PromotionId(self.chance.r#gen());
            let deadline_ms = self.chance.gen_range(500..8_000);
            self.schedule(at, Event::Switchover { region, id, deadline_ms, attempts: 4 });
            if self.chance.gen_bool(0.4) {
                let at = at + self.chance.gen_range(0..2_500);
                let region = self.chance.gen_range(0..count);
                self.schedule(at, Event::Cancel { region, id });
            }
            // Somebody loses patience, at either side.
            if self.chance.gen_bool(0.4) {
                let at = at + self.chance.gen_range(0..4_000);
                let region = self.chance.gen_range(0..count);
                let id = PromotionId(self.chance.r#gen());
                self.schedule(at, Event::Promote { region, id, attempts: 3 });
            }
        }
    }

    pub(super) fn switch_over(
        &mut self,
        index: usize,
        id: PromotionId,
        deadline_ms: u64,
        attempts: u32,
    ) -> Result<(), String> {
        let after = self.chance.gen_range(10..2_000);
        if attempts > 1 {
            self.schedule(after, Event::Switchover { region: index, id, deadline_ms, attempts: attempts - 1 });
        }
        if self.is_calm() {
            return Ok(());
        }
        let (now, path) = (self.regions[index].now(self.now), self.regions[index].state.path());
        let earlier = self.regions[index].promotion(id);
        let Some(core) = self.regions[index].core.as_mut() else { return Ok(()) };
        let outside = sound();
        let plan = core.plan(now, &outside, PromoteMode::Planned).hash;
        if *self.claimed.entry((path.dataset, path.next_epoch())).or_insert(index) != index {
            return Ok(());
        }
        self.step(index, Input::Switchover(SwitchoverOrder { id, plan, deadline_ms, outside, earlier }))
    }

    /// No moment is more delicate than the one after a give-up: much of what can go wrong goes wrong just then.
    pub(super) fn trouble(&mut self, primary: usize, standby: usize, id: PromotionId) {
        if self.severed {
            self.network.cut(standby, primary);
            self.schedule(6_000, Event::Mend { from: standby, to: primary });
            return;
        }
        if self.is_calm() || self.chance.gen_bool(0.3) {
            return;
        }
        let lasts = self.chance.gen_range(200..6_000);
        for (from, to) in [(primary, standby), (standby, primary)] {
            if self.chance.gen_bool(0.4) {
                self.network.cut(from, to);
                self.schedule(lasts, Event::Mend { from, to });
            }
        }
        for region in [primary, standby] {
            if self.chance.gen_bool(0.3) {
                let after = self.chance.gen_range(0..150);
                self.schedule(after, Event::LoseLeader { region });
                self.schedule(after + lasts / 4, Event::Lead { region });
            }
            if self.chance.gen_bool(0.15) {
                let after = self.chance.gen_range(0..3_000);
                let id = PromotionId(self.chance.r#gen());
                self.schedule(after, Event::Promote { region, id, attempts: 4 });
            }
        }
        if self.chance.gen_bool(0.3) {
            let after = self.chance.gen_range(0..300);
            self.schedule(after, Event::Cancel { region: standby, id });
        }
    }

    pub(super) fn cancel(&mut self, index: usize, id: PromotionId) -> Result<(), String> {
        if self.is_calm() || self.regions[index].core.is_none() {
            return Ok(());
        }
        if self.regions[index].state.path().role == Role::Standby {
            return self.step(index, Input::CancelSwitchover { id, reason: "its operator cancelled it".into() });
        }
        let refuse = PathChange::Handover(HandoverChange::Refuse { id });
        let change = RegionChange { path: Some(refuse), ..RegionChange::default() };
        self.propose(index, Proposer::Keeper, Command::Region(change));
        Ok(())
    }
}
