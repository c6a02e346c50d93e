//! The path's record: role, epoch, history, what is applied. Roles change along the edges of `PathState::change` only.
//!
//! ```text
//!             BeginSync                Promote (epoch + n)
//!   primary ─────────────► standby ──────────────────────► primary
//!      │                      ▲                               │
//!      └──── Fence ──► fenced ┘ BeginSync               Fence └──► fenced
//! ```

use super::batch::Totals;
use super::command::Refusal;
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

/// The first index that an epoch wrote. The list of them is the path's history, by which a fork is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EpochStart {
    pub epoch: Epoch,
    pub first_index: u64,
}

/// Whether a line of history passes through `position`: whether the epoch it names wrote that index there.
pub fn holds(history: &[EpochStart], position: Position) -> bool {
    let writer = history.iter().rev().find(|start| start.first_index <= position.index);
    position.index == 0 || writer.is_some_and(|writer| writer.epoch == position.epoch)
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
    pub fence: Option<Fence>,
    /// Entries in the data tree and bytes of their keys and values.
    pub entries: u64,
    pub bytes: u64,
    /// The oldest index that the WAL holds; one behind `applied` if it is empty.
    pub wal_first: u64,
    /// Bytes of keys and values in the WAL.
    pub wal_bytes: u64,
}

/// A step along an edge.
#[allow(clippy::large_enum_variant)] // one is alive at a time
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
    /// The primary's epoch or address changed (another region was promoted) and this standby follows it; its
    /// `history` must extend what this region holds.
    FollowPrimary { epoch: Epoch, history: Vec<EpochStart>, primary: KnownPrimary },
    /// Standby → primary of `epoch`, which must exceed every epoch seen.
    Promote { epoch: Epoch, at: UnixMs },
    /// A higher epoch exists: primary → fenced; any other role only remembers it.
    Fence { by_epoch: Epoch, at: UnixMs, primary: Option<KnownPrimary> },
}

impl PathState {
    /// A region that was just initialised: primary of its own, empty data set.
    pub fn first(name: &str, dataset: DatasetId) -> PathState {
        PathState {
            name: name.to_owned(),
            role: Role::Primary,
            epoch: Epoch::FIRST,
            dataset,
            history: vec![EpochStart { epoch: Epoch::FIRST, first_index: 1 }],
            applied: Position::ZERO,
            applied_at: UnixMs(0),
            totals: Totals::default(),
            sync: None,
            primary: None,
            fence: None,
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
            }
            PathChange::FollowPrimary { epoch, history, primary } => {
                self.expect_epoch_not_below(*epoch)?;
                if self.role != Role::Standby {
                    return Err(self.no_edge("follow another primary without a sync"));
                }
                // What was copied may be as new as `whole_at`.
                let newest = self.sync.as_ref().map_or(self.applied, |sync| self.applied.max(sync.whole_at));
                if !holds(history, self.applied) || !holds(history, newest) {
                    return Err(self.no_edge("follow a line that lacks what it holds"));
                }
                next.epoch = *epoch;
                next.history = history.clone();
                next.primary = Some(primary.clone());
            }
            PathChange::Promote { epoch, .. } => {
                if *epoch <= self.epoch {
                    return Err(Refusal::Epoch { expected: self.epoch.next(), actual: *epoch });
                }
                if self.role != Role::Standby || !self.is_whole() {
                    return Err(self.no_edge("be promoted"));
                }
                next.role = Role::Primary;
                next.epoch = *epoch;
                // An epoch that this region never got to is no part of its line.
                next.history.retain(|start| start.first_index <= self.applied.index);
                next.history.push(EpochStart { epoch: *epoch, first_index: self.applied.index + 1 });
                next.primary = None;
            }
            PathChange::Fence { by_epoch, at, primary } => {
                if *by_epoch <= self.epoch {
                    return Err(Refusal::Epoch { expected: self.epoch.next(), actual: *by_epoch });
                }
                if self.role == Role::Primary {
                    next.role = Role::Fenced;
                    next.fence = Some(Fence { by_epoch: *by_epoch, at: *at, reached: self.applied });
                }
                next.epoch = *by_epoch;
                next.primary = primary.clone().or(next.primary);
            }
        }
        Ok(next)
    }

    fn expect_epoch_not_below(&self, epoch: Epoch) -> Result<(), Refusal> {
        if epoch < self.epoch {
            return Err(Refusal::Epoch { expected: self.epoch, actual: epoch });
        }
        Ok(())
    }

    fn no_edge(&self, step: &str) -> Refusal {
        Refusal::Edge { from: self.role, step: step.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_history_passes_through_what_its_own_epochs_wrote() {
        let start = |epoch, first_index| EpochStart { epoch: Epoch(epoch), first_index };
        let history = [start(1, 1), start(3, 51)];
        for (epoch, index, held) in
            [(0, 0, true), (1, 1, true), (1, 50, true), (1, 51, false), (3, 50, false), (3, 51, true), (2, 51, false)]
        {
            assert_eq!(holds(&history, Position::new(Epoch(epoch), index)), held, "{epoch}:{index}");
        }
    }
}
