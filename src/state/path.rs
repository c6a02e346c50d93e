//! The path's record: role, epoch, history, what is applied. Roles change along the edges of `PathState::change` only.
//!
//! ```text
//!             BeginSync                Promote (epoch + n)
//!   primary ─────────────► standby ──────────────────────► primary
//!      │                      ▲                               │
//!      └──── Fence ──► fenced ┘ BeginSync, FollowPrimary  Fence └──► fenced
//! ```
//!
//! The edges of a switchover are in `handover`.

use super::batch::Totals;
use super::command::Refusal;
use super::handover::{Handover, HandoverChange};
use super::ledger::LedgerState;
use super::line::{self, EpochStart};
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, Position, RegionId, SyncId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A region's role on its path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Primary,
    Standby,
    Fenced,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Standby => "standby",
            Role::Fenced => "fenced",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a standby is being made whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncKind {
    /// The primary's data tree takes the place of the region's own, stretch by stretch.
    Full,
    /// What differs is found by comparing Merkle trees and patched.
    Diff,
}

impl SyncKind {
    pub fn name(self) -> &'static str {
        match self {
            SyncKind::Full => "full",
            SyncKind::Diff => "diff",
        }
    }
}

/// A sync under way. While it is set, the region serves nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SyncState {
    pub id: SyncId,
    pub kind: SyncKind,
    /// The primary's head when the sync began: streaming goes on behind it.
    pub start: Position,
    /// The last key that was copied; empty at the start, and all through a diff sync. `None` once the copy is done and
    /// only the replay to `whole_at` is left.
    pub cursor: Option<Bytes>,
    /// Of a diff sync: patches applied. The next one names this number, so that each is applied once and in turn.
    pub patches: u64,
    /// The newest position that any chunk was read at: once the copy is done, the region is whole when it has applied
    /// this.
    pub whole_at: Position,
    pub entries_done: u64,
    pub bytes_done: u64,
    /// Of a full sync the primary's count of entries and their bytes when it began, of a diff sync what differs as far
    /// as it was found: an estimate, since writes go on.
    pub entries_total: u64,
    pub bytes_total: u64,
    pub began_at: UnixMs,
}

/// Who is primary as far as this region knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KnownPrimary {
    pub region: RegionId,
    pub name: String,
    /// API addresses of its nodes, best first.
    pub addresses: Vec<String>,
}

/// How and when a region learned that it is primary no longer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fence {
    /// The higher epoch that fenced it.
    pub by_epoch: Epoch,
    pub at: UnixMs,
    /// The last position that this region acknowledged in its own epoch.
    pub reached: Position,
    /// Of a region that an operator demoted: why.
    pub demoted: Option<String>,
}

/// An operator's word that a region may leave its line for the present primary's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rejoin {
    pub at: UnixMs,
    /// Why, if something in the ledger was not reviewed, or is not known yet.
    pub reason: Option<String>,
    /// The primary that it is to follow; `None`, of a fenced region only: whoever introduces itself.
    pub to: Option<RegionId>,
}

/// The region's durable standing on its path (`Key::Path`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PathState {
    /// The path's name, from the `replication` stanza; `default` without one.
    pub name: String,
    pub role: Role,
    /// The highest epoch this region has seen. It never goes down.
    pub epoch: Epoch,
    pub dataset: DatasetId,
    /// Ascending; never empty.
    pub history: Vec<EpochStart>,
    /// The newest position whose effect the data tree holds.
    pub applied: Position,
    /// When the batch at `applied` was evaluated by its primary.
    pub applied_at: UnixMs,
    /// What all batches of the data set up to `applied` come to.
    pub totals: Totals,
    pub sync: Option<SyncState>,
    /// Of a standby or a fenced region: who is primary.
    pub primary: Option<KnownPrimary>,
    /// Kept by a standby that was fenced and follows the new primary: the proof that it stopped.
    pub fence: Option<Fence>,
    /// The newest ledger; `None` in a region that never left a line.
    pub ledger: Option<LedgerState>,
    /// There while the region waits for the primary that it may rejoin.
    pub rejoin: Option<Rejoin>,
    pub handover: Handover,
    /// Entries in the data tree and bytes of their keys and values.
    pub entries: u64,
    pub bytes: u64,
    /// The oldest index that the WAL holds; one behind `applied` if it is empty.
    pub wal_first: u64,
    /// Bytes of keys and values in the WAL.
    pub wal_bytes: u64,
}

