//! Making tokens: Vault's rules of who may make which.

use super::batch::{self, BatchToken};
use super::chosen::Choice;
use super::leases::Grant;
use super::record::{generation, good_record, new_token};
use super::roles::{self, TokenRole};
use super::{Caller, TokenInfo, TokenRecord, store_new};
use crate::error::{Error, Result};
use crate::secrets::barrier::TokenHash;
use crate::secrets::core::{View, Written};
use crate::secrets::layout::Record;
use crate::secrets::lock::{Gate, Lock};
use crate::secrets::mounts;
use crate::secrets::policy::{self, ROOT};
use crate::secrets::vault::Vault;
use crate::sensitive::SensitiveString;
use crate::state::{Class, Op};
use std::collections::BTreeMap;
use std::time::Duration;

/// Each request looks at all that its token descends from.
const GENERATIONS_MAX: usize = 128;

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
    /// `None`: the caller's, or the role's.
    pub policies: Option<Vec<String>>,
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
    /// Nobody, as `create-orphan` has it: for whom its policies let call that.
    None,
    /// Nobody, as `no_parent` wishes: only for who may do anything.
    NoneIfAllowed,
}

impl Parent {
    /// The endpoint that makes such tokens, where no role does.
    fn path(self) -> &'static str {
        match self {
            Parent::None => "auth/token/create-orphan",
            Parent::Caller | Parent::NoneIfAllowed => "auth/token/create",
        }
    }
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
            let (record, kind, mut warnings) = plan.record(leases)?;
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

    fn record(&self, leases: super::Leases) -> Result<(TokenRecord, TokenKind, Vec<String>)> {
        if self.from.uses.is_some() {
            return Err(Error::invalid("restricted use token cannot generate child tokens"));
        }
        let request = self.request;
        let kind = self.role.as_ref().map(|role| role.kind).unwrap_or_default().of_token(request.kind);
        let choice = Choice {
            asked: request.policies.as_deref(),
            no_default: request.no_default_policy,
            own: &self.from.policies,
            role: self.role.as_ref(),
            is_privileged: self.is_privileged(),
        };
        let policies = choice.policies()?;
        let is_root = policies.iter().any(|policy| policy == ROOT);
        if kind == TokenKind::Batch {
            expect_batch(request, is_root)?;
        }
        let now = self.view.now.ms();
        let path = self.role.as_ref().map_or_else(|| request.parent.path().to_owned(), TokenRole::path);
        let mut record = TokenRecord::new(now, policies, &display_name(&request.display_name), &path);
        record.meta = request.meta.clone();
        record.role = self.role.as_ref().map(|role| role.name.clone());
        record.parent = (!self.is_orphan()?).then_some(self.parent);
        if record.parent.is_some() && generation(self.view, self.parent)? >= GENERATIONS_MAX {
            return Err(Error::invalid(format!(
                "a token can't have more than {GENERATIONS_MAX} ancestors: make an orphan"
            )));
        }
        record.bound_cidrs = match &self.role {
            Some(role) if !role.bound_cidrs.is_empty() => role.bound_cidrs.clone(),
            // Who may come from some addresses only can't make a token that comes from any, an orphan as little.
            _ => self.from.bound_cidrs.clone(),
        };
        let uses = [request.uses, self.role.as_ref().map_or(0, |role| role.uses)];
        record.uses = uses.into_iter().filter(|uses| *uses > 0).min();
        let mut warnings = Vec::new();
        record.explicit_max_ttl = self.explicit_max_ttl(&mut warnings);
        // A batch token ends with its time, whatever its role says of others.
        record.period = if kind == TokenKind::Batch { Duration::ZERO } else { self.period(&mut warnings)? };
        record.own_period = request.period;
        let unbounded = request.ttl.is_zero() && record.period.is_zero() && record.explicit_max_ttl.is_zero();
        if is_root && unbounded {
            if self.from.expires_at.is_some() {
                return Err(Error::invalid("expiring root tokens cannot create non-expiring root tokens"));
            }
            return Ok((record, kind, warnings));
        }
        record.renewable = kind == TokenKind::Service
            && request.renewable.unwrap_or(true)
            && self.role.as_ref().is_none_or(|role| role.renewable);
        let ttl = if is_root && request.ttl.is_zero() && record.period.is_zero() {
            // Of itself it would live for ever: no wish of anybody is cut.
            record.explicit_max_ttl
        } else {
            let (ttl, cut) = leases.grant(Grant {
                ttl: request.ttl,
                period: record.period,
                explicit_max_ttl: record.explicit_max_ttl,
                ..Grant::default()
            });
            warnings.extend(cut);
            ttl
        };
        record.ends_after(ttl, now);
        record.creation_ttl = ttl;
        Ok((record, kind, warnings))
    }

    /// A role decides that alone.
    fn is_orphan(&self) -> Result<bool> {
        if let Some(role) = &self.role {
            return Ok(role.orphan);
        }
        if self.request.parent == Parent::NoneIfAllowed {
            self.expect_privileged("create orphan token")?;
        }
        Ok(self.request.parent != Parent::Caller)
    }

    fn period(&self, warnings: &mut Vec<String>) -> Result<Duration> {
        if !self.request.period.is_zero() {
            self.expect_privileged("create periodic token")?;
        }
        let of_role = self.role.as_ref().map(|role| role.period).unwrap_or_default();
        Ok(lesser("Period", self.request.period, of_role, warnings))
    }

    fn explicit_max_ttl(&self, warnings: &mut Vec<String>) -> Duration {
        let of_role = self.role.as_ref().map(|role| role.explicit_max_ttl).unwrap_or_default();
        lesser("Explicit max TTL", self.request.explicit_max_ttl, of_role, warnings)
    }
}

/// Of what a request and its role say the lesser one; zero says nothing.
fn lesser(what: &str, asked: Duration, of_role: Duration, warnings: &mut Vec<String>) -> Duration {
    if asked.is_zero() || of_role.is_zero() {
        return asked.max(of_role);
    }
    let lesser = asked.min(of_role);
    warnings.push(format!(
        "{what} specified both during creation call and in role; using the lesser value of {} seconds",
        lesser.as_secs()
    ));
    lesser
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
