//! Replication in the fields that tools made for Vault read.

use super::path::path_status;
use crate::api::replication::{LinkState, LinkStatus, PathStatus};
use crate::api::vault_replication::{
    MerkleSyncProgress, ModeStatus, Peer, PrimaryStatus, ReplicationStatus, SecondaryStatus,
};
use crate::clock::UnixMs;
use crate::error::Result;
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::state::Role;
use std::time::Duration;

/// The stage of a sync in which nobody knows yet how much differs.
const COMPARING: &str = "comparing";
/// A link that was silent for longer is shown as disconnected.
const SILENT_AFTER: Duration = Duration::from_secs(10);

pub async fn all(call: Call) -> Result<Answer> {
    Ok(Answer::data(&ReplicationStatus { dr: mode(&call).await?, performance: ModeStatus::Disabled }))
}

pub async fn dr(call: Call) -> Result<Answer> {
    Ok(Answer::data(&mode(&call).await?))
}

pub async fn performance(_call: Call) -> Result<Answer> {
    Ok(Answer::data(&ModeStatus::Disabled))
}

/// Before `operator init`, and in a fenced region, replication is disabled. A primary without a standby says how far it is.
async fn mode(call: &Call) -> Result<ModeStatus> {
    if call.node.is_initialised() {
        call.node.expect_open()?;
    }
    let path = call.node.state.path();
    if !path.is_initialised() {
        return Ok(ModeStatus::Disabled);
    }
    let status = path_status(call, &path.name).await?;
    Ok(match status.role {
        Role::Primary => ModeStatus::Primary(primary(&status)),
        Role::Standby => ModeStatus::Secondary(secondary(&status)),
        Role::Fenced => ModeStatus::Disabled,
    })
}

fn primary(status: &PathStatus) -> PrimaryStatus {
    let outgoing = status.links.iter().filter(|link| link.outgoing);
    PrimaryStatus {
        cluster_id: status.dataset.to_string(),
        known_secondaries: outgoing.clone().map(|link| link.name.clone()).collect(),
        last_dr_wal: status.applied.index,
        last_wal: status.applied.index,
        merkle_root: status.merkle_root.clone(),
        primary_cluster_addr: status.region.api_addr.clone(),
        secondaries: outgoing.map(|link| peer(link, status.observed_at, true)).collect(),
        state: "running".into(),
        ..PrimaryStatus::default()
    }
}

fn secondary(status: &PathStatus) -> SecondaryStatus {
    let link = status.links.iter().find(|link| !link.outgoing);
    let connected = link.is_some_and(|link| is_connected(link, status.observed_at));
    let sync = status.sync.as_ref();
    SecondaryStatus {
        cluster_id: status.dataset.to_string(),
        connection_state: if connected { "ready" } else { "transient_failure" }.into(),
        known_primary_cluster_addrs: status.primary.iter().flat_map(|primary| primary.addresses.clone()).collect(),
        last_remote_wal: status.head.map_or(0, |head| head.index),
        last_start: link.map(|link| link.since.rfc3339()).unwrap_or_default(),
        last_wal: status.applied.index,
        merkle_root: status.merkle_root.clone(),
        merkle_sync_progress: sync
            .map(|sync| MerkleSyncProgress { sync_progress: sync.entries_done, sync_total_keys: sync.entries_total }),
        primaries: link.map(|link| peer(link, status.observed_at, false)).into_iter().collect(),
        primary_cluster_addr: status
            .primary
            .as_ref()
            .and_then(|primary| primary.addresses.first().cloned())
            .unwrap_or_default(),
        secondary_id: status.region.name.clone(),
        state: match (connected, sync) {
            (false, _) => "idle",
            (true, Some(sync)) if sync.stage == COMPARING => "merkle-diff",
            (true, Some(_)) => "merkle-sync",
            (true, None) => "stream-wals",
        }
        .into(),
        ..SecondaryStatus::default()
    }
}

fn peer(link: &LinkStatus, now: UnixMs, is_secondary: bool) -> Peer {
    let address = link.addresses.first().cloned().unwrap_or_default();
    Peer {
        api_address: address.clone(),
        cluster_address: address,
        clock_skew_ms: link.clock_skew_ms.unwrap_or_default().to_string(),
        connection_status: if is_connected(link, now) { "connected" } else { "disconnected" }.into(),
        last_heartbeat: link.last_heard_at.map(|at| at.rfc3339()).unwrap_or_default(),
        last_heartbeat_duration_ms: link.round_trip_ms.map_or(0, |ms| ms.round() as u64).to_string(),
        node_id: is_secondary.then(|| link.name.clone()),
        replication_primary_canary_age_ms: link.lag.map_or(0, |lag| lag.ms).to_string(),
    }
}

/// Unknown is never good: a link that was not heard lately is not connected, whatever it was doing.
fn is_connected(link: &LinkStatus, now: UnixMs) -> bool {
    let heard = link.last_heard_at.is_some_and(|at| now.since(at) < SILENT_AFTER);
    heard && !matches!(link.state, LinkState::Connecting | LinkState::Refused)
}
