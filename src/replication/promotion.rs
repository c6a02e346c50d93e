//! Asking the core for a plan and for a promotion, and saying what became of it. Safe to ask twice.

use super::context::{Context, FenceHeard};
use super::driver::Ask;
use super::link_record;
use super::protocol::{Outside, PromoteOrder, PromotionProgress, PromotionRecord};
use crate::api::replication::{
    FenceProof, LossEstimate, Plan, PromoteMode, PromoteRequest, Promotion, PromotionOutcome,
};
use crate::clock::{self, UnixMs};
use crate::error::{Error, Result};
use crate::ids::{Position, PromotionId};
use crate::state::Totals;
use crate::storage::keys::Key;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer to a promotion waits for its outcome. After it the promotion goes on, and is to be asked for.
const PROMOTE_WAIT: Duration = Duration::from_secs(5);

/// What a promotion now would find, and lose.
pub(super) async fn plan(context: &Arc<Context>, mode: PromoteMode) -> Result<Plan> {
    let PromoteMode::Forced = mode;
    context.lead().await?;
    let outside = outside(context).await?;
    context.ask(|reply| Ask::Plan { outside, reply }).await
}

pub(super) async fn promote(context: &Arc<Context>, request: PromoteRequest) -> Result<Promotion> {
    let PromoteMode::Forced = request.mode;
    context.lead().await?;
    if let Some(record) = record(context, request.id).await? {
        return Ok(done(context, record));
    }
    let began_at = clock::now();
    let outside = outside(context).await?;
    let order =
        PromoteOrder { id: request.id, plan: request.plan, accept_loss: request.accept_loss, outside, earlier: None };
    // A loop that does not lead yet refuses here, where nothing was begun; after this a lost answer says nothing.
    context.ask(|reply| Ask::Reports { reply }).await?;
    let asked = context.ask(|reply| Ask::Promote { order: Box::new(order), reply });
    let progress = match tokio::time::timeout(PROMOTE_WAIT, asked).await {
        Ok(Ok(progress)) => progress,
        Ok(Err(_)) => PromotionProgress::Unknown("this node lost its leadership meanwhile: ask the new leader".into()),
        Err(_) => return promotion(context, request.id).await,
    };
    Ok(describe(context, request.id, began_at, progress))
}

/// The progress or the outcome of a promotion.
pub(super) async fn promotion(context: &Arc<Context>, id: PromotionId) -> Result<Promotion> {
    context.lead().await?;
    if let Some(record) = record(context, id).await? {
        return Ok(done(context, record));
    }
    match context.ask(|reply| Ask::Promotion { id, reply }).await? {
        Some((since, progress)) => Ok(describe(context, id, since, progress)),
        None => Err(Error::NotFound(format!("no promotion {id} was agreed on or is under way in this region"))),
    }
}

async fn record(context: &Arc<Context>, id: PromotionId) -> Result<Option<PromotionRecord>> {
    let bytes = context.blocking(move |context| context.state().region(&Key::Promotion(id.0))).await?;
    let decode = |bytes: bytes::Bytes| {
        postcard::from_bytes(&bytes).map_err(|_| Error::corrupt("a promotion's record does not decode"))
    };
    bytes.map(decode).transpose()
}

/// What only this side of the core sees. Called after a read barrier, which proves a majority of the voters.
async fn outside(context: &Arc<Context>) -> Result<Outside> {
    let voters = context.standing().members.values().filter(|member| member.voter).count() as u32;
    let old_primary = context.state().path().primary.map(|primary| primary.region);
    let credential = match old_primary {
        Some(region) => {
            let link = context.blocking(move |context| link_record::get(context.state(), region)).await?;
            Some(link.is_some_and(|link| link.credential.is_some()))
        }
        None => None,
    };
    Ok(Outside { sealed: Some(context.keyring.is_sealed()), voters: Some((voters, voters / 2 + 1)), credential })
}

