//! Token roles: what a token made by `auth/token/create/ROLE` may and must be.

use super::cidrs::Cidr;
use super::create::TokenKind;
use crate::error::{Error, Result};
use crate::secrets::core::{View, Written, decode};
use crate::secrets::layout::{self, Record};
use crate::secrets::lock::Lock;
use crate::secrets::policy::matches_glob;
use crate::secrets::vault::Vault;
use crate::state::{Class, Op};
use crate::storage::{KeyRange, ScanLimit};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TokenRole {
    pub name: String,
    pub allowed_policies: Vec<String>,
    pub allowed_policies_glob: Vec<String>,
    pub disallowed_policies: Vec<String>,
    pub disallowed_policies_glob: Vec<String>,
    pub orphan: bool,
    pub renewable: bool,
    /// Appended to the path that a token shows as its maker.
    pub path_suffix: String,
    pub period: Duration,
    pub explicit_max_ttl: Duration,
    /// Set by their names of before `token_`, under which they are shown as well.
    pub period_by_old_name: bool,
    pub explicit_max_ttl_by_old_name: bool,
    /// Told as they were given: no token has an alias here.
    pub entity_aliases: Vec<String>,
    /// 0: uses are not counted.
    pub uses: u64,
    pub no_default_policy: bool,
    /// Where its tokens may come from.
    pub bound_cidrs: Vec<Cidr>,
    pub kind: RoleKind,
}

/// Which tokens a role makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum RoleKind {
    /// Service tokens, unless a request asks for others.
    #[default]
    DefaultService,
    DefaultBatch,
    Service,
    Batch,
}

impl RoleKind {
    const ALL: [(RoleKind, &str); 4] = [
        (RoleKind::DefaultService, "default-service"),
        (RoleKind::DefaultBatch, "default-batch"),
        (RoleKind::Service, "service"),
        (RoleKind::Batch, "batch"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    pub fn from_name(name: &str) -> Result<RoleKind> {
        // Vault's clients send `default` and nothing for the same.
        let found = Self::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind);
        let default = matches!(name, "" | "default").then_some(RoleKind::DefaultService);
        found.or(default).ok_or_else(|| Error::invalid("invalid 'token_type' value"))
    }

    /// What a token is that asks for `asked`.
    pub fn of_token(self, asked: Option<TokenKind>) -> TokenKind {
        match self {
            RoleKind::Service => TokenKind::Service,
            RoleKind::Batch => TokenKind::Batch,
            RoleKind::DefaultService => asked.unwrap_or(TokenKind::Service),
            RoleKind::DefaultBatch => asked.unwrap_or(TokenKind::Batch),
        }
    }
}

impl TokenRole {
    pub fn new(name: &str) -> TokenRole {
        TokenRole {
            name: name.to_owned(),
            allowed_policies: Vec::new(),
            allowed_policies_glob: Vec::new(),
            disallowed_policies: Vec::new(),
            disallowed_policies_glob: Vec::new(),
            orphan: false,
            renewable: true,
            path_suffix: String::new(),
            period: Duration::ZERO,
            explicit_max_ttl: Duration::ZERO,
            period_by_old_name: false,
            explicit_max_ttl_by_old_name: false,
            entity_aliases: Vec::new(),
            uses: 0,
            no_default_policy: false,
            bound_cidrs: Vec::new(),
            kind: RoleKind::default(),
        }
    }

    /// Fails if it is none that tokens could be made by.
    pub fn check(&self) -> Result<()> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let suffix = self.path_suffix.trim_matches('/');
        let fits = suffix.len() >= 3
            && suffix.starts_with(is_word)
            && suffix.ends_with(is_word)
            && suffix.chars().all(|c| is_word(c) || c == '-' || c == '.');
        if !suffix.is_empty() && !fits {
            return Err(Error::invalid(
                "given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w",
            ));
        }
        let refused = [
            (!self.orphan, "non-orphan"),
            (!self.period.is_zero(), "periodic"),
            (self.renewable, "renewable"),
            (!self.explicit_max_ttl.is_zero(), "explicitly limited"),
        ];
        match refused.iter().find(|(wrong, _)| *wrong && self.kind == RoleKind::Batch) {
            Some((_, what)) => Err(Error::invalid(format!(
                "'token_type' cannot be 'batch' when role is set to generate {what} tokens"
            ))),
            None => Ok(()),
        }
    }

