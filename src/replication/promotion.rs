//! Asking the core for a plan and for a promotion, and saying what became of it. Safe to ask twice.

use super::context::{Context, FenceHeard};
use super::driver::{Ask, Promoted};
use super::link_record;
use super::probe;
use super::protocol::{
    DeclinedRecord, LinkReport, Outside, PromoteOrder, PromotionEnd, PromotionProgress, PromotionRecord,
    SwitchoverOrder,
};
use super::token_records;
use crate::api::replication::{
    FenceProof, LossEstimate, Plan, PromoteMode, PromoteRequest, Promotion, PromotionOutcome, Step, StepName,
};
use crate::clock::{self, UnixMs};
use crate::duration;
use crate::error::{Error, Result};
use crate::ids::{Position, PromotionId};
use crate::state::{HandoverChange, PathChange, RegionChange, Role, State, Totals};
use crate::storage::keys::{self, Key};
use std::sync::Arc;
use std::time::Duration;

/// How long an answer to a promotion waits for its outcome. After it the promotion goes on, and is to be asked for.
const PROMOTE_WAIT: Duration = Duration::from_secs(5);
/// A promotion that ended longer ago is history, and no part of a region's status.
const TOLD_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long a switchover may take, unless it is said otherwise, and at most.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);
const DEADLINE_MAX: Duration = Duration::from_secs(3600);

/// What a promotion now would find, and lose.
pub(super) async fn plan(context: &Arc<Context>, mode: PromoteMode) -> Result<Plan> {
    context.lead().await?;
    let outside = outside(context).await?;
    context.ask(|reply| Ask::Plan { outside, mode, reply }).await
}

pub(super) async fn promote(context: &Arc<Context>, request: PromoteRequest) -> Result<Promotion> {
    let deadline = request.deadline.as_ref().map(duration::from_json).transpose()?.unwrap_or(DEADLINE_DEFAULT);
    if deadline.is_zero() || deadline > DEADLINE_MAX {
        return Err(Error::invalid("the deadline of a switchover is between a moment and an hour"));
    }
    context.lead().await?;
    let id = request.id;
    if let Some(end) = record(context, id).await? {
        return ended(context, end).await;
    }
    let outside = outside(context).await?;
    // A loop that does not lead yet refuses here, where nothing was begun; after this a lost answer says nothing.
    context.ask(|reply| Ask::Reports { reply }).await?;
    let asked = context.ask(|reply| match request.mode {
        PromoteMode::Forced => {
            let (plan, accept_loss) = (request.plan, request.accept_loss);
            let order = PromoteOrder { id, plan, accept_loss, outside, earlier: None };
            Ask::Promote { order: Box::new(order), reply }
        }
        PromoteMode::Planned => {
            let deadline_ms = deadline.as_millis() as u64;
            let order = SwitchoverOrder { id, plan: request.plan, deadline_ms, outside, earlier: None };
            Ask::Switchover { order: Box::new(order), reply }
        }
    });
    outcome(context, id, request.mode, asked).await
}

/// The progress or the outcome of a promotion.
pub(super) async fn promotion(context: &Arc<Context>, id: PromotionId) -> Result<Promotion> {
    context.lead().await?;
    if let Some(end) = record(context, id).await? {
        return ended(context, end).await;
    }
    match context.ask(|reply| Ask::Promotion { id, reply }).await? {
        Some(promoted) => Ok(describe(context, id, promoted)),
        None if context.state().path().handover.ended == Some(id) => {
            let reason = "the switchover came to nothing: another region became primary meanwhile".to_owned();
            let progress = PromotionProgress::Refused { reason, plan: None };
            let (since, mode) = (clock::now(), PromoteMode::Planned);
            Ok(describe(context, id, Promoted { since, mode, progress, steps: Vec::new() }))
        }
        None => Err(Error::NotFound(format!("no promotion {id} was agreed on or is under way in this region"))),
    }
}

