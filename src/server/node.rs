//! One node, assembled: storage, state, Raft, vault, replication.

use super::audit::Audit;
use super::bodies::Bodies;
use super::failures::{self, Failures};
use super::join::Joining;
use super::moves::Moves;
use super::peers::{NodeReport, Peers};
use super::places::Places;
use super::quotas::Quotas;
use super::requests::Requests;
use super::tls;
use super::upload::{self, Uploads};
use super::visitor::Visitor;
use crate::clock::{self, UnixMs};
use crate::config::{self, ServerConfig};
use crate::consensus::raft::{self, Raft};
use crate::consensus::{Consensus, Standing};
use crate::error::{Error, Result};
use crate::ids::NodeId;
use crate::replication::Replication;
use crate::replication::ports::{KeyringPort, RegionConfig};
use crate::secrets::{Clock, Leases, Mount, SealKind, StandbyReads, Vault};
use crate::sensitive::Key as SecretKey;
use crate::state::State;
use crate::storage::keys::Key;
use crate::storage::{self, SharedStore};
use crate::tls::Fingerprint;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Streams of events that are read at a time, and from one address: behind it there may be many consoles.
const EVENT_STREAMS_MAX: usize = 1024;
const EVENT_STREAMS_ADDRESS_MAX: usize = 64;
/// … and by those who show no token.
const STRANGERS_STREAMS_MAX: usize = 512;
/// Files that go on to the leader for its judgement, as they come: each holds one of this node's connections there.
const PASSED_ON_MAX: usize = 8;
const PASSED_ON_ADDRESS_MAX: usize = 2;
/// How long the report of a node that is no member is kept.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

pub struct Node {
    pub config: ServerConfig,
    pub state: Arc<State>,
    pub raft: Arc<Raft>,
    pub vault: Arc<Vault>,
    pub replication: Arc<Replication>,
    pub peers: Arc<Peers>,
    pub joining: Joining,
    pub audit: Audit,
    /// Who failed to prove who he is, by tokens and by shares of the unseal key.
    pub logins: Failures,
    pub shares: Failures,
    /// The room for requests' bodies.
    pub bodies: Bodies,
    pub uploads: Uploads,
    /// Streams of events that are read.
    pub event_streams: Places,
    pub strangers_streams: Places,
    pub passed_on: Places,
    pub moves: Moves,
    /// How often each address asked, where a quota counts it.
    pub quotas: Quotas,
    /// What is under way and what was answered.
    pub requests: Arc<Requests>,
    started_at: UnixMs,
    /// Set when the server is to stop: what streams ends then.
    pub stopping: CancellationToken,
    /// Set by `sys/seal` until the next unseal: a key file must not open what a person sealed.
    sealed_by_hand: AtomicBool,
    /// Of the listener's certificate at the moment; `None` with `tls_disable`.
    fingerprint: Mutex<Option<Fingerprint>>,
    /// What the other nodes said of themselves last, and when.
    reports: Mutex<HashMap<NodeId, (NodeReport, UnixMs)>>,
    /// When this node began to lead; 0 while it does not.
    leads_since: AtomicU64,
}

/// What is opened before the node can be assembled.
struct Opened {
    store: SharedStore,
    state: Arc<State>,
    raft_key: Option<SecretKey>,
    certificate: Option<tls::Certificate>,
}

