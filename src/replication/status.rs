//! What the region knows of itself and its links, put together as the console shows it. Unknown is never good: a
//! head that was not heard is no head, and a lag without a head is no lag.

use super::context::Context;
use super::driver::Ask;
use super::forecast::{Growth, forecast};
use super::handshake::Party;
use super::ledger_wire;
use super::link_record::{self, LinkRecord};
use super::promotion;
use super::protocol::{LinkReport, PROTOCOL, PromotionEnd, SyncStage, SyncStanding};
use super::token_records;
use super::verification;
use crate::api::replication::{
    FenceInfo, HandoverInfo, HandoverStage, Lag, LinkState, LinkStatus, NodeStatus, PathStatus, PrimaryInfo,
    RegionInfo, SyncStatus, TokenSummary, WalStatus,
};
use crate::clock::{self, UnixMs};
use crate::consensus::{Standing, in_handover};
use crate::error::Result;
use crate::state::{PathState, Role};
use std::sync::Arc;
use std::time::Duration;

/// Read from storage at one time.
struct Stored {
    region: Party,
    records: Vec<LinkRecord>,
    tokens: TokenSummary,
    root: [u8; 32],
    path: PathState,
    promotion: Option<PromotionEnd>,
}

pub(super) async fn status(context: &Arc<Context>) -> Result<PathStatus> {
    // Only the leader's core knows the links; a follower shows what its storage says.
    let reports = context.ask(|reply| Ask::Reports { reply }).await.unwrap_or_default();
    let mut stored = context.blocking(read).await?;
    let promotion = promotion::newest(context, stored.promotion.take(), &reports).await;
    let verification = verification::newest(context).await;
    let now = clock::now();
    let (path, standing) = (&stored.path, context.standing());
    let sealed = context.keyring.is_sealed();
    let is_primary = path.role == Role::Primary;
    let from_primary = reports.iter().find(|report| !report.outgoing);
    let (head, head_at) = match from_primary.and_then(|report| report.lag) {
        _ if is_primary => (Some(path.applied), Some(now)),
        Some(lag) => (Some(lag.head), Some(lag.observed_at)),
        None => (None, None),
    };
    Ok(PathStatus {
        observed_at: now,
        path: path.name.clone(),
        region: RegionInfo {
            id: stored.region.id,
            name: stored.region.name.clone(),
            node: context.config.node.clone(),
            api_addr: context.config.api_addr.clone(),
            version: context.config.version.clone(),
            protocol: PROTOCOL,
            tls: Some(!context.config.fingerprints.is_empty()),
        },
        role: path.role,
        epoch: path.epoch,
        dataset: path.dataset,
        whole: path.is_whole(),
        writable: is_primary
            && path.is_initialised()
            && path.is_whole()
            && !sealed
            && standing.leader.is_some()
            && context.opening.saw_open(path),
        closed: path.handover.gave_up.as_ref().map(|it| in_handover(&it.to.name)).or_else(|| context.opening.closed()),
        sealed,
        head,
        head_at,
        received: path.applied,
        applied: path.applied,
        applied_at: path.applied_at,
        lag: from_primary.and_then(lag),
        merkle_root: hex::encode(stored.root),
        entries: path.entries,
        bytes: path.bytes,
        wal: WalStatus { first_index: path.wal_first, next_index: path.applied.index + 1, bytes: path.wal_bytes },
        sync: own_sync(context, path),
        primary: path.primary.as_ref().map(|primary| PrimaryInfo {
            region: primary.region,
            name: primary.name.clone(),
            addresses: primary.addresses.clone(),
        }),
        fence: path.fence.as_ref().filter(|_| path.role == Role::Fenced).map(|fence| FenceInfo {
            by_epoch: fence.by_epoch,
            at: fence.at,
            reached: fence.reached,
            demoted: fence.demoted.clone(),
        }),
        ledger: ledger_wire::summary(path),
        handover: handover(path),
        verification: verification.map(Box::new),
        promotion: promotion.map(Box::new),
        links: reports.into_iter().map(|report| link(context, report, &stored)).collect(),
        tokens: stored.tokens,
        nodes: nodes(&standing, sealed, context.opening.saw_open(path), now),
        writes_per_s: if is_primary { context.rates.batches_per_s() } else { 0.0 },
    })
}

fn read(context: &Context) -> Result<Stored> {
    let state = context.state();
    let region = match state.identity()? {
        Some(identity) => Party { id: identity.id, name: identity.name },
        None => Party { id: Default::default(), name: String::new() },
    };
    Ok(Stored {
        region,
        records: link_record::list(state)?,
        tokens: token_records::summary(&token_records::list(state)?, clock::now()),
        root: state.root().1,
        path: state.path(),
        promotion: promotion::newest_record(state, clock::now())?,
    })
}

