//! The token store. A token is stored under a keyed hash of itself, never as such; its accessor, which is no secret,
//! names it to operators. A child goes when its parent goes.
//!
//! `record` is what is stored of a token, `cidrs` where it may come from, `batch` the tokens that are not stored at all,
//! `create`, `renew`, `revoke` and `roles` what clients ask for, `chosen` which policies a new one gets, `leases` how long
//! a token may live, `lease_ids` tokens by their leases, `expiry` what ends
//! by itself.
//!
//! A token ends at a time of the data set (`Core::now`), which no change of leader or region turns back. From that moment
//! it is refused, and all that descend from it; the sweep of the leader then removes them.

pub mod batch;
pub mod cidrs;
pub mod create;
pub mod leases;
pub mod roles;

mod chosen;
mod expiry;
mod lease_ids;
mod record;
mod renew;
mod revoke;

pub use create::{Parent, TokenKind, TokenMade, TokenRequest};
pub use leases::Leases;
pub use roles::{RoleKind, TokenRole};

pub(super) use record::{TOKEN_LENGTH, TokenRecord, good_record, new_root, new_token, random_text, store_new};
pub(super) use revoke::remove_one;

use self::batch::BatchToken;
use self::cidrs::Cidr;
use super::barrier::TokenHash;
use super::core::{View, decode};
use super::layout::{self, Record};
use super::lock::{Gate, Lock};
use super::policy::{self, Acl, ROOT};
use super::vault::Vault;
use crate::clock::UnixMs;
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use crate::state::{Class, Stored};
use crate::storage::{KeyRange, ScanLimit};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// No token is longer; what is offered as one and is longer is refused unread.
const TOKEN_BYTES_MAX: usize = 256;

/// Whether a request is still to be counted, of those that its token is good for. One that is sent to another leader, since
/// nothing was done, is counted once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    ToCount,
    Counted,
}

/// Who makes a request, once its token was found good.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Empty for a batch token, which has none.
    pub accessor: String,
    pub policies: Vec<String>,
    pub display_name: String,
    pub expires_at: Option<UnixMs>,
    pub kind: TokenKind,
    pub created_at: UnixMs,
    pub creation_ttl: Duration,
    pub meta: BTreeMap<String, String>,
    /// How many requests it was good for before this one; `None`: they are not counted.
    pub uses: Option<u64>,
    /// What its policies allowed when it was authenticated.
    pub acl: Acl,
    identity: Identity,
    /// The request is the last one that this token was good for.
    last_use: bool,
}

#[derive(Clone, Debug)]
enum Identity {
    /// The keyed hash that it is stored under.
    Stored([u8; 32]),
    Batch(Box<BatchToken>),
}

impl Caller {
    pub fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == ROOT)
    }

    /// The hash of a token that is stored; none of a batch token.
    pub(super) fn hash(&self) -> Option<[u8; 32]> {
        match &self.identity {
            Identity::Stored(hash) => Some(*hash),
            Identity::Batch(_) => None,
        }
    }
}

/// What a lookup shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenInfo {
    pub kind: TokenKind,
    pub accessor: String,
    pub policies: Vec<String>,
    pub display_name: String,
    /// The endpoint that made it, like `auth/token/create`.
    pub path: String,
    pub role: Option<String>,
    pub meta: BTreeMap<String, String>,
    /// Where it may come from; nothing: from anywhere.
    pub bound_cidrs: Vec<Cidr>,
    pub created_at: UnixMs,
    /// Zero: it lives until it is revoked.
    pub creation_ttl: Duration,
    pub expires_at: Option<UnixMs>,
    /// What is left of its life; zero without an end.
    pub ttl: Duration,
    pub explicit_max_ttl: Duration,
    /// What it asked for itself: a role's is told with the role.
    pub period: Duration,
    pub renewable: bool,
    pub renewed_at: Option<UnixMs>,
    /// How many more requests it is good for; 0: as many as it likes.
    pub uses: u64,
    pub orphan: bool,
}

impl Vault {
    /// Who `token` belongs to, and counts the use of one that is good for so many requests only. An unknown, revoked,
    /// spent or expired one is `Error::PermissionDenied`, all alike, and so is one that may not come from `from`.
    ///
    /// On a standby, as on a follower, this reads what has arrived: a token revoked on the primary a moment ago is
    /// good until the revocation arrives. So an operator can act on a standby whose primary is gone.
    pub async fn authenticate(&self, token: &SensitiveString, from: Option<IpAddr>, uses: Use) -> Result<Caller> {
        self.core.catch_up_if_leader().await;
        let mut caller = self.recognise(token, from, uses)?.ok_or(Error::PermissionDenied)?;
        if let (Some(left), Some(hash)) = (caller.uses, caller.hash()) {
            caller.last_use = match uses {
                Use::ToCount => self.count_use(hash).await?,
                Use::Counted => left == 0,
            };
        }
        Ok(caller)
    }

    /// Who a token belongs to, as far as this node holds, without counting a use; `None`: it is not good.
    pub fn recognise(&self, token: &SensitiveString, from: Option<IpAddr>, uses: Use) -> Result<Option<Caller>> {
        self.core.read_local(|view| identify(view, token, from, uses))
    }

    /// Ends the token of a request that was its last one. To be called when the request is done.
    pub async fn finish(&self, caller: &Caller) -> Result<()> {
        if caller.last_use {
            self.token_revoke_self(caller).await?;
        }
        Ok(())
    }

