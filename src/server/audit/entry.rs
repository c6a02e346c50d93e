//! What one entry of an audit log says, with Vault's names.
//!
//! Texts are shown as keyed hashes, under the names that they have; what a mount's `audit_non_hmac_…_keys` name is shown
//! as it is. Numbers of the API are shown, as Vault shows them; numbers that clients keep as secrets are hashed: few of
//! them are long enough to be hidden otherwise.

use super::strangers::DATA_BYTES_MAX;
use super::{Of, options};
use crate::clock;
use crate::secrets::audit::{AuditDevice, AuditHasher};
use crate::secrets::{Caller, Mount, Operation, Table};
use crate::server::authorise;
use crate::server::call::Call;
use crate::server::handlers::mounts::built_in_version;
use crate::server::request::{Verb, parse_body};
use crate::server::request_id;
use crate::server::routes::Route;
use serde_json::{Map, Value, json};

/// How a request came out, as far as it is to be told.
pub struct Outcome<'a> {
    pub status: u16,
    /// The answer's JSON, if it has any.
    pub body: Option<&'a Value>,
}

/// What is known of a request before anything is done.
pub struct Entry {
    mount: Option<Mount>,
    operation: &'static str,
    /// `None`: who asks did not prove who he is.
    allowed: Option<bool>,
    path: String,
    data: Map<String, Value>,
    headers: Vec<(String, Vec<String>, bool)>,
    numbers: Numbers,
}

/// Whose the numbers in a request's data are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Api,
    /// Those below `data` are a client's.
    ClientBelowData,
    Client,
}

impl Entry {
    pub fn of(route: &Route, call: &Call, of: Of, operation: Option<Operation>, allowed: Option<bool>) -> Entry {
        let numbers = match route.pattern {
            "{kv1}/*path" | "cubbyhole/*path" | "*path" => Numbers::Client,
            pattern if pattern.starts_with("sys/wrapping/") => Numbers::Client,
            pattern if pattern.starts_with("{mount}/") => Numbers::ClientBelowData,
            _ => Numbers::Api,
        };
        Entry {
            mount: call.node.vault.mount_of(&call.path).ok().flatten().map(|(mount, _)| mount),
            operation: operation.map_or(call.verb.operation(), Operation::name),
            allowed,
            path: call.asked_path(),
            data: match of {
                Of::Stranger if call.body.len() > DATA_BYTES_MAX => Map::new(),
                _ => data_of(call),
            },
            headers: headers_of(call),
            numbers,
        }
    }

    pub fn request(&self, call: &Call, device: &AuditDevice, hasher: &AuditHasher) -> Value {
        let mut line = self.line("request", call, device, hasher);
        match self.allowed {
            Some(true) => {}
            Some(false) => line["error"] = json!(authorise::DENIED),
            None if call.caller.is_none() && self.expects_token(call) => line["error"] = json!("permission denied"),
            None => {}
        }
        line
    }

    pub fn response(&self, call: &Call, outcome: &Outcome, device: &AuditDevice, hasher: &AuditHasher) -> Value {
        let mut line = self.line("response", call, device, hasher);
        let mut response = self.mount_fields("mount_running_plugin_version");
        response.insert("status".into(), outcome.status.into());
        if let Some(body) = outcome.body {
            self.say_answer(&mut response, call, body, device, hasher);
        }
        line["response"] = Value::Object(response);
        if let Some(error) = error_of(outcome) {
            line["error"] = json!(error);
        }
        line
    }

    /// Of a route that answers whoever asks, nobody expects a token.
    fn expects_token(&self, call: &Call) -> bool {
        call.token().is_some() || !self.path.starts_with("sys/internal/ui/mounts")
    }