/// The newest promotion that has an outcome, if that is not long ago. A region is promoted so seldom that all records of
/// its life are read in no time.
pub(super) fn newest_record(state: &State, now: UnixMs) -> Result<Option<PromotionEnd>> {
    let ended_at = |end: &PromotionEnd| match end {
        PromotionEnd::Done(record) => record.at,
        PromotionEnd::Declined(record) => record.at,
    };
    let records = state.scan_region(keys::PROMOTIONS)?;
    let ends: Vec<PromotionEnd> = records.iter().map(|(_, bytes)| decode(bytes)).collect::<Result<_>>()?;
    Ok(ends.into_iter().max_by_key(ended_at).filter(|end| now.since(ended_at(end)) < TOLD_FOR))
}

/// The region's newest promotion as its status tells it: one that is under way goes before one that is on record.
pub(super) async fn newest(
    context: &Context,
    record: Option<PromotionEnd>,
    reports: &[LinkReport],
) -> Option<Promotion> {
    let unsettled = context.ask(|reply| Ask::Unsettled { reply }).await.ok().flatten();
    match unsettled {
        Some((id, promoted)) => Some(describe(context, id, promoted)),
        None => record.map(|end| told(context, end, reports)),
    }
}

/// Ends a switchover that is not done: on the standby at any time before it opened, on the primary before it gave up.
pub(super) async fn cancel(context: &Arc<Context>, id: PromotionId) -> Result<Promotion> {
    context.lead().await?;
    if let Some(end) = record(context, id).await? {
        return ended(context, end).await;
    }
    let path = context.state().path();
    if let Some(gave_up) = path.handover.gave_up.as_ref().filter(|gave_up| gave_up.id == id) {
        let name = &gave_up.to.name;
        return Err(Error::Conflict(format!(
            "this region gave up to {name} already: only {name} can give the right back. Cancel it there"
        )));
    }
    if path.role == Role::Primary {
        let refuse = PathChange::Handover(HandoverChange::Refuse { id });
        context.agree(RegionChange { path: Some(refuse), ..RegionChange::default() }).await?;
        let reason = "cancelled here, at the primary: it goes on as primary".to_owned();
        let progress = PromotionProgress::Refused { reason, plan: None };
        let (since, mode) = (clock::now(), PromoteMode::Planned);
        return Ok(describe(context, id, Promoted { since, mode, progress, steps: Vec::new() }));
    }
    if path.handover.asks.as_ref().is_none_or(|ask| ask.id != id) {
        return promotion(context, id).await;
    }
    outcome(context, id, PromoteMode::Planned, context.ask(|reply| Ask::CancelSwitchover { id, reply })).await
}

/// Waits a while for what becomes of a promotion.
async fn outcome(
    context: &Arc<Context>,
    id: PromotionId,
    mode: PromoteMode,
    asked: impl Future<Output = Result<PromotionProgress>>,
) -> Result<Promotion> {
    let since = clock::now();
    let progress = match tokio::time::timeout(PROMOTE_WAIT, asked).await {
        Ok(Ok(PromotionProgress::Done(record))) => return ended(context, PromotionEnd::Done(*record)).await,
        Ok(Ok(progress)) => match record(context, id).await? {
            Some(end) => return ended(context, end).await,
            None => progress,
        },
        Err(_) => return promotion(context, id).await,
        Ok(Err(_)) => PromotionProgress::Unknown("this node lost its leadership meanwhile: ask the new leader".into()),
    };
    Ok(describe(context, id, Promoted { since, mode, progress, steps: Vec::new() }))
}

async fn record(context: &Arc<Context>, id: PromotionId) -> Result<Option<PromotionEnd>> {
    let bytes = context.blocking(move |context| context.state().region(&Key::Promotion(id.0))).await?;
    bytes.map(|bytes| decode(&bytes)).transpose()
}

fn decode(bytes: &[u8]) -> Result<PromotionEnd> {
    postcard::from_bytes(bytes).map_err(|_| Error::corrupt("a promotion's record does not decode"))
}

