//! What most answers are wrapped in, and what every error looks like.

use serde::{Deserialize, Serialize};

/// Vault's envelope. All its keys are always sent: typed clients insist on them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Envelope<T> {
    #[serde(default)]
    pub request_id: String,
    #[serde(default)]
    pub lease_id: String,
    #[serde(default)]
    pub renewable: bool,
    /// Seconds.
    #[serde(default)]
    pub lease_duration: u64,
    pub data: Option<T>,
    /// `null` until response wrapping is built.
    pub wrap_info: Option<serde_json::Value>,
    pub warnings: Option<Vec<String>>,
    /// `null` until tokens can be made.
    pub auth: Option<serde_json::Value>,
}

impl<T> Envelope<T> {
    pub fn new(request_id: impl Into<String>, data: T) -> Envelope<T> {
        Envelope {
            request_id: request_id.into(),
            lease_id: String::new(),
            renewable: false,
            lease_duration: 0,
            data: Some(data),
            wrap_info: None,
            warnings: None,
            auth: None,
        }
    }
}

/// An envelope whose payload stands at the top level as well: `sys/mounts`, `sys/ha-status` and a few more, since half
/// of the clients look here and half there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Doubled<T> {
    #[serde(flatten)]
    pub envelope: Envelope<T>,
    #[serde(flatten)]
    pub payload: T,
}

impl<T: Clone> Doubled<T> {
    pub fn new(request_id: impl Into<String>, payload: T) -> Doubled<T> {
        Doubled { envelope: Envelope::new(request_id, payload.clone()), payload }
    }
}

/// The body of every answer that is an error. `errors` may be empty: a plain 404 is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Errors {
    pub errors: Vec<String>,
}

impl Errors {
    pub fn one(message: impl Into<String>) -> Errors {
        Errors { errors: vec![message.into()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_envelope_has_all_of_vaults_keys() {
        let sent = serde_json::to_value(Envelope::new("r-1", json!({"keys": ["a"]}))).expect("JSON");
        assert_eq!(
            sent,
            json!({
                "request_id": "r-1", "lease_id": "", "renewable": false, "lease_duration": 0,
                "data": {"keys": ["a"]}, "wrap_info": null, "warnings": null, "auth": null,
            })
        );
    }

    #[test]
    fn a_doubled_payload_is_in_both_places() {
        let sent = serde_json::to_value(Doubled::new("r-1", json!({"secret/": {"type": "kv"}}))).expect("JSON");
        assert_eq!(sent["secret/"]["type"], "kv");
        assert_eq!(sent["data"]["secret/"]["type"], "kv");
        assert_eq!(sent["request_id"], "r-1");
    }

    #[test]
    fn a_leaner_servers_envelope_is_read() {
        let read: Envelope<Vec<u8>> = serde_json::from_value(json!({"data": [1]})).expect("an envelope");
        assert_eq!(read.data, Some(vec![1]));
    }
}