    fn line(&self, kind: &str, call: &Call, device: &AuditDevice, hasher: &AuditHasher) -> Value {
        let shown = Shown { hasher, accessors: options::hashes_accessors(&device.options) };
        let mut request = Map::new();
        request.insert("id".into(), json!(request_id::current()));
        request.insert("operation".into(), json!(self.operation));
        request.extend(self.mount_fields("mount_running_version"));
        if let Some(token) = call.token() {
            request.insert("client_token".into(), json!(hasher.hash(token.expose())));
        }
        if let Some(caller) = call.caller.as_ref().filter(|caller| !caller.accessor.is_empty()) {
            request.insert("client_token_accessor".into(), shown.accessor(&caller.accessor));
        }
        request.insert("namespace".into(), json!({ "id": "root" }));
        request.insert("path".into(), json!(self.path));
        if !self.data.is_empty() {
            let plain = self.mount.as_ref().map(|mount| &mount.config.audit_request_keys[..]).unwrap_or_default();
            request.insert("data".into(), self.hashed(&self.data, plain, hasher));
        }
        if !self.headers.is_empty() {
            let shown = self.headers.iter().map(|(name, values, hmac)| {
                let values = values.iter().map(|value| if *hmac { hasher.hash(value) } else { value.clone() });
                (name.clone(), values.collect::<Value>())
            });
            request.insert("headers".into(), Value::Object(shown.collect()));
        }
        if let Some(client) = call.source() {
            request.insert("remote_address".into(), json!(client.ip().to_canonical()));
            request.insert("remote_port".into(), json!(client.port()));
        }
        if let Ok(Some(ttl)) = authorise::wrap_ttl(call) {
            request.insert("wrap_ttl".into(), json!(ttl.as_secs()));
        }
        json!({
            "time": clock::now().rfc3339(),
            "type": kind,
            "auth": self.auth(call, &shown),
            "request": request,
        })
    }

    fn auth(&self, call: &Call, shown: &Shown) -> Value {
        let Some(caller) = &call.caller else { return json!({ "token_type": "default" }) };
        let mut auth = json!({
            "display_name": caller.display_name,
            "policies": caller.policies,
            "token_policies": caller.policies,
            "policy_results": self.policy_results(caller),
            "token_type": caller.kind.name(),
            "token_issue_time": caller.created_at.rfc3339(),
        });
        if let Some(token) = call.token() {
            auth["client_token"] = json!(shown.hasher.hash(token.expose()));
        }
        if !caller.accessor.is_empty() {
            auth["accessor"] = shown.accessor(&caller.accessor);
        }
        if !caller.meta.is_empty() {
            auth["metadata"] = json!(caller.meta);
        }
        if let Some(uses) = caller.uses {
            auth["remaining_uses"] = json!(uses);
        }
        if !caller.creation_ttl.is_zero() {
            auth["token_ttl"] = json!(caller.creation_ttl.as_secs());
        }
        auth
    }

    fn policy_results(&self, caller: &Caller) -> Value {
        let allowed = self.allowed == Some(true);
        let mut results = json!({ "allowed": allowed });
        if allowed && caller.is_root() {
            results["granting_policies"] = json!([{ "name": "root", "namespace_id": "root", "type": "acl" }]);
        }
        results
    }

    fn mount_fields(&self, version: &str) -> Map<String, Value> {
        let mut fields = Map::new();
        let Some(mount) = &self.mount else { return fields };
        let class = if mount.table == Table::Auth { "auth" } else { "secret" };
        fields.insert("mount_point".into(), json!(mount.route()));
        fields.insert("mount_type".into(), json!(mount.kind));
        fields.insert("mount_accessor".into(), json!(mount.accessor));
        fields.insert(version.into(), json!(built_in_version()));
        fields.insert("mount_class".into(), json!(class));
        fields
    }

    /// The parts of the envelope, each in its place; of an answer without one, all is data.
    fn say_answer(
        &self,
        response: &mut Map<String, Value>,
        call: &Call,
        body: &Value,
        device: &AuditDevice,
        hasher: &AuditHasher,
    ) {
        let shown = Shown { hasher, accessors: options::hashes_accessors(&device.options) };
        if let Some(error) = body.get("errors") {
            let said = error.get(0).and_then(Value::as_str);
            if let Some(said) = said {
                response.insert("data".into(), json!({ "error": hasher.hash(said) }));
            }
            return;
        }
        let is_envelope = body.get("request_id").is_some() && body.get("wrap_info").is_some();
        let data = if is_envelope { &body["data"] } else { body };
        if let Some(data) = data.as_object() {
            let plain = self.mount.as_ref().map(|mount| &mount.config.audit_response_keys[..]).unwrap_or_default();
            let mut data = data.clone();
            let lists = matches!(call.verb, Verb::List | Verb::Scan);
            if lists && options::elides_lists(&device.options) {
                elide(&mut data);
            }
            response.insert("data".into(), self.hashed(&data, plain, hasher));
        }
        if !is_envelope {
            return;
        }
        for (name, secrets) in [("auth", &["client_token", "accessor"][..]), ("wrap_info", &["token", "accessor"][..])]
        {
            let Some(mut told) = body[name].as_object().cloned() else { continue };
            for secret in secrets {
                let Some(text) = told.get(*secret).and_then(Value::as_str) else { continue };
                let value = if *secret == "accessor" { shown.accessor(text) } else { json!(hasher.hash(text)) };
                told.insert((*secret).to_owned(), value);
            }
            response.insert(name.into(), Value::Object(told));
        }
        if !body["warnings"].is_null() {
            response.insert("warnings".into(), body["warnings"].clone());
        }
    }