impl Node {
    /// Opens what the data directory holds and starts to take part in the region, once its messages can be answered.
    pub async fn open(config: ServerConfig) -> Result<(Arc<Node>, Option<tls::Certificate>)> {
        let Opened { store, state, raft_key, certificate } = blocking({
            let config = config.clone();
            move || open_stored(&config)
        })
        .await?;
        let peers = Arc::new(Peers::new(certificate.as_ref().map(|certificate| certificate.identity.clone()))?);
        if let Some(key) = &raft_key {
            peers.set_key(key);
        }
        let raft = Raft::open(raft::Options {
            node: NodeId::of(&config.storage.node_id),
            name: config.storage.node_id.clone(),
            api_addr: config.api_addr.clone(),
            store,
            state: state.clone(),
            transport: peers.clone(),
            timing: raft::Timing::wan_free_default(),
        })
        .await?;
        let seal = match &config.seal {
            config::Seal::Shamir => SealKind::Shamir,
            config::Seal::File { path } => SealKind::File(path.clone()),
        };
        let standby_reads = if config.replication.serve_reads { StandbyReads::Served } else { StandbyReads::Refused };
        let leases = Leases { default_ttl: config.leases.default_ttl, max_ttl: config.leases.max_ttl };
        let vault = Arc::new(Vault::with(raft.clone(), seal, leases, standby_reads, Clock::system()));
        let fingerprint = certificate.as_ref().map(|certificate| certificate.fingerprint);
        let mut region = RegionConfig::new(&config.storage.node_id, &config.api_addr);
        region.fingerprints = fingerprint.into_iter().collect();
        region.address = config.replication.address.clone();
        region.wal.bytes_max = config.replication.wal_bytes_max.unwrap_or(region.wal.bytes_max);
        region.wal.time_max = config.replication.wal_time_max.unwrap_or(region.wal.time_max);
        let replication = Replication::start(raft.clone(), Arc::new(Keyring(vault.clone())), region);
        let node = Arc::new(Node {
            state,
            raft,
            vault,
            replication,
            peers,
            joining: Joining::default(),
            audit: Audit::default(),
            logins: Failures::new(failures::LOGINS),
            shares: Failures::new(failures::SHARES),
            bodies: Bodies::default(),
            uploads: Uploads::default(),
            event_streams: Places::new(EVENT_STREAMS_MAX, EVENT_STREAMS_ADDRESS_MAX),
            strangers_streams: Places::new(STRANGERS_STREAMS_MAX, EVENT_STREAMS_ADDRESS_MAX),
            passed_on: Places::new(PASSED_ON_MAX, PASSED_ON_ADDRESS_MAX),
            moves: Moves::default(),
            quotas: Quotas::default(),
            requests: Arc::default(),
            started_at: clock::now(),
            stopping: CancellationToken::new(),
            sealed_by_hand: AtomicBool::new(false),
            fingerprint: Mutex::new(fingerprint),
            reports: Mutex::default(),
            leads_since: AtomicU64::new(0),
            config,
        });
        Ok((node, certificate))
    }

    /// The configured `node_id`.
    pub fn name(&self) -> &str {
        &self.config.storage.node_id
    }

    pub fn started_at(&self) -> UnixMs {
        self.started_at
    }

    pub fn standing(&self) -> Standing {
        self.raft.standing().borrow().clone()
    }

    /// Fails where a token can't be looked at: before `operator init`, and while sealed.
    pub fn expect_open(&self) -> Result<()> {
        if !self.is_initialised() {
            return Err(Error::Uninitialised);
        }
        if self.vault.is_sealed() { Err(Error::Sealed) } else { Ok(()) }
    }

    pub fn is_initialised(&self) -> bool {
        self.state.path().is_initialised()
    }

    /// The mount that a path lies in; `None` where this node can't tell, too.
    pub fn mount_of(&self, path: &str) -> Option<Mount> {
        if self.vault.is_sealed() || path.starts_with("sys/") || path.starts_with("auth/") {
            return None;
        }
        Some(self.vault.mount_of(path).ok()??.0)
    }

    /// The path's name, or an error that names the one there is.
    pub fn expect_path(&self, name: &str) -> Result<()> {
        let own = self.state.path().name;
        if name == own {
            return Ok(());
        }
        Err(Error::NotFound(format!("there is no replication path `{name}` here: this region's path is `{own}`")))
    }

