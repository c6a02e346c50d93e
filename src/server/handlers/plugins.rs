//! `sys/plugins/catalog`: the engines there are, all of them built in.

use super::mounts::built_in_version;
use crate::error::{Error, Result};
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::{Value, json};

/// By the kinds that Vault sorts them in. Those that can't be enabled by hand are not in its catalog either.
const KINDS: [(&str, &[&str]); 3] = [("auth", &[]), ("database", &[]), ("secret", &["kv"])];

pub async fn all(_: Call) -> Result<Answer> {
    let mut shown = json!({});
    let mut detailed = Vec::new();
    for (kind, names) in KINDS {
        shown[kind] = json!(names);
        detailed.extend(names.iter().map(|name| {
            json!({
                "builtin": true,
                "deprecation_status": "supported",
                "name": name,
                "type": kind,
                "version": built_in_version(),
            })
        }));
    }
    shown["detailed"] = Value::Array(detailed);
    Ok(Answer::data(&shown))
}

pub async fn of_kind(call: Call) -> Result<Answer> {
    let names = names(&call)?.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    Ok(Answer::keys(&names))
}

pub async fn one(call: Call) -> Result<Answer> {
    let name = call.param("name");
    if !names(&call)?.contains(&name) {
        return Ok(Answer::missing());
    }
    Ok(Answer::data(&json!({
        "args": null,
        "builtin": true,
        "command": "",
        "deprecation_status": "supported",
        "name": name,
        "sha256": "",
        "version": built_in_version(),
    })))
}

fn names(call: &Call) -> Result<&'static [&'static str]> {
    let kind = call.param("kind");
    let found = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, names)| *names);
    found.ok_or_else(|| Error::invalid(format!("unable to parse plugin type {kind}: there are auth, database, secret")))
}