    fn hashed(&self, fields: &Map<String, Value>, plain: &[String], hasher: &AuditHasher) -> Value {
        let shown = fields.iter().map(|(name, value)| {
            if plain.contains(name) {
                return (name.clone(), value.clone());
            }
            let of_client = match self.numbers {
                Numbers::Api => false,
                Numbers::ClientBelowData => name == "data",
                Numbers::Client => true,
            };
            (name.clone(), hashed(value, of_client, hasher))
        });
        Value::Object(shown.collect())
    }
}

/// How a device shows what is none of the request's data.
struct Shown<'a> {
    hasher: &'a AuditHasher,
    accessors: bool,
}

impl Shown<'_> {
    fn accessor(&self, accessor: &str) -> Value {
        if self.accessors { json!(self.hasher.hash(accessor)) } else { json!(accessor) }
    }
}

/// What a request says: its body, or its query where it has none.
fn data_of(call: &Call) -> Map<String, Value> {
    if let Ok(Value::Object(body)) = parse_body(&call.headers, &call.body)
        && !body.is_empty()
    {
        return body;
    }
    let said = call.query.pairs().filter(|(name, _)| !["list", "scan", "help"].contains(name));
    said.map(|(name, value)| (name.to_owned(), Value::String(value.to_owned()))).collect()
}

/// The headers that the audit log is to show, all that were sent of each, and whether as hashes.
fn headers_of(call: &Call) -> Vec<(String, Vec<String>, bool)> {
    let Ok(settings) = call.node.vault.settings() else { return Vec::new() };
    let named = settings.audited_headers.iter();
    let sent = |name: &str| -> Vec<String> {
        let values = call.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    named.map(|(name, hmac)| (name.clone(), sent(name), *hmac)).filter(|(_, sent, _)| !sent.is_empty()).collect()
}

/// The same with every text, and every number that is a client's, as its hash. The names of fields stay.
fn hashed(value: &Value, numbers: bool, hasher: &AuditHasher) -> Value {
    match value {
        Value::String(text) => Value::String(hasher.hash(text)),
        Value::Number(number) if numbers => Value::String(hasher.hash(&number.to_string())),
        Value::Array(items) => items.iter().map(|item| hashed(item, numbers, hasher)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), hashed(value, numbers, hasher))).collect()
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// Of a list its length.
fn elide(data: &mut Map<String, Value>) {
    for name in ["keys", "key_info"] {
        let length = match data.get(name) {
            Some(Value::Array(items)) => items.len(),
            Some(Value::Object(fields)) => fields.len(),
            _ => continue,
        };
        data.insert(name.to_owned(), length.into());
    }
}

/// Vault's words for a status. What exactly was wrong stands, hashed, in the response's data: it may quote a value.
fn error_of(outcome: &Outcome) -> Option<String> {
    let said = outcome.body.and_then(|body| body["errors"].as_array());
    if outcome.status < 400
        || said.is_some_and(Vec::is_empty)
        || outcome.body.is_some_and(|body| !body["data"].is_null())
    {
        return None;
    }
    let words = match outcome.status {
        400 | 413 | 415 => "invalid request",
        403 => "permission denied",
        404 => "unsupported path",
        405 => "unsupported operation",
        _ => "internal error",
    };
    Some(format!("1 error occurred:\n\t* {words}\n\n"))
}
