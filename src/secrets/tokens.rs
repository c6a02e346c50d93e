//! The token store. A token is stored under a keyed hash of itself, never as such; its accessor, which is no secret,
//! names it to operators. A child goes when its parent goes.
//!
//! Only the policy `root` exists as yet. Expired tokens are refused from the moment on; their records stay until they
//! are revoked.

use super::barrier::TokenHash;
use super::core::{View, Written, decode};
use super::layout::{self, Record};
use super::vault::Vault;
use crate::clock::{self, UnixMs};
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use crate::state::{Class, Op, Stored};
use crate::storage::{KeyRange, ScanLimit};
use bytes::Bytes;
use rand::Rng;
use rand::distributions::Alphanumeric;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Letters and digits of a token and of an accessor: 166 and 142 bits.
const TOKEN_CHARS: usize = 28;
const ACCESSOR_CHARS: usize = 24;

/// No token is longer; what is offered as one and is longer is refused unread.
const TOKEN_BYTES_MAX: usize = 256;

/// One batch revokes at most so many tokens; a larger family goes in several, children first.
const REVOKE_BATCH: usize = 500;

/// The policy that may do everything.
const ROOT_POLICY: &str = "root";

/// All changes of tokens share a lock, so that no child is born while its parent goes.
const LOCK: &[u8] = b"tokens";

/// Who makes a request, once its token was found good.
#[derive(Clone, Debug)]
pub struct Caller {
    pub accessor: String,
    pub policies: Vec<String>,
    pub display_name: String,
    pub expires_at: Option<UnixMs>,
    hash: [u8; 32],
}

impl Caller {
    pub fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == ROOT_POLICY)
    }
}

/// What a lookup shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenInfo {
    pub accessor: String,
    pub policies: Vec<String>,
    pub display_name: String,
    /// The endpoint that made it, like `auth/token/create`.
    pub path: String,
    pub meta: BTreeMap<String, String>,
    pub created_at: UnixMs,
    /// Zero: it lives until it is revoked.
    pub creation_ttl: Duration,
    pub expires_at: Option<UnixMs>,
    /// What is left of its life; zero without an end.
    pub ttl: Duration,
    pub orphan: bool,
}

/// What a new token is to be.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    /// Empty: the caller's. Only `root` exists as yet.
    pub policies: Vec<String>,
    /// `None` or zero: without an end of its own.
    pub ttl: Option<Duration>,
    pub display_name: Option<String>,
    pub meta: BTreeMap<String, String>,
    /// Outlives the token that makes it.
    pub orphan: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct TokenRecord {
    accessor: String,
    policies: Vec<String>,
    display_name: String,
    path: String,
    meta: BTreeMap<String, String>,
    created_at: UnixMs,
    creation_ttl: Duration,
    expires_at: Option<UnixMs>,
    /// The hash of the token that made it; `None`: an orphan.
    parent: Option<[u8; 32]>,
}

impl TokenRecord {
    fn is_expired(&self, now: UnixMs) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    fn info(self, now: UnixMs) -> TokenInfo {
        TokenInfo {
            ttl: self.expires_at.map_or(Duration::ZERO, |end| end.since(now)),
            accessor: self.accessor,
            policies: self.policies,
            display_name: self.display_name,
            path: self.path,
            meta: self.meta,
            created_at: self.created_at,
            creation_ttl: self.creation_ttl,
            expires_at: self.expires_at,
            orphan: self.parent.is_none(),
        }
    }
}

/// A new root token, and the operations that store it.
pub(super) fn new_root(view: &View) -> Result<(SensitiveString, Vec<Op>)> {
    let record = TokenRecord {
        accessor: random_text(ACCESSOR_CHARS),
        policies: vec![ROOT_POLICY.to_owned()],
        display_name: "root".to_owned(),
        path: "auth/token/root".to_owned(),
        meta: BTreeMap::new(),
        created_at: view.now.ms(),
        creation_ttl: Duration::ZERO,
        expires_at: None,
        parent: None,
    };
    store_new(view, &record)
}

impl Vault {
    /// Who `token` belongs to. An unknown, revoked or expired one is `Error::PermissionDenied`, all alike.
    ///
    /// On a standby, as on a follower, this reads what has arrived: a token revoked on the primary a moment ago is
    /// good until the revocation arrives. So an operator can act on a standby whose primary is gone.
    pub async fn authenticate(&self, token: &SensitiveString) -> Result<Caller> {
        let token = token.clone();
        self.core.catch_up_if_leader().await;
        let found = self.core.read_local(move |view| find(view, &token)).await?;
        let (hash, record) = found.ok_or(Error::PermissionDenied)?;
        Ok(Caller {
            accessor: record.accessor,
            policies: record.policies,
            display_name: record.display_name,
            expires_at: record.expires_at,
            hash,
        })
    }

