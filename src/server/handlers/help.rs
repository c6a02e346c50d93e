//! `?help=1` on any path: what it takes, from the table of routes.

use super::nothing_at;
use crate::error::Result;
use crate::secrets::KvKind;
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::routes::{self, ROUTES, Route};
use serde_json::json;

/// The pattern of the route that this is; no path matches it.
pub const HELP_PATTERN: &str = "?help";

/// Whoever has a token may ask, as in Vault: what there is at a path is no secret.
pub async fn help(call: Call) -> Result<Answer> {
    let routes = routes::at(&call.path, call.within());
    let below = below(&call);
    if routes.is_empty() && below.is_empty() {
        return Err(nothing_at(&call.path));
    }
    Ok(Answer::plain(&json!({ "help": text(&call.path, &routes, &below), "see_also": null, "openapi": null })))
}

/// Where a whole engine is asked about: all of its routes.
fn below(call: &Call) -> Vec<&'static Route> {
    let prefix =
        match (&call.mount, call.path.as_str()) {
            (_, "sys") => "sys/",
            (_, "auth/token") => "auth/token/",
            (_, "cubbyhole") => "cubbyhole/",
            (Some(mount), path) if mount.path.trim_end_matches('/') == path => {
                if mount.kv() == Some(KvKind::Versioned) { "{mount}/" } else { "{kv1}/" }
            }
            _ => return Vec::new(),
        };
    ROUTES.iter().filter(|route| route.pattern.starts_with(prefix)).collect()
}

fn text(path: &str, routes: &[&Route], below: &[&'static Route]) -> String {
    let mut text = format!("Request:        {path}\n");
    if let Some(first) = routes.first() {
        text.push_str(&format!("Matching Route: {}\n", first.pattern));
    }
    if !routes.is_empty() {
        text.push_str("\n## OPERATIONS\n\n");
        routes.iter().for_each(|route| text.push_str(&line(route.verb.methods(), route.doc)));
        text.push_str("\n## DESCRIPTION\n\nPOST and PUT are the same here, and GET with `?list=true` or `?scan=true` is LIST or SCAN.\n");
    }
    if !below.is_empty() {
        text.push_str("\n## PATHS\n\nThese paths are there. Whether a token may use one is up to its policies.\n\n");
        for route in below {
            let pattern = route.pattern.split_once("}/").map_or(route.pattern, |(_, rest)| rest);
            text.push_str(&line(&format!("{} {pattern}", route.verb.methods()), route.doc));
        }
    }
    text
}

fn line(what: &str, doc: &str) -> String {
    format!("    {what}\n        {doc}\n")
}
