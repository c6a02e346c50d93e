//! One request and its answer: addresses, bodies, errors.

use super::error::{ClientError, Phase, Result};
use super::{Client, Url};
use crate::api::envelope::{Envelope, Errors};
use reqwest::header::ACCEPT;
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The largest answer that is read: more is no answer of a Twinkeep.
const BODY_BYTES_MAX: usize = 64 << 20;
/// So much of a body that is no JSON goes into the error.
const RAW_CHARS_MAX: usize = 200;

const CONTENT_TYPE: &str = "content-type";

/// Vault's method for lists.
pub(super) fn list() -> Method {
    Method::from_bytes(b"LIST").expect("LIST is a method's name")
}

/// A request before it is sent.
pub(super) struct Request<'a> {
    client: &'a Client,
    method: Method,
    url: Url,
    headers: Vec<(&'static str, String)>,
    body: Option<reqwest::Body>,
    /// How long it may take in all.
    within: Duration,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    method: Method,
    url: Url,
    pub status: u16,
    body: Vec<u8>,
}

impl Client {
    /// A request to `/v1/` and these parts, each of which may hold slashes.
    pub(super) fn request<'a>(&'a self, method: Method, parts: &[&str]) -> Request<'a> {
        let mut url = self.base.clone();
        {
            let mut path = url.path_segments_mut().expect("http addresses have a path");
            path.pop_if_empty().push("v1");
            for part in parts {
                path.extend(part.split('/'));
            }
        }
        Request { client: self, method, url, headers: Vec::new(), body: None, within: self.call_timeout }
    }

    pub(super) fn get<'a>(&'a self, parts: &[&str]) -> Request<'a> {
        self.request(Method::GET, parts)
    }
}

impl<'a> Request<'a> {
    pub fn query(mut self, name: &str, value: impl ToString) -> Request<'a> {
        self.url.query_pairs_mut().append_pair(name, &value.to_string());
        self
    }

    pub fn json(mut self, body: &impl Serialize) -> Request<'a> {
        self.body = Some(serde_json::to_vec(body).expect("the API's types have string keys only").into());
        self
    }

    /// A body that is no JSON, and how long it may take to send it and be answered.
    pub fn upload(mut self, body: reqwest::Body, within: Duration) -> Request<'a> {
        (self.body, self.within) = (Some(body), within);
        self.header(CONTENT_TYPE, "application/octet-stream")
    }

    /// One more header; a content type given so replaces the usual one.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Request<'a> {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer, be it an error.
    pub async fn answer(self) -> Result<Answer> {
        let (address, method, url) = (self.client.address().to_owned(), self.method.clone(), self.url.clone());
        let unreachable = |phase, error| unreachable(&address, phase, error);
        let mut request = self.client.http.request(self.method, self.url).timeout(self.within);
        if let Some(body) = self.body {
            if !self.headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            request = request.body(body);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|error| unreachable(Phase::Answer, error))?;
        let status = response.status().as_u16();
        let body = read_body(response).await.map_err(|failure| match failure {
            BodyFailure::Broken(error) => unreachable(Phase::Body, error),
            BodyFailure::TooLarge => ClientError::Undecodable {
                method: method.to_string(),
                url: url.to_string(),
                status,
                cause: format!("it is larger than {BODY_BYTES_MAX} bytes"),
            },
        })?;
        Ok(Answer { method, url, status, body })
    }

    /// The answer's body, if its status is 2xx.
    pub async fn bare<T: DeserializeOwned>(self) -> Result<T> {
        self.answer().await?.ok()?.decode()
    }

    /// What the envelope carries, if the status is 2xx.
    pub async fn data<T: DeserializeOwned>(self) -> Result<T> {
        self.answer().await?.ok()?.data()
    }

    /// Like `data`, but a plain 404 is `None`: nothing there.
    pub async fn data_if_any<T: DeserializeOwned>(self) -> Result<Option<T>> {
        let answer = self.answer().await?;
        if answer.is_nothing() { Ok(None) } else { answer.ok()?.data().map(Some) }
    }

    /// Nothing but success, whatever the body says.
    pub async fn done(self) -> Result<()> {
        self.answer().await?.ok().map(|_| ())
    }

    /// An answer that is read as it arrives; only its beginning has a deadline.
    pub async fn stream(self) -> Result<Response> {
        let address = self.client.address().to_owned();
        let (method, url) = (self.method.clone(), self.url.clone());
        let sending = self.client.http.request(self.method, self.url).header(ACCEPT, "text/event-stream").send();
        let response = tokio::time::timeout(self.client.call_timeout, sending)
            .await
            .map_err(|_| ClientError::Unreachable {
                address: address.clone(),
                phase: Phase::Answer,
                cause: format!("nothing within {:?}", self.client.call_timeout),
            })?
            .map_err(|error| unreachable(&address, Phase::Answer, error))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let body = match tokio::time::timeout(self.client.call_timeout, read_body(response)).await {
            Ok(Ok(body)) => body,
            // The status alone says enough.
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        Err(Answer { method, url, status, body }.into_error())
    }
}

impl Answer {
    pub fn ok(self) -> Result<Answer> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.into_error()) }
    }

    /// A 404 that names no error: there is nothing at this path.
    pub fn is_nothing(&self) -> bool {
        self.status == 404 && serde_json::from_slice::<Errors>(&self.body).is_ok_and(|body| body.errors.is_empty())
    }

    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| self.undecodable(error.to_string()))
    }

    pub fn data<T: DeserializeOwned>(&self) -> Result<T> {
        let envelope: Envelope<T> = self.decode()?;
        envelope.data.ok_or_else(|| self.undecodable("it has no `data`".into()))
    }

    pub fn into_error(self) -> ClientError {
        let errors = serde_json::from_slice::<Errors>(&self.body).ok().map(|body| body.errors);
        let raw = match errors {
            Some(_) => None,
            None => Some(excerpt(&self.body)).filter(|raw| !raw.is_empty()),
        };
        ClientError::Status {
            method: self.method.to_string(),
            url: self.url.to_string(),
            status: self.status,
            errors: errors.unwrap_or_default(),
            raw,
        }
    }

    fn undecodable(&self, cause: String) -> ClientError {
        ClientError::Undecodable {
            method: self.method.to_string(),
            url: self.url.to_string(),
            status: self.status,
            cause,
        }
    }
}

/// `phase` is how far it came if a connection was made at all.
pub(super) fn unreachable(address: &str, phase: Phase, error: reqwest::Error) -> ClientError {
    let phase = if error.is_connect() { Phase::Connect } else { phase };
    let cause = if error.is_timeout() { "it took too long".to_owned() } else { innermost(&error) };
    ClientError::Unreachable { address: address.to_owned(), phase, cause }
}

/// The outer errors only repeat the URL and that sending failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

enum BodyFailure {
    Broken(reqwest::Error),
    TooLarge,
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, BodyFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyFailure::Broken)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(BodyFailure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.trim().chars().filter(|c| !c.is_control()).take(RAW_CHARS_MAX).collect()
}