/// What only this side of the core sees. Called after a read barrier, which proves a majority of the voters.
async fn outside(context: &Arc<Context>) -> Result<Outside> {
    let voters = context.standing().members.values().filter(|member| member.voter).count() as u32;
    // The barrier proves a majority; the server may have heard more of them since.
    let reached = context.voters.answered().unwrap_or_default().clamp(voters / 2 + 1, voters.max(1));
    let old_primary = context.state().path().primary.map(|primary| primary.region);
    let probes = match old_primary {
        Some(region) => probe::probe(context, region).await?,
        None => Vec::new(),
    };
    let credential = match old_primary {
        Some(region) => {
            let link = link_record::get(context.state(), region)?;
            Some(link.is_some_and(|link| link.credential.is_some()))
        }
        None => None,
    };
    let records = context.blocking(|context| token_records::list(context.state())).await?;
    Ok(Outside {
        sealed: Some(context.keyring.is_sealed()),
        voters: Some((voters, reached)),
        credential,
        tokens: Some(token_records::summary(&records, clock::now()).issued),
        node: context.config.node.clone(),
        probes,
    })
}

/// A promotion that has no record.
fn describe(context: &Context, id: PromotionId, promoted: Promoted) -> Promotion {
    let Promoted { since, mode, progress, steps } = promoted;
    let pending = Promotion {
        id,
        mode,
        outcome: PromotionOutcome::Running,
        epoch: context.state().path().epoch,
        began_at: since,
        ended_at: None,
        loss: None,
        error: None,
        plan: None,
        fence: FenceProof::Unproven,
        steps,
        pause_ms: None,
    };
    match progress {
        PromotionProgress::Running(mode) => Promotion { mode, ..pending },
        PromotionProgress::Done(record) => done(context, *record, None),
        PromotionProgress::Refused { reason, plan } => Promotion {
            outcome: PromotionOutcome::Failed,
            ended_at: Some(clock::now()),
            loss: plan.as_ref().map(|plan| plan.loss.clone()),
            error: Some(reason),
            plan,
            ..pending
        },
        PromotionProgress::Unknown(reason) => {
            Promotion { outcome: PromotionOutcome::Unknown, error: Some(reason), ..pending }
        }
    }
}

/// A promotion that has a record.
async fn ended(context: &Arc<Context>, end: PromotionEnd) -> Result<Promotion> {
    let reports = context.ask(|reply| Ask::Reports { reply }).await.unwrap_or_default();
    Ok(told(context, end, &reports))
}

fn told(context: &Context, end: PromotionEnd, reports: &[LinkReport]) -> Promotion {
    match end {
        PromotionEnd::Done(record) => {
            let old_primary = record.old_primary.as_ref().map(|primary| primary.region);
            let link = reports.iter().find(|link| link.outgoing && Some(link.peer) == old_primary);
            done(context, record, link)
        }
        PromotionEnd::Declined(record) => declined(record),
    }
}

fn declined(record: DeclinedRecord) -> Promotion {
    Promotion {
        id: record.id,
        mode: PromoteMode::Planned,
        outcome: PromotionOutcome::Failed,
        epoch: record.epoch,
        began_at: record.began_at,
        ended_at: Some(record.at),
        loss: None,
        error: Some(record.reason),
        plan: None,
        fence: FenceProof::Unproven,
        steps: record.steps,
        pause_ms: None,
    }
}

fn done(context: &Context, record: PromotionRecord, link: Option<&LinkReport>) -> Promotion {
    let fence = record.old_primary.as_ref().and_then(|primary| context.fences.of(primary.region, record.epoch));
    let loss = match fence {
        Some(heard) => proven_loss(record.loss, record.fork, &record.totals, &heard),
        None => record.loss,
    };
    let mut steps = record.steps;
    if let Some(FenceHeard { at, reached, .. }) = fence {
        steps.push(Step::done(StepName::OldPrimaryFenced, at, format!("it had reached {reached}")));
    }
    // It may be a standby of somebody else.
    if let Some(link) = link.filter(|link| link.peer_role == Some(Role::Standby) && link.lag.is_some()) {
        let since = context.followers.since(link.peer, record.epoch, link.since);
        steps.push(Step::done(
            StepName::OldPrimaryFollows,
            since,
            format!("{} is a standby of this region", link.name),
        ));
    }
    Promotion {
        id: record.id,
        mode: record.mode,
        outcome: PromotionOutcome::Done,
        epoch: record.epoch,
        began_at: record.began_at,
        ended_at: Some(record.at),
        loss: Some(loss),
        error: None,
        plan: None,
        fence: fence
            .map_or(FenceProof::Unproven, |heard| FenceProof::Acknowledged { at: heard.at, reached: heard.reached }),
        steps,
        pause_ms: record.pause_ms,
    }
}

