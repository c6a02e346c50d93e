//! Making tokens: Vault's rules of who may make which.

use super::batch::{self, BatchToken};
use super::leases::Grant;
use super::record::{good_record, new_token};
use super::roles::{self, TokenRole};
use super::{Caller, TokenInfo, TokenRecord, store_new};
use crate::error::{Error, Result};
use crate::secrets::barrier::TokenHash;
use crate::secrets::core::{View, Written};
use crate::secrets::layout::Record;
use crate::secrets::lock::{Gate, Lock};
use crate::secrets::mounts;
use crate::secrets::policy::{self, DEFAULT, RESPONSE_WRAPPING, ROOT};
use crate::secrets::vault::Vault;
use crate::sensitive::SensitiveString;
use crate::state::{Class, Op};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenKind {
    /// Stored, with all that can be done to a token.
    Service,
    /// See `batch`.
    Batch,
}

impl TokenKind {
    pub fn name(self) -> &'static str {
        match self {
            TokenKind::Service => "service",
            TokenKind::Batch => "batch",
        }
    }
}

/// What a new token is to be. Zero durations and empty texts stand for nothing.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    /// A text of the caller's own instead of a random one: for who may do anything.
    pub id: Option<SensitiveString>,
    /// Empty: the caller's, or the role's.
    pub policies: Vec<String>,
    pub no_default_policy: bool,
    pub ttl: Duration,
    pub explicit_max_ttl: Duration,
    pub period: Duration,
    /// 0: uses are not counted.
    pub uses: u64,
    /// `None`: yes, where it can be.
    pub renewable: Option<bool>,
    pub display_name: String,
    pub meta: BTreeMap<String, String>,
    pub kind: Option<TokenKind>,
    pub parent: Parent,
    pub role: Option<String>,
    /// The caller's policies give it `sudo` at the path it called.
    pub sudo: bool,
}

/// Who a new token goes with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Parent {
    #[default]
    Caller,
    /// Nobody, as `create-orphan` has it, which only those may call who may ask for this.
    None,
    /// Nobody, as `no_parent` wishes: only for who may do anything.
    NoneIfAllowed,
}

/// A new token, as it is told once.
#[derive(Debug)]
pub struct TokenMade {
    pub token: SensitiveString,
    pub info: TokenInfo,
    pub warnings: Vec<String>,
}

impl Vault {
    /// Makes a token on behalf of `caller`.
    pub async fn token_create(&self, caller: &Caller, request: TokenRequest) -> Result<Written<TokenMade>> {
        let parent = caller.hash().ok_or_else(|| Error::invalid("batch tokens cannot create more tokens"))?;
        let leases = self.core.leases();
        let token = match &request.id {
            Some(id) => own_id(id, caller.is_root() || request.sudo)?,
            None => new_token(),
        };
        let record_lock = blake3::hash(token.expose().as_bytes()).as_bytes().to_vec();
        let create = move |view: &View| {
            let leases = mounts::token_leases(view, leases)?;
            // It may have been revoked since it was authenticated.
            let from = good_record(view, parent)?.ok_or(Error::PermissionDenied)?;
            let role = request.role.as_deref().map(|name| {
                let found = roles::get(view, name)?;
                found.ok_or_else(|| Error::invalid(format!("unknown role {name}")))
            });
            let plan = Plan { view, from: &from, parent, role: role.transpose()?, request: &request };
            let (record, kind, warning) = plan.record(leases)?;
            let mut warnings: Vec<String> = warning.into_iter().collect();
            warnings.extend(policy::missing(view, &record.policies)?);
            let (made, ops) = store(view, token, record, kind)?;
            Ok((TokenMade { warnings, ..made }, ops))
        };
        self.core.write(Class::TokenCreate, Lock::Within(Gate::Tokens, record_lock), create).await
    }
}

/// A token in the making.
struct Plan<'a> {
    view: &'a View,
    /// The caller's token, and its hash.
    from: &'a TokenRecord,
    parent: [u8; 32],
    role: Option<TokenRole>,
    request: &'a TokenRequest,
}

