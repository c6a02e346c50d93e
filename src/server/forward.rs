//! From a follower to its leader: the request as it came, and the answer as it comes.

use super::call::Call;
use super::peers::{Peers, words};
use crate::error::Result;
use crate::secrets::Use;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, header, request::Parts};
use std::net::SocketAddr;
use std::time::Duration;

/// On a request that another node of the region forwarded: it is not forwarded again.
pub const FORWARDED_BY: &str = "x-twinkeep-forwarded-by";
/// … and where it came from.
pub const CLIENT_ADDRESS: &str = "x-twinkeep-client-address";

/// … and that it was counted already as one of those that its token is good for.
pub const USE_COUNTED: &str = "x-twinkeep-use-counted";

/// On the answer of a node that a request was forwarded to, but that does not lead: nothing was done.
pub const NOT_LEADER: &str = "x-twinkeep-not-leader";

/// On the answer to whoever failed to prove who he is, or tried what wraps nothing. The node that he talks to counts that,
/// and passes it on to nobody.
pub const UNPROVEN: &str = "x-twinkeep-unproven";

/// What became of a forwarded request.
pub enum Forwarded {
    Answered(Response<Body>),
    /// It did not reach a leader: it may be sent again.
    NotDone(String),
    /// The connection broke while it was under way.
    Unknown(String),
}

/// Who forwards a request, and whose it is.
pub struct From<'a> {
    node: &'a str,
    client: Option<SocketAddr>,
    uses: Use,
}

impl<'a> From<'a> {
    pub fn of(call: &'a Call) -> From<'a> {
        From { node: call.node.name(), client: call.client, uses: call.uses }
    }
}

/// Sends a request to the node at `addr`. Only the beginning of the answer has to come within `timeout`.
pub async fn forward(
    peers: &Peers,
    from: From<'_>,
    addr: &str,
    parts: &Parts,
    body: reqwest::Body,
    timeout: Duration,
) -> Result<Forwarded> {
    let client = match peers.client(addr).await {
        Ok(client) => client,
        Err(error) => return Ok(Forwarded::NotDone(error.to_string())),
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers.clone();
    drop_connection_headers(&mut headers);
    for gone in [header::HOST, header::CONTENT_LENGTH, header::EXPECT] {
        headers.remove(gone);
    }
    headers.insert(HeaderName::from_static(FORWARDED_BY), HeaderValue::from_str(from.node).unwrap_or(NODE_UNNAMED));
    // What a client says of itself is not passed on.
    headers.remove(CLIENT_ADDRESS);
    headers.remove(USE_COUNTED);
    if from.uses == Use::Counted {
        headers.insert(HeaderName::from_static(USE_COUNTED), HeaderValue::from_static("1"));
    }
    if let Some(client) = from.client.and_then(|client| HeaderValue::from_str(&client.to_string()).ok()) {
        headers.insert(HeaderName::from_static(CLIENT_ADDRESS), client);
    }
    // One that comes from outside while it is sent may break by itself, which says nothing of the leader.
    let whole = body.as_bytes().is_some();
    let request = client.request(parts.method.clone(), format!("{addr}{path}")).headers(headers).body(body);
    let response = match tokio::time::timeout(timeout, request.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            if whole || error.is_connect() {
                peers.forget(addr);
            }
            let text = format!("the leader at {addr}: {}", words(&error));
            return Ok(if error.is_connect() { Forwarded::NotDone(text) } else { Forwarded::Unknown(text) });
        }
        Err(_) => return Ok(Forwarded::Unknown(format!("the leader at {addr} did not answer in time"))),
    };
    if response.headers().contains_key(NOT_LEADER) {
        return Ok(Forwarded::NotDone(format!("the node at {addr} does not lead")));
    }
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    drop_connection_headers(answer.headers_mut());
    *answer.body_mut() = Body::from_stream(response.bytes_stream());
    Ok(Forwarded::Answered(answer))
}

const NODE_UNNAMED: HeaderValue = HeaderValue::from_static("node");

/// Headers that speak of one connection only.
fn drop_connection_headers(headers: &mut HeaderMap) {
    let connection = [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::TRAILER, header::UPGRADE];
    for name in connection {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}
