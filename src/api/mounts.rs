//! What is mounted where: `sys/mounts`, and the preflight of Vault's CLI, `sys/internal/ui/mounts/:path`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET sys/mounts`: by path with a slash at its end, like `secret/`.
pub type Mounts = BTreeMap<String, Mount>;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// `kv`, `system`, …
    #[serde(rename = "type")]
    pub kind: String,
    pub description: String,
    pub accessor: String,
    pub config: MountConfig,
    pub external_entropy_access: bool,
    pub local: bool,
    /// `{"version": "2"}` for KV version 2.
    pub options: Option<BTreeMap<String, String>>,
    /// `supported`; of engines that could be others only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecation_status: Option<String>,
    pub plugin_version: String,
    pub running_plugin_version: String,
    pub running_sha256: String,
    pub seal_wrap: bool,
    pub uuid: String,
}

/// Times in seconds; 0: the system's default. What was never set is left out, as in Vault.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MountConfig {
    pub default_lease_ttl: u64,
    pub max_lease_ttl: u64,
    pub force_no_cache: bool,
    /// `hidden` or `unauth`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing_visibility: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit_non_hmac_request_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit_non_hmac_response_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passthrough_request_headers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_response_headers: Vec<String>,
    /// Which tokens a login makes; of ways to log in only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
}

/// `GET sys/internal/ui/mounts/:path`: which mount a path belongs to. Where there is none, or nothing in it may be
/// seen, the answer is 403, never 404: Vault's CLI takes a 404 for KV version 1.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MountPreflight {
    /// The mount's path with a slash at its end.
    pub path: String,
    #[serde(flatten)]
    pub mount: Mount,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preflight_has_the_mounts_fields_beside_its_path() {
        let mount = Mount {
            kind: "kv".into(),
            options: Some([("version".to_owned(), "2".to_owned())].into()),
            ..Mount::default()
        };
        let sent = serde_json::to_value(MountPreflight { path: "secret/".into(), mount }).expect("JSON");
        assert_eq!(sent["path"], "secret/");
        assert_eq!(sent["type"], "kv");
        assert_eq!(sent["options"]["version"], "2");
    }
}