/// Once the old primary said where it stopped, the loss is no estimate any more: what it wrote behind the fork, whose
/// totals are `at_fork`.
fn proven_loss(estimate: LossEstimate, fork: Position, at_fork: &Totals, heard: &FenceHeard) -> LossEstimate {
    let reached = heard.reached;
    let entries = reached.index.saturating_sub(fork.index);
    let words = match entries {
        0 => format!("nothing: the old primary had reached {reached}, and all of it is here"),
        1 => format!("1 write, which only the old primary had: {reached}"),
        _ => format!("{entries} writes, which only the old primary had: those behind {fork}, up to {reached}"),
    };
    let (bytes, by_class) = match heard.totals {
        _ if entries == 0 => (0, Vec::new()),
        Some(totals) => (totals.since(at_fork).bytes, totals.since(at_fork).by_class()),
        None => (estimate.bytes, estimate.by_class.clone()),
    };
    LossEstimate {
        entries,
        head: Some(reached),
        // The newest that was known of need not be the newest that there was.
        newest_at: estimate.newest_at.filter(|_| entries > 0 && estimate.head == Some(reached)),
        bytes,
        by_class,
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
    use crate::ids::{Epoch, RegionId};
    use crate::replication::context::Fences;
    use crate::state::{Batch, Class};

    #[test]
    fn the_fence_turns_the_estimate_into_a_count() {
        let estimate = nothing_known();
        let mut totals = Totals::default();
        let at_fork = totals;
        let heard = |index, totals| {
            let reached = Position::new(Epoch(1), index);
            (Position::new(Epoch(1), 9), FenceHeard { epoch: Epoch(2), at: UnixMs(5), reached, totals })
        };
        let (fork, stopped) = heard(9, Some(totals));
        let none = proven_loss(estimate.clone(), fork, &at_fork, &stopped);
        assert_eq!((none.entries, none.bytes, none.known, none.likely_entries), (0, 0, true, None));
        assert!(none.words.starts_with("nothing: "), "{}", none.words);

        for class in [Class::KvWrite, Class::TokenRevoke, Class::KvWrite] {
            totals.add(&Batch { class, at: UnixMs(1), ops: Vec::new() });
        }
        let (fork, went_on) = heard(12, Some(totals));
        let some = proven_loss(estimate, fork, &at_fork, &went_on);
        assert_eq!((some.entries, some.known), (3, true));
        assert_eq!(some.by_class, [(Class::KvWrite, 2), (Class::TokenRevoke, 1)]);
        assert!(some.words.contains("behind 1:9, up to 1:12"), "{}", some.words);
    }

    /// Another promotion of the same old primary came before.
    #[test]
    fn a_fence_of_an_earlier_epoch_proves_nothing() {
        let (fences, old) = (Fences::default(), RegionId([1; 16]));
        let reached = Position::new(Epoch(1), 9);
        fences.heard(old, FenceHeard { epoch: Epoch(2), at: UnixMs(5), reached, totals: None });
        assert!(fences.of(old, Epoch(2)).is_some());
        assert!(fences.of(old, Epoch(4)).is_none());
    }

    /// It has gone on as a standby of ours since, and its totals count what we wrote.
    #[test]
    fn who_stopped_at_the_fork_lost_nothing_whatever_it_holds_now() {
        let mut later = Totals::default();
        later.add(&Batch { class: Class::KvWrite, at: UnixMs(1), ops: Vec::new() });
        let reached = Position::new(Epoch(1), 9);
        let estimate = nothing_known();
        for totals in [None, Some(later)] {
            let heard = FenceHeard { epoch: Epoch(2), at: UnixMs(5), reached, totals };
            let loss = proven_loss(estimate.clone(), reached, &Totals::default(), &heard);
            assert_eq!((loss.entries, loss.bytes, loss.by_class.len()), (0, 0, 0));
        }
    }

    fn nothing_known() -> LossEstimate {
        LossEstimate {
            entries: 0,
            bytes: 70,
            ms: 40,
            known: false,
            last_heard_at: None,
            likely_entries: Some(12),
            by_class: vec![(Class::KvWrite, 1)],
            applied: None,
            head: None,
            newest_at: None,
            words: "unknown".into(),
        }
    }
}
