//! Verification on the standby: keeps the moment at which the primary wants to compare, reads its disk, and answers what
//! it holds there. `verify.rs` tells the whole.
//!
//! A moment is named by the primary and forgotten with the leader, after a while without a question, or for a newer one.

use super::context::Context;
use super::interface::*;
use super::message::*;
use super::standby::want;
use crate::ids::Position;
use crate::state::diff::Held;
use crate::state::merkle::{self, Nodes};
use crate::state::scrub::Correction;
use crate::state::{Role, SyncKind};

/// A question is answered after this part of its deadline at the latest, with `Busy`.
const WAIT_PART: u64 = 2;
/// A moment that nobody asked about for so long is forgotten.
const KEEP_MS: u64 = 30_000;
/// What may be asked for at once, and what the entries that are asked for may take.
const NODES_MAX: usize = 1024;
const BUCKETS_MAX: usize = 1024;
const HELD_BYTES_MAX: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Moment {
    kept: Option<Kept>,
    pending: Option<Pending>,
    /// The primary found that this region differs: the next introduction begins a diff sync.
    is_to_be_repaired: bool,
}

struct Kept {
    moment: u64,
    at: Position,
    stage: Stage,
    asked_at: u64,
}

enum Stage {
    /// The moment is being fixed: nothing is applied behind it, since the primary sends nothing.
    Freezing {
        read: ReadId,
    },
    /// The disk is being read.
    Scrubbing {
        read: ReadId,
    },
    /// Ready to answer; `scrubbed` buckets were not what memory said.
    Ready {
        scrubbed: u32,
        read: Option<ReadId>,
    },
    Unreadable(String),
}

/// The question that waits for its answer: the newest.
struct Pending {
    id: RequestId,
    moment: u64,
    step: VerifyStep,
    give_up_at: u64,
}

impl Moment {
    /// The primary asks.
    pub fn ask(&mut self, ctx: &mut Context, id: RequestId, moment: u64, step: VerifyStep) {
        self.answer(ctx, Found::Busy);
        let sound = match &step {
            VerifyStep::Nodes { parents } => {
                parents.len() <= NODES_MAX && parents.iter().all(|parent| merkle::is_compared(*parent))
            }
            VerifyStep::Entries { buckets } => {
                let ascends = buckets.iter().zip(buckets.iter().skip(1)).all(|(one, next)| one < next);
                ascends && (1..=BUCKETS_MAX).contains(&buckets.len())
            }
            VerifyStep::Freeze { .. } | VerifyStep::Repair => true,
        };
        if !sound {
            return ctx.reply(id, Want::Refused(Refused::Unsound));
        }
        if step == VerifyStep::Repair {
            self.is_to_be_repaired = true;
            return ctx.reply(id, Want::Hello);
        }
        let give_up_at = ctx.after(ctx.options.timing.request_deadline_ms / WAIT_PART);
        self.pending = Some(Pending { id, moment, step, give_up_at });
        let known = self.kept.as_mut().filter(|kept| kept.moment == moment);
        match (known, self.pending.as_ref().map(|pending| &pending.step)) {
            (Some(kept), _) => kept.asked_at = ctx.now.steady_ms,
            (None, Some(VerifyStep::Freeze { at })) if ctx.path.is_whole() && ctx.path.applied == *at => {
                let (read, at) = (ReadId(ctx.number()), *at);
                let stage = Stage::Freezing { read };
                self.kept = Some(Kept { moment, at, stage, asked_at: ctx.now.steady_ms });
                ctx.effects.push(Effect::Freeze { read, moment });
            }
            (None, Some(VerifyStep::Freeze { .. })) => self.answer(ctx, Found::Elsewhere),
            (None, _) => self.answer(ctx, Found::Gone),
        }
    }

    /// Whether the next introduction is to begin a diff sync.
    pub fn is_to_be_repaired(&self) -> bool {
        self.is_to_be_repaired
    }

    /// Looks at new facts: what was kept of another line says nothing any more.
    pub fn settle(&mut self, ctx: &mut Context) {
        if ctx.path.role == Role::Standby && ctx.path.is_whole() {
            return;
        }
        // A full sync repairs as well.
        if ctx.path.sync.as_ref().is_some_and(|sync| matches!(sync.kind, SyncKind::Diff | SyncKind::Full)) {
            self.is_to_be_repaired = false;
        }
        self.forget(ctx);
    }

