//! A node as a server: the routes of the API over HTTP, and what a node does by itself.
//!
//! * `routes` is the one table of what there is; `pattern`, `request`, `call`, `answer`, `http` bring a request to its row
//!   and back; `guarded` lets through who may; `handlers/` do the work.
//! * `node` puts the parts of a node together; `supervisor` watches its peers, by the settings of `autopilot`; `housekeeping`
//!   removes what has ended; `join` takes nodes into the region.
//! * `peers`, `node_auth`: messages between nodes; `forward`: a follower's requests to its leader.
//! * `index`: reading what one has written, on any node of any region.
//! * `connections`, `bodies`, `upload`, `failures`: the bounds on what strangers may hold open, send and try; `visitor`: who
//!   they are; `quotas`: how often anybody may ask.
//! * `audit`: what is written down of requests, with the ids that `request_id` gives them.
//! * `cors`: web pages of other origins.
//! * `requests`, `host`, `monitor`: what operators are told of the node, its machine and its log; `openapi`: what programs are
//!   told of the routes; `ignored`: which fields of a request nobody looked at; `moves`: mounts that were moved.
//! * `process`: no core dumps, no memory in the swap.
//! * `tls`, `signals`: certificates, reload, stop.
//!
//! Nothing here is global: several servers run in one process, as the demo and the tests do.

mod answer;
mod audit;
mod authorise;
mod autopilot;
mod bodies;
mod call;
mod connections;
mod cors;
mod decoders;
mod failures;
mod forward;
mod guarded;
mod handlers;
mod host;
mod housekeeping;
mod http;
mod ignored;
mod index;
mod join;
mod loggers;
mod monitor;
mod moves;
mod node;
mod node_auth;
mod openapi;
mod pattern;
mod peers;
mod places;
mod process;
mod quotas;
mod request;
mod request_id;
mod requests;
pub mod routes;
mod signals;
mod supervisor;
mod tls;
mod upload;
mod visitor;

pub use bodies::BODY_BYTES_MAX;
pub use decoders::decoders;
pub use signals::run;

use crate::api::replication::LinkRequest;
use crate::clock;
use crate::config::{self, ServerConfig};
use crate::error::{Error, Result};
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use connections::Connections;
use hyper_util::rt::TokioTimer;
use node::{Node, blocking};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::{info, warn};
use visitor::Introducing;

/// A client that does not finish its headers, or says nothing on a connection, new or kept, is hung up on.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Of one request's headers.
const HEADER_BYTES_MAX: usize = 128 << 10;
/// How long a stop waits for another node to take over.
const STEP_DOWN_WITHIN: Duration = Duration::from_secs(10);
/// How long a stop waits for requests under way.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// A running server. When it is dropped it stops at once; `shutdown` does it gracefully.
pub struct Running {
    /// Where it is reached.
    pub api_addr: String,
    node: Arc<Node>,
    handle: Handle<SocketAddr>,
    tls: Option<RustlsConfig>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a node and returns when it listens. Whatever keeps it from starting is one clear error.
pub async fn start(config: ServerConfig) -> Result<Running> {
    connections::raise_open_files();
    let listener = listen(config.listener.address)?;
    let (node, certificate) = Node::open(config).await?;
    let tls = certificate.map(|certificate| RustlsConfig::from_config(certificate.config));
    let handle = Handle::new();
    let mut tasks = vec![serve(node.clone(), listener, tls.clone(), handle.clone())?];
    if let Err(error) = node.unseal_from_file().await {
        warn!("the key file does not open this node: {error}");
    }
    tasks.push(tokio::spawn(join::join_until_member(node.clone(), node.stopping.clone())));
    tasks.push(tokio::spawn(supervisor::supervise(node.clone(), node.stopping.clone())));
    tasks.push(tokio::spawn(housekeeping::keep(node.clone(), node.stopping.clone())));
    node.replication.configure(links(&node.config)).await;
    let api_addr = node.config.api_addr.clone();
    // The fingerprint is what clients without an authority pin.
    let fingerprint = node.report().fingerprint.map(|fingerprint| fingerprint.to_string());
    info!(node = node.name(), api_addr, fingerprint, "listening");
    Ok(Running { api_addr, node, handle, tls, tasks })
}

impl Running {
    /// Takes over what may change while the server runs: links and certificates. The rest waits for a restart.
    pub async fn reload(&self, config: &ServerConfig) -> Result<()> {
        let (old, new) = (&self.node.config, config);
        if old.replication.path != new.replication.path {
            return Err(Error::invalid("the replication path can't be renamed while it exists"));
        }
        if let Some(served) = &self.tls {
            let (tls, data, api_addr) = (new.listener.tls.clone(), old.storage.path.clone(), old.api_addr.clone());
            match blocking(move || tls::load(&tls, &data, &api_addr)).await? {
                Some(certificate) => {
                    self.node.set_certificate(&certificate)?;
                    served.reload_from_config(certificate.config);
                }
                None => warn!("TLS can't be switched off while the server runs: restart it"),
            }
        }
        self.node.replication.configure(links(new)).await;
        self.node.audit.reopen();
        Ok(())
    }

