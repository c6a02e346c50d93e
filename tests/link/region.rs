//! A region of one node in this process: state over the memory engine, a keyring that replication only carries, and
//! the link's endpoint on loopback, with faults on the wire.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use axum_server::tls_rustls::RustlsConfig;
use futures::future::BoxFuture;
use rustls::pki_types::PrivateKeyDer;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use twinkeep::api::replication::{LinkRequest, PathStatus, TokenRequest};
use twinkeep::clock;
use twinkeep::consensus::Consensus;
use twinkeep::consensus::direct::Direct;
use twinkeep::error::{Error, Result};
use twinkeep::ids::{DatasetId, Position, RegionId};
use twinkeep::replication::crypto::{self, Secret};
use twinkeep::replication::protocol::Timing;
use twinkeep::replication::{KeyringPort, RegionConfig, Replication};
use twinkeep::state::path::PathChange;
use twinkeep::state::{Batch, Class, Command, Op, Outcome, PathState, RegionChange, RegionIdentity, State};
use twinkeep::storage::keys::Key;
use twinkeep::storage::memory::Memory;
use twinkeep::tls::Fingerprint;

/// No test waits longer for a fact.
const PATIENCE: Duration = Duration::from_secs(150);

/// Quick enough for tests, with the same proportions as a server's.
pub const TIMING: Timing = Timing {
    heartbeat_every_ms: 50,
    request_deadline_ms: 2_000,
    backoff_min_ms: 20,
    backoff_max_ms: 100,
    refused_every_ms: 100,
    propose_again_ms: 20,
    silent_after_ms: 1_000,
};

/// What the wire does to a request before the region sees it, by the request's kind.
pub type Fault = Box<dyn FnMut(&str) -> Wire + Send>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    Pass,
    /// Nobody answers.
    Lose,
    /// The region does what it is asked, and nobody hears.
    LoseAnswer,
    /// A byte of the request is changed.
    Change,
    /// The request is of another version of the protocol.
    Version,
    /// The end of the request is missing.
    Truncate,
    /// It arrives twice; the sender hears the first answer.
    Twice,
    /// A byte of the answer is changed.
    ChangeAnswer,
}

pub struct Region {
    pub address: String,
    fingerprints: Vec<Fingerprint>,
    pub state: Arc<State>,
    pub consensus: Arc<Direct>,
    pub keyring: Arc<Keyring>,
    endpoint: Arc<Endpoint>,
}

struct Endpoint {
    /// `None` while the node is down.
    replication: RwLock<Option<Arc<Replication>>>,
    fault: Mutex<Fault>,
    /// What came of requests: by kind, how many were answered and how many refused.
    counts: watch::Sender<HashMap<String, (u64, u64)>>,
    /// Bytes of all bodies that came, and of the answers.
    carried: AtomicU64,
}

/// A keyring is 32 bytes under `Key::Keyring`. Sealed or not, and whether it guards anything, is for the test to say.
pub struct Keyring {
    state: Arc<State>,
    pub holds_secrets: Mutex<bool>,
}

impl KeyringPort for Keyring {
    fn export(&self, recipient: &[u8; 32]) -> Result<Vec<u8>> {
        let keyring = self.state.region(&Key::Keyring)?.ok_or(Error::Sealed)?;
        crypto::seal(recipient, &keyring)
    }

    fn import(&self, sealed: &[u8], secret_key: &[u8; 32]) -> Result<Vec<(Bytes, Option<Bytes>)>> {
        let keyring = crypto::open(&Secret::new(*secret_key), sealed)?;
        Ok(vec![(Key::Keyring.to_bytes(), Some(keyring.into()))])
    }

    fn is_sealed(&self) -> bool {
        false
    }

    fn holds_client_secrets(&self) -> Result<bool> {
        Ok(*self.holds_secrets.lock().expect("no test panics with it"))
    }

    fn place_of(&self, key: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(key);
        Some(text.split('/').next().unwrap_or_default().to_owned())
    }

    fn describe(&self, key: &[u8]) -> Option<String> {
        std::str::from_utf8(key).ok().map(str::to_owned)
    }

    fn opens(&self, _: &[u8], value: &[u8]) -> Result<bool> {
        Ok(value != b"unreadable")
    }

    fn keeps_from_replay(&self, _: &[u8], _: bool) -> Option<&'static str> {
        None
    }

    fn hold_writes(&self) -> BoxFuture<'_, Box<dyn Send>> {
        Box::pin(async { Box::new(()) as Box<dyn Send> })
    }
}