    /// Takes one use from a token, durably. Whether it was the last one.
    async fn count_use(&self, hash: [u8; 32]) -> Result<bool> {
        let count = move |view: &View| {
            let mut record = good_record(view, hash)?.ok_or(Error::PermissionDenied)?;
            let left = match record.uses {
                None => return Ok((false, Vec::new())),
                Some(0) => return Err(Error::PermissionDenied),
                Some(left) => left - 1,
            };
            record.uses = Some(left);
            Ok((left == 0, vec![view.put(Record::Token(hash).key(&view.barrier)?, &record)?]))
        };
        Ok(self.core.write(Class::System, Lock::Within(Gate::Tokens, hash.to_vec()), count).await?.value)
    }

    /// What is known of a token; `Error::NotFound("bad token")`, which Vault answers with 403, if there is none such.
    pub async fn token_lookup(&self, token: &SensitiveString) -> Result<TokenInfo> {
        let token = token.clone();
        let find = move |view: &View| match batch::is_batch(&token) {
            true => Ok(batch::open(view, &token)?.map(|batch| batch.info(view.now.ms()))),
            false => info_of(view, hash_of(view, &token)),
        };
        self.token_info(find, "bad token").await
    }

    pub async fn token_lookup_self(&self, caller: &Caller) -> Result<TokenInfo> {
        let identity = caller.identity.clone();
        let find = move |view: &View| match identity {
            Identity::Stored(hash) => info_of(view, Some(hash)),
            Identity::Batch(batch) => Ok(Some(batch.info(view.now.ms()))),
        };
        self.token_info(find, "bad token").await
    }

    /// As `token_lookup`, with the words `invalid accessor`.
    pub async fn token_lookup_accessor(&self, accessor: &str) -> Result<TokenInfo> {
        let accessor = accessor.to_owned();
        self.token_info(move |view| info_of(view, hash_of_accessor(view, &accessor)?), "invalid accessor").await
    }

    /// What a token's policies allow; `Error::NotFound` as for `token_lookup`.
    pub async fn token_acl(&self, token: &SensitiveString) -> Result<Acl> {
        let policies = self.token_lookup(token).await?.policies;
        self.acl(&policies)
    }

    pub async fn token_acl_of_accessor(&self, accessor: &str) -> Result<Acl> {
        let policies = self.token_lookup_accessor(accessor).await?.policies;
        self.acl(&policies)
    }

    fn acl(&self, policies: &[String]) -> Result<Acl> {
        self.core.read_local(|view| policy::acl(view, policies))
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
        self.core.scan(read).await
    }

    async fn token_info<F>(&self, find: F, missing: &str) -> Result<TokenInfo>
    where
        F: FnOnce(&View) -> Result<Option<TokenInfo>> + Send + 'static,
    {
        self.core.confirm_if_leader().await?;
        self.core.read_local(find)?.ok_or_else(|| Error::NotFound(missing.to_owned()))
    }
}

/// Whose token it is, if it is one that may come from there.
fn identify(view: &View, token: &SensitiveString, from: Option<IpAddr>, uses: Use) -> Result<Option<Caller>> {
    if batch::is_batch(token) {
        let batch = batch::open(view, token)?.filter(|batch| cidrs::allow(&batch.bound_cidrs, from));
        let Some(batch) = batch else { return Ok(None) };
        return Ok(Some(Caller {
            accessor: String::new(),
            policies: batch.policies.clone(),
            display_name: batch.display_name.clone(),
            expires_at: Some(batch.expires_at),
            kind: TokenKind::Batch,
            created_at: batch.created_at,
            creation_ttl: batch.creation_ttl,
            meta: batch.meta.clone(),
            uses: None,
            acl: policy::acl(view, &batch.policies)?,
            identity: Identity::Batch(Box::new(batch)),
            last_use: false,
        }));
    }
    let Some(hash) = hash_of(view, token) else { return Ok(None) };
    let is_left = |record: &TokenRecord| uses == Use::Counted || record.uses != Some(0);
    let fits = |record: &TokenRecord| is_left(record) && cidrs::allow(&record.bound_cidrs, from);
    let Some(record) = good_record(view, hash)?.filter(fits) else { return Ok(None) };
    Ok(Some(Caller {
        acl: policy::acl(view, &record.policies)?,
        accessor: record.accessor,
        policies: record.policies,
        display_name: record.display_name,
        expires_at: record.expires_at,
        kind: TokenKind::Service,
        created_at: record.created_at,
        creation_ttl: record.creation_ttl,
        meta: record.meta,
        uses: record.uses,
        identity: Identity::Stored(hash),
        last_use: false,
    }))
}

/// What a token is stored under. Looking it up by a keyed hash takes a time that tells nothing about tokens.
fn hash_of(view: &View, token: &SensitiveString) -> Option<[u8; 32]> {
    let fits = token.expose().len() <= TOKEN_BYTES_MAX;
    fits.then(|| view.barrier.token_hash(TokenHash::Token, token.expose()))
}

fn hash_of_accessor(view: &View, accessor: &str) -> Result<Option<[u8; 32]>> {
    let Some(hash) = view.get_bytes(&Record::Accessor(accessor).key(&view.barrier)?)? else { return Ok(None) };
    let hash = hash.expose().try_into();
    Ok(Some(hash.map_err(|_| Error::corrupt("an accessor names no hash of a token"))?))
}

fn info_of(view: &View, hash: Option<[u8; 32]>) -> Result<Option<TokenInfo>> {
    let Some(hash) = hash else { return Ok(None) };
    Ok(good_record(view, hash)?.map(|record| record.info(view.now.ms())))
}