    /// What is known of a token; `Error::NotFound("bad token")`, which Vault answers with 403, if there is none such.
    pub async fn token_lookup(&self, token: &SensitiveString) -> Result<TokenInfo> {
        let token = token.clone();
        self.token_info(move |view| Ok(find(view, &token)?.map(|(_, record)| record)), "bad token").await
    }

    pub async fn token_lookup_self(&self, caller: &Caller) -> Result<TokenInfo> {
        let hash = caller.hash;
        self.token_info(move |view| find_hash(view, hash), "bad token").await
    }

    /// As `token_lookup`, with the words `invalid accessor`.
    pub async fn token_lookup_accessor(&self, accessor: &str) -> Result<TokenInfo> {
        let accessor = accessor.to_owned();
        let lookup = move |view: &View| match hash_of_accessor(view, &accessor)? {
            Some(hash) => find_hash(view, hash),
            None => Ok(None),
        };
        self.token_info(lookup, "invalid accessor").await
    }

    /// The accessors of all tokens, in order.
    pub async fn token_accessors(&self) -> Result<Vec<String>> {
        let read = |view: &View| {
            let stored = view.state.scan_data(&KeyRange::prefix(layout::TOKENS), ScanLimit::NONE)?;
            let open = |(key, stored): &(Bytes, Stored)| {
                let record: TokenRecord = decode(&view.barrier.decrypt(key, &stored.value)?)?;
                Ok(record.accessor)
            };
            let mut accessors = stored.iter().map(open).collect::<Result<Vec<_>>>()?;
            accessors.sort_unstable();
            Ok(accessors)
        };
        self.core.read(read).await
    }

    /// Makes a token on behalf of `caller`. It lives no longer than its parent, unless it is an orphan.
    pub async fn token_create(
        &self,
        caller: &Caller,
        request: TokenRequest,
    ) -> Result<Written<(SensitiveString, TokenInfo)>> {
        if !caller.is_root() {
            return Err(Error::PermissionDenied);
        }
        if request.policies.iter().any(|policy| policy != ROOT_POLICY) {
            return Err(Error::invalid(
                "no policy but `root` exists: ask for a token without policies, or with `root`",
            ));
        }
        let parent = caller.hash;
        let create = move |view: &View| {
            // The parent may have been revoked since it was authenticated.
            let from = find_hash(view, parent)?.ok_or(Error::PermissionDenied)?;
            let now = view.now.ms();
            let ttl = request.ttl.unwrap_or_default();
            let end = (!ttl.is_zero()).then(|| now.plus(ttl));
            let end_of_parent = from.expires_at.filter(|_| !request.orphan);
            let record = TokenRecord {
                accessor: random_text(ACCESSOR_CHARS),
                policies: vec![ROOT_POLICY.to_owned()],
                display_name: request.display_name.map_or("token".into(), |name| format!("token-{name}")),
                path: "auth/token/create".to_owned(),
                meta: request.meta,
                created_at: now,
                creation_ttl: ttl,
                expires_at: [end, end_of_parent].into_iter().flatten().min(),
                parent: (!request.orphan).then_some(parent),
            };
            let (token, ops) = store_new(view, &record)?;
            Ok(((token, record.info(now)), ops))
        };
        self.core.write(Class::TokenCreate, LOCK, create).await
    }

    /// Revokes a token and all that descend from it. One that does not exist is revoked already.
    pub async fn token_revoke(&self, token: &SensitiveString) -> Result<Written<()>> {
        let token = token.clone();
        let named = move |view: &View| Ok(Some(view.barrier.token_hash(TokenHash::Token, token.expose())));
        Ok(self.revoke(named).await?.map(|_| ()))
    }

    pub async fn token_revoke_self(&self, caller: &Caller) -> Result<Written<()>> {
        let hash = caller.hash;
        Ok(self.revoke(move |_| Ok(Some(hash))).await?.map(|_| ()))
    }

    /// As `token_revoke`; an unknown accessor is `Error::NotFound("invalid accessor")`.
    pub async fn token_revoke_accessor(&self, accessor: &str) -> Result<Written<()>> {
        let accessor = accessor.to_owned();
        let revoked = self.revoke(move |view| hash_of_accessor(view, &accessor)).await?;
        if revoked.value { Ok(revoked.map(|_| ())) } else { Err(Error::NotFound("invalid accessor".into())) }
    }

    /// Revokes the token that `named` finds, with its family. Says whether there was one.
    async fn revoke<F>(&self, named: F) -> Result<Written<bool>>
    where
        F: Fn(&View) -> Result<Option<[u8; 32]>> + Clone + Send + 'static,
    {
        let mut any = false;
        loop {
            let named = named.clone();
            let step = move |view: &View| {
                let Some(hash) = named(view)? else { return Ok((Step::default(), Vec::new())) };
                revoke_some(view, hash)
            };
            let written = self.core.write(Class::TokenRevoke, LOCK, step).await?;
            any |= written.value.any;
            if !written.value.more {
                return Ok(written.map(|_| any));
            }
        }
    }

