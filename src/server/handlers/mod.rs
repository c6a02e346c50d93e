//! What the routes do. A handler reads its call, asks the part of the node that knows, and shapes the answer as Vault's
//! clients expect it; it decides nothing itself.

pub mod attempts;
pub mod audit;
pub mod auth_methods;
pub mod autopilot;
pub mod fields;
pub mod health;
pub mod help;
pub mod info;
pub mod kv;
pub mod kv_lists;
pub mod leases;
pub mod ledger;
pub mod link;
pub mod loggers;
pub mod membership;
pub mod metrics;
pub mod monitor;
pub mod mounts;
pub mod mounts_seen;
pub mod path;
pub mod plain;
pub mod plugins;
pub mod policy;
pub mod quotas;
pub mod rekey;
pub mod replication_status;
pub mod root_generation;
pub mod rotation;
pub mod seal;
pub mod settings;
pub mod snapshot;
pub mod token;
pub mod token_roles;
pub mod tools;
pub mod wrapping;

use super::answer::Answer;
use super::call::Call;
use super::pattern::MOUNT;
use super::request::Verb;
use crate::error::{Error, Result};
use crate::ids::Position;
use crate::secrets::{KvKind, Table};

/// Whoever may see that there is nothing learns it.
pub async fn no_route(call: Call) -> Result<Answer> {
    // Fails while nothing is mounted only for now.
    call.node.vault.mounts(Table::Secret)?;
    if call.mount.as_ref().is_some_and(|mount| mount.kv() == Some(KvKind::Versioned)) {
        return Ok(Answer::warning(&of_versioned(&call)).with_status(404));
    }
    Err(nothing_at(&call.asked_path()))
}

/// Vault's words for a path that no engine takes, and for one that the engine there does not.
pub fn nothing_at(path: &str) -> Error {
    let built_in = ["sys", "auth/token"]
        .iter()
        .any(|mount| path.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    Error::NotFound(match built_in {
        true => "1 error occurred:\n\t* unsupported path\n\n".to_owned(),
        false => format!("no handler for route \"{path}\". route entry not found."),
    })
}

/// What Vault says to whoever takes a mount of KV version 2 for one of version 1.
fn of_versioned(call: &Call) -> String {
    if !call.params.get(MOUNT).is_empty() {
        return "Non-listing operations on the root of a K/V v2 mount are not supported.".to_owned();
    }
    let command = match call.verb {
        Verb::Read => "get",
        Verb::Write => "put",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
        Verb::List => "list",
        Verb::Scan => "scan",
    };
    format!(
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If \
         using the Vault CLI, use 'vault kv {command}' for this operation."
    )
}

/// The part of a list in order that is asked for: the names after `?after=NAME`, which need not be one of them, at most
/// `limit=N` of them.
pub fn page<'a>(call: &Call, names: &'a [String]) -> Result<&'a [String]> {
    let after = call.query.get("after").unwrap_or_default();
    let limit = match call.query.get("limit").filter(|limit| !limit.is_empty()).map(|limit| limit.parse::<i64>()) {
        None => usize::MAX,
        Some(Ok(limit)) => usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX),
        Some(Err(_)) => {
            let text = "Field validation failed: error converting input for field \"limit\": expected a whole number";
            return Err(Error::invalid(text));
        }
    };
    let begin = names.partition_point(|name| name.as_str() <= after);
    Ok(&names[begin..names.len().min(begin.saturating_add(limit))])
}

/// The answer to a write, with the position that holds it.
fn written(answer: Answer, position: Position) -> Answer {
    answer.at(position)
}
