//! Deciding a request by all rules of its caller's policies, as Vault does:
//!
//! 1. A rule whose path is the request's path comes before all others. A list's path ends in a slash; a rule without
//!    that slash counts as well.
//! 2. Else the best of the rules with `*` or `+` that match, by: the later first wildcard; no `*` at the end; fewer `+`;
//!    the longer; the later in the alphabet. Of rules that only differ in their star the longest prefix is this as well.
//! 3. Rules of the same path in several policies are joined: capabilities and parameters add up, `deny` takes all.
//! 4. No rule: no.

use super::ROOT;
use super::parse::capability::{self, CREATE, DELETE, DENY, LIST, PATCH, READ, SCAN, SUDO, UPDATE};
use super::parse::{Grants, Pattern, Policy, Rule};
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Create,
    Read,
    Update,
    Patch,
    Delete,
    List,
    /// A list of all that is below, however deep.
    Scan,
}

impl Operation {
    fn capability(self) -> u16 {
        match self {
            Operation::Create => CREATE,
            Operation::Read => READ,
            Operation::Update => UPDATE,
            Operation::Patch => PATCH,
            Operation::Delete => DELETE,
            Operation::List => LIST,
            Operation::Scan => SCAN,
        }
    }

    /// Vault's word for it in an audit log.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Read => "read",
            Operation::Update => "update",
            Operation::Patch => "patch",
            Operation::Delete => "delete",
            Operation::List => "list",
            Operation::Scan => "scan",
        }
    }
}

/// What a request wants to do.
pub struct Asked<'a> {
    /// Below `/v1/`; of a list with a slash at its end.
    pub path: &'a str,
    pub operation: Operation,
    /// What it says: only looked at where a rule speaks of parameters.
    pub parameters: &'a dyn Fn() -> Map<String, Value>,
    /// For how long its answer is to be wrapped.
    pub wrap_ttl: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    Denied,
    /// `sudo` says whether the paths that only root and sudo may use are open to it.
    Allowed {
        sudo: bool,
    },
}

/// The rules of one caller.
#[derive(Clone, Debug)]
pub struct Acl {
    is_root: bool,
    policies: Vec<Arc<Policy>>,
}

impl Acl {
    pub fn root() -> Acl {
        Acl { is_root: true, policies: Vec::new() }
    }

    pub fn new(policies: Vec<Arc<Policy>>) -> Acl {
        Acl { is_root: false, policies }
    }

    pub fn decide(&self, asked: &Asked) -> Decision {
        if self.is_root {
            return Decision::Allowed { sudo: true };
        }
        let Some(grants) = self.grants(asked.path) else { return Decision::Denied };
        let allowed = grants.capabilities & DENY == 0
            && grants.capabilities & asked.operation.capability() > 0
            && allows_wrapping(&grants, asked.wrap_ttl)
            && allows_parameters(&grants, asked);
        if allowed { Decision::Allowed { sudo: grants.capabilities & SUDO > 0 } } else { Decision::Denied }
    }

    /// What may be done at a path, as `sys/capabilities` lists it.
    pub fn capabilities(&self, path: &str) -> Vec<&'static str> {
        if self.is_root {
            return vec![ROOT];
        }
        let granted = self.grants(path).map_or(0, |grants| grants.capabilities);
        if granted == 0 || granted & DENY > 0 {
            return vec!["deny"];
        }
        capability::NAMES.iter().filter(|(bit, _)| granted & bit > 0).map(|(_, name)| *name).collect()
    }

    /// Whether anything below `mount` (which ends in a slash) may be done, so that the mount may be seen.
    pub fn sees(&self, mount: &str) -> bool {
        if self.is_root || !matches!(self.capabilities(mount)[..], ["deny"]) {
            return true;
        }
        // What one policy grants, another one may deny.
        let grants = |rule: &Rule| {
            let joined = self.join(|other| other.pattern == rule.pattern && other.path == rule.path);
            joined.is_some_and(|grants| grants.capabilities > 0 && grants.capabilities & DENY == 0)
        };
        self.rules().any(|rule| {
            let reaches = match rule.pattern {
                Pattern::Exact | Pattern::Prefix => rule.path.starts_with(mount),
                Pattern::Segments { is_prefix } => reaches(&rule.path, is_prefix, mount),
            };
            reaches && grants(rule)
        })
    }

    pub fn is_root(&self) -> bool {
        self.is_root
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.policies.iter().flat_map(|policy| &policy.rules)
    }

    /// The joined grants of the rules that count at `path`.
    fn grants(&self, path: &str) -> Option<Grants> {
        let bare = path.strip_suffix('/');
        let exact = |path: &str| self.join(|rule| rule.pattern == Pattern::Exact && rule.path == path);
        exact(path)
            .or_else(|| bare.and_then(exact))
            .or_else(|| self.best_wildcard(path))
            .or_else(|| bare.and_then(|bare| self.best_wildcard(bare)))
    }

    fn best_wildcard(&self, path: &str) -> Option<Grants> {
        let matching = self.rules().filter(|rule| matches(rule, path));
        let best = matching.max_by(|one, other| compare(one, other))?;
        self.join(|rule| rule.pattern == best.pattern && rule.path == best.path)
    }

    pub(super) fn join(&self, counts: impl Fn(&Rule) -> bool) -> Option<Grants> {
        let mut all = self.rules().filter(|rule| counts(rule)).map(|rule| &rule.grants);
        let mut joined = all.next()?.clone();
        for next in all {
            if joined.capabilities & DENY > 0 {
                break;
            }
            join(&mut joined, next);
        }
        Some(joined)
    }
}

