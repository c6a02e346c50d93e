//! What goes into the core and what comes out of it: the driver's side of the contract.
//!
//! The driver gives every input together with the moment and with the region's durable facts as they are then
//! (`Core::step`), runs the effects in order, and brings back what became of each. It may lose an effect only by
//! dropping the core, which it does when its node's leadership ends.

use super::message::{Answer, Identity, LedgerStanding, Request, Root};
use super::report::Verified;
use crate::api::replication::{LossEstimate, Plan, PromoteMode, Step};
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, Position, PromotionId, RegionId};
use crate::state::diff::{Held, Named, Unnamed};
use crate::state::merkle::Nodes;
use crate::state::scrub::Correction;
use crate::state::{Command, KnownPrimary, Outcome, Stored, SyncKind, Totals, WalEntry};
use crate::storage::ScanLimit;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The moment of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Milliseconds by a clock that never goes back, for deadlines; any zero.
    pub steady_ms: u64,
    /// For what people read, and for lags; may jump.
    pub wall: UnixMs,
}

/// What a core is made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    pub identity: Identity,
    pub timing: Timing,
    /// Whether a node of this region that runs ever since saw it open for writes in its present epoch (`opening`).
    pub open: bool,
    /// From the operating system's generator, new for each core: ids of syncs, jitter.
    pub seed: [u8; 32],
    pub diff: DiffBounds,
}

/// How a standby goes about a diff sync.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiffBounds {
    /// Entries of buckets that differ that one batch holds, about: they are named to the primary in one message.
    pub batch_entries: usize,
    /// Batches of one sync: for each, both sides read their trees. With more to do, a full sync is quicker.
    pub scans: usize,
}

impl Default for DiffBounds {
    fn default() -> DiffBounds {
        DiffBounds { batch_entries: 1 << 17, scans: 24 }
    }
}

/// Periods, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    pub heartbeat_every_ms: u64,
    /// A request that was not answered by then is given up and made again.
    pub request_deadline_ms: u64,
    /// The first and the longest pause before a lost link is dialled again.
    pub backoff_min_ms: u64,
    pub backoff_max_ms: u64,
    /// Between two looks at a region that refused: it may change its mind.
    pub refused_every_ms: u64,
    /// Before a proposal that failed in the own region is made again.
    pub propose_again_ms: u64,
    /// A primary that was not heard for so long counts as out of reach.
    pub silent_after_ms: u64,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat_every_ms: 500,
            request_deadline_ms: 10_000,
            backoff_min_ms: 200,
            backoff_max_ms: 10_000,
            refused_every_ms: 5_000,
            propose_again_ms: 200,
            silent_after_ms: 3_000,
        }
    }
}

/// Another region that this one has, or is about to have, a link credential for: its durable link record in the
/// core's words. A primary dials all of them; a standby and a fenced region only answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    pub region: RegionId,
    pub name: String,
    /// API addresses of its nodes, best first.
    pub addresses: Vec<String>,
    /// False while there is only an activation token: the core asks for `Effect::Activate` first.
    pub activated: bool,
    /// Whether there is a credential, be it of an earlier activation while a newer token waits to replace it: that region
    /// may have been promoted as well.
    pub known: bool,
    pub paused: bool,
    /// Requests in flight at most.
    pub max_parallel: u32,
}

/// Whose data set this region agreed to take over in place of its own: the newest activation token of this region that
/// was used. At most one holds at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Adoption {
    pub from: RegionId,
    pub dataset: DatasetId,
}

/// A request that came in, an own request, a proposal, a read: numbers that only their maker reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProposalId(pub u64);
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReadId(pub u64);

