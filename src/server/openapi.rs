//! The table of routes as an OpenAPI document, for generators of clients and for people with a browser of APIs.

use super::authorise;
use super::routes::{ROUTES, Route, Who};
use crate::server::request::Verb;
use serde_json::{Map, Value, json};

/// Of a mount that is asked for by no name.
const KV1: &str = "{kv1}";
const KV2: &str = "{mount}";

/// The mounts that the document speaks of, without slashes at their ends.
pub struct Mounts {
    pub kv1: Vec<String>,
    pub kv2: Vec<String>,
}

/// All paths: those of the KV mounts once for each.
pub fn document(mounts: &Mounts) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES.iter().filter(|route| !matches!(route.who, Who::Node | Who::Link)) {
        for pattern in patterns(route, mounts) {
            let (path, names) = template(&pattern);
            let item = paths.entry(path.clone()).or_insert_with(|| item(route, &names));
            let slot = &mut item[method(route.verb)];
            // A list, and a scan, are a GET with a word in its query.
            if slot.is_null() {
                *slot = operation(route, &path);
            }
            if let Verb::List | Verb::Scan = route.verb {
                let word = if route.verb == Verb::List { "list" } else { "scan" };
                let parameters = slot["parameters"].as_array().cloned().unwrap_or_default();
                let flag = json!({ "name": word, "in": "query", "description": route.doc,
                    "schema": { "type": "string", "enum": ["true"] } });
                slot["parameters"] = parameters.into_iter().chain([flag]).collect();
            }
        }
    }
    json!({
        "openapi": "3.0.2",
        "info": {
            "title": "Twinkeep API",
            "description": "HTTP API that gives you full access to Twinkeep. All API routes are prefixed with `/v1/`.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/v1" }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "apiKey", "in": "header", "name": "X-Vault-Token" } },
            "schemas": { "Errors": {
                "type": "object",
                "properties": { "errors": { "type": "array", "items": { "type": "string" } } },
            } },
        },
    })
}

fn patterns(route: &Route, mounts: &Mounts) -> Vec<String> {
    let of = |name: &str, mounts: &[String]| mounts.iter().map(|mount| route.pattern.replace(name, mount)).collect();
    match route.pattern {
        pattern if pattern.starts_with(KV1) => of(KV1, &mounts.kv1),
        pattern if pattern.starts_with(KV2) => of(KV2, &mounts.kv2),
        pattern => vec![pattern.to_owned()],
    }
}

/// A pattern as OpenAPI writes it, and the names in it.
fn template(pattern: &str) -> (String, Vec<String>) {
    let mut names = Vec::new();
    let segments = pattern.split('/').map(|segment| match segment.strip_prefix([':', '*']) {
        Some(name) => {
            names.push(name.to_owned());
            format!("{{{name}}}")
        }
        None => segment.to_owned(),
    });
    let path = segments.collect::<Vec<_>>().join("/");
    (format!("/{path}"), names)
}

fn item(route: &Route, names: &[String]) -> Value {
    let parameters = names
        .iter()
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let mut item = json!({ "description": route.doc });
    if !names.is_empty() {
        item["parameters"] = parameters.collect();
    }
    if matches!(route.who, Who::Anyone) {
        item["x-vault-unauthenticated"] = json!(true);
    }
    if authorise::is_protected(route) {
        item["x-vault-sudo"] = json!(true);
    }
    item
}

fn operation(route: &Route, path: &str) -> Value {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id = [route.verb.operation()].into_iter().chain(words).collect::<Vec<_>>().join("-");
    let tag = match path.split('/').nth(1) {
        Some("sys") => "system",
        Some("auth") => "auth",
        _ => "secrets",
    };
    let error = |text: &str| {
        json!({ "description": text, "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/Errors" } } } })
    };
    let mut operation = json!({
        "summary": route.doc,
        "operationId": id,
        "tags": [tag],
        "responses": { "200": { "description": "OK" }, "default": error("what was wrong") },
    });
    if let Verb::Write | Verb::Patch = route.verb {
        let media = match (route.verb, route.takes_file()) {
            (Verb::Patch, _) => "application/merge-patch+json",
            (_, true) => "application/gzip",
            _ => "application/json",
        };
        let kind = if route.takes_file() {
            json!({ "type": "string", "format": "binary" })
        } else {
            json!({ "type": "object" })
        };
        operation["requestBody"] = json!({ "content": { media: { "schema": kind } } });
        operation["responses"]["204"] = json!({ "description": "OK, and nothing to say" });
    }
    if !matches!(route.who, Who::Anyone | Who::Guest) {
        operation["security"] = json!([{ "token": [] }]);
    }
    operation
}

fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Read | Verb::List | Verb::Scan => "get",
        Verb::Write => "post",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_of_clients_stands_in_it_once_under_its_own_name() {
        let mounts = Mounts { kv1: vec!["old".into()], kv2: vec!["secret".into(), "team/a".into()] };
        let document = document(&mounts);
        let paths = document["paths"].as_object().expect("paths");
        for (path, method) in [
            ("/sys/mounts/{path}", "post"),
            ("/secret/data/{path}", "patch"),
            ("/team/a/metadata/{path}", "get"),
            ("/old/{path}", "delete"),
            ("/auth/token/roles/{role}", "get"),
        ] {
            assert!(paths[path][method]["summary"].is_string(), "{method} {path}");
        }
        assert_eq!(paths["/sys/health"]["x-vault-unauthenticated"], true);
        assert_eq!(paths["/sys/seal"]["x-vault-sudo"], true);
        assert_eq!(paths["/auth/token/roles"]["get"]["parameters"][0]["name"], "list");
        assert!(!paths.keys().any(|path| path.contains("rpc") || path.contains("/link/") || path.contains(['*', ':'])));
        let operations = paths.values().flat_map(|item| item.as_object().expect("an item").values());
        let ids: Vec<&str> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "ids are names of functions in clients");
        // Each `{name}` is explained.
        for (path, item) in paths {
            let named = item["parameters"].as_array().map_or(0, Vec::len);
            assert_eq!(path.matches('{').count(), named, "{path}");
        }
    }
}
