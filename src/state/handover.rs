//! A switchover in the path's record: what a standby asked its primary for, and what the primary gave up for it.
//!
//! ```text
//!   standby: ── Ask ──► asks ──┬── Open ────► primary of the next epoch
//!                              └── Decline ─► asks no more, and never opens by that id
//!   primary: ── GiveUp ──► fenced, gave up ──┬── TakeBack ─► primary, in the same epoch
//!                                            └── Fence ────► fenced by the next epoch
//! ```
//!
//! Invariants:
//! * Only a region that asks can open the next epoch by a switchover, and only where its primary stopped.
//! * A region that does not ask any more never opens by what it asked for. So whoever gave up to it may take back what
//!   it gave once it hears that, in the epoch that it gave up.

use super::command::Refusal;
use super::path::{KnownPrimary, PathState, Role};
use crate::clock::UnixMs;
use crate::ids::{Epoch, Position, PromotionId, RegionId};
use serde::{Deserialize, Serialize};

/// Refusals that are kept. Who asks again for one that was refused longer ago is asked about again.
const REFUSED_MAX: usize = 16;

/// Where a region stands in handovers. Part of the path's record.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Handover {
    /// How many this region asked for so far. Each has its number, by which an old word is told from a new one.
    pub asked: u64,
    /// Of a standby: what it asks for now.
    pub asks: Option<HandoverAsk>,
    /// The newest that this region asked for and that came to nothing.
    pub ended: Option<PromotionId>,
    /// Of a primary: what its operator refused, the newest last.
    pub refused: Vec<PromotionId>,
    /// Of a fenced region that may still get its right back.
    pub gave_up: Option<GaveUp>,
}

/// What a standby asks its primary for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HandoverAsk {
    pub number: u64,
    pub id: PromotionId,
    /// The primary, and its epoch: of any other, nothing is asked.
    pub from: RegionId,
    pub epoch: Epoch,
    /// By the asking region's wall clock.
    pub begun_at: UnixMs,
    /// After so long the standby declines.
    pub deadline_ms: u64,
}

/// What a primary gave up, and for whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GaveUp {
    /// The standby's number of its ask.
    pub number: u64,
    pub id: PromotionId,
    pub to: KnownPrimary,
    /// The last position that this region acknowledged in its epoch.
    pub reached: Position,
    /// By this region's wall clock.
    pub at: UnixMs,
}

/// A step of a handover.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HandoverChange {
    /// Standby: ask the primary to hand over.
    Ask { id: PromotionId, from: RegionId, epoch: Epoch, at: UnixMs, deadline_ms: u64 },
    /// Standby: ask no more, and never open by this id.
    Decline { id: PromotionId },
    /// Primary: never give up to this id.
    Refuse { id: PromotionId },
    /// Primary → fenced, in its own epoch, so that `to` may open the next one.
    GiveUp { number: u64, id: PromotionId, to: KnownPrimary, epoch: Epoch, at: UnixMs },
    /// Fenced → primary, in the same epoch. Whoever proposes this has heard that the other region asks no more.
    TakeBack { id: PromotionId },
    /// Standby → primary of the next epoch, at the position where the primary stopped. `by` is the region itself.
    Open { id: PromotionId, epoch: Epoch, reached: Position, by: RegionId },
}

impl Handover {
    /// Whether an ask of this number came to its end in the epoch in which this region says so.
    pub fn is_over(&self, number: u64) -> bool {
        self.asked > number || (self.asked == number && self.asks.is_none())
    }

    /// What is asked for comes to nothing.
    pub(super) fn end(&mut self) {
        if let Some(ask) = self.asks.take() {
            self.ended = Some(ask.id);
        }
    }
}

impl PathState {
    /// Whether this region ships its log: a primary, or one that gave up and waits for what comes of it.
    pub fn ships(&self) -> bool {
        self.role == Role::Primary || self.handover.gave_up.is_some()
    }

    /// The path after a step of a handover, or why there is no such edge.
    pub(super) fn hand_over(&self, step: &HandoverChange) -> Result<PathState, Refusal> {
        let mut next = self.clone();
        let asks = |id: &PromotionId| self.handover.asks.as_ref().filter(|ask| ask.id == *id);
        match step {
            HandoverChange::Ask { id, from, epoch, at, deadline_ms } => {
                let follows = self.role == Role::Standby
                    && self.is_whole()
                    && self.primary.as_ref().is_some_and(|primary| primary.region == *from)
                    && self.history.last().is_some_and(|start| start.epoch == self.epoch);
                if !follows || *epoch != self.epoch {
                    return Err(self.no_edge("ask for a handover of that epoch"));
                }
                if self.handover.asks.is_some() || self.handover.ended == Some(*id) {
                    return Err(self.no_edge("ask for a second handover, or once more for one that ended"));
                }
                next.handover.asked += 1;
                next.handover.asks = Some(HandoverAsk {
                    number: next.handover.asked,
                    id: *id,
                    from: *from,
                    epoch: *epoch,
                    begun_at: *at,
                    deadline_ms: *deadline_ms,
                });
            }
            HandoverChange::Decline { id } => {
                asks(id).ok_or_else(|| self.no_edge("decline a handover that it does not ask for"))?;
                next.handover.end();
            }
            HandoverChange::Refuse { id } => {
                if self.role != Role::Primary {
                    return Err(self.no_edge("refuse a handover"));
                }
                let refused = &mut next.handover.refused;
                refused.retain(|earlier| earlier != id);
                refused.push(*id);
                let too_many = refused.len().saturating_sub(REFUSED_MAX);
                refused.drain(..too_many);
            }
            HandoverChange::GiveUp { number, id, to, epoch, at } => {
                if self.role != Role::Primary || *epoch != self.epoch || self.handover.refused.contains(id) {
                    return Err(self.no_edge("give up to that handover"));
                }
                next.role = Role::Fenced;
                next.handover.gave_up =
                    Some(GaveUp { number: *number, id: *id, to: to.clone(), reached: self.applied, at: *at });
            }
            HandoverChange::TakeBack { id } => {
                if self.handover.gave_up.as_ref().is_none_or(|gave_up| gave_up.id != *id) {
                    return Err(self.no_edge("take back what it did not give up"));
                }
                next.role = Role::Primary;
                next.handover.gave_up = None;
            }
            HandoverChange::Open { id, epoch, reached, by } => {
                let ask = asks(id).ok_or_else(|| self.no_edge("open by a handover that it does not ask for"))?;
                if self.role != Role::Standby || !self.is_whole() || self.applied != *reached {
                    return Err(self.no_edge("open before it has what its primary reached"));
                }
                if ask.epoch != self.epoch || *epoch != self.epoch.next() {
                    return Err(Refusal::Epoch { expected: self.epoch.next(), actual: *epoch });
                }
                // What it asked for is what became of it: nothing ended.
                next.handover.asks = None;
                next.open(*epoch, *by);
            }
        }
        Ok(next)
    }
}
