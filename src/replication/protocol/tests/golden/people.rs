//! What operators do in a story, and what they are shown.

use super::super::super::*;
use super::super::simulator::region::sound;
use super::Stage;
use super::words::{key, standing};
use crate::api::replication::PromoteMode;
use crate::clock::UnixMs;
use crate::ids::PromotionId;
use crate::state::{Command, HandoverChange, Op, Outcome, PathChange, RegionChange, Review};
use crate::storage::{KeyRange, ScanLimit};
use std::error::Error;

impl Stage {
    pub(super) fn promote(&mut self, name: &str, id: u64, accept_loss: bool, plan: Option<String>) {
        let index = self.index(name);
        let id = PromotionId(u128::from(id).to_be_bytes());
        let region = &mut self.regions[index];
        let now = region.now(self.now);
        let earlier = region.promotion(id);
        let core = region.core.as_mut().expect("each region of a story has a leader");
        let plan = plan.unwrap_or_else(|| core.plan(now, &sound(), PromoteMode::Forced).hash);
        self.step(index, Input::Promote(PromoteOrder { id, plan, accept_loss, outside: sound(), earlier }));
    }

    pub(super) fn switchover(&mut self, name: &str, id: u64, deadline_ms: u64) {
        let index = self.index(name);
        let id = PromotionId(u128::from(id).to_be_bytes());
        let region = &mut self.regions[index];
        let (now, earlier) = (region.now(self.now), region.promotion(id));
        let core = region.core.as_mut().expect("each region of a story has a leader");
        let plan = core.plan(now, &sound(), PromoteMode::Planned).hash;
        let order = SwitchoverOrder { id, plan, deadline_ms, outside: sound(), earlier };
        self.step(index, Input::Switchover(order));
    }

    pub(super) fn cancel(&mut self, name: &str, id: u64) {
        let index = self.index(name);
        let id = PromotionId(u128::from(id).to_be_bytes());
        if self.regions[index].state.path().role == Role::Standby {
            return self.step(index, Input::CancelSwitchover { id, reason: "its operator cancelled it".into() });
        }
        let refuse = PathChange::Handover(HandoverChange::Refuse { id });
        let change = RegionChange { path: Some(refuse), ..RegionChange::default() };
        if let Outcome::Refused(refusal) = self.agree(index, &Command::Region(change)) {
            self.tell(format!("{name} refuses: {refusal}"));
        }
        self.step(index, Input::Applied);
    }

    pub(super) fn plan(&mut self, name: &str, mode: PromoteMode) {
        let index = self.index(name);
        let now = self.regions[index].now(self.now);
        let core = self.regions[index].core.as_mut().expect("each region of a story has a leader");
        let plan = core.plan(now, &sound(), mode);
        for check in &plan.checks {
            self.tell(format!("{:?} {}: {}", check.verdict, check.name, check.fact));
        }
        let classes: Vec<_> =
            plan.loss.by_class.iter().map(|(class, count)| format!("{count} {}", class.name())).collect();
        self.tell(format!("loss: {} [{}]", plan.loss.words, classes.join(", ")));
    }

    /// What an operator has the region agree on.
    pub(super) fn operate(&mut self, name: &str, step: PathChange) {
        let index = self.index(name);
        let change = RegionChange { path: Some(step), ..RegionChange::default() };
        match self.agree(index, &Command::Region(change)) {
            Outcome::Refused(refusal) => self.tell(format!("{name} refuses: {refusal}")),
            _ => self.step(index, Input::Applied),
        }
    }

    pub(super) fn ledger(&mut self, name: &str) {
        let index = self.index(name);
        let entries = self.regions[index].state.ledger_entries(None, ScanLimit::NONE).expect("memory does not fail");
        for (id, entry) in entries {
            let ops = entry.batch.ops.iter().map(|op| match op {
                Op::Put { key: at, value } => format!("{} = {}", key(at), key(value)),
                Op::Delete { key: at } => format!("{} deleted", key(at)),
            });
            let ops = ops.collect::<Vec<_>>().join(", ");
            self.tell(format!("{id} {}: {ops}, {:?}", entry.batch.class.name(), entry.review));
        }
    }

    pub(super) fn discard(&mut self, name: &str, ids: &[String]) -> Result<(), Box<dyn Error>> {
        let index = self.index(name);
        let discarded = Review::Discarded { at: UnixMs(self.now), reason: "of no use".into() };
        let review = |id: &String| Ok::<_, String>((id.parse()?, discarded.clone()));
        let reviews = ids.iter().map(review).collect::<Result<_, _>>()?;
        self.agree(index, &Command::Review { reviews });
        self.step(index, Input::Applied);
        Ok(())
    }

    pub(super) fn data(&mut self, name: &str) {
        let index = self.index(name);
        let all = self.regions[index].state.scan_data(&KeyRange::all(), ScanLimit::NONE).expect("memory does not fail");
        for (at, stored) in all {
            self.tell(format!("{} = {} ({})", key(&at), key(&stored.value), stored.position));
        }
    }

    pub(super) fn status(&mut self) {
        for index in 0..self.regions.len() {
            let region = &mut self.regions[index];
            let (name, now) = (region.name.clone(), region.now(self.now));
            let core = region.core.as_mut().expect("each region of a story has a leader");
            let (links, floor) = (core.links(now), core.wal_floor());
            self.tell(format!("{name}: {}", standing(&self.regions[index].state.path())));
            for link in links {
                let peer = self.by_id(link.peer);
                let way = if link.outgoing { "to" } else { "from" };
                let lag = link.lag.map_or("unknown".to_owned(), |lag| {
                    format!("{} entries, {} bytes, {} ms", lag.entries, lag.behind.bytes, lag.ms)
                });
                let floor = floor.map(|floor| format!(", needs the log from {floor}")).unwrap_or_default();
                let error = link.error.map(|error| format!(" ({error})")).unwrap_or_default();
                let peer = &self.regions[peer].name;
                self.tell(format!("  {way} {peer}: {:?}, lag {lag}{floor}{error}", link.state));
            }
        }
    }
}
