//! Everything that crosses the link: requests from a primary, and the answers of its standby.
//!
//! Every request may be repeated, delayed, or arrive twice or out of order: what it does depends on what the standby
//! durably holds, never on what was sent before. The table in `replication/mod.rs` says who sends each message,
//! when, and what it proves. Bodies are encoded with postcard; the driver authenticates them.

use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, Position, PromotionId, RegionId, SyncId};
use crate::state::diff::{Held, Named};
use crate::state::merkle::{Hash, Nodes, Short};
use crate::state::{
    CopyChunk, EpochStart, Fence, Handover, KnownPrimary, PathState, Role, Stored, SyncKind, SyncState, Totals,
    WalEntry,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The version of these messages. A region that speaks another refuses the `Hello` and says which it speaks.
pub const PROTOCOL: u32 = 3;

/// Who a region is, in its own words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    pub region: RegionId,
    pub name: String,
    /// API addresses of its nodes, the answering one first.
    pub addresses: Vec<String>,
    /// Of the program.
    pub version: String,
}

/// A request from a primary.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Request {
    pub header: Header,
    pub ask: Ask,
}

/// What each request says of its sender, as of when it was sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    pub dataset: DatasetId,
    pub epoch: Epoch,
    /// The newest position that is agreed on in the primary region, and when its batch was evaluated.
    pub head: Position,
    pub head_at: UnixMs,
    /// Of all batches up to `head`: with the standby's own they give the lag in bytes and by class.
    pub totals: Totals,
    /// By the sender's wall clock.
    pub sent_at: UnixMs,
    /// What the sender has to say to a receiver that asks for a handover.
    pub handover: Option<Box<HandoverSaid>>,
}

/// What a primary says of a handover to the standby that asks for it, by the standby's id and number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HandoverSaid {
    pub id: PromotionId,
    pub number: u64,
    pub word: HandoverWord,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HandoverWord {
    /// Writes go on until the standby has nearly all.
    Waiting,
    /// Durable: the sender acknowledges nothing behind `reached` in its epoch, until it hears that the receiver asks no
    /// more.
    GaveUp {
        reached: Position,
        /// Of the data at `reached`, once it was computed.
        root: Option<Hash>,
        /// How long ago the sender began to refuse writes, as of when this arrives: by its steady clock, with half of the
        /// last round trip.
        age_ms: u64,
    },
    /// Why the sender will not give up to this id.
    Refused(String),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Ask {
    Hello(Hello),
    /// Entries of the log, ascending without a gap, all agreed on in the primary region.
    Append {
        entries: Vec<WalEntry>,
    },
    /// A stretch of the data tree for the full sync under way.
    Copy(CopyChunk),
    Heartbeat {
        /// The newest root the primary computed, for the standby to compare when it stands at that position.
        root: Option<Root>,
    },
    /// What does the standby want next, in the diff sync under way? With the nodes that it wanted last, read at a
    /// position; none if nothing is known of what it wanted.
    Compare {
        sync: SyncId,
        nodes: Vec<Nodes>,
        read_at: Position,
    },
    Patch(PatchPart),
    /// A question of a verification, about the moment that the primary gave this name.
    Verify {
        moment: u64,
        step: VerifyStep,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum VerifyStep {
    /// Keep the present moment, if that is this position, and read the disk.
    Freeze { at: Position },
    /// The children of these nodes of the Merkle tree, as the disk has it.
    Nodes { parents: Vec<u32> },
    /// The entries of these buckets.
    Entries { buckets: Vec<u16> },
    /// What differs is to be taken over: begin a diff sync with the next introduction.
    Repair,
}

/// What a standby answers to a question of a verification.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Found {
    /// The moment is kept; the log may go on.
    Frozen,
    /// The region stands at another position.
    Elsewhere,
    /// The disk is still being read: ask again.
    Busy,
    /// `scrubbed`: buckets in which the disk was not what the region had applied.
    Nodes {
        nodes: Vec<Nodes>,
        scrubbed: u32,
    },
    /// As many of the buckets as there was room for.
    Entries(Held),
    Unreadable(String),
    /// Nothing is known of this moment, or no longer.
    Gone,
}

/// A part of what the primary holds in the buckets that the standby named, and the standby does not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PatchPart {
    pub sync: SyncId,
    /// As the standby numbered its question.
    pub batch: u64,
    /// Counts from 0. Agreed on in this order.
    pub part: u32,
    /// Ascending by key.
    pub puts: Vec<(Bytes, Stored)>,
    /// Entries that the standby named and the primary does not hold. Under the keys of some, a part held another entry.
    pub gone: Vec<Short>,
    pub last: bool,
    /// The primary's head when this was read.
    pub read_at: Position,
}

impl Ask {
    /// The last segment of the request's URL.
    pub fn name(&self) -> &'static str {
        match self {
            Ask::Hello(_) => "hello",
            Ask::Append { .. } => "append",
            Ask::Copy(_) => "copy",
            Ask::Heartbeat { .. } => "heartbeat",
            Ask::Compare { .. } => "compare",
            Ask::Patch(_) => "patch",
            Ask::Verify { .. } => "verify",
        }
    }
}