#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "an input is made, moved into the core and taken apart: none is kept")]
pub enum Input {
    /// Time passed; due at `Core::wakes_at` at the latest.
    Tick,
    /// The path's record changed (the facts that come with each input say how).
    Applied,
    /// The link records changed. Also right after the core was made.
    Peers {
        /// Of these, the links begin anew: a token was presented again, or an address changed.
        anew: Vec<RegionId>,
        peers: Vec<Peer>,
        adopts: Option<Adoption>,
    },
    /// What became of `Effect::Activate`. On success the link record holds a credential by now.
    Activation {
        peer: RegionId,
        result: Result<(), Failure>,
    },
    /// An authenticated request of `from`; the answer comes as `Effect::Reply` with the same id, at once or after
    /// something was agreed on. The driver numbers it.
    Request {
        id: RequestId,
        from: RegionId,
        request: Request,
    },
    /// The authenticated answer to an own request.
    Answer {
        call: CallId,
        from: RegionId,
        answer: Answer,
    },
    /// An own request came to nothing: no connection, no answer in time, or an answer that says nothing.
    Failed {
        call: CallId,
        from: RegionId,
        failure: Failure,
    },
    /// What became of `Effect::Propose`.
    Proposed {
        id: ProposalId,
        result: Result<Outcome, Failure>,
    },
    /// What `Effect::ReadWal` read; empty if the log holds nothing from there on.
    WalRead {
        read: ReadId,
        result: Result<Vec<WalEntry>, Failure>,
    },
    /// What `Effect::ReadRange` read.
    RangeRead {
        read: ReadId,
        result: Result<RangeRead, Failure>,
    },
    /// What `Effect::ReadNodes` read, and the position it belongs to.
    NodesRead {
        read: ReadId,
        result: Result<(Position, Vec<Nodes>), Failure>,
    },
    /// What `Effect::ReadHeld` read.
    HeldRead {
        read: ReadId,
        result: Result<Held, Failure>,
    },
    /// What `Effect::ReadUnnamed` read.
    UnnamedRead {
        read: ReadId,
        result: Result<Unnamed, Failure>,
    },
    /// What `Effect::Freeze` froze: the position of the moment.
    Frozen {
        read: ReadId,
        result: Result<Position, Failure>,
    },
    /// In how many buckets the disk is not what was applied.
    Scrubbed {
        read: ReadId,
        result: Result<usize, Failure>,
    },
    FrozenNodesRead {
        read: ReadId,
        result: Result<Vec<Nodes>, Failure>,
    },
    FrozenHeldRead {
        read: ReadId,
        result: Result<Held, Failure>,
    },
    /// The operator asks this primary to verify its standbys; nothing happens while that is under way.
    Verify {
        id: u64,
    },
    /// A Merkle root of this region that the driver computed (now and then; it costs).
    Root(Root),
    /// This primary may take writes in this epoch: `by` says who knows.
    Open {
        dataset: DatasetId,
        epoch: Epoch,
        by: OpenedBy,
    },
    /// The operator asks this standby for a promotion without its primary's consent. Safe to repeat.
    Promote(PromoteOrder),
    /// The operator asks this standby to take over from its primary. Safe to repeat.
    Switchover(SwitchoverOrder),
    /// The operator of this standby wants no more of the switchover under way.
    CancelSwitchover {
        id: PromotionId,
        reason: String,
    },
}

/// Why a primary takes writes, where it did not at first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenedBy {
    /// It became primary just now.
    Promotion,
    /// Every region that it is linked with said that it knows of no higher epoch.
    Confirmation,
    /// Another node of the region saw it open and never stopped.
    Remembered,
    /// An operator took it on themselves; the record of it is durable.
    Override { reason: String },
}