fn describe(context: &Context, id: PromotionId, began_at: UnixMs, progress: PromotionProgress) -> Promotion {
    let pending = Promotion {
        id,
        outcome: PromotionOutcome::Running,
        epoch: context.state().path().epoch,
        began_at,
        ended_at: None,
        loss: None,
        error: None,
        plan: None,
        fence: FenceProof::Unproven,
    };
    match progress {
        PromotionProgress::Running => pending,
        PromotionProgress::Done(record) => done(context, *record),
        PromotionProgress::Refused { reason, plan } => Promotion {
            outcome: PromotionOutcome::Failed,
            ended_at: Some(clock::now()),
            loss: Some(plan.loss.clone()),
            error: Some(reason),
            plan: Some(plan),
            ..pending
        },
        PromotionProgress::Unknown(reason) => {
            Promotion { outcome: PromotionOutcome::Unknown, error: Some(reason), ..pending }
        }
    }
}

fn done(context: &Context, record: PromotionRecord) -> Promotion {
    let fence = record.old_primary.and_then(|primary| context.fences.of(primary.region));
    let loss = match fence {
        Some(heard) => proven_loss(record.loss, record.fork, &record.totals, &heard),
        None => record.loss,
    };
    Promotion {
        id: record.id,
        outcome: PromotionOutcome::Done,
        epoch: record.epoch,
        began_at: record.at,
        ended_at: Some(record.at),
        loss: Some(loss),
        error: None,
        plan: None,
        fence: fence
            .map_or(FenceProof::Unproven, |heard| FenceProof::Acknowledged { at: heard.at, reached: heard.reached }),
    }
}

/// Once the old primary said where it stopped, the loss is no estimate any more: what it wrote behind the fork, whose
/// totals are `at_fork`.
fn proven_loss(estimate: LossEstimate, fork: Position, at_fork: &Totals, heard: &FenceHeard) -> LossEstimate {
    let reached = heard.reached;
    let entries = reached.index.saturating_sub(fork.index);
    let words = match entries {
        0 => format!("nothing: the old primary had reached {reached}, and all of it is here"),
        1 => format!("1 write, which only the old primary has: {reached}"),
        _ => format!("{entries} writes, which only the old primary has: those behind {fork}, up to {reached}"),
    };
    let behind = heard.totals.since(at_fork);
    LossEstimate {
        entries,
        bytes: behind.bytes,
        by_class: behind.by_class(),
        known: true,
        likely_entries: None,
        last_heard_at: Some(heard.at),
        words,
        ..estimate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMs;
    use crate::ids::Epoch;
    use crate::state::{Batch, Class};

    #[test]
    fn the_fence_turns_the_estimate_into_a_count() {
        let estimate = LossEstimate {
            entries: 0,
            bytes: 70,
            ms: 40,
            known: false,
            last_heard_at: None,
            likely_entries: Some(12),
            by_class: vec![(Class::KvWrite, 1)],
            words: "unknown".into(),
        };
        let mut totals = Totals::default();
        let at_fork = totals;
        let heard = |index, totals| {
            let reached = Position::new(Epoch(1), index);
            (Position::new(Epoch(1), 9), FenceHeard { at: UnixMs(5), reached, totals })
        };
        let (fork, stopped) = heard(9, totals);
        let none = proven_loss(estimate.clone(), fork, &at_fork, &stopped);
        assert_eq!((none.entries, none.bytes, none.known, none.likely_entries), (0, 0, true, None));
        assert!(none.words.starts_with("nothing: "), "{}", none.words);

        for class in [Class::KvWrite, Class::TokenRevoke, Class::KvWrite] {
            totals.add(&Batch { class, at: UnixMs(1), ops: Vec::new() });
        }
        let (fork, went_on) = heard(12, totals);
        let some = proven_loss(estimate, fork, &at_fork, &went_on);
        assert_eq!((some.entries, some.known), (3, true));
        assert_eq!(some.by_class, [(Class::KvWrite, 2), (Class::TokenRevoke, 1)]);
        assert!(some.words.contains("behind 1:9, up to 1:12"), "{}", some.words);
    }
}
