//! One typed HTTP client, for the command line, the console, the demo and the tests. One method per endpoint, over the
//! types in [`crate::api`]; what to do about an answer is for the caller to decide.
//!
//! The methods are grouped by subject: `sys.rs`, `replication.rs`, `kv.rs`, `kv_text.rs`, `token.rs`, `snapshot.rs`; `logical.rs` has any path. A call makes exactly one attempt. It ends
//! within `call_timeout` and says apart ([`ClientError`]) that the server could not be reached, that it refused, and
//! that its answer made no sense. HTTP/1.1 only, as the link. Redirects are not followed, since they would carry the token
//! to wherever a server points; followers forward by themselves.

mod error;
mod events;
mod foreign;
mod kv;
mod kv_text;
mod logical;
mod replication;
mod request;
mod snapshot;
mod sys;
mod tls;
mod token;

pub use error::{ClientError, Phase, Result};
pub use events::EventStream;
pub use kv_text::KvText;
pub use logical::Logical;
pub use snapshot::Restore;
pub use sys::HealthAnswer;
pub use tls::Trust;

use crate::sensitive::SensitiveString;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use url::{Host, Url};

/// How long to wait for a connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a call may take in all, for who does not say otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(3);

const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-vault-token");
/// Servers use it to tell API clients from browsers that were tricked into a request.
const REQUEST_HEADER: HeaderName = HeaderName::from_static("x-vault-request");

/// Where to call, as whom, and whom to believe.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// `https://host:port`. Without a scheme it is `http` for loopback addresses and `https` for all others.
    pub address: String,
    pub token: Option<SensitiveString>,
    pub trust: Trust,
    pub connect_timeout: Duration,
    pub call_timeout: Duration,
}

impl ClientOptions {
    pub fn new(address: impl Into<String>) -> ClientOptions {
        ClientOptions {
            address: address.into(),
            token: None,
            trust: Trust::System,
            connect_timeout: CONNECT_TIMEOUT,
            call_timeout: CALL_TIMEOUT,
        }
    }

    pub fn token(mut self, token: SensitiveString) -> ClientOptions {
        self.token = Some(token);
        self
    }
}

/// A client of one server. Cheap to clone; clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    call_timeout: Duration,
}

impl Client {
    /// Connects nowhere yet. Fails for an address or a certificate file that can't be used.
    pub fn new(options: ClientOptions) -> Result<Client> {
        let base = parse_address(&options.address)?;
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_HEADER, HeaderValue::from_static("true"));
        if let Some(token) = &options.token {
            let mut value = HeaderValue::from_str(token.expose()).map_err(|_| {
                ClientError::Options("the token holds characters that no token has: check where it comes from".into())
            })?;
            value.set_sensitive(true);
            headers.insert(TOKEN_HEADER, value);
        }
        let mut builder = reqwest::Client::builder()
            .http1_only()
            .user_agent(concat!("twinkeep/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true);
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        // Plain HTTP needs no authorities: they are only read where they will be asked.
        let trust = if base.scheme() == "https" { &options.trust } else { &Trust::Nothing };
        let http = builder
            .use_preconfigured_tls(trust.client_config()?)
            .build()
            .map_err(|error| ClientError::Options(format!("no HTTP client for {base}: {error}")))?;
        Ok(Client { http, base, call_timeout: options.call_timeout })
    }

    /// The server's address as it was understood, with its scheme and without a slash at its end.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }
}

fn parse_address(address: &str) -> Result<Url> {
    let wrong = |why: &str| {
        ClientError::Options(format!("`{address}` is no server address: {why}; expected e.g. https://127.0.0.1:8200"))
    };
    let trimmed = address.trim();
    let url = if trimmed.contains("://") {
        Url::parse(trimmed)
    } else {
        Url::parse(&format!("https://{trimmed}")).map(|mut url| {
            if is_loopback(&url) {
                // Port 443 would be dropped as the default of the one scheme and not of the other.
                url = Url::parse(&format!("http://{trimmed}")).unwrap_or(url);
            }
            url
        })
    }
    .map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("its scheme is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("user names and passwords have no place in it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query or a fragment"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
