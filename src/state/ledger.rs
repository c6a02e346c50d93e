//! The ledger: what a region wrote or received on a line that it had to leave, kept for review.
//!
//! A region *diverged* when it holds positions that are not on the line of the new primary. Before it may take over that
//! line, it agrees on copies of its log behind the fork (`Command::KeepDiverged`, a bounded stretch each), and
//! `PathState::change` refuses to leave the line before all are kept. Values stay encrypted as they were written. Each
//! time that a region leaves a line it opens a ledger of the next number, so that no two collide.
//!
//! Entries are never deleted: a review replays them on the new primary (`Command::Accept` there), or discards them with
//! a reason, and says so in the entry (`Command::Review`).

use super::apply::State;
use super::batch::{Batch, Totals};
use super::line::EpochStart;
use super::path::KnownPrimary;
use crate::clock::UnixMs;
use crate::error::{Error, Result};
use crate::ids::{Epoch, Position, RegionId};
use crate::storage::keys::{self, Key};
use crate::storage::{KeyRange, ScanLimit, Tree};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much of the log one `KeepDiverged` copies, so that no apply takes long.
pub const KEEP_LIMIT: ScanLimit = ScanLimit { entries: 1024, bytes: 4 << 20 };

/// The newest ledger, as the path's record counts it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerState {
    /// From 1; rises each time that the region leaves a line.
    pub number: u32,
    /// The last position that the line left and the new primary's share.
    pub fork: Position,
    /// The last position that the region had on the line left.
    pub reached: Position,
    /// The epoch whose line the region is to take over.
    pub by_epoch: Epoch,
    /// The log is kept up to this index; all of it once this is `reached`.
    pub kept_through: u64,
    /// What the kept entries come to, by class and in bytes.
    pub totals: Totals,
    pub unreviewed: u64,
    /// Positions behind the fork that the log no longer held: known by number only.
    pub missing: u64,
    /// Of the ledgers before this one.
    pub older_unreviewed: u64,
    /// Whether the region has left the line since.
    pub left: bool,
}

impl LedgerState {
    /// Whether all that lies behind `fork` is kept.
    pub fn keeps(&self, fork: Position, reached: Position) -> bool {
        !self.left && (self.fork, self.reached) == (fork, reached) && self.kept_through == reached.index
    }

    pub fn is_kept(&self) -> bool {
        self.kept_through == self.reached.index
    }

    pub fn entries(&self) -> u64 {
        self.totals.entries()
    }
}

/// What all entries of a ledger share (`Key::Ledger`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerHead {
    pub number: u32,
    pub fork: Position,
    pub reached: Position,
    pub by_epoch: Epoch,
    /// The line that the region left.
    pub line: Vec<EpochStart>,
    /// Positions behind the fork that the log no longer held.
    pub missing: u64,
    pub at: UnixMs,
}

/// A batch that the new primary never got (`Key::LedgerEntry`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// On the line that was left.
    pub position: Position,
    /// As it was in the log: values are ciphertext.
    pub batch: Batch,
    pub review: Review,
}

/// What became of an entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Review {
    /// Nobody decided yet. A replay that met newer writes says which.
    Unreviewed { conflicts: Vec<Conflict> },
    /// The new primary wrote it, at this position of its own.
    Replayed { at: UnixMs, position: Position },
    /// An operator decided against it.
    Discarded { at: UnixMs, reason: String },
}

impl Review {
    pub fn is_open(&self) -> bool {
        matches!(self, Review::Unreviewed { .. })
    }
}

/// A key that the new primary changed since the fork.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Conflict {
    pub key: Bytes,
    /// What wrote, or deleted, the key there; `None` if the new primary's log no longer tells.
    pub position: Option<Position>,
    /// When that was evaluated, if the log there still holds it.
    pub at: Option<UnixMs>,
}

