//! What the core knows about its links, for status and metrics: plain values, each with when it was learned.

use super::message::{Header, SyncStanding};
use crate::api::replication::LinkState;
use crate::clock::UnixMs;
use crate::ids::{Position, RegionId};
use crate::state::{Role, Totals};
use bytes::Bytes;
use std::collections::BTreeMap;

/// One link as this region sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct LinkReport {
    pub peer: RegionId,
    pub name: String,
    /// As the peer said last; empty before it was heard.
    pub addresses: Vec<String>,
    pub version: String,
    /// Whether this region dials (it is the primary) or answers.
    pub outgoing: bool,
    pub state: LinkState,
    pub since: UnixMs,
    pub last_heard_at: Option<UnixMs>,
    pub error: Option<String>,
    pub retry_at: Option<UnixMs>,
    /// The peer's role as it said last.
    pub peer_role: Option<Role>,
    /// The standby's, as the primary heard last; on a standby its own.
    pub received: Position,
    pub applied: Position,
    /// `None` when the other side was never heard.
    pub lag: Option<LagReport>,
    pub sync: Option<SyncStanding>,
    pub in_flight: u32,
    pub max_parallel: u32,
    pub entries_per_s: f64,
    pub bytes_per_s: f64,
    pub round_trip_ms: Option<f64>,
    /// The other side's wall clock minus ours, by the middle of a round trip; on a standby, by the way here.
    pub clock_skew_ms: Option<i64>,
}

/// Head minus applied, as of `observed_at`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LagReport {
    pub head: Position,
    pub head_at: UnixMs,
    /// By class and in bytes.
    pub behind: Totals,
    pub entries: u64,
    pub ms: u64,
    pub observed_at: UnixMs,
}

/// How a verification goes, or came out.
#[derive(Clone, PartialEq, Debug)]
pub struct Verified {
    pub id: u64,
    pub began_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    pub own: OwnDisk,
    pub standbys: BTreeMap<RegionId, StandbyVerified>,
}

/// What the disk of the primary's leader holds, beside what was applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnDisk {
    NotRead,
    Sound,
    /// So many buckets of the Merkle tree differ.
    Differs(usize),
    Unreadable(String),
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct StandbyVerified {
    pub outcome: Outcome,
    /// The position of the newest comparison.
    pub at: Option<Position>,
    /// Buckets in which the standby's disk was not what it had applied.
    pub scrubbed: usize,
    /// Buckets that differed, and entries in those that were looked into.
    pub buckets: usize,
    pub entries: usize,
    /// Some of the keys of those entries.
    pub keys: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub enum Outcome {
    #[default]
    Waiting,
    /// What is being done, in words.
    Running(&'static str),
    /// Both sides hold the same at that position.
    Equal,
    /// They did not; what differed was taken over, and a comparison after it found them equal.
    Repaired,
    /// They do not: why that stays so.
    Differs(String),
    /// Nothing is known: why.
    Unchecked(String),
}

/// How far a standby got.
pub(super) struct Applied {
    pub position: Position,
    /// When the batch there was evaluated.
    pub at: UnixMs,
    pub totals: Totals,
    /// When it was last known to have applied all there was, or when it was first heard.
    pub caught_up_at: UnixMs,
}

impl LagReport {
    /// From what the primary said of its head to what a standby has applied.
    pub(super) fn between(header: &Header, standby: &Applied, observed_at: UnixMs) -> LagReport {
        // How much older the standby's newest batch is than the head. When nothing was written for an hour, the first
        // write after it is no hour of lag: it can't be older than the moment when all was applied.
        let older = header.head_at.since(standby.at);
        let since = observed_at.since(standby.caught_up_at);
        let ms = older.min(since).as_millis() as u64;
        LagReport {
            head: header.head,
            head_at: header.head_at,
            behind: header.totals.since(&standby.totals),
            entries: header.head.index.saturating_sub(standby.position.index),
            ms: if header.head <= standby.position { 0 } else { ms },
            observed_at,
        }
    }
}