    /// What this node says of itself to its peers.
    pub fn report(&self) -> NodeReport {
        NodeReport {
            name: self.name().to_owned(),
            api_addr: self.config.api_addr.clone(),
            sealed: self.vault.is_sealed(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprint: *lock(&self.fingerprint),
            saw_open: self.replication.saw_open(),
        }
    }

    /// Opens a node that has a key file, as soon as its region has a seal; does nothing elsewhere.
    pub async fn unseal_from_file(&self) -> Result<()> {
        let by_hand = self.sealed_by_hand.load(Ordering::Relaxed);
        if by_hand || !self.vault.is_sealed() || !matches!(self.config.seal, config::Seal::File { .. }) {
            return Ok(());
        }
        let vault = self.vault.clone();
        blocking(move || vault.unseal_from_file()).await.map(|_| ())
    }

    /// Forgets all keys until a person, or a restart, opens the node again.
    pub fn seal(&self) {
        self.sealed_by_hand.store(true, Ordering::Relaxed);
        self.vault.seal();
    }

    /// Shows another certificate from now on.
    pub fn set_certificate(&self, certificate: &tls::Certificate) -> Result<()> {
        self.peers.set_identity(certificate.identity.clone())?;
        *lock(&self.fingerprint) = Some(certificate.fingerprint);
        self.tell_fingerprints();
        Ok(())
    }

    /// What other regions are to pin: the certificates of all nodes that were heard, this node's first.
    fn tell_fingerprints(&self) {
        let mut known: Vec<Fingerprint> = lock(&self.fingerprint).iter().copied().collect();
        known.extend(lock(&self.reports).values().filter_map(|(report, _)| report.fingerprint));
        self.replication.set_fingerprints(known);
    }

    /// Remembers what a peer said, and when.
    pub fn remember(&self, peer: NodeId, report: NodeReport, heard_at: UnixMs) {
        lock(&self.reports).insert(peer, (report, heard_at));
        self.tell_fingerprints();
    }

    /// Forgets peers that are no members any more. One that was heard a moment ago may be about to become one.
    pub fn remember_only(&self, is_member: impl Fn(NodeId) -> bool, now: UnixMs) {
        lock(&self.reports).retain(|id, (_, heard_at)| is_member(*id) || now.since(*heard_at) < FORGOTTEN_AFTER);
    }

    /// Whether a connection comes from another node of this region: by its certificate, or without TLS by its address.
    pub fn is_peer(&self, visitor: Visitor) -> bool {
        if lock(&self.fingerprint).is_some() {
            let known =
                |certificate| lock(&self.reports).values().any(|(report, _)| report.fingerprint == Some(certificate));
            return visitor.certificate.is_some_and(known);
        }
        let host = |address: &str| url::Url::parse(address).ok()?.host_str()?.parse().ok();
        // This node sends itself nothing: whoever comes from its address stands beside it, a proxy for instance.
        let others = |addr: &String| *addr != self.config.api_addr;
        let standing = self.standing();
        let mut addresses = standing.members.values().map(|member| &member.api_addr).filter(|addr| others(addr));
        addresses.any(|addr| host(addr) == Some(visitor.address().to_canonical()))
    }

    /// What a peer said last, and when.
    pub fn report_of(&self, peer: NodeId) -> Option<(NodeReport, UnixMs)> {
        lock(&self.reports).get(&peer).cloned()
    }

    pub fn set_leads_since(&self, since: Option<UnixMs>) {
        self.leads_since.store(since.unwrap_or_default().0, Ordering::Relaxed);
    }

    pub fn leads_since(&self) -> Option<UnixMs> {
        Some(UnixMs(self.leads_since.load(Ordering::Relaxed))).filter(|since| since.0 > 0)
    }
}

/// Everything that is read from files. A directory that another process or another node owns is refused here.
fn open_stored(config: &ServerConfig) -> Result<Opened> {
    let directory = &config.storage.path;
    let store = storage::open(directory, config.storage.engine)?;
    upload::remove_leftovers(directory);
    storage::format::claim_node(store.as_ref(), &config.storage.node_id)?;
    // Before the state is read, which an install that a crash interrupted left half written.
    raft::recover(&store)?;
    let state = Arc::new(State::open(store.clone(), &config.replication.path)?);
    let stored_path = state.path().name;
    if stored_path != config.replication.path {
        return Err(Error::invalid(format!(
            "the data directory {} holds the replication path `{stored_path}`, but the configuration names `{}`",
            directory.display(),
            config.replication.path
        )));
    }
    let raft_key = store.get(Key::RaftKey.tree(), &Key::RaftKey.to_bytes())?;
    let raft_key = raft_key.map(|bytes| {
        let key: [u8; 32] = bytes.as_ref().try_into().map_err(|_| Error::corrupt("the stored Raft key"))?;
        Ok::<_, Error>(SecretKey::new(key))
    });
    let certificate = tls::load(&config.listener.tls, directory, &config.api_addr)?;
    Ok(Opened { store, state, raft_key: raft_key.transpose()?, certificate })
}

/// What replication may ask of the vault: neither knows the other.
struct Keyring(Arc<Vault>);

impl KeyringPort for Keyring {
    fn export(&self, recipient: &[u8; 32]) -> Result<Vec<u8>> {
        self.0.export_keyring(recipient)
    }

    fn import(&self, sealed: &[u8], secret_key: &[u8; 32]) -> Result<Vec<(Bytes, Option<Bytes>)>> {
        self.0.import_keyring(sealed, secret_key)
    }

    fn is_sealed(&self) -> bool {
        self.0.is_sealed()
    }

    fn holds_client_secrets(&self) -> Result<bool> {
        self.0.holds_client_secrets()
    }

    fn place_of(&self, key: &[u8]) -> Option<String> {
        self.0.place_of(key)
    }

    fn describe(&self, key: &[u8]) -> Option<String> {
        self.0.describe(key)
    }

    fn opens(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.0.opens(key, value)
    }

    fn keeps_from_replay(&self, key: &[u8], overwrites: bool) -> Option<&'static str> {
        Vault::keeps_from_replay(key, overwrites)
    }

    fn hold_writes(&self) -> BoxFuture<'_, Box<dyn Send>> {
        Box::pin(async { Box::new(self.0.hold_writes().await) as Box<dyn Send> })
    }
}

/// Runs what blocks off the async threads.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::cut_off("an operation", &error))?
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