/// The first request of a link, and again whenever either side may have forgotten something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    pub identity: Identity,
    /// Where each epoch of the primary's line began: what the standby finds the fork with.
    pub history: Vec<EpochStart>,
    /// The oldest index of the primary's log. A standby that lacks an older one needs a sync.
    pub wal_first: u64,
    /// Entries in the primary's data tree and their bytes: what a full sync would copy.
    pub entries: u64,
    pub bytes: u64,
}

/// A Merkle root and the position of a data set that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Root {
    pub dataset: DatasetId,
    pub at: Position,
    pub hash: Hash,
}

/// The answer to any request: where the standby stands, durably, and what it wants next.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub standing: Standing,
    pub want: Want,
}

/// The answering region's durable facts. Nothing in it is promised before a majority of the region holds it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Standing {
    pub identity: Identity,
    pub role: Role,
    pub dataset: DatasetId,
    pub epoch: Epoch,
    pub history: Vec<EpochStart>,
    /// Durable here.
    pub received: Position,
    /// What readers see here (nothing while `sync` is set).
    pub applied: Position,
    pub applied_at: UnixMs,
    pub totals: Totals,
    pub sync: Option<SyncStanding>,
    /// Of a region that was fenced: the proof that it takes no more writes, and where it stopped.
    pub fence: Option<Fence>,
    /// Of a region that left a line, or is about to: what its newest ledger keeps.
    pub ledger: Option<LedgerStanding>,
    /// What this region asks for, or asks for no more.
    pub handover: Handover,
    /// Who this region believes is primary, if not itself.
    pub primary: Option<KnownPrimary>,
    /// By the answering region's wall clock.
    pub answered_at: UnixMs,
}

/// What a ledger holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerStanding {
    pub entries: u64,
    pub unreviewed: u64,
    /// Known by number only.
    pub missing: u64,
}

/// How far a sync got.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SyncStanding {
    pub id: SyncId,
    pub kind: SyncKind,
    pub stage: SyncStage,
    /// `None`: the copy is done, the log is being replayed.
    pub cursor: Option<Bytes>,
    pub entries_done: u64,
    pub bytes_done: u64,
    pub entries_total: u64,
    pub bytes_total: u64,
    pub began_at: UnixMs,
}

/// What a sync does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SyncStage {
    /// Finds out what differs.
    Comparing,
    Copying,
    /// Applies what was written meanwhile.
    Replaying,
}

impl SyncStage {
    pub fn name(self) -> &'static str {
        match self {
            SyncStage::Comparing => "comparing",
            SyncStage::Copying => "copying",
            SyncStage::Replaying => "replaying",
        }
    }
}

impl SyncStanding {
    pub fn of(sync: &SyncState) -> SyncStanding {
        let stage = match (&sync.cursor, sync.kind) {
            (None, _) => SyncStage::Replaying,
            (Some(_), SyncKind::Diff) if sync.patches == 0 => SyncStage::Comparing,
            (Some(_), _) => SyncStage::Copying,
        };
        SyncStanding {
            id: sync.id,
            kind: sync.kind,
            stage,
            cursor: sync.cursor.clone(),
            entries_done: sync.entries_done,
            bytes_done: sync.bytes_done,
            entries_total: sync.entries_total,
            bytes_total: sync.bytes_total,
            began_at: sync.began_at,
        }
    }
}

