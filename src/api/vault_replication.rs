//! `sys/replication/status`, `sys/replication/dr/status`, `sys/replication/performance/status`: Vault's own view of
//! replication, with its field names and its types, for tools made for Vault. None needs a token.
//!
//! A path of Twinkeep is what Vault calls DR replication: the other region serves nothing until it is promoted.
//! WAL positions are numbers (the index alone, as Vault has no epoch), the peers' timings are strings.

use serde::{Deserialize, Serialize};

/// `GET sys/replication/status`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReplicationStatus {
    pub dr: ModeStatus,
    pub performance: ModeStatus,
}

/// What one kind of replication does here; by itself the answer of `…/dr/status` and `…/performance/status`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum ModeStatus {
    Disabled,
    Primary(PrimaryStatus),
    Secondary(SecondaryStatus),
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PrimaryStatus {
    pub cluster_id: String,
    pub corrupted_merkle_tree: bool,
    /// Accessors of the activation tokens that were not revoked, used or not.
    pub known_secondaries: Vec<String>,
    pub last_corruption_check_epoch: String,
    pub last_dr_wal: u64,
    pub last_reindex_epoch: String,
    pub last_wal: u64,
    pub merkle_root: String,
    pub primary_cluster_addr: String,
    pub secondaries: Vec<Peer>,
    pub ssct_generation_counter: u64,
    /// `running`
    pub state: String,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SecondaryStatus {
    pub cluster_id: String,
    /// `ready`, `connecting`, `idle`, `transient_failure`, `shutdown`
    pub connection_state: String,
    pub corrupted_merkle_tree: bool,
    pub known_primary_cluster_addrs: Vec<String>,
    pub known_secondaries: Vec<String>,
    pub last_corruption_check_epoch: String,
    pub last_reindex_epoch: String,
    pub last_remote_wal: u64,
    pub last_start: String,
    pub last_wal: u64,
    pub merkle_root: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merkle_sync_progress: Option<MerkleSyncProgress>,
    pub primaries: Vec<Peer>,
    pub primary_cluster_addr: String,
    pub secondary_id: String,
    pub ssct_generation_counter: u64,
    /// `stream-wals`, `merkle-diff`, `merkle-sync`, or `idle`, which is a fault.
    pub state: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MerkleSyncProgress {
    pub sync_progress: u64,
    pub sync_total_keys: u64,
}

/// The other side of a link.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Peer {
    pub api_address: String,
    /// Milliseconds as a string: Go clients decode it so.
    pub clock_skew_ms: String,
    pub cluster_address: String,
    /// `connected` or `disconnected`
    pub connection_status: String,
    /// RFC 3339; empty if it was never heard.
    pub last_heartbeat: String,
    /// Milliseconds as a string.
    pub last_heartbeat_duration_ms: String,
    /// Only of secondaries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// Milliseconds as a string.
    pub replication_primary_canary_age_ms: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn modes_and_types_are_vaults() {
        let peer = Peer { clock_skew_ms: "0".into(), node_id: Some("eu".into()), ..Peer::default() };
        let primary = PrimaryStatus { last_wal: 42, secondaries: vec![peer], ..PrimaryStatus::default() };
        let status = ReplicationStatus { dr: ModeStatus::Primary(primary), performance: ModeStatus::Disabled };
        let sent = serde_json::to_value(&status).expect("JSON");
        assert_eq!(sent["dr"]["mode"], "primary");
        assert_eq!(sent["dr"]["last_wal"], 42);
        assert_eq!(sent["dr"]["secondaries"][0]["clock_skew_ms"], "0");
        assert_eq!(sent["performance"], json!({"mode": "disabled"}));
        assert_eq!(serde_json::from_value::<ReplicationStatus>(sent).expect("back"), status);
    }
}
