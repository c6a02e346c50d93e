//! Fields of a body that an endpoint does not know: Vault names them in a warning, where it answers with a body.

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

/// The names of what the request says and its route does not know, in order.
pub fn parameters(route: &Route, call: &Call) -> Vec<String> {
    if !matches!(route.verb, Verb::Write | Verb::Patch) {
        return Vec::new();
    }
    let Some((_, known)) = KNOWN.iter().find(|(pattern, _)| *pattern == route.pattern) else { return Vec::new() };
    let Ok(Value::Object(body)) = parse_body(&call.headers, &call.body) else { return Vec::new() };
    let mut names: Vec<String> = body.into_iter().map(|(name, _)| name).collect();
    names.retain(|name| !known.contains(&name.as_str()));
    names.sort_unstable();
    names
}

/// Vault's words.
pub fn warning(names: &[String]) -> String {
    format!("Endpoint ignored these unrecognized parameters: [{}]", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::routes::ROUTES;

    #[test]
    fn every_pattern_is_one_of_a_route_that_writes() {
        for (pattern, _) in KNOWN {
            let is_it = |route: &&Route| route.pattern == *pattern && route.verb == Verb::Write;
            assert!(ROUTES.iter().any(|route| is_it(&route)), "{pattern}");
        }
    }
}