    /// Whether the role says which policies its tokens may have.
    pub fn names_policies(&self) -> bool {
        !self.allowed_policies.is_empty() || !self.allowed_policies_glob.is_empty()
    }

    pub fn names_others(&self) -> bool {
        !self.disallowed_policies.is_empty() || !self.disallowed_policies_glob.is_empty()
    }

    pub fn allows(&self, policy: &str) -> bool {
        is_among(policy, &self.allowed_policies, &self.allowed_policies_glob)
    }

    pub fn disallows(&self, policy: &str) -> bool {
        is_among(policy, &self.disallowed_policies, &self.disallowed_policies_glob)
    }

    pub fn path(&self) -> String {
        let suffix = self.path_suffix.trim_matches('/');
        let slash = if suffix.is_empty() { "" } else { "/" };
        format!("auth/token/create/{}{slash}{suffix}", self.name)
    }
}

/// Policies are in lower case, whatever a role calls them.
fn is_among(policy: &str, names: &[String], globs: &[String]) -> bool {
    names.iter().any(|name| name.trim().to_lowercase() == policy)
        || globs.iter().any(|glob| matches_glob(&glob.trim().to_lowercase(), policy))
}

pub fn get(view: &View, name: &str) -> Result<Option<TokenRole>> {
    view.get(&Record::Role(name).key(&view.barrier)?)
}

impl Vault {
    pub async fn token_role(&self, name: &str) -> Result<Option<TokenRole>> {
        let name = name.to_owned();
        self.core.read(move |view| get(view, &name)).await
    }

    pub async fn token_roles(&self) -> Result<Vec<String>> {
        let read = |view: &View| {
            let stored = view.state.scan_data(&KeyRange::prefix(layout::ROLES), ScanLimit::NONE)?;
            let open = |(key, stored): &(bytes::Bytes, crate::state::Stored)| {
                let role: TokenRole = decode(&view.barrier.decrypt(key, &stored.value)?)?;
                Ok(role.name)
            };
            let mut names = stored.iter().map(open).collect::<Result<Vec<String>>>()?;
            names.sort_unstable();
            Ok(names)
        };
        self.core.scan(read).await
    }

    /// Changes the role, or a new one with Vault's defaults, as `change` does.
    pub async fn token_role_put<F>(&self, name: &str, change: F) -> Result<Written<()>>
    where
        F: FnOnce(&mut TokenRole) -> Result<()> + Send + 'static,
    {
        let name = name.to_owned();
        let lock = lock(&name);
        let put = move |view: &View| {
            let mut role = get(view, &name)?.unwrap_or_else(|| TokenRole::new(&name));
            change(&mut role)?;
            Ok(((), vec![view.put(Record::Role(&name).key(&view.barrier)?, &role)?]))
        };
        self.core.write(Class::Policy, lock, put).await
    }

    pub async fn token_role_delete(&self, name: &str) -> Result<Written<()>> {
        let name = name.to_owned();
        let lock = lock(&name);
        let delete = move |view: &View| {
            let there = get(view, &name)?.is_some();
            let key = Record::Role(&name).key(&view.barrier)?;
            Ok(((), if there { vec![Op::Delete { key }] } else { Vec::new() }))
        };
        self.core.write(Class::Policy, lock, delete).await
    }
}

fn lock(name: &str) -> Lock {
    Lock::Record([b"role:", name.as_bytes()].concat())
}