/// A stretch of the data tree, read at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct RangeRead {
    pub entries: Vec<(Bytes, Stored)>,
    /// Whether the tree holds nothing behind the last entry.
    pub end: bool,
    /// The applied position of the moment of the read, or a newer one; an older one would make a mixture.
    pub read_at: Position,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PromoteOrder {
    pub id: PromotionId,
    /// The hash of the plan that the operator saw.
    pub plan: String,
    pub accept_loss: bool,
    pub outside: Outside,
    /// The record that the region tree holds under `id` already, if it does.
    pub earlier: Option<PromotionEnd>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct SwitchoverOrder {
    pub id: PromotionId,
    /// The hash of the plan that the operator saw.
    pub plan: String,
    /// After so long without an outcome the standby declines.
    pub deadline_ms: u64,
    pub outside: Outside,
    /// The record that the region tree holds under `id` already, if it does.
    pub earlier: Option<PromotionEnd>,
}

/// What a plan needs to know and only the driver sees. `None`: could not be found out.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outside {
    /// Whether this node is sealed: after a promotion a sealed region acknowledges nothing.
    pub sealed: Option<bool>,
    /// Voters of this region, and how many of them the leader reached lately.
    pub voters: Option<(u32, u32)>,
    /// Whether the link credential to the old primary is there, so that it can be fenced.
    pub credential: Option<bool>,
    /// Activation tokens of this region that can still be used.
    pub tokens: Option<u32>,
    /// The node that asked the primary's nodes directly, and what they said.
    pub node: String,
    pub probes: Vec<Probe>,
}

/// What one address of another region said when it was asked directly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    pub address: String,
    pub said: Probed,
    pub at: UnixMs,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Probed {
    /// It is of a primary that acknowledges writes.
    TakesWrites,
    /// It answers, as what it says.
    Answers(String),
    /// Nothing, and why.
    Silent(String),
}

/// Why something did not work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It may work later; nothing was done, or it does no harm to do it again.
    Retry(String),
    /// It will never work as it stands: a spent token, an unknown credential, another path.
    Final(String),
}

#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "an effect is made, moved out of the core and run: none is kept")]
pub enum Effect {
    /// Prove the activation token to this region, send the keyring, keep the credential (DESIGN.md, “The token”): a
    /// matter of cryptography, which the driver does on its own.
    Activate {
        peer: RegionId,
    },
    Send {
        call: CallId,
        to: RegionId,
        request: Request,
        deadline_ms: u64,
    },
    /// The answer to `Input::Request`. A request whose core is dropped is answered by nobody: its sender repeats it.
    Reply {
        id: RequestId,
        answer: Answer,
    },
    /// Agree on this in the own region.
    Propose {
        id: ProposalId,
        command: Command,
    },
    /// Entries of the log from this index on.
    ReadWal {
        read: ReadId,
        from: u64,
        limit: ScanLimit,
    },
    /// The data tree behind this key (empty: from its start).
    ReadRange {
        read: ReadId,
        after: Bytes,
        limit: ScanLimit,
    },
    /// What lies below these nodes of the Merkle tree, as it is now (`State::nodes`).
    ReadNodes {
        read: ReadId,
        parents: Vec<u32>,
    },
    /// The entries of these buckets of the Merkle tree (`State::held`).
    ReadHeld {
        read: ReadId,
        buckets: Vec<u16>,
        bytes_max: usize,
    },
    /// What these buckets hold beside what is named, behind this key (`State::unnamed`).
    ReadUnnamed {
        read: ReadId,
        named: Arc<Vec<Named>>,
        after: Bytes,
        limit: ScanLimit,
    },
    /// The Merkle root of this region as it is now, as `Input::Root`.
    ReadRoot,
    /// Keep the present moment under this name, in the place of the one before (`State::freeze`).
    Freeze {
        read: ReadId,
        moment: u64,
    },
    /// Hold the disk against what was applied, as of the moment that is kept (`State::scrub`).
    Scrub {
        read: ReadId,
        moment: u64,
        correction: Correction,
    },
    /// As `ReadNodes` and `ReadHeld`, of the moment that is kept.
    ReadFrozenNodes {
        read: ReadId,
        moment: u64,
        parents: Vec<u32>,
    },
    ReadFrozenHeld {
        read: ReadId,
        moment: u64,
        buckets: Vec<u16>,
        bytes_max: usize,
    },
    /// Forget the moment that is kept.
    Thaw,
    /// Something to tell people, and to keep in the events of the path.
    Report(Fact),
}