fn join(into: &mut Grants, other: &Grants) {
    if other.capabilities & DENY > 0 {
        *into = Grants { capabilities: DENY, ..Grants::default() };
        return;
    }
    into.capabilities |= other.capabilities;
    into.min_wrapping_ttl = [into.min_wrapping_ttl, other.min_wrapping_ttl].into_iter().flatten().min();
    into.max_wrapping_ttl = [into.max_wrapping_ttl, other.max_wrapping_ttl].into_iter().flatten().min();
    for (to, from) in [
        (&mut into.allowed_parameters, &other.allowed_parameters),
        (&mut into.denied_parameters, &other.denied_parameters),
    ] {
        for (name, values) in from {
            match to.get_mut(name) {
                // No values are all values.
                Some(known) if known.is_empty() || values.is_empty() => known.clear(),
                Some(known) => known.extend(values.iter().cloned()),
                None => {
                    to.insert(name.clone(), values.clone());
                }
            }
        }
    }
    for name in &other.required_parameters {
        if !into.required_parameters.contains(name) {
            into.required_parameters.push(name.clone());
        }
    }
}

/// Which of two rules that match the same path counts.
fn compare(one: &Rule, other: &Rule) -> Ordering {
    let first_wildcard = |rule: &Rule| match rule.pattern {
        Pattern::Segments { .. } => rule.path.find('+').unwrap_or(rule.path.len()),
        _ => rule.path.len(),
    };
    let is_prefix = |rule: &Rule| matches!(rule.pattern, Pattern::Prefix | Pattern::Segments { is_prefix: true });
    let wildcards = |rule: &Rule| rule.path.split('/').filter(|segment| *segment == "+").count();
    first_wildcard(one)
        .cmp(&first_wildcard(other))
        .then_with(|| is_prefix(other).cmp(&is_prefix(one)))
        .then_with(|| wildcards(other).cmp(&wildcards(one)))
        .then_with(|| one.path.len().cmp(&other.path.len()))
        .then_with(|| one.path.cmp(&other.path))
}

fn matches(rule: &Rule, path: &str) -> bool {
    match rule.pattern {
        Pattern::Exact => false,
        Pattern::Prefix => path.starts_with(&rule.path),
        Pattern::Segments { is_prefix } => {
            let (pattern, path): (Vec<&str>, Vec<&str>) = (rule.path.split('/').collect(), path.split('/').collect());
            if path.len() < pattern.len() || (!is_prefix && path.len() != pattern.len()) {
                return false;
            }
            let last = pattern.len() - 1;
            pattern.iter().zip(&path).enumerate().all(|(at, (expected, segment))| {
                *expected == "+" || expected == segment || (is_prefix && at == last && segment.starts_with(expected))
            })
        }
    }
}

/// Whether a rule with `+` may match something below `mount`.
fn reaches(pattern: &str, is_prefix: bool, mount: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let mount: Vec<&str> = mount.trim_end_matches('/').split('/').collect();
    if pattern.len() <= mount.len() && !is_prefix {
        return false;
    }
    mount.iter().enumerate().all(|(at, segment)| match pattern.get(at) {
        Some(expected) if at + 1 == pattern.len() && is_prefix => segment.starts_with(expected),
        Some(expected) => *expected == "+" || expected == segment,
        None => is_prefix,
    })
}

fn allows_wrapping(grants: &Grants, asked: Option<Duration>) -> bool {
    let (min, max) = (grants.min_wrapping_ttl, grants.max_wrapping_ttl);
    let below = max.is_none_or(|max| asked.is_some_and(|ttl| ttl <= max));
    let above = min.is_none_or(|min| asked.is_some_and(|ttl| ttl >= min));
    // Joined rules may leave no room between.
    below && above && min.zip(max).is_none_or(|(min, max)| min <= max)
}

fn allows_parameters(grants: &Grants, asked: &Asked) -> bool {
    let Grants { allowed_parameters: allowed, denied_parameters: denied, required_parameters: required, .. } = grants;
    let speaks = !allowed.is_empty() || !denied.is_empty() || !required.is_empty();
    if !speaks || matches!(asked.operation, Operation::Delete | Operation::List | Operation::Scan) {
        return true;
    }
    let given = (asked.parameters)();
    if required.iter().any(|name| !given.contains_key(&name.to_lowercase())) {
        return false;
    }
    if given.is_empty() {
        return true;
    }
    if denied.contains_key("*") {
        return false;
    }
    let is_denied = |(name, value): (&String, &Value)| {
        denied.get(&name.to_lowercase()).is_some_and(|values| is_among(value, values))
    };
    if given.iter().any(is_denied) {
        return false;
    }
    let any = allowed.contains_key("*");
    let is_allowed = |(name, value): (&String, &Value)| match allowed.get(&name.to_lowercase()) {
        Some(values) => is_among(value, values),
        None => any,
    };
    allowed.is_empty() || (any && allowed.len() == 1) || given.iter().all(is_allowed)
}

/// Whether a value is one of those listed, where strings may begin or end in a star. An empty list holds all.
fn is_among(value: &Value, listed: &[Value]) -> bool {
    let same = |item: &Value| match (item, value) {
        (Value::String(pattern), Value::String(text)) => matches_glob(pattern, text),
        (item, value) => item == value,
    };
    listed.is_empty() || listed.iter().any(same)
}

/// A pattern with stars at its beginning or end, or both.
pub fn matches_glob(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (None, None) => pattern == text,
        (None, Some(start)) => text.starts_with(start),
        (Some(end), None) => text.ends_with(end),
        (Some(_), Some(_)) => text.contains(pattern.trim_matches('*')),
    }
}