/// What the answering region wants next.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Want {
    /// The log from this index on.
    Log {
        from: u64,
    },
    /// The data tree behind this key (empty: from its start).
    Copy {
        sync: SyncId,
        after: Bytes,
    },
    /// To be asked what it wants next in this diff sync.
    Compare {
        sync: SyncId,
    },
    /// The children of these nodes of the Merkle tree. Only in answer to `Ask::Compare`, as the next.
    Nodes {
        sync: SyncId,
        parents: Vec<u32>,
    },
    /// What the primary holds in these buckets, but for what is named.
    Diff {
        sync: SyncId,
        batch: u64,
        buckets: Vec<Named>,
    },
    /// The answer to a question of a verification.
    Verified {
        moment: u64,
        found: Found,
    },
    /// An introduction: the answering region does not know, or no longer, what the sender is to it.
    Hello,
    Refused(Refused),
}

/// Why a region takes nothing from the sender.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refused {
    /// The sender's epoch is over: it must fence itself. `primary` is who to follow now.
    Epoch { epoch: Epoch, primary: Option<KnownPrimary> },
    /// The answering region is primary in the same epoch: two promotions did not see each other. People must choose.
    SameEpoch,
    /// The answering region holds another data set, and nobody agreed that it may be replaced.
    OtherDataset,
    /// The answering region speaks this version only.
    Protocol { speaks: u32 },
    /// The answering region is fenced. If it holds what the sender never got, rejoining is its operator's decision, who
    /// finds that in the ledger, once the region knows what it is.
    Fenced { ledger: Option<LedgerStanding> },
    /// A promotion is under way: the incoming stream is frozen.
    Frozen,
    /// A bound is reached or the answering region can't agree on anything now: the same again, later.
    Busy,
    /// What was sent is nothing that was asked for: the two regions' programs do not fit each other.
    Unsound,
}

impl Standing {
    pub fn of(identity: &Identity, path: &PathState, answered_at: UnixMs) -> Standing {
        Standing {
            identity: identity.clone(),
            role: path.role,
            dataset: path.dataset,
            epoch: path.epoch,
            history: path.history.clone(),
            received: path.applied,
            applied: path.applied,
            applied_at: path.applied_at,
            totals: path.totals,
            sync: path.sync.as_ref().map(SyncStanding::of),
            fence: path.fence.clone(),
            ledger: LedgerStanding::of(path),
            handover: path.handover.clone(),
            primary: path.primary.clone(),
            answered_at,
        }
    }
}

impl LedgerStanding {
    pub fn of(path: &PathState) -> Option<LedgerStanding> {
        let ledger = path.ledger.as_ref()?;
        let (unreviewed, missing) = (ledger.unreviewed, ledger.missing);
        Some(LedgerStanding { entries: ledger.entries(), unreviewed, missing })
    }
}

impl std::fmt::Display for LedgerStanding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} writes in its ledger, {} not reviewed", self.entries, self.unreviewed)?;
        if self.missing > 0 {
            write!(f, ", {} more known by number only", self.missing)?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::Epoch { epoch, primary: Some(primary) } => {
                write!(f, "epoch {epoch} has begun: the primary is {}", primary.name)
            }
            Refused::Epoch { epoch, primary: None } => write!(f, "epoch {epoch} has begun"),
            Refused::SameEpoch => write!(f, "the other region is primary in the same epoch: demote one of the two"),
            Refused::OtherDataset => {
                write!(f, "the other region holds another data set: make a new activation token there to replace it")
            }
            Refused::Protocol { speaks } => {
                write!(
                    f,
                    "the other region speaks protocol {speaks}, this one {PROTOCOL}: run the same version on both"
                )
            }
            Refused::Fenced { ledger: None } => {
                write!(f, "the other region is fenced and waits for its operator to rejoin it")
            }
            Refused::Fenced { ledger: Some(ledger) } => {
                write!(f, "the other region is fenced and waits for its operator to rejoin it: {ledger}")
            }
            Refused::Frozen => write!(f, "a promotion is under way in the other region"),
            Refused::Busy => write!(f, "the other region is busy"),
            Refused::Unsound => {
                write!(f, "the other region got what it had not asked for: run the same version on both")
            }
        }
    }
}
