//! `auth/token/lookup-self`: who a token belongs to.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What is known of a token.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenLookup {
    pub accessor: String,
    /// The blocks of addresses that it may come from; none: from anywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bound_cidrs: Vec<String>,
    /// Seconds since 1970.
    pub creation_time: u64,
    /// Seconds; 0 for a token that does not expire.
    pub creation_ttl: u64,
    pub display_name: String,
    pub entity_id: String,
    /// RFC 3339; `null` for a token that does not expire.
    pub expire_time: Option<String>,
    pub explicit_max_ttl: u64,
    /// The token itself.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_time: Option<String>,
    /// RFC 3339, and seconds since 1970, of the last renewal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_renewal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_renewal_time: Option<u64>,
    pub meta: Option<BTreeMap<String, String>>,
    pub num_uses: u64,
    pub orphan: bool,
    pub path: String,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    pub policies: Vec<String>,
    pub renewable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub ttl: u64,
    /// `service` or `batch`
    #[serde(rename = "type")]
    pub kind: String,
}

impl fmt::Debug for TokenLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenLookup {{ accessor: {:?}, policies: {:?}, … }}", self.accessor, self.policies)
    }
}
