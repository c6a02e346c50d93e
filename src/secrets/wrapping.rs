//! Response wrapping: an answer is kept in the cubbyhole of a token that is good for fetching it once.

use super::barrier::TokenHash;
use super::core::{View, Written};
use super::kv::data::text;
use super::layout::{Record, SecretPath, Shelf};
use super::lock::{Gate, Lock};
use super::policy::RESPONSE_WRAPPING;
use super::tokens::{Caller, TokenRecord, good_record, new_token, remove_one, store_new};
use super::vault::Vault;
use crate::clock::UnixMs;
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use crate::state::{Class, Op};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// No answer is kept for longer: a hundred years, so that its end is a time that can be written down.
const TTL_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Where in the cubbyhole the answer lies.
const RESPONSE: &str = "response";

/// What is told of a wrapped answer.
#[derive(Clone, Debug)]
pub struct Wrapped {
    pub token: SensitiveString,
    pub accessor: String,
    pub ttl: Duration,
    pub created_at: UnixMs,
    /// The path whose answer it is.
    pub path: String,
}

/// The answer in its cubbyhole, as `cubbyhole/response` shows it.
#[derive(Serialize, Deserialize)]
struct Held {
    response: String,
}

impl Vault {
    /// Keeps `answer`, the JSON text of what `path` answered, for `ttl`.
    pub async fn wrap(&self, path: &str, ttl: Duration, answer: SensitiveString) -> Result<Written<Wrapped>> {
        let (token, path) = (new_token(), path.to_owned());
        let ttl = ttl.min(TTL_MAX);
        let lock = blake3::hash(token.expose().as_bytes()).as_bytes().to_vec();
        let wrap = move |view: &View| keep(view, token, path, ttl, &answer);
        self.core.write(Class::TokenCreate, Lock::Within(Gate::Tokens, lock), wrap).await
    }

    /// The answer that `token` holds; both are gone afterwards. `None`: there is no such answer.
    pub async fn unwrap(&self, token: Wrapping<'_>) -> Result<Written<Option<SensitiveString>>> {
        let (hash, by_itself) = self.hash_of_wrapping(token).await?;
        let unwrap = move |view: &View| match held(view, hash, by_itself)? {
            Some((_, answer)) => Ok((Some(answer), remove_one(view, hash)?)),
            None => Ok((None, Vec::new())),
        };
        self.core.write(Class::TokenRevoke, Lock::Within(Gate::Tokens, hash.to_vec()), unwrap).await
    }

    /// What is known of a wrapped answer, without fetching it.
    pub async fn wrapping_lookup(&self, token: Wrapping<'_>) -> Result<Option<Wrapped>> {
        let (hash, by_itself) = self.hash_of_wrapping(token).await?;
        let read = move |view: &View| {
            let found = held(view, hash, by_itself)?;
            Ok(found.map(|(record, _)| told(SensitiveString::new(""), record)))
        };
        self.core.read(read).await
    }

    /// Moves a wrapped answer to a new token of the same lifetime.
    pub async fn rewrap(&self, token: Wrapping<'_>) -> Result<Written<Option<Wrapped>>> {
        let (hash, by_itself) = self.hash_of_wrapping(token).await?;
        let rewrap = move |view: &View| {
            let Some((record, answer)) = held(view, hash, by_itself)? else { return Ok((None, Vec::new())) };
            let (wrapped, mut ops) = keep(view, new_token(), record.path, record.creation_ttl, &answer)?;
            ops.extend(remove_one(view, hash)?);
            Ok((Some(wrapped), ops))
        };
        self.core.write(Class::TokenCreate, Lock::Within(Gate::Tokens, hash.to_vec()), rewrap).await
    }

    /// The stored hash of the token, and whether it is the one that the request came with.
    async fn hash_of_wrapping(&self, token: Wrapping<'_>) -> Result<([u8; 32], bool)> {
        match token {
            Wrapping::Own(caller) => Ok((caller.hash().ok_or_else(invalid)?, true)),
            Wrapping::Named(token) => {
                let token = token.clone();
                let hash = move |view: &View| Ok(view.barrier.token_hash(TokenHash::Token, token.expose()));
                Ok((self.core.read_local(hash)?, false))
            }
        }
    }
}

/// Which wrapping token is meant.
#[derive(Clone, Copy)]
pub enum Wrapping<'a> {
    /// The one that the request came with.
    Own(&'a Caller),
    Named(&'a SensitiveString),
}

/// Of a token that wraps nothing, or no longer.
pub fn invalid() -> Error {
    Error::invalid("wrapping token is not valid or does not exist")
}

fn keep(
    view: &View,
    token: SensitiveString,
    path: String,
    ttl: Duration,
    answer: &SensitiveString,
) -> Result<(Wrapped, Vec<Op>)> {
    let now = view.now.ms();
    let mut record = TokenRecord::new(now, vec![RESPONSE_WRAPPING.to_owned()], "", &path);
    record.ends_after(ttl, now);
    record.creation_ttl = ttl;
    record.explicit_max_ttl = ttl;
    record.uses = Some(1);
    let hash = view.barrier.token_hash(TokenHash::Token, token.expose());
    let held = Held { response: answer.expose().to_owned() };
    let held = serde_json::to_string(&held).map(SensitiveString::new);
    let held = held.map_err(|_| Error::internal("an answer could not be wrapped"))?;
    let key = Record::Plain(Shelf::Cubbyhole(hash), &SecretPath::parse(RESPONSE)?).key(&view.barrier)?;
    let mut ops = store_new(view, &token, &record)?;
    ops.push(view.put_bytes(key, held.expose().as_bytes()));
    Ok((told(token, record), ops))
}

/// A wrapping token's record and its answer. One whose use is taken is held only by the request that took it.
fn held(view: &View, hash: [u8; 32], by_itself: bool) -> Result<Option<(TokenRecord, SensitiveString)>> {
    let wraps = |record: &TokenRecord| {
        record.policies == [RESPONSE_WRAPPING] && (by_itself || record.uses.is_some_and(|uses| uses > 0))
    };
    let Some(record) = good_record(view, hash)?.filter(wraps) else { return Ok(None) };
    let key = Record::Plain(Shelf::Cubbyhole(hash), &SecretPath::parse(RESPONSE)?).key(&view.barrier)?;
    let Some(data) = view.get_bytes(&key)? else { return Ok(None) };
    let held = text(&data)?;
    let held: Held =
        serde_json::from_str(held.expose()).map_err(|_| Error::corrupt("a wrapped answer does not decode"))?;
    Ok(Some((record, SensitiveString::new(held.response))))
}

fn told(token: SensitiveString, record: TokenRecord) -> Wrapped {
    Wrapped {
        token,
        accessor: record.accessor,
        ttl: record.creation_ttl,
        created_at: record.created_at,
        path: record.path,
    }
}
