//! What a region can agree on: the payload of a Raft log entry, and what became of it.

use super::batch::{Batch, Stored, WalEntry};
use super::ledger::{Accept, KeepDiverged, LedgerId, Review};
use super::path::{PathChange, Role};
use crate::ids::{Epoch, Position, SyncId};
use crate::storage::KEY_BYTES_MAX;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One Raft log entry's payload.
#[allow(clippy::large_enum_variant, reason = "few are alive at a time")]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one command is one log entry: few are held at a time")]
pub enum Command {
    /// Primary: client writes that the leader evaluated in Raft term `term` and path epoch `epoch`. Refused in any
    /// other, since what they were evaluated against may have changed.
    Write { term: u64, epoch: Epoch, batches: Vec<Batch> },
    /// Standby: batches from the primary's WAL, in order. What is already applied is skipped; a gap is refused.
    Follow { entries: Vec<WalEntry> },
    /// Standby: the next stretch of a full sync.
    Copy(CopyChunk),
    /// A change of the region's own records.
    Region(RegionChange),
    /// Drop the oldest WAL entries, those below an index. One command takes a bounded number: propose it again
    /// while `path.wal_first` is lower.
    TrimWal { below: u64 },
    /// Standby: a part of what differs, in a diff sync.
    Patch(Patch),
    /// Standby or fenced: the next stretch of the log behind a fork goes to the ledger. Propose it again until
    /// `path.ledger` keeps all.
    KeepDiverged(KeepDiverged),
    /// What became of entries of the ledger. Entries that were decided on already stay as they are.
    Review { reviews: Vec<(LedgerId, Review)> },
    /// Primary: entries of another region's ledger as new writes.
    Accept(Accept),
}

/// The primary's data between two keys, to replace the standby's: keys of the stretch that are not in it go.
/// Until the copy is done no log entry is applied, so that nothing here can be newer than the chunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CopyChunk {
    pub sync: SyncId,
    /// Where the chunk begins, exclusive; empty at the start. Must equal the cursor that the region holds.
    pub after: Bytes,
    /// Where it ends, inclusive; `None`: at the end of the tree, and the copy is done.
    pub through: Option<Bytes>,
    pub entries: Vec<(Bytes, Stored)>,
    /// The primary's head when the chunk was read. Stretches are read at different heads: the standby is whole once it
    /// has applied the newest of them.
    pub read_at: Position,
}

/// Refuses keys that no engine takes. Whoever applies a command must say no to them before the engine does: what is
/// agreed on is applied again at each start.
pub fn expect_stored(key: &[u8]) -> Result<(), Refusal> {
    let fits = (1..=KEY_BYTES_MAX).contains(&key.len());
    if fits { Ok(()) } else { Err(Refusal::Key { bytes: key.len() as u64 }) }
}

impl CopyChunk {
    /// Whether its keys ascend and lie between its ends, as the walk along the old data relies on.
    pub fn is_sound(&self) -> bool {
        let keys = || self.entries.iter().map(|(key, _)| key);
        let ascends = keys().zip(keys().skip(1)).all(|(one, next)| one < next);
        let begins = keys().next().is_none_or(|first| *first > self.after);
        let ends = self
            .through
            .as_ref()
            .is_none_or(|through| *through > self.after && keys().next_back().is_none_or(|last| last <= through));
        let stored = |key: &Bytes| expect_stored(key).is_ok();
        let ends_stored = self.after.len() <= KEY_BYTES_MAX && self.through.as_ref().is_none_or(stored);
        ascends && begins && ends && ends_stored && keys().all(stored)
    }
}

/// Entries of the data tree as the primary holds them, in the place of what the standby holds under their keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Patch {
    pub sync: SyncId,
    /// How many patches of this sync came before it: must equal what the region counts.
    pub number: u64,
    pub puts: Vec<(Bytes, Stored)>,
    pub deletes: Vec<Bytes>,
    /// The primary's head when this was read, or when nodes were that led to it.
    pub read_at: Position,
    /// How many entries still differ, as far as known: for people.
    pub left: u64,
    pub then: Then,
}

/// What comes after a patch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Then {
    /// More patches.
    Patches,
    /// The log: nothing differs any more but what it brings.
    Log,
}

/// Puts and deletes in `Tree::Region` under guards, and optionally a step of the path.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RegionChange {
    /// Keys of `Tree::Region` that must hold just this, or be absent.
    pub expect: Vec<(Bytes, Option<Bytes>)>,
    /// `None` deletes.
    pub puts: Vec<(Bytes, Option<Bytes>)>,
    pub path: Option<PathChange>,
}

/// What apply did with a command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The positions of the first and the last batch.
    Written {
        first: Position,
        last: Position,
    },
    /// All entries are applied up to here.
    Followed {
        applied: Position,
    },
    /// The cursor of the sync after the chunk.
    Copied {
        cursor: Bytes,
        applied: Position,
    },
    Changed,
    Refused(Refusal),
    /// So many patches of the sync are applied.
    Patched {
        patches: u64,
    },
}

/// Why apply left everything as it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// Evaluated in another Raft term.
    Term { evaluated: u64, applied: u64 },
    /// The region is not, or no longer, in the role that the command needs.
    Role { role: Role, epoch: Epoch },
    /// Evaluated or shipped in another epoch than the path's.
    Epoch { expected: Epoch, actual: Epoch },
    /// The entries do not continue what is applied, or are none of the line that the region follows.
    Gap { applied: Position, next: Position },
    /// The chunk or patch belongs to another sync, does not come next in it, or holds keys beyond its ends; or log entries
    /// came before the copy was done. Holds the cursor of the sync under way, if there is one.
    Sync { cursor: Option<Bytes> },
    /// A key is empty or longer than any that is stored.
    Key { bytes: u64 },
    /// A guarded key holds something else.
    Guard { key: Bytes },
    /// Something that an `Accept` was decided by has changed.
    Overtaken,
    /// The step is no edge of the path's state machine.
    Edge { from: Role, step: String },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Term { evaluated, applied } => {
                write!(f, "the leader changed meanwhile (term {evaluated}, now {applied})")
            }
            Refusal::Role { role, epoch } => write!(f, "the region is {role} in epoch {epoch}"),
            Refusal::Epoch { expected, actual } => {
                write!(f, "epoch {expected} expected, the path is in epoch {actual}")
            }
            Refusal::Gap { applied, next } => write!(f, "{next} does not continue {applied}"),
            Refusal::Sync { .. } => write!(f, "this does not continue the sync under way"),
            Refusal::Key { bytes } => write!(f, "a key has {bytes} bytes: 1 to {KEY_BYTES_MAX} are stored"),
            Refusal::Guard { .. } => write!(f, "a record changed meanwhile"),
            Refusal::Overtaken => write!(f, "what it was decided by changed meanwhile"),
            Refusal::Edge { from, step } => write!(f, "a {from} region can't {step}"),
        }
    }
}
