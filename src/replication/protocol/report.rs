//! What the core knows about its links, for status and metrics: plain values, each with when it was learned.

use super::message::{Header, SyncStanding};
use crate::api::replication::LinkState;
use crate::clock::UnixMs;
use crate::ids::{Position, RegionId};
use crate::state::{Role, Totals};

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

impl LagReport {
    /// From what the primary said of its head to what a standby has applied.
    pub(super) fn between(header: &Header, applied: Position, applied_at: UnixMs, totals: &Totals, at: UnixMs) -> Self {
        let ms = header.head_at.since(applied_at).as_millis() as u64;
        LagReport {
            head: header.head,
            head_at: header.head_at,
            behind: header.totals.since(totals),
            entries: header.head.index.saturating_sub(applied.index),
            ms: if header.head <= applied { 0 } else { ms },
            observed_at: at,
        }
    }
}
