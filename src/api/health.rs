//! `sys/health`: is this node fit for traffic? The status code says it for load balancers, the body for people.

use serde::{Deserialize, Serialize};

/// The status codes, each of which the caller may replace by another.
pub mod code {
    pub const ACTIVE: u16 = 200;
    pub const FOLLOWER: u16 = 429;
    /// Any node of a standby region.
    pub const STANDBY_REGION: u16 = 472;
    pub const PERFORMANCE_STANDBY: u16 = 473;
    /// A follower that cannot reach its leader.
    pub const LEADER_UNREACHABLE: u16 = 474;
    /// A primary that restarted and takes no writes before its standbys confirmed its epoch.
    pub const CLOSED: u16 = 503;
    pub const UNINITIALISED: u16 = 501;
    pub const SEALED: u16 = 503;
}

/// The query of `sys/health`. Flags arrive as `true`, `True`, `1` or with no value at all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standbyok: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perfstandbyok: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activecode: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standbycode: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drsecondarycode: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performancestandbycode: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealedcode: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closedcode: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uninitcode: Option<u16>,
}

/// The answer, with whatever status code. It never has a key `errors`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Health {
    pub initialized: bool,
    pub sealed: bool,
    /// True on a follower.
    pub standby: bool,
    /// Always sent, always false: typed clients need it.
    #[serde(default)]
    pub performance_standby: bool,
    /// `disabled`.
    #[serde(default)]
    pub replication_performance_mode: String,
    /// `primary`, `secondary`, `disabled`; a fenced region is `disabled`.
    #[serde(default)]
    pub replication_dr_mode: String,
    /// Seconds since 1970.
    #[serde(default)]
    pub server_time_utc: u64,
    #[serde(default)]
    pub version: String,
    /// The region's name and id; missing while this node is not open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The index of the last position that this node has applied, on the primary's line; missing while it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_wal: Option<u64>,
    /// Why this primary takes no writes yet, and what to do; missing where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}
