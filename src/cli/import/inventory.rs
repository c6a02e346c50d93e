//! What the source has and this import does not take. What can't be looked at is said to be unknown, never none.

use super::mounts;
use super::report::Report;
use crate::api::mounts::Mounts;
use crate::client::{Client, ClientError, Logical};

/// Mounts that every server has.
const OWN_MOUNTS: [&str; 5] = ["sys/", "identity/", "cubbyhole/", "ns_system/", "agent-registry/"];

/// What is counted, where it is listed, and what becomes of it.
const COUNTED: [(&str, &str, &str); 8] = [
    (
        "namespaces",
        "sys/namespaces",
        "each is a server of its own to an import, and this build takes the root one only",
    ),
    ("entities", "identity/entity/id", "identities are not known here"),
    ("groups", "identity/group/id", "identities are not known here"),
    ("password policies", "sys/policies/password", "they serve engines that are not here"),
    ("tokens", "auth/token/accessors", "who logs in anew gets a new one"),
    ("token roles", "auth/token/roles", "make them anew by auth/token/roles/NAME"),
    ("rate limits", "sys/quotas/rate-limit", "quotas are not known here"),
    ("lease counts", "sys/quotas/lease-count", "quotas are not known here"),
];

/// What no import can take, whatever the source has.
const NEVER: [(&str, &str); 3] = [
    ("times of versions", "each version is as old as its import; a time to be deleted at is kept to the second"),
    (
        "data of deleted versions",
        "it can't be read: undelete at the source before the import what is to be undeleted later",
    ),
    ("leases, cubbyholes and wrapped answers", "they belong to tokens, which are not taken"),
];

pub async fn look(source: &Client, theirs: &Mounts, report: &mut Report) {
    for (path, mount) in theirs {
        if mounts::kind(mount).is_none() && !OWN_MOUNTS.contains(&path.as_str()) {
            report.leave(path, &format!("a mount of the type {}", mount.kind));
        }
    }
    for (what, at, kind) in [("auth methods", "sys/auth", "token"), ("audit devices", "sys/audit", "")] {
        match source.logical(at, &[], Logical::Read, None).await {
            Ok(found) => {
                let found = found.unwrap_or_default();
                for (path, method) in found["data"].as_object().into_iter().flatten() {
                    let method = method["type"].as_str().unwrap_or_default();
                    // OpenBao's and Vault's names of their own token methods.
                    if method != kind && method != "ns_token" {
                        report.leave(&format!("{at}/{path}"), &format!("of the type {method}"));
                    }
                }
            }
            Err(_) => report.leave(what, "unknown: the token may not look at them"),
        }
    }
    for (what, at, why) in COUNTED {
        match source.logical(at, &[], Logical::List, None).await {
            Ok(found) => {
                let count = found.as_ref().and_then(|found| found["data"]["keys"].as_array()).map_or(0, Vec::len);
                if count > 0 {
                    report.leave(&format!("{count} {what}"), why);
                }
            }
            // A server without such a thing has no route to it.
            Err(error) if is_unknown_there(&error) => {}
            Err(_) => report.leave(what, "unknown: the token may not list them"),
        }
    }
    for (what, why) in NEVER {
        report.leave(what, why);
    }
}

fn is_unknown_there(error: &ClientError) -> bool {
    match error {
        ClientError::Status { status: 400 | 404 | 405, errors, .. } => {
            errors.iter().any(|text| text.contains("unsupported") || text.contains("no handler"))
        }
        _ => false,
    }
}
