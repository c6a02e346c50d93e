//! The lists under `sys/replication/path/:path/`, in Vault's way of listing: names, and what is known by name.

use super::replication::{Event, LinkStatus, TokenInfo};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `LIST` of things that have more to them than a name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Listing<T> {
    pub keys: Vec<String>,
    #[serde(default = "BTreeMap::new")]
    pub key_info: BTreeMap<String, T>,
}

impl<T> Listing<T> {
    pub fn new(entries: impl IntoIterator<Item = (String, T)>) -> Listing<T> {
        let key_info: BTreeMap<String, T> = entries.into_iter().collect();
        Listing { keys: key_info.keys().cloned().collect(), key_info }
    }
}

/// `LIST …/tokens`, by accessor.
pub type TokenList = Listing<TokenInfo>;

/// `LIST …/links`, by the other region's name, or its address while the name is not known.
pub type LinkList = Listing<LinkStatus>;

/// `GET …/events?after=ID`: those with a higher id, oldest first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Events {
    pub events: Vec<Event>,
}