/// What happened, as a value: the driver puts it into words, metrics and events.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// A link changed what it does.
    Link { peer: RegionId, state: crate::api::replication::LinkState, error: Option<String> },
    /// This standby began to take over a primary's data: why, in words.
    SyncBegan { from: RegionId, kind: SyncKind, reason: &'static str },
    /// The sync is done: readers see one position's state again.
    Whole { applied: Position },
    /// This region is fenced, durably.
    Fenced { by_epoch: Epoch, by: RegionId, reached: Position },
    /// An operator demoted this primary, durably.
    Demoted { epoch: Epoch, reached: Position, reason: String },
    /// All that this region holds and the new primary's line lacks is in its ledger.
    Diverged { fork: Position, reached: Position, kept: LedgerStanding },
    /// Another region said that it is fenced, durably, where it stopped, and what all its batches up to there come to.
    PeerFenced { peer: RegionId, by_epoch: Epoch, reached: Position, totals: Option<Totals> },
    /// This standby follows a primary of a new epoch.
    Follows { primary: RegionId, epoch: Epoch },
    /// The roots of both regions at this position; `equal: false` is an alarm.
    Roots { peer: RegionId, at: Position, equal: bool },
    /// Two regions are primary in one epoch: an alarm.
    SameEpoch { peer: RegionId, epoch: Epoch },
    /// Of a promotion in this region.
    Promotion { id: PromotionId, progress: PromotionProgress },
    /// A verification came to its end.
    Verified(Box<Verified>),
    /// This primary restarted as a whole: it takes no writes before these regions confirmed its epoch.
    Closed { epoch: Epoch, waits_for: Vec<RegionId> },
    /// It takes writes again.
    Opened { epoch: Epoch, by: OpenedBy },
    /// Of a switchover to `peer`, in the primary's region.
    Handover { id: PromotionId, peer: RegionId, stage: HandoverStage },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HandoverStage {
    /// This region takes no more writes, durably.
    GaveUp { reached: Position },
    /// The other region declined: this one is primary again, in the same epoch.
    TookBack,
}

/// How a promotion goes. `Done` and `Refused` are final.
#[derive(Clone, PartialEq, Debug)]
pub enum PromotionProgress {
    /// The incoming stream is frozen, the primary is being asked, or the promotion waits to be agreed on.
    Running(PromoteMode),
    Done(Box<PromotionRecord>),
    /// The region is not promoted by this id: why, and, where a plan was refused, the plan as it is now.
    Refused {
        reason: String,
        plan: Option<Box<Plan>>,
    },
    /// The region could not say whether it agreed. The core goes on asking; so must who asked.
    Unknown(String),
}

/// What is kept of a promotion, under `Key::Promotion(id)` as postcard, in the same commit as what it came to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one is read or written at a time")]
pub enum PromotionEnd {
    Done(PromotionRecord),
    /// A switchover that this region will never open by.
    Declined(DeclinedRecord),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeclinedRecord {
    pub id: PromotionId,
    /// The epoch that it would have opened.
    pub epoch: Epoch,
    pub began_at: UnixMs,
    pub at: UnixMs,
    pub reason: String,
    pub steps: Vec<Step>,
}

impl From<PromotionEnd> for PromotionProgress {
    fn from(end: PromotionEnd) -> PromotionProgress {
        match end {
            PromotionEnd::Done(record) => PromotionProgress::Done(Box::new(record)),
            PromotionEnd::Declined(record) => PromotionProgress::Refused { reason: record.reason, plan: None },
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PromotionRecord {
    pub id: PromotionId,
    pub mode: PromoteMode,
    /// The epoch that it opened.
    pub epoch: Epoch,
    pub began_at: UnixMs,
    pub at: UnixMs,
    /// What this region had applied: whatever the old primary wrote behind it is lost here, and kept there.
    pub fork: Position,
    /// Of all batches up to the fork: with what the old primary says it reached they give the loss by class.
    pub totals: Totals,
    pub loss: LossEstimate,
    pub old_primary: Option<KnownPrimary>,
    /// Of a switchover: how long no region took writes, from when the primary began to refuse them to when this region
    /// opened. By each side's steady clock, with half a round trip between them. `None`: this region's leader changed
    /// before it was on record.
    pub pause_ms: Option<u64>,
    /// What happened, up to the opening.
    pub steps: Vec<Step>,
}
