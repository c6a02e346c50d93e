//! One request on its way to its handler.

use super::node::Node;
use super::pattern::{MountKind, Params, Within};
use super::request::{self, Query, Verb};
use super::routes::Route;
use super::upload::Upload;
use super::visitor::Visitor;
use crate::error::{Error, Result};
use crate::secrets::kv::Plain;
use crate::secrets::{Caller, KvKind, Mount, Use};
use crate::sensitive::SensitiveString;
use axum::http::HeaderMap;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio_util::io::ReaderStream;

const TOKEN_HEADER: &str = "x-vault-token";

/// How a request came here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// Straight from its client.
    Nobody,
    /// Another node of this region, which proved that, forwards it.
    Peer,
}

#[derive(Clone)]
pub struct Call {
    pub node: Arc<Node>,
    pub verb: Verb,
    /// Below `/v1/`, clean.
    pub path: String,
    /// It was sent with a slash at its end.
    pub ends_in_slash: bool,
    pub params: Params,
    pub query: Query,
    pub headers: HeaderMap,
    /// Who sent it to this node, which may be another node that forwards it.
    pub visitor: Option<Visitor>,
    /// Where it comes from, whichever node it was sent to.
    pub client: Option<SocketAddr>,
    pub via: Via,
    /// Whether this request was counted already as one of those that its token is good for.
    pub uses: Use,
    pub body: Bytes,
    /// The body, where it is a file: then the other one is empty.
    pub upload: Option<Arc<Upload>>,
    /// The mount that the path lies in, if this node could tell.
    pub mount: Option<Arc<Mount>>,
    /// Who the token names. Set for routes that want a token, and only there.
    pub caller: Option<Caller>,
    /// The caller's policies give it `sudo` here.
    pub sudo: bool,
}

impl Call {
    /// What the pattern's `:name` or `*name` stands for.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name)
    }

    /// The body as an object, whatever is in it.
    pub fn object(&self) -> Result<Map<String, Value>> {
        match request::parse_body(&self.headers, &self.body)? {
            Value::Object(fields) => Ok(fields),
            _ => Ok(Map::new()),
        }
    }

    /// Whether a write makes a record that was not there, where Vault's policies tell the two apart.
    pub async fn is_new_record(&self, route: &Route) -> Result<bool> {
        let vault = &self.node.vault;
        // Of no secret at all: its handler says what is wrong.
        if route.pattern.ends_with("/*path") && self.param("path").is_empty() {
            return Ok(false);
        }
        Ok(match (route.pattern, &self.mount) {
            ("{mount}/data/*path" | "{mount}/metadata/*path", Some(mount)) if mount.kv() == Some(KvKind::Versioned) => {
                vault.kv_metadata(mount.id, self.param("path")).await?.is_none()
            }
            ("{kv1}/*path", Some(mount)) => {
                vault.plain_get(Plain::of_mount(mount.id), self.param("path")).await?.is_none()
            }
            ("cubbyhole/*path", _) => match Plain::cubbyhole(self.caller()?) {
                Ok(own) => vault.plain_get(own, self.param("path")).await?.is_none(),
                // Its handler says what is wrong.
                Err(_) => false,
            },
            ("auth/token/roles/:role", _) => vault.token_role(self.param("role")).await?.is_none(),
            _ => false,
        })
    }

    /// The body as a type of the API.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let value = request::parse_body(&self.headers, &self.body)?;
        serde_json::from_value(value).map_err(|error| {
            // serde quotes the value it stumbled over, which may be a secret; what it expected comes behind.
            let text = error.to_string();
            let expected = text.split_once("expected ").map(|(_, expected)| format!(": expected {expected}"));
            let missing = text.starts_with("missing field").then(|| format!(": {text}"));
            let why = missing.or(expected).unwrap_or_default();
            Error::invalid(format!("the body does not have the fields and types of this request{why}"))
        })
    }

    /// The path as policies, audit devices and wrapped answers name it: a list's ends in a slash, and in a mount whatever
    /// was sent so.
    pub fn asked_path(&self) -> String {
        let slash = if self.lists() || self.ends_in_slash && self.keeps_names() { "/" } else { "" };
        format!("{}{slash}", self.path)
    }

    /// Whether what it names can be nothing: no secret's name ends in a slash.
    pub fn names_nothing(&self, route: &Route) -> bool {
        let of_mount = route.pattern.starts_with('{') || route.pattern.starts_with("cubbyhole/");
        let is_root = route.pattern.ends_with("/*path") && self.param("path").is_empty();
        self.ends_in_slash && !self.lists() && of_mount && !is_root
    }

    fn lists(&self) -> bool {
        matches!(self.verb, Verb::List | Verb::Scan)
    }

    /// Whether clients choose the names below its mount.
    fn keeps_names(&self) -> bool {
        self.mount_is_kv() || self.path.starts_with("cubbyhole/")
    }

    /// The part of the path that is its mount's.
    pub fn within(&self) -> Option<Within> {
        self.mount.as_deref().map(within)
    }

    /// Where the request came from, as far as this node knows: its client, or who says that he forwards it.
    pub fn source(&self) -> Option<SocketAddr> {
        self.client.or(self.visitor.map(|visitor| visitor.from))
    }

    /// The address of who sent it.
    pub fn address(&self) -> Option<IpAddr> {
        self.client.map(|client| client.ip())
    }

    pub fn mount_is_kv(&self) -> bool {
        self.mount.as_ref().is_some_and(|mount| mount.kv().is_some())
    }

    /// Who calls.
    pub fn caller(&self) -> Result<&Caller> {
        self.caller.as_ref().ok_or(Error::PermissionDenied)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token that the request carries.
    pub fn token(&self) -> Option<SensitiveString> {
        token_of(&self.headers)
    }

    /// The body as another node is to get it.
    pub async fn to_send(&self) -> Result<reqwest::Body> {
        let Some(upload) = &self.upload else { return Ok(self.body.clone().into()) };
        let file = tokio::fs::File::open(upload.path()).await?;
        Ok(reqwest::Body::wrap_stream(ReaderStream::new(file)))
    }
}

/// The part of a path that is this mount's.
pub fn within(mount: &Mount) -> Within {
    let kind = match mount.kv() {
        Some(KvKind::Plain) => MountKind::Kv1,
        Some(KvKind::Versioned) => MountKind::Kv2,
        None => MountKind::BuiltIn,
    };
    Within { len: mount.path.trim_end_matches('/').len(), kind }
}

/// The token that a request carries.
pub fn token_of(headers: &HeaderMap) -> Option<SensitiveString> {
    token(headers).map(SensitiveString::new)
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let named = |text: &&str| !text.is_empty();
    let bearer = || header("authorization")?.strip_prefix("Bearer ").map(str::trim).filter(named);
    header(TOKEN_HEADER).map(str::trim).filter(named).or_else(bearer)
}