    /// Answers what is known, and reads what is not.
    pub fn drive(&mut self, ctx: &mut Context) {
        let now = ctx.now.steady_ms;
        if self.kept.as_ref().is_some_and(|kept| now >= kept.asked_at + KEEP_MS) {
            self.forget(ctx);
        }
        let Some(Pending { moment, step, give_up_at, .. }) = &self.pending else { return };
        let is_late = now >= *give_up_at;
        let Some(kept) = self.kept.as_mut().filter(|kept| kept.moment == *moment) else {
            return self.answer(ctx, Found::Gone);
        };
        let found = match (&mut kept.stage, step) {
            (Stage::Unreadable(why), _) => Some(Found::Unreadable(why.clone())),
            (Stage::Scrubbing { .. } | Stage::Ready { .. }, VerifyStep::Freeze { .. }) => Some(Found::Frozen),
            (Stage::Ready { read: read @ None, .. }, VerifyStep::Nodes { parents }) => {
                let id = ReadId(ctx.number());
                *read = Some(id);
                ctx.effects.push(Effect::ReadFrozenNodes { read: id, moment: *moment, parents: parents.clone() });
                None
            }
            (Stage::Ready { read: read @ None, .. }, VerifyStep::Entries { buckets }) => {
                let id = ReadId(ctx.number());
                *read = Some(id);
                let (moment, buckets, bytes_max) = (*moment, buckets.clone(), HELD_BYTES_MAX);
                ctx.effects.push(Effect::ReadFrozenHeld { read: id, moment, buckets, bytes_max });
                None
            }
            _ => is_late.then_some(Found::Busy),
        };
        if let Some(found) = found {
            self.answer(ctx, found);
        }
    }

    pub fn frozen(&mut self, ctx: &mut Context, read: ReadId, result: &Result<Position, Failure>) {
        let Some(kept) = self.kept.as_mut() else { return };
        if !matches!(kept.stage, Stage::Freezing { read: it } if it == read) {
            return;
        }
        match result {
            Ok(at) if *at == kept.at => {
                let read = ReadId(ctx.number());
                kept.stage = Stage::Scrubbing { read };
                let (moment, correction) = (kept.moment, Correction::Correct);
                ctx.effects.push(Effect::Scrub { read, moment, correction });
            }
            Ok(_) => {
                self.kept = None;
                self.answer(ctx, Found::Elsewhere);
            }
            Err(Failure::Retry(why) | Failure::Final(why)) => kept.stage = Stage::Unreadable(why.clone()),
        }
    }

    pub fn scrubbed(&mut self, read: ReadId, result: &Result<usize, Failure>) {
        let Some(kept) = self.kept.as_mut() else { return };
        if !matches!(kept.stage, Stage::Scrubbing { read: it } if it == read) {
            return;
        }
        kept.stage = match result {
            Ok(buckets) => Stage::Ready { scrubbed: *buckets as u32, read: None },
            Err(Failure::Retry(why) | Failure::Final(why)) => Stage::Unreadable(why.clone()),
        };
    }

    pub fn nodes_read(&mut self, ctx: &mut Context, read: ReadId, result: &Result<Vec<Nodes>, Failure>) {
        let Some(scrubbed) = self.is_read(read) else { return };
        let found = result.as_ref().map(|nodes| Found::Nodes { nodes: nodes.clone(), scrubbed });
        self.answer(ctx, found.unwrap_or(Found::Busy));
    }

    pub fn held_read(&mut self, ctx: &mut Context, read: ReadId, result: &Result<Held, Failure>) {
        if self.is_read(read).is_some() {
            let found = result.as_ref().map(|held| Found::Entries(held.clone()));
            self.answer(ctx, found.unwrap_or(Found::Busy));
        }
    }

    pub fn wakes_at(&self) -> Option<u64> {
        self.pending.as_ref().map(|pending| pending.give_up_at)
    }

    /// Turns the question away that waits, since a promotion freezes the stream.
    pub fn freeze(&mut self, ctx: &mut Context) {
        if let Some(pending) = self.pending.take() {
            ctx.reply(pending.id, Want::Refused(Refused::Frozen));
        }
    }

    /// Whether this read is the one under way; if so, how many buckets were not what memory said.
    fn is_read(&mut self, id: ReadId) -> Option<u32> {
        match &mut self.kept.as_mut()?.stage {
            Stage::Ready { scrubbed, read } if *read == Some(id) => {
                *read = None;
                Some(*scrubbed)
            }
            _ => None,
        }
    }

    fn forget(&mut self, ctx: &mut Context) {
        if self.kept.take().is_some() {
            ctx.effects.push(Effect::Thaw);
        }
        if let Some(pending) = self.pending.take() {
            let want = want(ctx);
            ctx.reply(pending.id, want);
        }
    }

    fn answer(&mut self, ctx: &mut Context, found: Found) {
        if let Some(Pending { id, moment, .. }) = self.pending.take() {
            ctx.reply(id, Want::Verified { moment, found });
        }
    }
}
