//! What replication needs from the layers beside and above it, as it is given at the start.

use super::protocol::Timing;
use super::retention::Bounds;
use crate::error::Result;
use crate::tls::Fingerprint;
use bytes::Bytes;
use futures::future::BoxFuture;

/// The keyring, which replication carries from region to region but never reads. All calls may block.
pub trait KeyringPort: Send + Sync + 'static {
    /// The keyring, sealed to an X25519 public key. Fails with `Error::Sealed` on a sealed node.
    fn export(&self, recipient: &[u8; 32]) -> Result<Vec<u8>>;

    /// Opens what another region exported, and says what to put into `Tree::Region` so that it takes the place of
    /// this region's own. Changes nothing itself. Fails with `Error::Sealed` on a sealed node.
    fn import(&self, sealed: &[u8], secret_key: &[u8; 32]) -> Result<Vec<(Bytes, Option<Bytes>)>>;

    fn is_sealed(&self) -> bool;

    /// Whether clients have stored secrets in this region, which a sync would replace.
    fn holds_client_secrets(&self) -> Result<bool>;

    /// What a key of the data tree is about, in clear: a mount and the first names of a path. `None` on a sealed node.
    fn place_of(&self, key: &[u8]) -> Option<String>;

    /// The same with the whole path, for who showed a token that may know. `None` on a sealed node.
    fn describe(&self, key: &[u8]) -> Option<String>;

    /// Whether a value is readable here: written for this key, with a key of this keyring. Fails with `Error::Sealed`
    /// on a sealed node.
    fn opens(&self, key: &[u8], value: &[u8]) -> Result<bool>;

    /// Why a write to this key is not taken over from another region's ledger, though it is readable; `None`: it may be.
    /// `overwrites`: something else stands there since.
    fn keeps_from_replay(&self, key: &[u8], overwrites: bool) -> Option<&'static str>;

    /// Waits until no client write is between its evaluation and its outcome, and lets none begin before what comes
    /// back is dropped.
    fn hold_writes(&self) -> BoxFuture<'_, Box<dyn Send>>;
}

/// The node that this runs on, and its bounds.
#[derive(Clone, Debug)]
pub struct RegionConfig {
    /// The configured `node_id`.
    pub node: String,
    pub api_addr: String,
    /// Where other regions reach this one, if not at its nodes' `api_addr`: a load balancer, a tunnel.
    pub address: Option<String>,
    /// Of the program.
    pub version: String,
    /// The certificates of the region's nodes, this node's first; empty with `tls_disable`.
    pub fingerprints: Vec<Fingerprint>,
    pub timing: Timing,
    /// How much of the WAL is kept for links that lag.
    pub wal: Bounds,
}

impl RegionConfig {
    pub fn new(node: impl Into<String>, api_addr: impl Into<String>) -> RegionConfig {
        RegionConfig {
            node: node.into(),
            api_addr: api_addr.into(),
            address: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprints: Vec::new(),
            timing: Timing::default(),
            wal: Bounds::default(),
        }
    }
}