/// A step along an edge.
#[allow(clippy::large_enum_variant, reason = "one is alive at a time")]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one step is one log entry: few are held at a time")]
pub enum PathChange {
    /// `operator init`: the region becomes primary of an empty data set of its own.
    Initialise { dataset: DatasetId },
    /// Become, or stay, a standby and start to take over the data of `primary`. Whoever proposes this has checked
    /// that the region's own data may go.
    BeginSync {
        sync: SyncState,
        dataset: DatasetId,
        epoch: Epoch,
        /// The primary's history.
        history: Vec<EpochStart>,
        /// Of the primary at `sync.start`, and when the batch there was evaluated.
        totals: Totals,
        start_at: UnixMs,
        primary: KnownPrimary,
    },
    /// The primary's epoch or address changed (another region was promoted) and this region follows it: a standby, or
    /// a fenced region of which nothing is missing there. The new `history` must extend what this region holds.
    FollowPrimary { epoch: Epoch, history: Vec<EpochStart>, primary: KnownPrimary },
    /// Standby → primary of `epoch`, which must exceed every epoch seen. Also of a fenced region whose new primary is gone
    /// for good, and of one that gave up its right to another: that one may have opened the next epoch, so this must be a
    /// higher one. `by` is the region itself.
    ///
    /// `from`: the path that it was decided by, without its counts; `None`: whatever it is.
    Promote { epoch: Epoch, at: UnixMs, by: RegionId, from: Option<Bytes> },
    /// A higher epoch exists: primary → fenced; any other role only remembers it.
    Fence { by_epoch: Epoch, at: UnixMs, primary: Option<KnownPrimary> },
    /// An operator has this primary stop being it, in its own epoch.
    Demote { at: UnixMs, reason: String },
    /// An operator lets a region that left its line rejoin the present primary; or lets a standby leave the primary
    /// that it follows for another one of the same epoch.
    AllowRejoin(Rejoin),
    /// A step of a switchover.
    Handover(HandoverChange),
}

impl PathState {
    /// A region that was just initialised: primary of its own, empty data set.
    pub fn first(name: &str, dataset: DatasetId) -> PathState {
        PathState {
            name: name.to_owned(),
            role: Role::Primary,
            epoch: Epoch::FIRST,
            dataset,
            history: vec![EpochStart { epoch: Epoch::FIRST, first_index: 1, by: RegionId::default() }],
            applied: Position::ZERO,
            applied_at: UnixMs(0),
            totals: Totals::default(),
            sync: None,
            primary: None,
            fence: None,
            ledger: None,
            rejoin: None,
            handover: Handover::default(),
            entries: 0,
            bytes: 0,
            wal_first: 1,
            wal_bytes: 0,
        }
    }

    /// Whether `operator init` was run in this region.
    pub fn is_initialised(&self) -> bool {
        self.dataset != DatasetId::default()
    }

    /// Whether readers see one position's state.
    pub fn is_whole(&self) -> bool {
        self.sync.is_none()
    }

    /// What all nodes of the region agree on. A node that found its own disk damaged counts what is left there.
    pub fn without_counts(&self) -> Bytes {
        let agreed = PathState { entries: 0, bytes: 0, ..self.clone() };
        postcard::to_stdvec(&agreed).expect("a record of numbers, texts and lists encodes").into()
    }

