//! HTTP to another region: a pool of keep-alive HTTP/1.1 connections, a deadline on every request.
//!
//! `Http` carries bodies to whichever node of the other region answers; `LinkClient` seals them into envelopes and
//! keeps the session that those belong to.

use super::crypto::Secret;
use super::envelope::{BODY_BYTES_MAX, Channel, Sender};
use super::link_record::LinkRecord;
use super::protocol::Failure;
use crate::clock;
use crate::error::{Error, Result};
use crate::ids::RegionId;
use crate::sensitive::SensitiveString;
use crate::tls::{self, Fingerprint};
use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as AsyncMutex;

/// What answers in place of an envelope when the session is not known: no envelope begins with a zero.
pub const NO_SESSION: &[u8] = &[0];
/// Of one address, before the next is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest error body that is read.
const ERROR_BYTES_MAX: usize = 16 << 10;
/// Addresses of one region that are tried.
const ADDRESSES_MAX: usize = 16;

/// Posts bodies to the link endpoints of another region.
pub struct Http {
    client: reqwest::Client,
    path: String,
    /// As configured or handed over, then those that the region named itself.
    addresses: Mutex<Vec<String>>,
    /// Which address answered last.
    preferred: AtomicUsize,
}

impl Http {
    pub fn new(path: &str, addresses: &[String], fingerprints: &[Fingerprint], max_parallel: u32) -> Result<Http> {
        let client = reqwest::Client::builder()
            .use_preconfigured_tls(tls::pinned_to_any(fingerprints.to_vec())?)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(max_parallel as usize + 1)
            .build()
            .map_err(|error| Error::internal(format!("an HTTP client can't be made: {error}")))?;
        let mut addresses = addresses.to_vec();
        addresses.truncate(ADDRESSES_MAX);
        Ok(Http { client, path: path.to_owned(), addresses: Mutex::new(addresses), preferred: AtomicUsize::new(0) })
    }

    /// Adds addresses that the region named: tried when those that were configured don't answer.
    pub fn learn(&self, named: &[String]) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        for address in named {
            if addresses.len() < ADDRESSES_MAX && !addresses.contains(address) && check_address(address).is_ok() {
                addresses.push(address.clone());
            }
        }
    }

    /// Posts a body of the link to whichever node takes it.
    pub async fn post(&self, kind: &str, body: Bytes, deadline: Instant) -> Result<Bytes, Failure> {
        self.post_below(&format!("link/{kind}"), None, body, deadline).await
    }

    /// Posts to an endpoint of the path for an operator who showed this token here.
    pub async fn post_as(
        &self,
        token: &SensitiveString,
        endpoint: &str,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, Failure> {
        self.post_below(endpoint, Some(token), body, deadline).await
    }

    /// Posts to each address in turn, beginning with the one that answered last, until one takes the body.
    async fn post_below(
        &self,
        endpoint: &str,
        token: Option<&SensitiveString>,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, Failure> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = Failure::Retry("no address of the other region is known".into());
        for step in 0..addresses.len() {
            let at = (first + step) % addresses.len();
            let left = deadline.saturating_duration_since(clock::steady());
            if left.is_zero() {
                break;
            }
            match self.post_to(&addresses[at], endpoint, token, body.clone(), left).await {
                Err(Failure::Retry(text)) => {
                    // Should it have used up the time, the next request begins with the next address.
                    self.preferred.store((at + 1) % addresses.len(), Ordering::Relaxed);
                    last = Failure::Retry(text);
                }
                settled => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return settled;
                }
            }
        }
        Err(last)
    }

    async fn post_to(
        &self,
        address: &str,
        endpoint: &str,
        token: Option<&SensitiveString>,
        body: Bytes,
        left: Duration,
    ) -> Result<Bytes, Failure> {
        let url = format!("{address}/v1/sys/replication/path/{}/{endpoint}", self.path);
        let kind = if token.is_some() { "application/json" } else { "application/octet-stream" };
        let mut request = self.client.post(url).header("content-type", kind).body(body);
        if let Some(token) = token {
            request = request.header("x-vault-token", token.expose());
        }
        let unreachable = |error: reqwest::Error| Failure::Retry(format!("{address}: {}", words(&error)));
        let response = request.timeout(left).send().await.map_err(unreachable)?;
        let status = response.status();
        let bound = if status.is_success() { BODY_BYTES_MAX } else { ERROR_BYTES_MAX };
        let body = read(response, bound).await.map_err(|text| Failure::Retry(format!("{address}: {text}")))?;
        if status.is_success() {
            return Ok(body);
        }
        let text = refusal(status, &body);
        match status {
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(Failure::Final(text)),
            _ => Err(Failure::Retry(format!("{address}: {text}"))),
        }
    }
}

/// An address of another region: `http://` or `https://` and a host, without a path.
pub fn check_address(address: &str) -> Result<String> {
    let wrong = |why: &str| Error::invalid(format!("`{address}` is no address of a region: {why}"));
    let url = url::Url::parse(address).map_err(|_| wrong("expected a form like https://10.2.2.2:8200"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it must begin with http:// or https://"));
    }
    if url.host().is_none() || !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err(wrong("expected a host and a port, and nothing behind them"));
    }
    Ok(address.trim_end_matches('/').to_owned())
}