    async fn token_info<F>(&self, find: F, missing: &str) -> Result<TokenInfo>
    where
        F: FnOnce(&View) -> Result<Option<TokenRecord>> + Send + 'static,
    {
        self.core.catch_up_if_leader().await;
        let read = move |view: &View| Ok(find(view)?.map(|record| record.info(view.now.ms())));
        self.core.read_local(read).await?.ok_or_else(|| Error::NotFound(missing.to_owned()))
    }
}

/// What one batch of a revocation did.
#[derive(Clone, Copy, Default)]
struct Step {
    any: bool,
    /// Some of the family are left.
    more: bool,
}

/// The operations that remove a token and its descendants, children before parents, up to a batch.
fn revoke_some(view: &View, hash: [u8; 32]) -> Result<(Step, Vec<Op>)> {
    let mut doomed = Vec::new();
    // The way down to the token looked at; of each, where to look for its next child.
    let mut way = vec![(hash, KeyRange::prefix(&layout::children_prefix(&hash)))];
    while doomed.len() < REVOKE_BATCH
        && let Some((hash, children)) = way.last_mut()
    {
        match view.state.scan_data(children, ScanLimit::entries(1))?.first() {
            Some((key, _)) => {
                children.start = [key.as_ref(), &[0]].concat();
                let child = layout::child_of(key)?;
                way.push((child, KeyRange::prefix(&layout::children_prefix(&child))));
            }
            None => {
                doomed.push(*hash);
                way.pop();
            }
        }
    }
    let mut ops = Vec::new();
    for hash in doomed {
        ops.extend(remove(view, hash)?);
    }
    Ok((Step { any: !ops.is_empty(), more: !way.is_empty() }, ops))
}

/// The operations that remove one token; none if it is not there.
fn remove(view: &View, hash: [u8; 32]) -> Result<Vec<Op>> {
    let key = Record::Token(hash).key(&view.barrier)?;
    let Some(record) = view.get::<TokenRecord>(&key)? else { return Ok(Vec::new()) };
    let accessor = Record::Accessor(&record.accessor).key(&view.barrier)?;
    let mut ops = vec![Op::Delete { key }, Op::Delete { key: accessor }];
    if let Some(parent) = record.parent {
        ops.push(Op::Delete { key: Record::Child(parent, hash).key(&view.barrier)? });
    }
    Ok(ops)
}

/// A new token with this record, and the operations that store it.
fn store_new(view: &View, record: &TokenRecord) -> Result<(SensitiveString, Vec<Op>)> {
    let token = SensitiveString::new(format!("s.{}", random_text(TOKEN_CHARS)));
    let hash = view.barrier.token_hash(TokenHash::Token, token.expose());
    let accessor = Record::Accessor(&record.accessor).key(&view.barrier)?;
    let mut ops = vec![view.put(Record::Token(hash).key(&view.barrier)?, record)?, view.put_bytes(accessor, &hash)];
    if let Some(parent) = record.parent {
        ops.push(view.put_bytes(Record::Child(parent, hash).key(&view.barrier)?, &[]));
    }
    Ok((token, ops))
}

/// The record of a token that is good now. Looking it up by a keyed hash takes a time that tells nothing about tokens.
fn find(view: &View, token: &SensitiveString) -> Result<Option<([u8; 32], TokenRecord)>> {
    if token.expose().len() > TOKEN_BYTES_MAX {
        return Ok(None);
    }
    let hash = view.barrier.token_hash(TokenHash::Token, token.expose());
    Ok(find_hash(view, hash)?.map(|record| (hash, record)))
}

fn find_hash(view: &View, hash: [u8; 32]) -> Result<Option<TokenRecord>> {
    let record: Option<TokenRecord> = view.get(&Record::Token(hash).key(&view.barrier)?)?;
    Ok(record.filter(|record| !record.is_expired(view.now.ms())))
}

fn hash_of_accessor(view: &View, accessor: &str) -> Result<Option<[u8; 32]>> {
    let Some(hash) = view.get_bytes(&Record::Accessor(accessor).key(&view.barrier)?)? else { return Ok(None) };
    let hash = hash.expose().try_into();
    Ok(Some(hash.map_err(|_| Error::corrupt("an accessor names no hash of a token"))?))
}

/// Letters and digits from the operating system's generator.
fn random_text(chars: usize) -> String {
    clock::rng().sample_iter(Alphanumeric).take(chars).map(char::from).collect()
}
