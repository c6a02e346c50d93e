//! Whether a caller's policies let a request pass: the operation and the path that the policies are asked about, and
//! the paths that want `sudo` as well.

use super::call::Call;
use super::handlers::help::HELP_PATTERN;
use super::request::{Verb, parse_body};
use super::routes::Route;
use crate::duration;
use crate::error::{Error, Result};
use crate::secrets::{Asked, Decision, Operation};
use serde_json::{Map, Value};
use std::time::Duration;

/// How long the answer is to be wrapped.
pub const WRAP_HEADER: &str = "x-vault-wrap-ttl";

/// As Vault says it to a token whose policies do not allow a request.
pub const DENIED: &str = "1 error occurred:\n\t* permission denied\n\n";

/// Patterns of routes that only root and `sudo` may use, by verb; `None`: whatever the verb. Vault's list, and what moves
/// a region from one role to another.
const PROTECTED: &[(Option<Verb>, &str)] = &[
    (Some(Verb::List), "auth/token/accessors"),
    (None, "sys/audit"),
    (None, "sys/audit/*path"),
    (None, "sys/auth/*path"),
    (None, "sys/config/cors"),
    (None, "sys/config/ui/headers"),
    (None, "sys/config/ui/headers/:name"),
    (None, "sys/config/auditing/request-headers"),
    (None, "sys/config/auditing/request-headers/:name"),
    (None, "sys/plugins/catalog/:kind"),
    (None, "sys/plugins/catalog/:kind/:name"),
    (None, "sys/in-flight-req"),
    (None, "sys/leases/lookup/*prefix"),
    (None, "sys/leases/revoke-prefix/*prefix"),
    (None, "sys/leases/revoke-force/*prefix"),
    (None, "sys/revoke-prefix/*prefix"),
    (None, "sys/revoke-force/*prefix"),
    (None, "sys/leases"),
    (None, "sys/generate-root-token/"),
    (None, "sys/rotate/root/"),
    (None, "sys/rekey/backup"),
    (None, "sys/rotate"),
    (None, "sys/rotate/config"),
    (None, "sys/rotate/keyring"),
    (None, "sys/remount"),
    (None, "sys/seal"),
    (None, "sys/step-down"),
    (Some(Verb::Read), "sys/replication/path/:path/ledger"),
    (Some(Verb::Read), "sys/replication/path/:path/ledger/export"),
    (Some(Verb::Write), "sys/replication/path/"),
    (Some(Verb::Delete), "sys/replication/path/"),
];

/// Patterns whose handlers look at the caller's policies themselves.
const OWN_CHECK: &[&str] = &["sys/internal/ui/mounts", "sys/internal/ui/mounts/*path", HELP_PATTERN];

/// Passes, and whether with `sudo`; or `Error::PermissionDenied`.
pub fn authorise(route: &Route, call: &Call, operation: Operation) -> Result<bool> {
    if OWN_CHECK.contains(&route.pattern) {
        return Ok(false);
    }
    let path = call.asked_path();
    let asked = Asked { path: &path, operation, parameters: &|| parameters(call), wrap_ttl: wrap_ttl(call)? };
    match call.caller()?.acl.decide(&asked) {
        Decision::Allowed { sudo } if sudo || !is_protected(route) => Ok(sudo),
        _ => Err(Error::PermissionDenied),
    }
}

/// How long the caller wants its answer wrapped; `None`: not at all.
pub fn wrap_ttl(call: &Call) -> Result<Option<Duration>> {
    let Some(text) = call.header(WRAP_HEADER).map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.starts_with('-') {
        return Err(Error::invalid("error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative"));
    }
    let wrong = |error| Error::invalid(format!("error parsing X-Vault-Wrap-TTL header: {error}"));
    Ok(Some(duration::parse(text).map_err(wrong)?).filter(|ttl| !ttl.is_zero()))
}

pub async fn operation(route: &Route, call: &Call) -> Result<Operation> {
    Ok(match route.verb {
        Verb::Read => Operation::Read,
        Verb::Delete => Operation::Delete,
        Verb::List => Operation::List,
        Verb::Scan => Operation::Scan,
        Verb::Patch => Operation::Patch,
        // Where Vault tells a new record from an old one. Everything else is an update.
        Verb::Write => match call.is_new_record(route).await {
            Ok(true) => Operation::Create,
            // What is wrong with it is told by its handler, to whoever may ask.
            Ok(false) | Err(Error::Invalid(_)) => Operation::Update,
            Err(error) => return Err(error),
        },
    })
}

/// Whether it wants `sudo`.
pub fn is_protected(route: &Route) -> bool {
    PROTECTED.iter().any(|(verb, pattern)| {
        verb.is_none_or(|verb| verb == route.verb)
            && if pattern.ends_with('/') { route.pattern.starts_with(pattern) } else { route.pattern == *pattern }
    })
}

/// What a request says: its query if it reads, else its body.
fn parameters(call: &Call) -> Map<String, Value> {
    if call.verb.reads() {
        return query_parameters(call.query.pairs());
    }
    match parse_body(&call.headers, &call.body) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// A name that is given twice is a list of both, which no rule for one value fits.
fn query_parameters<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in pairs {
        let value = Value::String(value.to_owned());
        let both = match fields.remove(name) {
            None => value,
            Some(Value::Array(before)) => before.into_iter().chain([value]).collect(),
            Some(before) => Value::Array(vec![before, value]),
        };
        fields.insert(name.to_owned(), both);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::routes::ROUTES;

    #[test]
    fn a_parameter_that_is_given_twice_is_both() {
        let pairs = [("version", "1"), ("depth", "2"), ("version", "3"), ("version", "4")];
        let found = Value::Object(query_parameters(pairs.into_iter()));
        assert_eq!(found, serde_json::json!({ "version": ["1", "3", "4"], "depth": "2" }));
    }

    #[test]
    fn every_protected_pattern_is_one_of_a_route() {
        for (verb, pattern) in PROTECTED {
            let named = |route: &&Route| {
                verb.is_none_or(|verb| verb == route.verb)
                    && if pattern.ends_with('/') {
                        route.pattern.starts_with(pattern)
                    } else {
                        route.pattern == *pattern
                    }
            };
            assert!(ROUTES.iter().any(|route| named(&route)), "{pattern}");
        }
        for pattern in OWN_CHECK.iter().filter(|pattern| **pattern != HELP_PATTERN) {
            assert!(ROUTES.iter().any(|route| route.pattern == *pattern), "{pattern}");
        }
    }
}
