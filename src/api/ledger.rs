//! `sys/replication/path/:path/ledger`: what a region holds that the new primary never got, and what becomes of it.

use crate::clock::UnixMs;
use crate::ids::{Epoch, Position, RegionId};
use crate::state::EpochStart;
use serde::{Deserialize, Serialize};

pub use crate::state::Class;

/// The newest ledger of a region, as its status and the list show it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LedgerSummary {
    /// From 1; rises each time that the region leaves a line.
    pub number: u32,
    /// The last position that the new primary has as well.
    pub fork: Position,
    /// The last position that this region had.
    pub reached: Position,
    /// The epoch of the new primary.
    pub by_epoch: Epoch,
    /// Whether all that is to be kept is in the ledger by now.
    pub kept: bool,
    pub entries: u64,
    /// Of keys and values.
    pub bytes: u64,
    pub by_class: Vec<(Class, u64)>,
    pub unreviewed: u64,
    /// Writes that the log no longer held: known by number only.
    pub missing: u64,
    /// Entries of earlier ledgers that nobody has decided on.
    pub older_unreviewed: u64,
    /// Whether the region follows another line by now.
    pub left: bool,
    /// Whether an operator lets the region rejoin: it waits for the primary to introduce itself.
    pub may_rejoin: bool,
}

/// `GET …/ledger?after=ENTRY&limit=N`: in the order in which they were written.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LedgerPage {
    /// `None` in a region that never left a line.
    pub ledger: Option<LedgerSummary>,
    pub entries: Vec<LedgerEntryInfo>,
    /// The `after` of the next page; `None` on the last.
    pub next: Option<String>,
}

/// One acknowledged write.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LedgerEntryInfo {
    /// `LEDGER/EPOCH:INDEX`, by which it is replayed or discarded.
    pub entry: String,
    pub position: Position,
    pub class: Class,
    /// When it was written.
    pub at: UnixMs,
    /// Of keys and values.
    pub bytes: u64,
    /// What it changed, in clear, for who shows a token; empty where the keys are not known.
    pub paths: Vec<String>,
    pub review: ReviewInfo,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ReviewInfo {
    /// Nobody decided yet. What a replay met says why it did not go through.
    Unreviewed {
        conflicts: Vec<ConflictInfo>,
    },
    Replayed {
        at: UnixMs,
        /// Where the new primary wrote it.
        position: Position,
    },
    Discarded {
        at: UnixMs,
        reason: String,
    },
}

/// Something that the new primary changed since the fork.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ConflictInfo {
    /// In clear, or the key in hexadecimal.
    pub path: String,
    /// What wrote or deleted it there, and when; `None` if the log there no longer tells.
    pub position: Option<Position>,
    pub at: Option<UnixMs>,
}

/// `GET …/ledger/export?after=ENTRY`: whole entries, their values encrypted as they were written.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LedgerExport {
    pub region: RegionId,
    pub name: String,
    pub path: String,
    pub entries: Vec<ExportedEntry>,
    pub next: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ExportedEntry {
    #[serde(flatten)]
    pub info: LedgerEntryInfo,
    pub ops: Vec<ExportedOp>,
}

/// Key and value in base64: ciphertext.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "op")]
pub enum ExportedOp {
    Put { key: String, value: String },
    Delete { key: String },
}

/// `POST …/ledger/replay`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReplayRequest {
    #[serde(default)]
    pub entries: Vec<String>,
    /// All that nobody has decided on.
    #[serde(default)]
    pub all: bool,
    /// Write the entries that are named although the new primary changed the same things since.
    #[serde(default)]
    pub overwrite: bool,
}

/// The answer to it: each entry that was asked for, once.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ReplayAnswer {
    pub replayed: Vec<Replayed>,
    pub conflicts: Vec<Conflicting>,
    /// Entries that can't be replayed as they are.
    pub refused: Vec<Unreplayable>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Replayed {
    pub entry: String,
    /// On the new primary.
    pub position: Position,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Conflicting {
    pub entry: String,
    /// When the entry was written.
    pub at: UnixMs,
    pub conflicts: Vec<ConflictInfo>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unreplayable {
    pub entry: String,
    pub why: String,
}

/// `POST …/ledger/discard`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DiscardRequest {
    #[serde(default)]
    pub entries: Vec<String>,
    /// All that nobody has decided on.
    #[serde(default)]
    pub all: bool,
    pub reason: String,
}

/// The answer to it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DiscardAnswer {
    pub discarded: Vec<String>,
}

/// `POST …/rejoin`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RejoinRequest {
    /// Needed where something in the ledger was not reviewed, or is not known yet.
    #[serde(default)]
    pub reason: Option<String>,
    /// The name or the id of the primary to follow. Needed on a standby, which follows one already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
}

/// `POST …/demote`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DemoteRequest {
    pub reason: String,
}

/// `POST …/ledger/accept` on the new primary: entries of another region's ledger, in the order in which they were
/// written there. A region sends it for its operator, with the operator's token.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AcceptRequest {
    /// Whose ledger it is, and its number there.
    pub region: RegionId,
    pub number: u32,
    /// The line that the region left, and the last position that the new primary was known to share.
    pub line: Vec<EpochStart>,
    pub fork: Position,
    pub entries: Vec<AcceptEntry>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AcceptEntry {
    pub position: Position,
    pub class: Class,
    pub ops: Vec<ExportedOp>,
    #[serde(default)]
    pub overwrite: bool,
}

/// The answer to it: one for each entry, in order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AcceptAnswer {
    pub outcomes: Vec<AcceptOutcome>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum AcceptOutcome {
    /// Written, now or when it was asked for before.
    Replayed {
        position: Position,
    },
    Conflict {
        conflicts: Vec<AcceptConflict>,
    },
    /// It can't be written here as it is.
    Refused {
        why: String,
    },
}

/// A key of the entry, in base64, that changed on the new primary since the fork.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AcceptConflict {
    pub key: String,
    pub position: Option<Position>,
    pub at: Option<UnixMs>,
}