/// An entry's name: `LEDGER/EPOCH:INDEX`, like `1/1:1042`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LedgerId {
    pub number: u32,
    pub position: Position,
}

impl LedgerId {
    pub fn key(self) -> Key {
        Key::LedgerEntry { number: self.number, index: self.position.index }
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.position)
    }
}

impl std::str::FromStr for LedgerId {
    type Err = String;

    fn from_str(text: &str) -> Result<LedgerId, String> {
        let wrong = || format!("`{text}` names no entry of a ledger: expected LEDGER/EPOCH:INDEX, like 1/1:1042");
        let (number, position) = text.split_once('/').ok_or_else(wrong)?;
        Ok(LedgerId { number: number.parse().map_err(|_| wrong())?, position: position.parse().map_err(|_| wrong())? })
    }
}

/// Keeps the next stretch of a diverged line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeepDiverged {
    /// The last position that this region's line and the new primary's share.
    pub fork: Position,
    pub by_epoch: Epoch,
    pub primary: KnownPrimary,
    pub at: UnixMs,
}

/// Entries of another region's ledger as new writes of this primary.
///
/// The leader looked at the keys when `as_of` was applied. Apply refuses the whole of it if any entry behind that
/// touched one of the keys, or if one of the ledger's entries was taken already: then the leader looks again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Accept {
    pub epoch: Epoch,
    pub as_of: Position,
    /// The region whose ledger it is, and the ledger's number there.
    pub origin: RegionId,
    pub number: u32,
    /// The index that each entry has in the ledger, and what to write.
    pub entries: Vec<(u64, Batch)>,
}

/// How far behind the head an `Accept` may have been looked at.
pub const ACCEPT_BEHIND_MAX: u64 = 4096;

impl State {
    pub fn ledger_head(&self, number: u32) -> Result<Option<LedgerHead>> {
        let bytes = self.region(&Key::Ledger(number))?;
        bytes.map(|bytes| postcard::from_bytes(&bytes).map_err(|_| undecodable())).transpose()
    }

    pub fn ledger_entry(&self, id: LedgerId) -> Result<Option<LedgerEntry>> {
        let bytes = self.region(&id.key())?;
        let entry: Option<LedgerEntry> =
            bytes.map(|bytes| postcard::from_bytes(&bytes).map_err(|_| undecodable())).transpose()?;
        Ok(entry.filter(|entry| entry.position == id.position))
    }

    /// Entries of all ledgers behind `after`, in the order in which they were written.
    pub fn ledger_entries(&self, after: Option<LedgerId>, limit: ScanLimit) -> Result<Vec<(LedgerId, LedgerEntry)>> {
        let mut range = KeyRange::prefix(keys::LEDGER_ENTRIES);
        if let Some(after) = after {
            range.start = super::merkle::successor(&after.key().to_bytes());
        }
        let pairs = self.store().scan(Tree::Region, &range, limit)?;
        let entry = |(key, value): (Bytes, Bytes)| {
            let entry: LedgerEntry = postcard::from_bytes(&value).map_err(|_| undecodable())?;
            let number = keys::ledger_number(&key).ok_or_else(undecodable)?;
            Ok((LedgerId { number, position: entry.position }, entry))
        };
        pairs.into_iter().map(entry).collect()
    }

    /// Which entries of another region's ledger this region took, by their index there, and where it wrote them.
    pub fn accepted(&self, origin: RegionId, number: u32) -> Result<Vec<(u64, Position)>> {
        let pairs = self.scan_region(&keys::accepted_prefix(origin, number))?;
        let taken = |(key, value): &(Bytes, Bytes)| {
            let index = keys::index_of(&key[key.len().saturating_sub(8)..]).ok_or_else(undecodable)?;
            Ok((index, postcard::from_bytes(value).map_err(|_| undecodable())?))
        };
        pairs.iter().map(taken).collect()
    }
}

fn undecodable() -> Error {
    Error::corrupt("a record of the ledger does not decode")
}
