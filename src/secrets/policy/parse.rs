//! From a policy's text to its rules.

use super::hcl;
use crate::duration;
use crate::error::{Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A policy's text may be as long.
pub const TEXT_BYTES_MAX: usize = 256 << 10;

/// What a policy says, in the order it says it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Policy {
    pub rules: Vec<Rule>,
}

/// One `path` block.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// Without a slash at its beginning; a star at its end is in `pattern`, not in the path.
    pub path: String,
    pub pattern: Pattern,
    pub grants: Grants,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    Exact,
    /// It ends in `*`.
    Prefix,
    /// Some segments are `+`; it may end in `*` as well.
    Segments {
        is_prefix: bool,
    },
}

/// What a rule grants. Capabilities as bits.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Grants {
    pub capabilities: u16,
    pub min_wrapping_ttl: Option<Duration>,
    pub max_wrapping_ttl: Option<Duration>,
    /// By name in lower case; no values: any.
    pub allowed_parameters: BTreeMap<String, Vec<Value>>,
    pub denied_parameters: BTreeMap<String, Vec<Value>>,
    pub required_parameters: Vec<String>,
}

pub mod capability {
    pub const DENY: u16 = 1;
    pub const CREATE: u16 = 1 << 1;
    pub const READ: u16 = 1 << 2;
    pub const UPDATE: u16 = 1 << 3;
    pub const DELETE: u16 = 1 << 4;
    pub const LIST: u16 = 1 << 5;
    pub const SUDO: u16 = 1 << 6;
    pub const PATCH: u16 = 1 << 7;
    pub const SCAN: u16 = 1 << 8;

    /// In the order of their names, as Vault lists them.
    pub const NAMES: [(u16, &str); 9] = [
        (CREATE, "create"),
        (DELETE, "delete"),
        (DENY, "deny"),
        (LIST, "list"),
        (PATCH, "patch"),
        (READ, "read"),
        (SCAN, "scan"),
        (SUDO, "sudo"),
        (UPDATE, "update"),
    ];

    /// Vault's for what there is not: events, recovery.
    pub const ELSEWHERE: [&str; 2] = ["subscribe", "recover"];
}

use capability::{CREATE, DELETE, DENY, LIST, READ, SUDO, UPDATE};

impl Policy {
    pub fn parse(text: &str) -> Result<Policy> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Error::TooLarge { got: text.len() as u64, max: TEXT_BYTES_MAX as u64 });
        }
        let mut rules = Vec::new();
        for (keys, value) in hcl::parse(text)? {
            match keys.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["path", path] => rules.push(Rule::of(path, &value)?),
                // A policy may carry its own name; what counts is the one it is stored under.
                ["name"] => {}
                _ => {
                    let key = keys.join(" ");
                    return Err(failed(format!("invalid key \"{key}\": a policy consists of `path \"…\" {{ … }}`")));
                }
            }
        }
        Ok(Policy { rules })
    }

    /// Fails where the braces of a template are not in pairs, as in Vault: what is stored was once taken without.
    pub fn expect_balanced(&self) -> Result<()> {
        let is_balanced = |path: &str| {
            let mut parts = path.split("{{");
            let first = parts.next().unwrap_or_default();
            !first.contains("}}") && parts.all(|part| part.matches("}}").count() == 1)
        };
        match self.rules.iter().find(|rule| !is_balanced(&rule.path)) {
            Some(Rule { path, .. }) => Err(failed(format!(
                "path \"{path}\": failed to validate policy templating: unbalanced templating characters"
            ))),
            None => Ok(()),
        }
    }
}

impl Rule {
    fn of(path: &str, value: &Value) -> Result<Rule> {
        let wrong = |what: String| failed(format!("path \"{path}\": {what}"));
        let Value::Object(fields) = value else { return Err(wrong("expected a block".to_owned())) };
        let mut grants = Grants::default();
        for (name, value) in fields {
            match name.as_str() {
                "comment" => {}
                "policy" => grants.capabilities |= old_policy(value).ok_or_else(|| wrong(invalid("policy", value)))?,
                "capabilities" => {
                    let names = strings(value).ok_or_else(|| wrong(invalid("capabilities", value)))?;
                    // What is not here can't be granted, and a policy that names it is a good one all the same.
                    for name in names.into_iter().filter(|name| !capability::ELSEWHERE.contains(&name.as_str())) {
                        let known = capability::NAMES.iter().find(|(_, known)| *known == name);
                        grants.capabilities |= known.ok_or_else(|| wrong(format!("invalid capability \"{name}\"")))?.0;
                    }
                }
                "allowed_parameters" => {
                    grants.allowed_parameters = parameters(value).ok_or_else(|| wrong(invalid(name, value)))?;
                }
                "denied_parameters" => {
                    grants.denied_parameters = parameters(value).ok_or_else(|| wrong(invalid(name, value)))?;
                }
                "required_parameters" => {
                    grants.required_parameters = strings(value).ok_or_else(|| wrong(invalid(name, value)))?;
                }
                "min_wrapping_ttl" => grants.min_wrapping_ttl = ttl(value).map_err(|error| wrong(error.to_string()))?,
                "max_wrapping_ttl" => grants.max_wrapping_ttl = ttl(value).map_err(|error| wrong(error.to_string()))?,
                // What would restrict a request must not be passed over.
                other => return Err(wrong(format!("invalid key \"{other}\""))),
            }
        }
        if let (Some(min), Some(max)) = (grants.min_wrapping_ttl, grants.max_wrapping_ttl)
            && max < min
        {
            return Err(wrong("max_wrapping_ttl cannot be less than min_wrapping_ttl".to_owned()));
        }
        if grants.capabilities & DENY > 0 {
            grants = Grants { capabilities: DENY, ..Grants::default() };
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.contains("+*") {
            return Err(wrong("invalid use of wildcards ('+*' is forbidden)".to_owned()));
        }
        let is_prefix = path.ends_with('*');
        let pattern = match path.starts_with("+/") || path.contains("/+") || path == "+" {
            true => Pattern::Segments { is_prefix },
            false if is_prefix => Pattern::Prefix,
            false => Pattern::Exact,
        };
        Ok(Rule { path: path.strip_suffix('*').unwrap_or(path).to_owned(), pattern, grants })
    }
}

/// The words that policies had before capabilities.
fn old_policy(value: &Value) -> Option<u16> {
    match value.as_str()? {
        "deny" => Some(DENY),
        "read" => Some(READ | LIST),
        "write" => Some(CREATE | READ | UPDATE | DELETE | LIST),
        "sudo" => Some(CREATE | READ | UPDATE | DELETE | LIST | SUDO),
        _ => None,
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn parameters(value: &Value) -> Option<BTreeMap<String, Vec<Value>>> {
    let fields = value.as_object()?.iter();
    fields.map(|(name, values)| Some((name.to_lowercase(), values.as_array()?.clone()))).collect()
}

/// Zero means none.
fn ttl(value: &Value) -> Result<Option<Duration>> {
    Ok(Some(duration::from_json(value)?).filter(|ttl| !ttl.is_zero()))
}

fn invalid(name: &str, value: &Value) -> String {
    format!("invalid value of \"{name}\": {value}")
}

fn failed(why: String) -> Error {
    Error::invalid(format!("failed to parse policy: {why}"))
}