    /// While this node still serves and forwards, so that clients notice little of it.
    async fn hand_over(&self) {
        if !self.node.standing().is_leader {
            return;
        }
        let began = clock::steady();
        match tokio::time::timeout(STEP_DOWN_WITHIN, self.node.raft.step_down()).await {
            Ok(Ok(())) => info!(ms = began.elapsed().as_millis() as u64, "leadership handed over"),
            Ok(Err(error)) => info!("leadership was not handed over: {error}"),
            Err(_) => info!("leadership was not handed over: no other node took over in time"),
        }
    }

    /// Hands leadership over, lets requests under way finish, and closes the storage.
    pub async fn shutdown(mut self) {
        self.hand_over().await;
        self.node.stopping.cancel();
        self.handle.graceful_shutdown(Some(FINISH_WITHIN));
        for task in self.tasks.drain(..) {
            if let Err(error) = task.await {
                warn!("{}", Error::cut_off("a task", &error));
            }
        }
        self.node.replication.shutdown().await;
        if let Err(error) = self.node.raft.shutdown().await {
            warn!("Raft did not stop well: {error}");
        }
        let store = self.node.state.store().clone();
        if let Err(error) = blocking(move || store.flush()).await {
            warn!("the storage could not be flushed: {error}");
        }
        info!(node = self.node.name(), "stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.node.stopping.cancel();
        self.handle.shutdown();
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let failed = |error: std::io::Error| {
        Error::invalid(format!("can't listen at {address} (`address` in the listener stanza): {error}"))
    };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

fn serve(
    node: Arc<Node>,
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    handle: Handle<SocketAddr>,
) -> Result<JoinHandle<()>> {
    let app = axum::Router::new().fallback(http::serve).with_state(node).into_make_service();
    let connections = Connections::new();
    let server = axum_server::from_tcp(listener)?.handle(handle);
    Ok(tokio::spawn(async move {
        let served = match tls {
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(tls).acceptor(connections);
                http1(server.acceptor(Introducing(acceptor))).serve(app).await
            }
            None => http1(server.acceptor(Introducing(connections))).serve(app).await,
        };
        if let Err(error) = served {
            tracing::error!("the listener failed: {error}");
        }
    }))
}

/// HTTP/1.1 only, with bounds on headers. A server that is given an acceptor forgets which version it speaks, and waits
/// for ever for the bytes that tell: so this comes behind.
fn http1<A>(server: Server<SocketAddr, A>) -> Server<SocketAddr, A> {
    let mut server = server.http1_only();
    let http1 = &mut server.http_builder().http1();
    http1.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_BYTES_MAX);
    server
}

/// The links that a configuration names, as replication takes them.
fn links(config: &ServerConfig) -> Vec<LinkRequest> {
    let config::Replication { enabled, links, .. } = &config.replication;
    let links = links.iter().filter(|_| *enabled);
    links
        .map(|link| LinkRequest {
            address: Some(link.address.clone()),
            token: link.token.expose().to_owned(),
            max_parallel: Some(link.max_parallel),
        })
        .collect()
}
