//! A failover on the standby: freeze the incoming stream, fix what is lost, agree on the next epoch.
//!
//! Three outcomes: done, refused (nothing changed), unknown. The proposal is guarded by the path's record as it was when
//! the loss was fixed, so it applies once or never, and what its record says of the fork is so.
//!
//! A switchover that is under way is replaced: it comes to nothing in the same commit. And a region that gave up to
//! another may be promoted over it, should that one be gone: into the epoch after the one which that may have opened.

use super::context::Context;
use super::handover::{Asking, declined, put};
use super::interface::*;
use super::plan;
use super::standby::Standby;
use crate::api::replication::{PromoteMode, Step, StepName};
use crate::clock::UnixMs;
use crate::ids::{Epoch, PromotionId};
use crate::state::{Command, Outcome, PathChange, PathState, RegionChange, Role};
use crate::storage::keys::Key;

#[derive(Default)]
pub(super) struct Failover {
    running: Option<Running>,
}

struct Running {
    order: PromoteOrder,
    /// The highest epoch when it began: with a higher one, another region was promoted.
    epoch: Epoch,
    role: Role,
    began_at: UnixMs,
    /// What was proposed last, and whether its outcome is still to come.
    proposed: Option<PromotionRecord>,
    proposal: Option<ProposalId>,
    again_at: u64,
}

impl Running {
    /// Why the promotion can't happen any more, in words. What was on its way to agreement when the stream was frozen
    /// may still have changed what this region is.
    fn is_overtaken(&self, path: &PathState) -> Option<String> {
        if path.epoch != self.epoch {
            return Some(format!("another region was promoted meanwhile: epoch {} has begun", path.epoch));
        }
        if path.role != self.role {
            return Some(format!("this region is {} meanwhile", path.role));
        }
        let syncs = "a sync began meanwhile: half a copy is no state to serve".to_owned();
        (!path.is_whole()).then_some(syncs)
    }
}

impl Failover {
    /// Whether the incoming stream is frozen.
    pub fn is_frozen(&self) -> bool {
        self.running.is_some()
    }

    pub fn order(&mut self, ctx: &mut Context, standby: &mut Standby, asking: &Asking, order: PromoteOrder) {
        let id = order.id;
        if let Some(end) = order.earlier {
            return ctx.report(Fact::Promotion { id, progress: end.into() });
        }
        let plan = plan::plan(ctx, standby, asking, &order.outside, PromoteMode::Forced);
        if let Some(running) = &self.running {
            let reason = format!("promotion {} is under way", running.order.id);
            let progress = match running.order.id == id {
                true => PromotionProgress::Running(PromoteMode::Forced),
                false => PromotionProgress::Refused { reason, plan: Some(Box::new(plan)) },
            };
            return ctx.report(Fact::Promotion { id, progress });
        }
        let reason = plan::blocked(&plan).or_else(|| {
            if plan.hash != order.plan {
                return Some("the facts changed since that plan was made: look at the plan again".to_owned());
            }
            let unaccepted = plan::needs_consent(&plan) && !order.accept_loss;
            unaccepted.then(|| format!("writes may be lost ({}): consent to it with -accept-loss", plan.loss.words))
        });
        if let Some(reason) = reason {
            let progress = PromotionProgress::Refused { reason, plan: Some(Box::new(plan)) };
            return ctx.report(Fact::Promotion { id, progress });
        }
        standby.freeze(ctx);
        let (epoch, role, again_at, began_at) = (ctx.path.epoch, ctx.path.role, ctx.now.steady_ms, ctx.now.wall);
        self.running = Some(Running { order, epoch, role, began_at, proposed: None, proposal: None, again_at });
        ctx.report(Fact::Promotion { id, progress: PromotionProgress::Running(PromoteMode::Forced) });
    }

    /// Looks at new facts: they alone say whether the promotion happened.
    pub fn settle(&mut self, ctx: &mut Context, standby: &Standby, asking: &Asking) {
        let Some(running) = &self.running else { return };
        let id = running.order.id;
        let done = |record: &&PromotionRecord| ctx.path.role == Role::Primary && ctx.path.epoch == record.epoch;
        if let Some(record) = running.proposed.as_ref().filter(done) {
            let progress = PromotionProgress::Done(Box::new(record.clone()));
            ctx.report(Fact::Promotion { id, progress });
            self.running = None;
        } else if let Some(reason) = running.is_overtaken(&ctx.path) {
            let plan = plan::plan(ctx, standby, asking, &running.order.outside, PromoteMode::Forced);
            let progress = PromotionProgress::Refused { reason, plan: Some(Box::new(plan)) };
            ctx.report(Fact::Promotion { id, progress });
            self.running = None;
        }
    }

    pub fn proposed(&mut self, ctx: &mut Context, id: ProposalId, result: &Result<Outcome, Failure>) {
        let Some(running) = self.running.as_mut().filter(|running| running.proposal == Some(id)) else { return };
        running.proposal = None;
        running.again_at = ctx.after(ctx.options.timing.propose_again_ms);
        if let Err(Failure::Retry(error) | Failure::Final(error)) = result {
            let progress = PromotionProgress::Unknown(error.clone());
            ctx.report(Fact::Promotion { id: running.order.id, progress });
        }
        // A refusal means that the record moved under it: it is proposed again from the new facts.
    }

    pub fn drive(&mut self, ctx: &mut Context, standby: &Standby, asking: &Asking) {
        let Some(running) = &mut self.running else { return };
        if running.proposal.is_some() || !standby.is_settled() || !ctx.is_due(running.again_at) {
            return;
        }
        let (id, epoch) = (running.order.id, ctx.path.next_epoch());
        let gave_up_to = ctx.path.handover.gave_up.as_ref().map(|gave_up| gave_up.to.clone());
        let record = PromotionRecord {
            id,
            mode: PromoteMode::Forced,
            epoch,
            began_at: running.began_at,
            at: ctx.now.wall,
            fork: ctx.path.applied,
            totals: ctx.path.totals,
            loss: plan::plan(ctx, standby, asking, &running.order.outside, PromoteMode::Forced).loss,
            old_primary: ctx.path.primary.clone().or(gave_up_to),
            pause_ms: None,
            steps: vec![
                Step::done(StepName::StreamFrozen, running.began_at, format!("at {}", ctx.path.applied)),
                Step::done(StepName::Opened, ctx.now.wall, format!("epoch {epoch}")),
            ],
        };
        let mut puts = vec![put(id, &PromotionEnd::Done(record.clone()))];
        if let Some(ask) = &ctx.path.handover.asks {
            let reason = format!("replaced by failover {id}");
            puts.push(put(ask.id, &declined(ask, ctx.now.wall, reason, asking.steps_so_far(ctx))));
        }
        let from = Some(ctx.path.without_counts());
        let change = RegionChange {
            expect: vec![(Key::Promotion(id.0).to_bytes(), None)],
            puts,
            path: Some(PathChange::Promote { epoch, at: ctx.now.wall, by: ctx.options.identity.region, from }),
        };
        running.proposed = Some(record);
        running.proposal = Some(ctx.propose(Command::Region(change)));
    }

    /// When the promotion of this id began, if it is under way.
    pub fn began_at(&self, id: PromotionId) -> Option<UnixMs> {
        self.running.as_ref().filter(|running| running.order.id == id).map(|running| running.began_at)
    }

    pub fn wakes_at(&self) -> Option<u64> {
        self.running.as_ref().filter(|running| running.proposal.is_none()).map(|running| running.again_at)
    }
}