impl Region {
    /// An initialised region, with its endpoint listening on plain HTTP.
    pub async fn new(number: u8, name: &str) -> Region {
        Region::with(number, name, Speaks::Http).await
    }

    pub async fn with(number: u8, name: &str, speaks: Speaks) -> Region {
        let state = Arc::new(State::open(Arc::new(Memory::new()), "default").expect("an empty store"));
        let consensus = Arc::new(Direct::new(state.clone()));
        let id = RegionId([number; 16]);
        let identity = RegionIdentity { id, name: name.to_owned() };
        let change = RegionChange {
            expect: Vec::new(),
            puts: vec![
                (Key::RegionIdentity.to_bytes(), Some(identity.to_bytes().expect("encoded"))),
                (Key::Keyring.to_bytes(), Some(Bytes::copy_from_slice(&[number; 32]))),
            ],
            path: Some(PathChange::Initialise { dataset: DatasetId([number; 16]) }),
        };
        assert_eq!(consensus.propose(Command::Region(change)).await.expect("applied"), Outcome::Changed);
        let endpoint = Arc::new(Endpoint {
            replication: RwLock::new(None),
            fault: Mutex::new(Box::new(|_| Wire::Pass)),
            counts: watch::Sender::new(HashMap::new()),
            carried: AtomicU64::new(0),
        });
        let (address, fingerprints) = serve(endpoint.clone(), speaks);
        let keyring = Arc::new(Keyring { state: state.clone(), holds_secrets: Mutex::new(false) });
        let region = Region { address, fingerprints, state, consensus, keyring, endpoint };
        region.start();
        region
    }

    /// Starts the node's replication from what the region agreed on.
    pub fn start(&self) {
        let mut config = RegionConfig::new("node", &self.address);
        config.timing = TIMING;
        config.fingerprints = self.fingerprints.clone();
        let replication = Replication::start(self.consensus.clone(), self.keyring.clone(), config);
        *self.endpoint.replication.write().expect("no test panics with it") = Some(replication);
    }

    /// Ends the node's replication; what it remembered is gone.
    pub async fn stop(&self) {
        let replication = self.endpoint.replication.write().expect("no test panics with it").take();
        replication.expect("it runs").shutdown().await;
    }

    pub fn face(&self) -> Arc<Replication> {
        self.endpoint.replication.read().expect("no test panics with it").clone().expect("it runs")
    }

    /// From now on the wire to this region does this.
    pub fn wire(&self, fault: impl FnMut(&str) -> Wire + Send + 'static) {
        *self.endpoint.fault.lock().expect("no test panics with it") = Box::new(fault);
    }

    /// Waits until so many requests of a kind were answered, and so many refused, since the start.
    pub async fn until_counted(&self, kind: &str, answered: u64, refused: u64) {
        let mut counts = self.endpoint.counts.subscribe();
        let enough = counts.wait_for(|counts| {
            let (yes, no) = counts.get(kind).copied().unwrap_or_default();
            yes >= answered && no >= refused
        });
        tokio::time::timeout(PATIENCE, enough).await.expect("the requests come").expect("the endpoint lives");
    }

    /// Requests of a kind that were answered, and that were refused.
    pub fn counted(&self, kind: &str) -> (u64, u64) {
        self.endpoint.counts.borrow().get(kind).copied().unwrap_or_default()
    }

    /// Bytes that the link to this region carried so far, both ways.
    pub fn carried(&self) -> u64 {
        self.endpoint.carried.load(Ordering::Relaxed)
    }

    pub async fn write(&self, key: &str, value: &str) -> Result<Position> {
        let op = Op::Put { key: key.to_owned().into(), value: value.to_owned().into() };
        let batch = Batch { class: Class::KvWrite, at: clock::now(), ops: vec![op] };
        let term = self.consensus.standing().borrow().term;
        self.consensus.write(term, batch).await
    }

    pub async fn fill(&self, entries: u32, bytes: usize) {
        for number in 0..entries {
            self.write(&format!("key/{number:06}"), &format!("{number}").repeat(bytes / 6 + 1)).await.expect("written");
        }
    }

    pub async fn token(&self) -> String {
        self.face().generate_token(TokenRequest::default()).await.expect("a token").token
    }

    pub async fn connect(&self, token: &str) -> Result<()> {
        self.face().connect(LinkRequest { address: None, token: token.to_owned(), max_parallel: None }).await
    }

    pub async fn status(&self) -> PathStatus {
        self.face().status().await.expect("a status")
    }

    /// Waits until the path's record is so.
    pub async fn until_path(&self, is_so: impl FnMut(&PathState) -> bool) -> PathState {
        let mut path = self.state.watch_path();
        let found = tokio::time::timeout(PATIENCE, path.wait_for(is_so)).await;
        found.expect("the path comes to it").expect("the state lives").clone()
    }

