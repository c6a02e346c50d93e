//! A failover on the standby: freeze the incoming stream, fix what is lost, agree on the next epoch.
//!
//! Three outcomes: done, refused (nothing changed), unknown. The proposal is guarded by the path's record as it was when
//! the loss was fixed, so it applies once or never, and what its record says of the fork is so.

use super::context::Context;
use super::interface::*;
use super::plan;
use super::standby::Standby;
use crate::ids::Epoch;
use crate::state::{Command, Outcome, PathChange, PathState, RegionChange, Role};
use crate::storage::keys::Key;
use bytes::Bytes;

#[derive(Default)]
pub(super) struct Failover {
    running: Option<Running>,
}

struct Running {
    order: PromoteOrder,
    /// The highest epoch when it began: with a higher one, another region was promoted.
    epoch: Epoch,
    /// What was proposed last, and whether its outcome is still to come.
    proposed: Option<PromotionRecord>,
    proposal: Option<ProposalId>,
    again_at: u64,
}

impl Running {
    /// Why the promotion can't happen any more, in words. What was on its way to agreement when the stream was frozen
    /// may still have changed what this region is.
    fn is_overtaken(&self, path: &PathState) -> Option<String> {
        if path.epoch != self.epoch || path.role != Role::Standby {
            return Some(format!("another region was promoted meanwhile: epoch {} has begun", path.epoch));
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

    pub fn order(&mut self, ctx: &mut Context, standby: &mut Standby, order: PromoteOrder) {
        let id = order.id;
        if let Some(record) = order.earlier {
            return ctx.report(Fact::Promotion { id, progress: PromotionProgress::Done(Box::new(record)) });
        }
        if let Some(running) = &self.running {
            let progress = match running.order.id == id {
                true => PromotionProgress::Running,
                false => refuse(ctx, standby, &order, format!("promotion {} is under way", running.order.id)),
            };
            return ctx.report(Fact::Promotion { id, progress });
        }
        let plan = plan::plan(ctx, standby, &order.outside);
        let reason = plan::blocked(&plan).or_else(|| {
            if plan.hash != order.plan {
                return Some("the facts changed since that plan was made: look at the plan again".to_owned());
            }
            let unaccepted = plan::needs_consent(&plan) && !order.accept_loss;
            unaccepted.then(|| format!("writes may be lost ({}): consent to it with -accept-loss", plan.loss.words))
        });
        if let Some(reason) = reason {
            let progress = PromotionProgress::Refused { reason, plan: Box::new(plan) };
            return ctx.report(Fact::Promotion { id, progress });
        }
        standby.freeze(ctx);
        let (epoch, again_at) = (ctx.path.epoch, ctx.now.steady_ms);
        self.running = Some(Running { order, epoch, proposed: None, proposal: None, again_at });
        ctx.report(Fact::Promotion { id, progress: PromotionProgress::Running });
    }

    /// Looks at new facts: they alone say whether the promotion happened.
    pub fn settle(&mut self, ctx: &mut Context, standby: &Standby) {
        let Some(running) = &self.running else { return };
        let id = running.order.id;
        let done = |record: &&PromotionRecord| ctx.path.role == Role::Primary && ctx.path.epoch == record.epoch;
        if let Some(record) = running.proposed.as_ref().filter(done) {
            let progress = PromotionProgress::Done(Box::new(record.clone()));
            ctx.report(Fact::Promotion { id, progress });
            self.running = None;
        } else if let Some(reason) = running.is_overtaken(&ctx.path) {
            let progress = refuse(ctx, standby, &running.order, reason);
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

    pub fn drive(&mut self, ctx: &mut Context, standby: &Standby) {
        let Some(running) = &mut self.running else { return };
        if running.proposal.is_some() || !standby.is_settled() || !ctx.is_due(running.again_at) {
            return;
        }
        let epoch = ctx.path.epoch.next();
        let record = PromotionRecord {
            id: running.order.id,
            epoch,
            at: ctx.now.wall,
            fork: ctx.path.applied,
            totals: ctx.path.totals,
            loss: plan::plan(ctx, standby, &running.order.outside).loss,
            old_primary: ctx.path.primary.clone(),
        };
        let key = Key::Promotion(record.id.0).to_bytes();
        let bytes = |encoded: postcard::Result<Vec<u8>>| Bytes::from(encoded.expect("plain values always encode"));
        let change = RegionChange {
            expect: vec![(Key::Path.to_bytes(), Some(bytes(postcard::to_stdvec(&ctx.path)))), (key.clone(), None)],
            puts: vec![(key, Some(bytes(postcard::to_stdvec(&record))))],
            path: Some(PathChange::Promote { epoch, at: ctx.now.wall, by: ctx.options.identity.region }),
        };
        running.proposed = Some(record);
        running.proposal = Some(ctx.propose(Command::Region(change)));
    }

    pub fn wakes_at(&self) -> Option<u64> {
        self.running.as_ref().filter(|running| running.proposal.is_none()).map(|running| running.again_at)
    }
}

fn refuse(ctx: &Context, standby: &Standby, order: &PromoteOrder, reason: String) -> PromotionProgress {
    PromotionProgress::Refused { reason, plan: Box::new(plan::plan(ctx, standby, &order.outside)) }
}