impl Plan<'_> {
    fn is_privileged(&self) -> bool {
        self.request.sudo || self.from.policies.iter().any(|policy| policy == ROOT)
    }

    /// Fails unless the caller may do anything here.
    fn expect_privileged(&self, to: &str) -> Result<()> {
        if self.is_privileged() {
            return Ok(());
        }
        Err(Error::invalid(format!("root or sudo privileges required to {to}")))
    }

    fn record(&self, leases: super::Leases) -> Result<(TokenRecord, TokenKind, Option<String>)> {
        if self.from.uses.is_some() {
            return Err(Error::invalid("restricted use token cannot generate child tokens"));
        }
        let request = self.request;
        let kind = self.role.as_ref().map(|role| role.kind).unwrap_or_default().of_token(request.kind);
        let policies = self.policies()?;
        let is_root = policies.iter().any(|policy| policy == ROOT);
        if kind == TokenKind::Batch {
            expect_batch(request, is_root)?;
        }
        let now = self.view.now.ms();
        let path = self.role.as_ref().map_or_else(|| "auth/token/create".to_owned(), TokenRole::path);
        let mut record = TokenRecord::new(now, policies, &display_name(&request.display_name), &path);
        record.meta = request.meta.clone();
        record.role = self.role.as_ref().map(|role| role.name.clone());
        record.parent = (!self.is_orphan()?).then_some(self.parent);
        let uses = self.role.as_ref().map_or(0, |role| role.uses);
        let uses = if uses == 0 { request.uses } else { uses };
        record.uses = (uses > 0).then_some(uses);
        record.period = self.period()?;
        record.explicit_max_ttl = self.explicit_max_ttl();
        let unbounded = request.ttl.is_zero() && record.period.is_zero() && record.explicit_max_ttl.is_zero();
        if is_root && unbounded {
            if self.from.expires_at.is_some() {
                return Err(Error::invalid("expiring root tokens cannot create non-expiring root tokens"));
            }
            return Ok((record, kind, None));
        }
        record.bound_cidrs = self.role.as_ref().map(|role| role.bound_cidrs.clone()).unwrap_or_default();
        record.renewable = kind == TokenKind::Service
            && request.renewable.unwrap_or(true)
            && self.role.as_ref().is_none_or(|role| role.renewable);
        let (ttl, warning) = leases.grant(Grant {
            ttl: request.ttl,
            period: record.period,
            explicit_max_ttl: record.explicit_max_ttl,
            ..Grant::default()
        });
        record.ends_after(ttl, now);
        record.creation_ttl = ttl;
        Ok((record, kind, warning))
    }

    fn is_orphan(&self) -> Result<bool> {
        if self.role.as_ref().is_some_and(|role| role.orphan) {
            return Ok(true);
        }
        if self.request.parent == Parent::NoneIfAllowed {
            self.expect_privileged("create orphan token")?;
        }
        Ok(self.request.parent != Parent::Caller)
    }

    fn period(&self) -> Result<Duration> {
        if let Some(role) = self.role.as_ref().filter(|role| !role.period.is_zero()) {
            return Ok(role.period);
        }
        if !self.request.period.is_zero() {
            self.expect_privileged("create periodic token")?;
        }
        Ok(self.request.period)
    }

    fn explicit_max_ttl(&self) -> Duration {
        let own = self.request.explicit_max_ttl;
        match self.role.as_ref().map(|role| role.explicit_max_ttl).filter(|max| !max.is_zero()) {
            Some(max) if own.is_zero() => max,
            Some(max) => max.min(own),
            None => own,
        }
    }

    /// The new token's policies: the caller's, or some of them; whoever may do anything names any but `root`.
    fn policies(&self) -> Result<Vec<String>> {
        let request = self.request;
        let asked = normal(&request.policies);
        let own = normal(&self.from.policies);
        let mut with_default = !request.no_default_policy;
        let chosen = match &self.role {
            Some(role) if role.names_policies() => {
                with_default &= !role.no_default_policy;
                let chosen = if asked.is_empty() { role.allowed_policies.clone() } else { asked };
                if chosen.iter().any(|policy| policy != DEFAULT && !role.allows(policy)) {
                    return Err(Error::invalid(format!(
                        "token policies ({chosen:?}) must be subset of the role's allowed policies ({:?}) or glob \
                         policies ({:?})",
                        role.allowed_policies, role.allowed_policies_glob
                    )));
                }
                chosen
            }
            Some(role) if role.names_others() => {
                with_default &= !role.no_default_policy;
                let chosen = if asked.is_empty() { own } else { asked };
                if let Some(policy) = chosen.iter().find(|policy| role.disallows(policy)) {
                    return Err(Error::invalid(format!("token policy \"{policy}\" is disallowed by this role")));
                }
                // What would come by itself is left out where the role forbids it.
                with_default &= !role.disallows(DEFAULT);
                chosen
            }
            role => {
                with_default &= role.as_ref().is_none_or(|role| !role.no_default_policy);
                if asked.is_empty() {
                    // It is there if the caller has it.
                    with_default = false;
                    own
                } else {
                    if !self.is_privileged() {
                        if asked.iter().any(|policy| !own.contains(policy)) {
                            return Err(Error::invalid("child policies must be subset of parent"));
                        }
                        with_default &= own.iter().any(|policy| policy == DEFAULT);
                    }
                    asked
                }
            }
        };
        let mut chosen = normal(&chosen);
        if chosen.iter().any(|policy| policy == ROOT) {
            if !self.from.policies.iter().any(|policy| policy == ROOT) {
                return Err(Error::invalid("root tokens may not be created without parent token being root"));
            }
            return Ok(vec![ROOT.to_owned()]);
        }
        if chosen.iter().any(|policy| policy == RESPONSE_WRAPPING) {
            return Err(Error::invalid(format!("cannot assign policy \"{RESPONSE_WRAPPING}\"")));
        }
        if with_default && !chosen.iter().any(|policy| policy == DEFAULT) {
            chosen.push(DEFAULT.to_owned());
            chosen.sort_unstable();
        }
        if chosen.is_empty() {
            return Err(Error::invalid("token must have at least one policy"));
        }
        Ok(chosen)
    }
}

