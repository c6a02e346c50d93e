//! The nodes of a region: `sys/leader`, `sys/ha-status`, `sys/storage/raft/…`.

use serde::{Deserialize, Serialize};

/// `GET sys/leader`. Needs no token.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Leader {
    pub ha_enabled: bool,
    pub is_self: bool,
    /// When this leadership began, RFC 3339; `0001-01-01T00:00:00Z` on a follower.
    pub active_time: String,
    /// The API address of the leader; empty while there is none.
    pub leader_address: String,
    pub leader_cluster_address: String,
    pub performance_standby: bool,
    pub performance_standby_last_remote_wal: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raft_committed_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raft_applied_index: Option<u64>,
}

/// `GET sys/ha-status`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HaStatus {
    pub nodes: Vec<HaNode>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HaNode {
    pub hostname: String,
    pub api_address: String,
    pub cluster_address: String,
    pub active_node: bool,
    /// RFC 3339; `null` for the leader itself.
    pub last_echo: Option<String>,
    pub version: String,
    pub upgrade_version: String,
}

/// `GET sys/storage/raft/configuration`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RaftConfigurationAnswer {
    pub config: RaftConfiguration,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RaftConfiguration {
    pub servers: Vec<RaftServer>,
    /// The log index of this membership.
    #[serde(default)]
    pub index: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RaftServer {
    /// The configured `node_id`.
    pub node_id: String,
    pub address: String,
    pub leader: bool,
    #[serde(default)]
    pub protocol_version: String,
    pub voter: bool,
}

/// `PUT sys/storage/raft/remove-peer`, `promote` and `demote`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerRequest {
    /// The configured `node_id`.
    pub server_id: String,
}

/// `POST sys/storage/raft/join`: asks a node that is not initialised to join a region.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JoinRequest {
    pub leader_api_addr: String,
    /// PEM; the authority that signed the leader's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_ca_cert: Option<String>,
    pub retry: bool,
    /// It holds all data, and counts for no majority.
    pub non_voter: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JoinAnswer {
    pub joined: bool,
}