    /// The path after `step`, or why there is no such edge.
    pub fn change(&self, step: &PathChange) -> Result<PathState, Refusal> {
        let mut next = self.clone();
        match step {
            PathChange::Initialise { dataset } => {
                if self.is_initialised() {
                    return Err(self.no_edge("be initialised again"));
                }
                next.dataset = *dataset;
            }
            PathChange::BeginSync { sync, dataset, epoch, history, totals, start_at, primary } => {
                // Epochs of two data sets have nothing to do with each other.
                if self.dataset == *dataset {
                    self.expect_epoch_not_below(*epoch)?;
                    if self.role == Role::Primary && self.epoch == *epoch {
                        return Err(self.no_edge("take over data of its own epoch"));
                    }
                    self.expect_nothing_is_dropped(history, primary.region)?;
                }
                next.role = Role::Standby;
                next.epoch = *epoch;
                next.dataset = *dataset;
                next.history = history.clone();
                next.applied = sync.start;
                next.applied_at = *start_at;
                next.totals = *totals;
                next.wal_first = sync.start.index + 1;
                next.wal_bytes = 0;
                next.sync = Some(sync.clone());
                next.primary = Some(primary.clone());
                next.fence = None;
                next.rejoin = None;
                if let Some(ledger) = &mut next.ledger {
                    ledger.left = true;
                }
                next.handover.end();
                next.handover.gave_up = None;
            }
            PathChange::FollowPrimary { epoch, history, primary } => {
                self.expect_epoch_not_below(*epoch)?;
                if self.role == Role::Primary || self.handover.gave_up.is_some() {
                    return Err(self.no_edge("follow another primary without a sync"));
                }
                // What was copied may be as new as `whole_at`.
                let newest = self.sync.as_ref().map_or(self.applied, |sync| self.applied.max(sync.whole_at));
                if !line::extends(history, &self.history, self.applied) || !line::holds(history, newest) {
                    return Err(self.no_edge("follow a line that lacks what it holds"));
                }
                if *epoch > self.epoch || self.primary.as_ref().is_none_or(|known| known.region != primary.region) {
                    next.handover.end();
                }
                if self.role == Role::Standby && *epoch > self.epoch {
                    next.fence = None;
                }
                next.role = Role::Standby;
                next.epoch = *epoch;
                next.history = history.clone();
                next.primary = Some(primary.clone());
                next.rejoin = None;
                // What was being kept lies on this line after all.
                if let Some(ledger) = next.ledger.as_mut().filter(|ledger| !ledger.is_kept()) {
                    ledger.left = true;
                }
            }
            PathChange::Promote { epoch, by, from, .. } => {
                if from.as_ref().is_some_and(|from| *from != self.without_counts()) {
                    return Err(Refusal::Overtaken);
                }
                let lowest = self.next_epoch();
                if *epoch < lowest {
                    return Err(Refusal::Epoch { expected: lowest, actual: *epoch });
                }
                if self.role == Role::Primary || !self.is_whole() {
                    return Err(self.no_edge("be promoted"));
                }
                next.handover.end();
                next.open(*epoch, *by);
            }
            PathChange::Fence { by_epoch, at, primary } => {
                if *by_epoch <= self.epoch {
                    return Err(Refusal::Epoch { expected: self.epoch.next(), actual: *by_epoch });
                }
                if self.ships() {
                    next.role = Role::Fenced;
                    next.fence = Some(Fence { by_epoch: *by_epoch, at: *at, reached: self.applied, demoted: None });
                }
                next.handover.end();
                next.handover.gave_up = None;
                next.epoch = *by_epoch;
                next.primary = primary.clone().or(next.primary);
                // It was said of an earlier primary.
                next.rejoin = None;
            }
            PathChange::Demote { at, reason } => {
                if self.role != Role::Primary {
                    return Err(self.no_edge("be demoted"));
                }
                if reason.is_empty() {
                    return Err(self.no_edge("be demoted without a reason"));
                }
                let demoted = Some(reason.clone());
                next.role = Role::Fenced;
                next.fence = Some(Fence { by_epoch: self.epoch, at: *at, reached: self.applied, demoted });
            }
            PathChange::AllowRejoin(rejoin) => {
                if let Some(why) = self.rejoin_needs_reason().filter(|_| rejoin.reason.is_none()) {
                    return Err(self.no_edge(&format!("rejoin without a reason: {why}")));
                }
                if self.role == Role::Primary {
                    return Err(self.no_edge("rejoin another: demote it first"));
                }
                let follows = self.primary.as_ref().map(|known| known.region);
                if self.role == Role::Standby && (rejoin.to.is_none() || rejoin.to == follows) {
                    return Err(self.no_edge("leave its primary without saying for which other"));
                }
                next.rejoin = Some(rejoin.clone());
            }
            PathChange::Handover(step) => return self.hand_over(step),
        }
        Ok(next)
    }

    /// The lowest epoch that a promotion of this region may open: one that no other can have opened.
    pub fn next_epoch(&self) -> Epoch {
        match self.handover.gave_up {
            Some(_) => self.epoch.next().next(),
            None => self.epoch.next(),
        }
    }

