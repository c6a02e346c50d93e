//! KV version 2: `:mount/data/:path`, `metadata`, `delete`, `undelete`, `destroy`, `config`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The fields of a secret.
pub type Fields = serde_json::Map<String, serde_json::Value>;

/// `PUT` or `POST :mount/data/:path`
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WriteRequest {
    /// `None` is refused: “no data provided”.
    #[serde(default)]
    pub data: Option<Fields>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<WriteOptions>,
}

/// Its values may be secret: only the names of the fields are printed.
impl fmt::Debug for WriteRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<&String> = self.data.iter().flat_map(|data| data.keys()).collect();
        f.debug_struct("WriteRequest").field("fields", &fields).field("options", &self.options).finish()
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct WriteOptions {
    /// Write only if the current version is this one; 0: only if there is none. A number, or one as a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<serde_json::Value>,
}

/// What is known of one version: the answer to a write, and a part of the answer to a read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VersionMetadata {
    /// RFC 3339.
    pub created_time: String,
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// RFC 3339; empty while it is not deleted.
    pub deletion_time: String,
    pub destroyed: bool,
    pub version: u64,
}

/// `GET :mount/data/:path?version=N`. A deleted or destroyed version answers 404 *with* this body, `data` being null.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadAnswer {
    pub data: Option<Fields>,
    pub metadata: VersionMetadata,
}

/// Its values are secret: only the names of the fields are printed.
impl fmt::Debug for ReadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<&String> = self.data.iter().flat_map(|data| data.keys()).collect();
        f.debug_struct("ReadAnswer").field("fields", &fields).field("metadata", &self.metadata).finish()
    }
}

/// `LIST :mount/metadata/:path`, and every other list of names.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Keys {
    /// A name that ends in `/` has names below it.
    pub keys: Vec<String>,
}

/// `GET :mount/metadata/:path`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    pub cas_required: bool,
    pub created_time: String,
    /// How often its settings were written.
    pub current_metadata_version: u64,
    pub current_version: u64,
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// A duration as Go writes it, like `0s`.
    pub delete_version_after: String,
    pub max_versions: u64,
    pub metadata_cas_required: bool,
    pub oldest_version: u64,
    pub updated_time: String,
    /// By version number.
    pub versions: BTreeMap<u64, VersionState>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VersionState {
    pub created_time: String,
    pub deletion_time: String,
    pub destroyed: bool,
}

/// `PUT :mount/metadata/:path`: what is not named stays as it is. Numbers may arrive as strings.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MetadataRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas_required: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_version_after: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<serde_json::Value>,
    /// Write only if the settings were written so often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_cas: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_cas_required: Option<serde_json::Value>,
}

/// `GET :mount/config`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    pub cas_required: bool,
    pub delete_version_after: String,
    /// 0: the default of 10.
    pub max_versions: u64,
    pub metadata_cas_required: bool,
}

/// `PUT :mount/config`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas_required: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_version_after: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_cas_required: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions_are_keyed_by_their_number_as_a_string() {
        let metadata = Metadata { versions: [(2, VersionState::default())].into(), ..Metadata::default() };
        let sent = serde_json::to_value(&metadata).expect("JSON");
        assert_eq!(sent["versions"]["2"]["destroyed"], false);
        assert_eq!(serde_json::from_value::<Metadata>(sent).expect("back"), metadata);
    }

    #[test]
    fn values_are_not_printed() {
        let request: WriteRequest = serde_json::from_value(json!({"data": {"user": "canary"}})).expect("a request");
        let printed = format!("{request:?}");
        assert!(printed.contains("user") && !printed.contains("canary"), "{printed}");
    }
}