/// The body of an answer, unless it is longer than `bound`.
pub async fn read(mut response: reqwest::Response, bound: usize) -> Result<Bytes, String> {
    let too_long = || format!("the answer is longer than {bound} bytes");
    if response.content_length().is_some_and(|length| length > bound as u64) {
        return Err(too_long());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| words(&error))? {
        if body.len() + chunk.len() > bound {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The first of `{"errors": […]}`, or the status in words.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    let errors = serde_json::from_slice::<serde_json::Value>(body).ok();
    let first = errors.as_ref().and_then(|value| value["errors"][0].as_str());
    first.map_or_else(|| format!("answered {status}"), str::to_owned)
}

/// A connection's failure and its causes, without the URL.
pub(super) fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// A link's client: authenticated requests in a session.
pub struct LinkClient {
    http: Http,
    sender: AsyncMutex<Sender>,
    made_from: Made,
}

/// The parts of a link's record that a client depends on.
#[derive(PartialEq)]
struct Made {
    addresses: Vec<String>,
    fingerprints: Vec<Fingerprint>,
    max_parallel: u32,
    credential: Secret,
}

impl Made {
    fn from(record: &LinkRecord) -> Option<Made> {
        Some(Made {
            addresses: record.addresses.clone(),
            fingerprints: record.fingerprints.clone(),
            max_parallel: record.max_parallel,
            credential: record.credential.as_ref()?.current().clone(),
        })
    }
}

impl LinkClient {
    /// `None` for a link that has no credential yet.
    pub fn new(path: &str, me: RegionId, record: &LinkRecord) -> Result<Option<LinkClient>> {
        let Some(made_from) = Made::from(record) else { return Ok(None) };
        let channel = Channel::new(&made_from.credential, path, me, record.region);
        Ok(Some(LinkClient {
            http: Http::new(path, &record.addresses, &record.fingerprints, record.max_parallel)?,
            sender: AsyncMutex::new(Sender::new(channel)),
            made_from,
        }))
    }

    /// Whether the record still says what this client was made from.
    pub fn fits(&self, record: &LinkRecord) -> bool {
        Made::from(record).is_some_and(|made| made == self.made_from)
    }

    pub fn learn(&self, addresses: &[String]) {
        self.http.learn(addresses);
    }

    /// One request and its answer. Asks for a session first, where there is none.
    pub async fn call(&self, kind: &str, payload: &[u8], deadline: Instant) -> Result<Bytes, Failure> {
        // A session may end once under way, when the other region's leader changes.
        for _ in 0..2 {
            let (body, tag) = {
                let mut sender = self.sender.lock().await;
                if !sender.has_session() {
                    let (body, tag) = sender.seal_open().map_err(fault)?;
                    let answer = self.http.post(super::envelope::OPEN, body, deadline).await?;
                    sender.open_session(tag, &answer).map_err(|_| impostor())?;
                }
                sender.seal_request(kind, payload).map_err(fault)?
            };
            let answer = self.http.post(kind, body, deadline).await?;
            let mut sender = self.sender.lock().await;
            if answer.as_ref() == NO_SESSION {
                sender.drop_session(tag);
                continue;
            }
            return sender.open_answer(tag, kind, &answer).map(|opened| opened.payload).map_err(|_| impostor());
        }
        Err(Failure::Retry("the other region forgot the session as soon as it had given it".into()))
    }
}

fn fault(error: Error) -> Failure {
    Failure::Final(error.to_string())
}

fn impostor() -> Failure {
    Failure::Retry("the answer does not prove that it comes from the other region".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_anything_is_sent() {
        assert_eq!(check_address("http://10.1.1.1:8200/").expect("an address"), "http://10.1.1.1:8200");
        for wrong in ["10.1.1.1:8200", "ftp://a", "http://", "https://a/v1", "http://a?x=1", ""] {
            assert!(check_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_refusal_speaks_with_the_other_regions_words() {
        let body = br#"{"errors":["the activation token expired"]}"#;
        assert_eq!(refusal(StatusCode::BAD_REQUEST, body), "the activation token expired");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, b"<html>"), "answered 502 Bad Gateway");
    }

    #[tokio::test]
    async fn a_region_that_does_not_answer_is_to_be_tried_again() {
        // Bound and not listened on: whoever dials it is refused, and nobody else gets it meanwhile.
        let silent = tokio::net::TcpSocket::new_v4().expect("a socket");
        silent.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let address = format!("http://{}", silent.local_addr().expect("its address"));
        let http = Http::new("default", &[address], &[], 1).expect("a client");
        let failure = http.post("hello", Bytes::new(), clock::steady() + Duration::from_secs(5)).await;
        assert!(matches!(failure, Err(Failure::Retry(_))), "{failure:?}");
    }
}