    /// Becomes the primary of `epoch`, from what it has applied on.
    pub(super) fn open(&mut self, epoch: Epoch, by: RegionId) {
        let was_fenced = self.role == Role::Fenced;
        self.role = Role::Primary;
        self.epoch = epoch;
        // An epoch that this region never got to is no part of its line.
        self.history.retain(|start| start.first_index <= self.applied.index);
        self.history.push(EpochStart { epoch, first_index: self.applied.index + 1, by });
        self.primary = None;
        self.fence = None;
        self.rejoin = None;
        self.handover.gave_up = None;
        // What a fenced region had put aside is on the line that counts again.
        if let Some(ledger) = self.ledger.as_mut().filter(|ledger| was_fenced && !ledger.left) {
            (ledger.left, ledger.unreviewed) = (true, 0);
        }
    }

    /// The last position that this region's line and another share, if this region holds something behind it. Half a
    /// copy is no state that could diverge.
    pub fn diverged(&self, theirs: &[EpochStart]) -> Option<Position> {
        let fork = line::fork(&self.history, self.applied, theirs);
        (self.is_whole() && fork.index < self.applied.index).then_some(fork)
    }

    /// Why an operator must give a reason to let this region leave its line; `None` if nothing speaks against it.
    pub fn rejoin_needs_reason(&self) -> Option<String> {
        match (self.role, &self.ledger) {
            (Role::Primary, _) => None,
            (Role::Standby, _) => Some("it follows a primary already".into()),
            (Role::Fenced, Some(ledger)) if self.is_ledger_whole() => {
                let unreviewed = ledger.unreviewed;
                (unreviewed > 0).then(|| format!("writes in its ledger that nobody reviewed: {unreviewed}"))
            }
            (Role::Fenced, _) => Some("no primary has introduced itself yet: what only it holds is not known".into()),
        }
    }

    /// Whether the ledger holds all that it is to hold. A fenced region does not know what only it holds before the new
    /// primary has introduced itself.
    pub fn is_ledger_whole(&self) -> bool {
        match (self.role, &self.ledger) {
            (Role::Fenced, Some(ledger)) => !ledger.left && ledger.reached == self.applied && ledger.is_kept(),
            (Role::Fenced, None) => false,
            (_, ledger) => ledger.as_ref().is_none_or(|ledger| ledger.left || ledger.is_kept()),
        }
    }

    /// Whether the operator's word to rejoin still stands: a fork that turned out deeper may have added to the ledger.
    pub fn may_rejoin(&self, primary: RegionId) -> bool {
        self.waits_to_rejoin() && self.rejoin.as_ref().and_then(|rejoin| rejoin.to).is_none_or(|to| to == primary)
    }

    /// The same, of whichever primary was meant.
    pub fn waits_to_rejoin(&self) -> bool {
        self.rejoin.as_ref().is_some_and(|rejoin| rejoin.reason.is_some() || self.rejoin_needs_reason().is_none())
    }

    /// Whether the log must stay as it is: the region left, or is about to leave, the line that it belongs to.
    pub fn keeps_log(&self) -> bool {
        let followed = self.history.last().map_or(self.epoch, |start| start.epoch);
        self.role == Role::Fenced || (self.role == Role::Standby && followed < self.epoch)
    }

    /// What only this region holds is never dropped before its ledger keeps it, nor by a fenced region before its
    /// operator said so.
    fn expect_nothing_is_dropped(&self, theirs: &[EpochStart], primary: RegionId) -> Result<(), Refusal> {
        let Some(fork) = self.diverged(theirs) else { return Ok(()) };
        if !self.ledger.as_ref().is_some_and(|ledger| ledger.keeps(fork, self.applied)) {
            return Err(self.no_edge("drop what only it holds before its ledger keeps it"));
        }
        if self.role == Role::Fenced && !self.may_rejoin(primary) {
            return Err(self.no_edge("drop what only it holds before its operator lets it rejoin"));
        }
        Ok(())
    }

    fn expect_epoch_not_below(&self, epoch: Epoch) -> Result<(), Refusal> {
        if epoch < self.epoch {
            return Err(Refusal::Epoch { expected: self.epoch, actual: epoch });
        }
        Ok(())
    }

    pub(super) fn no_edge(&self, step: &str) -> Refusal {
        Refusal::Edge { from: self.role, step: step.to_owned() }
    }
}
