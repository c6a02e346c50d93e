//! `sys/seal-status`, `sys/init`, `sys/unseal`: from an empty node to one that serves. None needs a token.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `GET sys/seal-status`, and the answer to `PUT sys/unseal`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SealStatus {
    /// `shamir`, or `file` for the auto-unseal with a key file.
    #[serde(rename = "type")]
    pub kind: String,
    pub initialized: bool,
    pub sealed: bool,
    /// The threshold: so many shares unseal.
    pub t: u32,
    /// So many shares exist.
    pub n: u32,
    /// So many shares were given since the last reset.
    pub progress: u32,
    /// Names one attempt at unsealing, so that operators at different terminals know they work on the same.
    pub nonce: String,
    pub recovery_seal: bool,
    pub version: String,
    pub commit_date: String,
    pub migration: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// `raft`
    pub storage_type: String,
}

/// `GET sys/init`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InitStatus {
    pub initialized: bool,
}

/// `PUT sys/init`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InitRequest {
    pub secret_shares: u32,
    pub secret_threshold: u32,
    /// Encrypting the answer to PGP keys is not built: a server refuses keys that are named rather than ignore them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pgp_keys: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_token_pgp_key: Option<String>,
    /// Of other seals than these: refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_shares: Option<u32>,
}

/// The answer to it, and the only time that the shares and the root token are seen.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitAnswer {
    /// The shares in hexadecimal; empty with an auto-unseal.
    pub keys: Vec<String>,
    pub keys_base64: Vec<String>,
    pub root_token: String,
}

impl fmt::Debug for InitAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InitAnswer {{ {} keys, … }}", self.keys.len())
    }
}

/// `PUT sys/unseal`
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UnsealRequest {
    /// One share, in hexadecimal or base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Forget the shares given so far.
    pub reset: bool,
    /// Seal migration is not built: a server refuses it.
    pub migrate: bool,
}

impl fmt::Debug for UnsealRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnsealRequest {{ reset: {}, … }}", self.reset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seal_status_has_vaults_names() {
        let status = SealStatus { kind: "shamir".into(), t: 3, n: 5, ..SealStatus::default() };
        let sent = serde_json::to_value(&status).expect("JSON");
        assert_eq!(sent["type"], "shamir");
        for key in ["initialized", "sealed", "t", "n", "progress", "nonce", "recovery_seal", "version", "migration"] {
            assert!(sent.get(key).is_some(), "{key} is missing");
        }
    }

    #[test]
    fn keys_are_not_printed() {
        let answer = InitAnswer { keys: vec!["canary".into()], keys_base64: vec![], root_token: "canary".into() };
        let unseal = UnsealRequest { key: Some("canary".into()), ..UnsealRequest::default() };
        assert!(!format!("{answer:?} {unseal:?}").contains("canary"));
    }

    #[test]
    fn the_bao_cli_sends_null_pgp_keys() {
        let request: InitRequest = serde_json::from_value(json!({
            "secret_shares": 5, "secret_threshold": 3, "pgp_keys": null, "recovery_shares": 0, "root_token_pgp_key": ""
        }))
        .expect("a request");
        assert_eq!((request.secret_shares, request.secret_threshold, request.pgp_keys), (5, 3, None));
    }
}
