//! Fields of a body that an endpoint does not know, or that its path says already: Vault names them in a warning, where it
//! answers with a body.

use super::call::Call;
use super::request::{Verb, parse_body};
use super::routes::Route;
use serde_json::Value;

const TOKEN: &[&str] = &[
    "display_name",
    "entity_alias",
    "explicit_max_ttl",
    "id",
    "lease",
    "meta",
    "no_default_policy",
    "no_parent",
    "num_uses",
    "period",
    "policies",
    "renewable",
    "role_name",
    "ttl",
    "type",
];
const CAPABILITIES: &[&str] = &["path", "paths", "token"];
const SETTINGS: &[&str] = &[
    "after",
    "cas_required",
    "custom_metadata",
    "delete_version_after",
    "limit",
    "max_versions",
    "metadata_cas",
    "metadata_cas_required",
    "path",
];

/// What the endpoints know that answer a write with a body and take named fields only, by their patterns.
const KNOWN: &[(&str, &[&str])] = &[
    ("auth/token/create", TOKEN),
    ("auth/token/create-orphan", TOKEN),
    ("auth/token/create/:role", TOKEN),
    ("auth/token/lookup", &["token"]),
    ("auth/token/lookup-self", &["token"]),
    ("auth/token/lookup-accessor", &["accessor"]),
    ("auth/token/renew", &["increment", "token"]),
    ("auth/token/renew-self", &["increment", "token"]),
    ("auth/token/renew-accessor", &["accessor", "increment"]),
    ("sys/capabilities", CAPABILITIES),
    ("sys/capabilities-self", CAPABILITIES),
    ("sys/capabilities-accessor", &["accessor", "path", "paths"]),
    ("sys/audit-hash/*path", &["input", "path"]),
    ("sys/remount", &["from", "to"]),
    ("{mount}/data/*path", &["data", "options", "path", "version"]),
    ("{mount}/metadata/*path", SETTINGS),
];

/// What paths say by Vault's names, by their patterns.
const CAPTURED: &[(&str, &str)] = &[
    ("auth/token/create/:role", "role_name"),
    ("sys/audit-hash/*path", "path"),
    ("sys/config/ui/headers/:name", "header"),
    ("sys/tools/random/*rest", "urlbytes"),
    ("{mount}/data/*path", "path"),
    ("{mount}/metadata/*path", "path"),
];

/// What is to be said of a request's fields, in Vault's words and in order.
pub fn warnings(route: &Route, call: &Call) -> Vec<String> {
    let names = names(route, call);
    let known = KNOWN.iter().find(|(pattern, _)| *pattern == route.pattern && route.verb != Verb::Read);
    let captured = CAPTURED.iter().find(|(pattern, _)| *pattern == route.pattern);
    let listed = |is_meant: &dyn Fn(&str) -> bool| {
        let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| is_meant(name)).collect();
        (!names.is_empty()).then(|| names.join(" "))
    };
    let ignored = listed(&|name| known.is_some_and(|(_, known)| !known.contains(&name)))
        .map(|names| format!("Endpoint ignored these unrecognized parameters: [{names}]"));
    let replaced = listed(&|name| captured.is_some_and(|(_, captured)| *captured == name)).map(|names| {
        format!(
            "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{names}]"
        )
    });
    ignored.into_iter().chain(replaced).collect()
}

/// Of the fields of a body, or of a query that reads.
fn names(route: &Route, call: &Call) -> Vec<String> {
    let mut names: Vec<String> = match route.verb {
        Verb::Write | Verb::Patch => match parse_body(&call.headers, &call.body) {
            Ok(Value::Object(body)) => body.into_iter().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        },
        Verb::Read => call.query.pairs().map(|(name, _)| name.to_owned()).collect(),
        Verb::Delete | Verb::List | Verb::Scan => Vec::new(),
    };
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::routes::ROUTES;

    #[test]
    fn every_pattern_is_one_of_a_route_that_writes() {
        for pattern in KNOWN.iter().map(|(pattern, _)| pattern).chain(CAPTURED.iter().map(|(pattern, _)| pattern)) {
            let is_it = |route: &&Route| route.pattern == *pattern && route.verb == Verb::Write;
            assert!(ROUTES.iter().any(|route| is_it(&route)), "{pattern}");
        }
    }
}
