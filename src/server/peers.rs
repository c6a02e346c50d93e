//! HTTP to the other nodes of this region: Raft's messages, and requests forwarded to the leader.
//!
//! Nodes need no certificate authority to know each other. A node first asks a peer, over TLS that proves nothing, for
//! the fingerprint of its certificate; the answer proves by the region's key that it comes from that peer. From then on
//! only that certificate is accepted at that address, until a connection fails, when it is asked again. The node that
//! asks shows its own certificate, and its messages say which one it is.

use super::node_auth::{Frame, NodeAuth};
use crate::clock;
use crate::consensus::Transport;
use crate::error::{Error, Result};
use crate::ids::{DatasetId, Epoch};
use crate::replication::transport;
use crate::sensitive::Key;
use crate::tls::{self, Fingerprint, Identity};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The header that carries the MAC of a message, and that of its answer.
pub const AUTH_HEADER: &str = "x-twinkeep-node-auth";
/// The kind of message that asks a node how it is; all others are Raft's.
pub const NODE_STATUS: &str = "status";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest answer of a node: what is long goes the other way.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Idle connections kept to each node.
const IDLE_CONNECTIONS_MAX: usize = 32;

/// What a node says of itself to its peers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeReport {
    /// The configured `node_id`.
    pub name: String,
    pub api_addr: String,
    pub sealed: bool,
    pub version: String,
    /// Of its certificate; `None` with `tls_disable`.
    pub fingerprint: Option<Fingerprint>,
    /// The data set and the epoch in which it saw its region open for writes, since it started.
    pub saw_open: Option<(DatasetId, Epoch)>,
}

pub struct Peers {
    /// For addresses without TLS.
    plain: reqwest::Client,
    /// For joining, and for asking a node for its fingerprint, and nothing else.
    unverified: Mutex<reqwest::Client>,
    /// What this node shows; `None` with `tls_disable`.
    me: Mutex<Option<Identity>>,
    pinned: Mutex<HashMap<String, reqwest::Client>>,
    auth: Mutex<Option<Arc<NodeAuth>>>,
}

impl Peers {
    pub fn new(me: Option<Identity>) -> Result<Peers> {
        Ok(Peers {
            plain: client(tls::pinned_to_any(Vec::new())?)?,
            unverified: Mutex::new(client(tls::node_client_config(None, me.clone())?)?),
            me: Mutex::new(me),
            pinned: Mutex::default(),
            auth: Mutex::default(),
        })
    }

    /// From now on messages are authenticated by this key of the region.
    pub fn set_key(&self, raft_key: &Key) {
        *lock(&self.auth) = Some(Arc::new(NodeAuth::new(raft_key)));
    }

    /// From now on this node shows another certificate, on new connections.
    pub fn set_identity(&self, me: Identity) -> Result<()> {
        *lock(&self.unverified) = client(tls::node_client_config(None, Some(me.clone()))?)?;
        *lock(&self.me) = Some(me);
        lock(&self.pinned).clear();
        Ok(())
    }

    pub fn auth(&self) -> Result<Arc<NodeAuth>> {
        let auth = lock(&self.auth).clone();
        auth.ok_or_else(|| Error::unavailable("this node does not belong to a region yet"))
    }

    /// A client for requests to the node at `addr`.
    pub async fn client(&self, addr: &str) -> Result<reqwest::Client> {
        if !addr.starts_with("https://") {
            return Ok(self.plain.clone());
        }
        if let Some(client) = lock(&self.pinned).get(addr) {
            return Ok(client.clone());
        }
        let me = lock(&self.me).clone();
        let unverified = self.unverified();
        let report = self.report_through(&unverified, addr).await?;
        let fingerprint = report.fingerprint.ok_or_else(|| {
            Error::unavailable(format!("the node at {addr} speaks no TLS itself: what is between can't be trusted"))
        })?;
        let made = client(tls::node_client_config(Some(fingerprint), me)?)?;
        lock(&self.pinned).insert(addr.to_owned(), made.clone());
        Ok(made)
    }

    /// After a connection to `addr` failed: its certificate may be a new one.
    pub fn forget(&self, addr: &str) {
        lock(&self.pinned).remove(addr);
    }

    /// What the node at `addr` says of itself.
    pub async fn report(&self, addr: &str) -> Result<NodeReport> {
        self.report_through(&self.client(addr).await?, addr).await
    }

    /// A client that checks no certificate, for joining: what it carries proves itself.
    pub fn unverified(&self) -> reqwest::Client {
        lock(&self.unverified).clone()
    }

    async fn report_through(&self, client: &reqwest::Client, addr: &str) -> Result<NodeReport> {
        let answer = self.message(client, addr, NODE_STATUS, Bytes::new(), STATUS_TIMEOUT).await?;
        Ok(postcard::from_bytes(&answer)?)
    }

    async fn message(
        &self,
        client: &reqwest::Client,
        addr: &str,
        kind: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes> {
        let auth = self.auth()?;
        let shown = lock(&self.me).as_ref().and_then(Identity::fingerprint);
        let certificate = shown.filter(|_| addr.starts_with("https://"));
        let frame = Frame { to_addr: addr, kind, certificate, nonce: clock::random_bytes() };
        let header = auth.request_header(&frame, &body);
        let url = format!("{addr}/v1/sys/storage/raft/rpc/{kind}");
        let request = client.post(url).timeout(timeout).header(AUTH_HEADER, header).body(body);
        let failed = |error: reqwest::Error| {
            self.forget(addr);
            Error::unavailable(format!("the node at {addr}: {}", words(&error)))
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let header = response.headers().get(AUTH_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let answer = transport::read(response, ANSWER_BYTES_MAX).await;
        let answer = answer.map_err(|why| Error::unavailable(format!("the node at {addr}: {why}")))?;
        if !status.is_success() {
            return Err(Error::unavailable(format!("the node at {addr} answered {status} to `{kind}`")));
        }
        auth.check_answer(header.as_deref().unwrap_or_default(), &frame, &answer)
            .map_err(|_| Error::unavailable(format!("what answers at {addr} is no node of this region")))?;
        Ok(answer)
    }
}

#[async_trait]
impl Transport for Peers {
    async fn call(&self, to_addr: &str, kind: &str, body: Bytes, timeout: Duration) -> Result<Bytes> {
        let sending = async {
            let client = self.client(to_addr).await?;
            self.message(&client, to_addr, kind, body, timeout).await
        };
        let late = || Error::unavailable(format!("the node at {to_addr} did not answer in time"));
        tokio::time::timeout(timeout, sending).await.map_err(|_| late())?
    }
}

fn client(tls: rustls::ClientConfig) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .use_preconfigured_tls(tls)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .build()
        .map_err(|error| Error::internal(format!("an HTTP client can't be made: {error}")))
}

/// A failure's innermost cause, without the URL.
pub fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
