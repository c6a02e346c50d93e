//! What is stored of a token.

use super::cidrs::Cidr;
use super::{TokenInfo, TokenKind};
use crate::clock::{self, UnixMs};
use crate::error::Result;
use crate::secrets::barrier::TokenHash;
use crate::secrets::core::View;
use crate::secrets::layout::Record;
use crate::secrets::policy::ROOT;
use crate::sensitive::SensitiveString;
use crate::state::Op;
use rand::Rng;
use rand::distributions::Alphanumeric;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Letters and digits of a token and of an accessor: 154 and 142 bits. A token is as long as Vault's.
const TOKEN_CHARS: usize = 26;
const ACCESSOR_CHARS: usize = 24;
const TOKEN_PREFIX: &str = "s.";

/// Bytes of a token that was made here.
pub const TOKEN_LENGTH: usize = TOKEN_PREFIX.len() + TOKEN_CHARS;

#[derive(Clone, Serialize, Deserialize)]
pub struct TokenRecord {
    pub accessor: String,
    pub policies: Vec<String>,
    pub display_name: String,
    pub path: String,
    pub role: Option<String>,
    pub meta: BTreeMap<String, String>,
    pub bound_cidrs: Vec<Cidr>,
    pub created_at: UnixMs,
    pub creation_ttl: Duration,
    /// What it was given last, by its creation or a renewal.
    pub ttl: Duration,
    pub expires_at: Option<UnixMs>,
    pub explicit_max_ttl: Duration,
    /// Zero: not periodic.
    pub period: Duration,
    /// What it asked for itself, whatever its role made of it.
    pub own_period: Duration,
    pub renewable: bool,
    pub renewed_at: Option<UnixMs>,
    /// How many requests are left; `None`: they are not counted.
    pub uses: Option<u64>,
    /// The hash of the token that made it; `None`: an orphan.
    pub parent: Option<[u8; 32]>,
}

impl TokenRecord {
    /// A token without an end, of no role, an orphan.
    pub fn new(now: UnixMs, policies: Vec<String>, display_name: &str, path: &str) -> TokenRecord {
        TokenRecord {
            accessor: random_text(ACCESSOR_CHARS),
            policies,
            display_name: display_name.to_owned(),
            path: path.to_owned(),
            role: None,
            meta: BTreeMap::new(),
            bound_cidrs: Vec::new(),
            created_at: now,
            creation_ttl: Duration::ZERO,
            ttl: Duration::ZERO,
            expires_at: None,
            explicit_max_ttl: Duration::ZERO,
            period: Duration::ZERO,
            own_period: Duration::ZERO,
            renewable: false,
            renewed_at: None,
            uses: None,
            parent: None,
        }
    }

    pub fn ends_after(&mut self, ttl: Duration, now: UnixMs) {
        self.ttl = ttl;
        self.expires_at = Some(now.plus(ttl));
    }

    pub fn is_expired(&self, now: UnixMs) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    pub fn info(self, now: UnixMs) -> TokenInfo {
        TokenInfo {
            kind: TokenKind::Service,
            ttl: self.expires_at.map_or(Duration::ZERO, |end| end.since(now)),
            accessor: self.accessor,
            policies: self.policies,
            display_name: self.display_name,
            path: self.path,
            role: self.role,
            meta: self.meta,
            bound_cidrs: self.bound_cidrs,
            created_at: self.created_at,
            creation_ttl: self.creation_ttl,
            expires_at: self.expires_at,
            explicit_max_ttl: self.explicit_max_ttl,
            period: self.own_period,
            renewable: self.renewable,
            renewed_at: self.renewed_at,
            uses: self.uses.unwrap_or(0),
            orphan: self.parent.is_none(),
        }
    }
}

/// A new root token, and the operations that store it.
pub fn new_root(view: &View) -> Result<(SensitiveString, Vec<Op>)> {
    let record = TokenRecord::new(view.now.ms(), vec![ROOT.to_owned()], "root", "auth/token/root");
    let token = new_token();
    let ops = store_new(view, &token, &record)?;
    Ok((token, ops))
}

pub fn new_token() -> SensitiveString {
    SensitiveString::new(format!("{TOKEN_PREFIX}{}", random_text(TOKEN_CHARS)))
}

/// The operations that store a new token.
pub fn store_new(view: &View, token: &SensitiveString, record: &TokenRecord) -> Result<Vec<Op>> {
    let hash = view.barrier.token_hash(TokenHash::Token, token.expose());
    let accessor = Record::Accessor(&record.accessor).key(&view.barrier)?;
    let mut ops = vec![view.put(Record::Token(hash).key(&view.barrier)?, record)?, view.put_bytes(accessor, &hash)];
    if let Some(parent) = record.parent {
        ops.push(view.put_bytes(Record::Child(parent, hash).key(&view.barrier)?, &[]));
    }
    if let Some(end) = record.expires_at {
        ops.push(view.put_bytes(Record::Expiry(end, hash).key(&view.barrier)?, &[]));
    }
    Ok(ops)
}

/// The record of a token that has not ended, nor has any that it descends from.
pub fn good_record(view: &View, hash: [u8; 32]) -> Result<Option<TokenRecord>> {
    let now = view.now.ms();
    let get = |hash| view.get::<TokenRecord>(&Record::Token(hash).key(&view.barrier)?);
    let Some(record) = get(hash)?.filter(|record| !record.is_expired(now)) else { return Ok(None) };
    Ok(is_alive(view, record.parent)?.then_some(record))
}

/// Whether a token and all that it descends from are there and have not ended; true of no token.
pub fn is_alive(view: &View, mut hash: Option<[u8; 32]>) -> Result<bool> {
    let now = view.now.ms();
    while let Some(next) = hash {
        match view.get::<TokenRecord>(&Record::Token(next).key(&view.barrier)?)? {
            Some(record) if !record.is_expired(now) => hash = record.parent,
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// How many tokens a token descends from, itself among them.
pub fn generation(view: &View, hash: [u8; 32]) -> Result<usize> {
    let (mut next, mut found) = (Some(hash), 0);
    while let Some(hash) = next {
        found += 1;
        let record = view.get::<TokenRecord>(&Record::Token(hash).key(&view.barrier)?)?;
        next = record.and_then(|record| record.parent);
    }
    Ok(found)
}

/// Letters and digits from the operating system's generator.
pub fn random_text(chars: usize) -> String {
    clock::rng().sample_iter(Alphanumeric).take(chars).map(char::from).collect()
}
