//! Two clusters of Vault Enterprise and the replication between them, by what Vault's documents say of its endpoints. Lag is
//! known in WAL entries only: Vault tells neither bytes nor time, so neither is shown.

use super::pair::LinkLook;
use super::region::RegionView;
use crate::api::vault_replication::{MerkleSyncProgress, ModeStatus, PrimaryStatus, SecondaryStatus};
use crate::clock::UnixMs;
use std::time::Duration;

/// What the two sides say of the replication between them.
#[derive(Clone, PartialEq, Debug)]
pub struct VaultLink {
    /// `DR` or `performance`.
    pub kind: &'static str,
    /// The secondary's word for what it does, else the primary's.
    pub state: String,
    pub connection: String,
    /// The newest WAL entry of the primary, and the newest that the secondary took from it, each with its age.
    pub head: Option<(u64, Duration)>,
    pub taken: Option<(u64, Duration)>,
    pub sync: Option<MerkleSyncProgress>,
    pub heartbeat_age: Option<Duration>,
}

impl VaultLink {
    /// The two sides are asked at two times, so a secondary may be ahead of what the primary said last: that is 0.
    pub fn behind(&self) -> Option<u64> {
        let ((head, head_age), (taken, taken_age)) = (self.head?, self.taken?);
        let fresh = head_age.max(taken_age) <= super::FRESH_FOR;
        fresh.then(|| head.saturating_sub(taken))
    }
}

/// Whether the left one is the primary, how the link looks, and what is said of it. `None`: they do not replicate.
pub fn link(left: &RegionView<'_>, right: &RegionView<'_>, now: UnixMs) -> Option<(bool, LinkLook, VaultLink)> {
    between(left, right, now).map(|(look, link)| (true, look, link)).or_else(|| {
        let (look, link) = between(right, left, now)?;
        Some((false, look, link))
    })
}

fn between(from: &RegionView<'_>, to: &RegionView<'_>, now: UnixMs) -> Option<(LinkLook, VaultLink)> {
    let (of_primary, of_secondary) = (from.foreign?.read(now), to.foreign?.read(now));
    let (here, there) = (of_primary.value.replication.as_ref()?, of_secondary.value.replication.as_ref()?);
    // A cluster can be primary of one kind and secondary of the other.
    let both = [("DR", &here.dr, &there.dr), ("performance", &here.performance, &there.performance)];
    let (kind, primary, secondary) = both.into_iter().find_map(|(kind, here, there)| match (here, there) {
        (ModeStatus::Primary(primary), ModeStatus::Secondary(secondary)) => {
            (primary.cluster_id == secondary.cluster_id).then_some((kind, primary, secondary))
        }
        _ => None,
    })?;
    let old = of_primary.is_old() && of_secondary.is_old();
    let look = if old { LinkLook::Unknown } else { look(primary, secondary) };
    let head = if kind == "DR" { primary.last_dr_wal.max(primary.last_wal) } else { primary.last_wal };
    let peer = secondary.primaries.first();
    let heartbeat = peer.and_then(|peer| peer.last_heartbeat_duration_ms.parse::<f64>().ok());
    let link = VaultLink {
        kind,
        state: secondary.state.clone(),
        connection: secondary.connection_state.clone(),
        head: Some((head, of_primary.age)),
        taken: Some((secondary.last_remote_wal, of_secondary.age)),
        sync: secondary.merkle_sync_progress,
        heartbeat_age: heartbeat.map(|ms| Duration::from_millis(ms.max(0.0) as u64)),
    };
    Some((look, link))
}

fn look(primary: &PrimaryStatus, secondary: &SecondaryStatus) -> LinkLook {
    let peers = || primary.secondaries.iter().chain(&secondary.primaries);
    let cut = peers().any(|peer| peer.connection_status == "disconnected");
    match secondary.state.as_str() {
        _ if cut || matches!(secondary.connection_state.as_str(), "connecting" | "transient_failure" | "shutdown") => {
            LinkLook::Connecting
        }
        "stream-wals" => LinkLook::Streaming,
        "merkle-sync" => LinkLook::FullSync,
        "merkle-diff" => LinkLook::DiffSync,
        "idle" => LinkLook::Refused,
        _ => LinkLook::Unknown,
    }
}