/// The switchover that this region is in the middle of.
fn handover(path: &PathState) -> Option<HandoverInfo> {
    if let Some(gave_up) = &path.handover.gave_up {
        return Some(HandoverInfo {
            id: gave_up.id,
            stage: HandoverStage::GaveUp,
            region: gave_up.to.region,
            name: gave_up.to.name.clone(),
            since: gave_up.at,
            deadline_at: None,
            reached: Some(gave_up.reached),
        });
    }
    let ask = path.handover.asks.as_ref()?;
    let name = path.primary.as_ref().filter(|it| it.region == ask.from).map(|it| it.name.clone());
    Some(HandoverInfo {
        id: ask.id,
        stage: HandoverStage::Asks,
        region: ask.from,
        name: name.unwrap_or_else(|| format!("region {}", ask.from)),
        since: ask.begun_at,
        deadline_at: Some(ask.begun_at.plus(Duration::from_millis(ask.deadline_ms))),
        reached: None,
    })
}

/// A standby that does not hear its primary knows how far it was behind, not how far it is.
fn lag(report: &LinkReport) -> Option<Lag> {
    let silent = !report.outgoing && report.state == LinkState::Connecting;
    report.lag.filter(|_| !silent).map(|report| Lag {
        entries: report.entries,
        bytes: report.behind.bytes,
        ms: report.ms,
        observed_at: report.observed_at,
    })
}

fn link(context: &Context, report: LinkReport, stored: &Stored) -> LinkStatus {
    let lag = lag(&report);
    let growth = Growth { entries_per_s: context.rates.batches_per_s(), bytes_per_s: context.rates.bytes_per_s() };
    let forecast = forecast(&report, &stored.path, &context.config.wal, growth, clock::now());
    let record = stored.records.iter().find(|record| record.region == report.peer);
    let mut addresses = record.map(|record| record.addresses.clone()).unwrap_or_default();
    for address in report.addresses {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    LinkStatus {
        region: report.peer,
        name: report.name,
        addresses,
        outgoing: report.outgoing,
        state: report.state,
        since: report.since,
        last_heard_at: report.last_heard_at,
        error: report.error.or_else(|| context.refused.of(report.peer)),
        retry_at: report.retry_at,
        received: report.received,
        applied: report.applied,
        lag,
        sync: report.sync.map(|sync| sync_status(&sync, Some(report.bytes_per_s).filter(|rate| *rate > 0.0))),
        in_flight: report.in_flight,
        max_parallel: report.max_parallel,
        entries_per_s: report.entries_per_s,
        bytes_per_s: report.bytes_per_s,
        round_trip_ms: report.round_trip_ms,
        clock_skew_ms: report.clock_skew_ms,
        tls: record.is_some_and(LinkRecord::tls),
        forecast,
    }
}

fn own_sync(context: &Context, path: &PathState) -> Option<SyncStatus> {
    let sync = path.sync.as_ref()?;
    let standing = SyncStanding::of(sync);
    Some(sync_status(&standing, context.rates.sync_bytes_per_s().filter(|rate| *rate > 0.0)))
}

fn sync_status(sync: &SyncStanding, bytes_per_s: Option<f64>) -> SyncStatus {
    let copying = sync.stage == SyncStage::Copying;
    let left = sync.bytes_total.saturating_sub(sync.bytes_done);
    SyncStatus {
        kind: sync.kind.name().into(),
        stage: sync.stage.name().into(),
        entries_done: sync.entries_done,
        entries_total: sync.entries_total,
        bytes_done: sync.bytes_done,
        bytes_total: sync.bytes_total,
        bytes_per_s: bytes_per_s.unwrap_or_default(),
        eta_ms: bytes_per_s.filter(|_| copying).map(|rate| (left as f64 / rate * 1000.0) as u64),
        began_at: sync.began_at,
    }
}

fn nodes(standing: &Standing, sealed: bool, saw_open: bool, now: UnixMs) -> Vec<NodeStatus> {
    let node = |(id, member): (&crate::ids::NodeId, &crate::consensus::Member)| {
        let own = *id == standing.me;
        NodeStatus {
            name: member.name.clone(),
            api_addr: member.api_addr.clone(),
            leader: standing.leader == Some(*id),
            voter: member.voter,
            sealed: own.then_some(sealed),
            last_log_index: if own { Some(standing.last_log_index) } else { member.matched_index },
            applied_index: own.then_some(standing.applied_index),
            term: own.then_some(standing.term),
            last_contact_at: own.then_some(now),
            saw_open: own.then_some(saw_open),
        }
    };
    standing.members.iter().map(node).collect()
}