/// The token, what is told of it, and the operations that store it.
fn store(view: &View, token: SensitiveString, record: TokenRecord, kind: TokenKind) -> Result<(TokenMade, Vec<Op>)> {
    let now = view.now.ms();
    if kind == TokenKind::Service {
        let hash = view.barrier.token_hash(TokenHash::Token, token.expose());
        if view.state.data(&Record::Token(hash).key(&view.barrier)?)?.is_some() {
            return Err(Error::invalid("cannot create a token with a duplicate ID"));
        }
        let ops = store_new(view, &token, &record)?;
        return Ok((TokenMade { token, info: record.info(now), warnings: Vec::new() }, ops));
    }
    let batch = BatchToken {
        policies: record.policies,
        display_name: record.display_name,
        path: record.path,
        role: record.role,
        meta: record.meta,
        bound_cidrs: record.bound_cidrs,
        created_at: now,
        creation_ttl: record.creation_ttl,
        expires_at: now.plus(record.ttl),
        parent: record.parent,
    };
    let made = TokenMade { token: batch::seal(view, &batch)?, info: batch.info(now), warnings: Vec::new() };
    Ok((made, Vec::new()))
}

fn expect_batch(request: &TokenRequest, is_root: bool) -> Result<()> {
    let refused = [
        (is_root, "batch tokens cannot be root tokens"),
        (request.uses > 0, "batch tokens cannot have \"num_uses\" set"),
        (!request.explicit_max_ttl.is_zero(), "batch tokens cannot have \"explicit_max_ttl\" set"),
        (!request.period.is_zero(), "batch tokens cannot have \"period\" set"),
        (request.id.is_some(), "batch tokens cannot have \"id\" set"),
    ];
    match refused.iter().find(|(wrong, _)| *wrong) {
        Some((_, why)) => Err(Error::invalid(*why)),
        None => Ok(()),
    }
}

/// A token that the caller chose itself.
fn own_id(id: &SensitiveString, is_privileged: bool) -> Result<SensitiveString> {
    if !is_privileged {
        return Err(Error::invalid("root or sudo privileges required to specify token id"));
    }
    if let Some(prefix) = ["s.", "hvs."].iter().find(|prefix| id.expose().starts_with(**prefix)) {
        return Err(Error::invalid(format!("custom token ID cannot have the '{prefix}' prefix")));
    }
    if id.expose().contains('.') {
        return Err(Error::invalid("custom token ID cannot have a '.' in the value"));
    }
    if id.expose().len() > super::TOKEN_BYTES_MAX {
        return Err(Error::invalid(format!("a token has at most {} bytes", super::TOKEN_BYTES_MAX)));
    }
    Ok(id.clone())
}

/// As Vault makes names of it: letters, digits and dashes behind `token`.
fn display_name(given: &str) -> String {
    if given.is_empty() {
        return "token".to_owned();
    }
    let clean = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("token-{given}").chars().map(clean).collect::<String>().trim_end_matches('-').to_owned()
}

/// Policies as they are stored: trimmed, in lower case, in order, each once.
pub fn normal(policies: &[String]) -> Vec<String> {
    let trimmed = policies.iter().map(|policy| policy.trim().to_lowercase());
    let mut policies: Vec<String> = trimmed.filter(|policy| !policy.is_empty()).collect();
    policies.sort_unstable();
    policies.dedup();
    policies
}
