//! The core's effects: jobs that are begun, answers that are sent, facts that are told.

use super::{Driver, Leading, Promoted};
use crate::api::replication::{PromoteMode, Step};
use crate::clock::{self, UnixMs};
use crate::ids::{PromotionId, RegionId};
use crate::replication::activation::activate;
use crate::replication::context::FenceHeard;
use crate::replication::facts;
use crate::replication::jobs::{Activated, Job, load_links, propose, retry, send};
use crate::replication::protocol::{Effect, Fact, Failure, Input, PromotionProgress};
use crate::replication::reads;
use std::time::Duration;
use tokio::sync::oneshot;

impl Driver {
    /// Starts what the effect asks for. Returns an input where it came to its end at once.
    pub(super) fn run_effect(&mut self, effect: Effect) -> Option<Input> {
        let context = self.context.clone();
        let leading = self.leading.as_mut()?;
        match effect {
            Effect::Activate { peer } => {
                let asked = leading.activations.entry(peer).or_default();
                *asked += 1;
                let asked = *asked;
                self.jobs.spawn(async move {
                    let (attempt, result) = activate(&context, peer).await;
                    Job::Activated(Activated { peer, asked, attempt, result, links: load_links(&context).await })
                });
            }
            Effect::Send { call, to, request, deadline_ms } => {
                let Some(client) = leading.clients.get(&to).cloned() else {
                    let failure = Failure::Retry("the link has no credential yet".into());
                    return Some(Input::Failed { call, from: to, failure });
                };
                let deadline = clock::steady() + Duration::from_millis(deadline_ms);
                self.jobs.spawn(async move {
                    Job::input(match send(&client, &request, deadline).await {
                        Ok(answer) => Input::Answer { call, from: to, answer },
                        Err(failure) => Input::Failed { call, from: to, failure },
                    })
                });
            }
            Effect::Reply { id, answer } => {
                if let Some(reply) = leading.replies.remove(&id) {
                    // Who asked may have given up meanwhile; it will ask again.
                    let _ = reply.send(answer);
                }
            }
            Effect::Propose { id, command } => {
                self.jobs.spawn(async move {
                    let result = propose(&context, command).await;
                    Job::input(Input::Proposed { id, result })
                });
            }
            Effect::ReadWal { read, from, limit } => {
                self.jobs.spawn(async move {
                    let result = context.blocking(move |context| context.state().wal(from, limit)).await;
                    Job::input(Input::WalRead { read, result: result.map_err(retry) })
                });
            }
            Effect::ReadRange { read, after, limit } => {
                self.jobs.spawn(async move {
                    let result = context.blocking(move |context| reads::range(context.state(), &after, limit)).await;
                    Job::input(Input::RangeRead { read, result: result.map_err(retry) })
                });
            }
            Effect::ReadNodes { read, parents } => {
                self.jobs.spawn(async move {
                    let result = context.blocking(move |context| Ok(context.state().nodes(&parents))).await;
                    Job::input(Input::NodesRead { read, result: result.map_err(retry) })
                });
            }
            Effect::ReadHeld { read, buckets, bytes_max } => {
                self.jobs.spawn(async move {
                    let result = context.blocking(move |context| context.state().held(&buckets, bytes_max)).await;
                    Job::input(Input::HeldRead { read, result: result.map_err(retry) })
                });
            }
            Effect::ReadUnnamed { read, named, after, limit } => {
                self.jobs.spawn(async move {
                    let result = context.blocking(move |context| context.state().unnamed(&named, &after, limit)).await;
                    Job::input(Input::UnnamedRead { read, result: result.map_err(retry) })
                });
            }
            Effect::ReadRoot => self.compute_root(),
            Effect::Freeze { .. }
            | Effect::Scrub { .. }
            | Effect::ReadFrozenNodes { .. }
            | Effect::ReadFrozenHeld { .. } => {
                if let Some(job) = leading.kept.job(context, effect) {
                    self.jobs.spawn(job);
                }
            }
            Effect::Thaw => leading.kept.forget(),
            Effect::Report(fact) => self.report(fact),
        }
        None
    }

    fn report(&mut self, fact: Fact) {
        let Some(leading) = &mut self.leading else { return };
        if let Fact::Promotion { id, progress } = &fact {
            leading.promotion_went_on(*id, progress, clock::now());
        }
        if let Fact::PeerFenced { peer, reached, totals, .. } = &fact {
            let epoch = self.context.state().path().epoch;
            self.context
                .fences
                .heard(*peer, FenceHeard { epoch, at: clock::now(), reached: *reached, totals: *totals });
        }
        let name = |region: RegionId| leading.names.get(&region).cloned().unwrap_or_else(|| format!("region {region}"));
        if let Some((level, subject, text)) = facts::words(&fact, name) {
            self.context.events.record(level, subject, text);
        }
    }
}

pub(super) struct Promoting {
    pub since: UnixMs,
    pub mode: PromoteMode,
    pub last: PromotionProgress,
    pub waiting: Vec<oneshot::Sender<PromotionProgress>>,
}

impl Promoting {
    pub(super) fn told(&self, steps: Vec<Step>) -> Promoted {
        Promoted { since: self.since, mode: self.mode, progress: self.last.clone(), steps }
    }
}

impl Leading {
    /// What is known of a promotion, from now on if it was not known before.
    pub(super) fn promoting(&mut self, id: PromotionId, mode: PromoteMode, now: UnixMs) -> &mut Promoting {
        let last = PromotionProgress::Running(mode);
        self.promotions.entry(id).or_insert_with(|| Promoting { since: now, mode, last, waiting: Vec::new() })
    }

    fn promotion_went_on(&mut self, id: PromotionId, progress: &PromotionProgress, now: UnixMs) {
        let mode = if let PromotionProgress::Running(mode) = progress { *mode } else { PromoteMode::Forced };
        let promoting = self.promoting(id, mode, now);
        promoting.last = progress.clone();
        // An outcome that is not known yet may still become known: who waits goes on waiting.
        if !matches!(progress, PromotionProgress::Done(_) | PromotionProgress::Refused { .. }) {
            return;
        }
        for waiting in promoting.waiting.drain(..) {
            // Who waited may have given up; it will ask again.
            let _ = waiting.send(progress.clone());
        }
        self.promotions.remove(&id);
    }
}