    /// Waits until the status is so, looking whenever something may have changed.
    pub async fn until_status(&self, mut is_so: impl FnMut(&PathStatus) -> bool) -> PathStatus {
        until(async || Some(self.status().await).filter(|status| is_so(status))).await
    }
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

/// Looks until there is something to see.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(async {
        let mut beat = tokio::time::interval(Duration::from_millis(10));
        loop {
            beat.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    })
    .await
}

/// Waits until the standby holds what the primary holds, and the primary knows.
pub async fn until_in_step(primary: &Region, standby: &Region) {
    let head = primary.state.path().applied;
    standby.until_path(|path| path.is_whole() && path.applied >= head).await;
    primary.until_status(|status| status.links.iter().any(|link| link.applied >= head)).await;
    assert_eq!(primary.state.root(), standby.state.root(), "the same position means the same state");
}

/// What an endpoint speaks.
#[derive(Clone, Copy)]
pub enum Speaks {
    Http,
    /// TLS, with a certificate that nobody signed but itself.
    Tls,
}

/// The link's endpoint, as a server's routes have it. Returns its address and the fingerprint of its certificate.
fn serve(endpoint: Arc<Endpoint>, speaks: Speaks) -> (String, Vec<Fingerprint>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("its address");
    let router = Router::new()
        .route("/v1/sys/replication/path/{path}/link/{kind}", post(link))
        .layer(DefaultBodyLimit::max(64 << 20))
        .with_state(endpoint)
        .into_make_service();
    match speaks {
        Speaks::Http => {
            let server = axum_server::from_tcp(listener).expect("a listener");
            tokio::spawn(server.serve(router));
            (format!("http://{address}"), Vec::new())
        }
        Speaks::Tls => {
            let (config, fingerprint) = certificate();
            let server = axum_server::from_tcp_rustls(listener, config).expect("a listener");
            tokio::spawn(server.serve(router));
            (format!("https://{address}"), vec![fingerprint])
        }
    }
}

fn certificate() -> (RustlsConfig, Fingerprint) {
    let made = rcgen::generate_simple_self_signed(vec!["region.example".to_owned()]).expect("a certificate");
    let fingerprint = Fingerprint::of(made.cert.der());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a server's TLS");
    (RustlsConfig::from_config(Arc::new(config)), fingerprint)
}

async fn link(
    Shared(endpoint): Shared<Arc<Endpoint>>,
    Path((path, kind)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    assert_eq!(path, "default");
    let wire = endpoint.fault.lock().expect("no test panics with it")(&kind);
    let replication = endpoint.replication.read().expect("no test panics with it").clone();
    let Some(replication) = replication.filter(|_| wire != Wire::Lose) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let arrives = match wire {
        Wire::Change => changed(&body),
        Wire::Version => with_version(&body),
        Wire::Truncate => body.slice(..body.len() * 2 / 3),
        _ => body,
    };
    let result = replication.handle_link(&kind, arrives.clone()).await;
    count(&endpoint, &kind, &result);
    let bytes = arrives.len() + result.as_ref().map_or(0, Bytes::len);
    endpoint.carried.fetch_add(bytes as u64, Ordering::Relaxed);
    if wire == Wire::Twice {
        let again = replication.handle_link(&kind, arrives).await;
        count(&endpoint, &kind, &again);
    }
    match result {
        Ok(_) if wire == Wire::LoseAnswer => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Ok(answer) if wire == Wire::ChangeAnswer => changed(&answer).into_response(),
        Ok(answer) => answer.into_response(),
        Err(error) => {
            let status = match &error {
                Error::Invalid(_) | Error::Corrupt(_) => StatusCode::BAD_REQUEST,
                Error::PermissionDenied => StatusCode::FORBIDDEN,
                Error::NotFound(_) => StatusCode::NOT_FOUND,
                Error::Conflict(_) => StatusCode::CONFLICT,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, Json(serde_json::json!({ "errors": [error.to_string()] }))).into_response()
        }
    }
}

fn count(endpoint: &Endpoint, kind: &str, result: &Result<Bytes>) {
    endpoint.counts.send_modify(|counts| {
        let count = counts.entry(kind.to_owned()).or_default();
        match result {
            Ok(_) => count.0 += 1,
            Err(_) => count.1 += 1,
        }
    });
}

fn with_version(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    if let Some(version) = bytes.first_mut() {
        *version = 99;
    }
    bytes.into()
}

fn changed(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes.into()
}
