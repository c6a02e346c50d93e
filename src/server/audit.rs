//! The audit log: one JSON line for each request that came with a token, before anything is done, and one for its
//! answer, on disk before the client has it. Values are shown as keyed hashes only.
//!
//! A request that no device can take down is refused, unless the device was enabled with `blocking=false`.

use super::authorise::WRAP_HEADER;
use super::call::Call;
use super::node::blocking;
use super::request::parse_body;
use crate::clock;
use crate::error::{Error, Result};
use crate::secrets::audit::{AuditDevice, AuditHasher};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a device writes.
pub const FILE_PATH: &str = "file_path";
/// `false`: what can't be written down is done nevertheless.
pub const BLOCKING: &str = "blocking";
/// As in Vault, these are no names of files.
const STANDARD_OUTPUT: &str = "stdout";
const NOWHERE: &str = "discard";

/// The files that are open, by their names.
#[derive(Default)]
pub struct Audit(Mutex<HashMap<String, Arc<File>>>);

/// The devices of one request.
pub struct Trail {
    devices: Vec<(AuditDevice, AuditHasher)>,
    request: Value,
}

impl Trail {
    /// `None` where there is no device.
    pub fn of(call: &Call) -> Result<Option<Trail>> {
        let devices = call.node.vault.audit_hashers()?;
        if devices.is_empty() {
            return Ok(None);
        }
        let request = json!({
            "id": hex::encode(clock::random_bytes::<16>()),
            "operation": call.verb.operation(),
            "path": call.path,
            "mount_type": call.mount.as_ref().map(|mount| mount.kind.clone()),
            "wrap_ttl": call.header(WRAP_HEADER),
        });
        Ok(Some(Trail { devices, request }))
    }

    /// Takes a request down. What can't be is refused.
    pub async fn request(&self, call: &Call) -> Result<()> {
        let data = parse_body(&call.headers, &call.body).unwrap_or(Value::Null);
        let line = |hasher: &AuditHasher| {
            let mut request = self.request.clone();
            request["data"] = hashed(&data, hasher);
            request["client_token"] = call.token().map_or(Value::Null, |token| json!(hasher.hash(token.expose())));
            json!({
                "time": clock::now().rfc3339(),
                "type": "request",
                "auth": auth(call, hasher),
                "request": request,
            })
        };
        self.write(call, line, Durable::No).await
    }

    /// Takes an answer down, durably. `body` is its JSON, if it has any.
    pub async fn answer(&self, call: &Call, status: u16, body: Option<&Value>) -> Result<()> {
        let line = |hasher: &AuditHasher| {
            json!({
                "time": clock::now().rfc3339(),
                "type": "response",
                "auth": auth(call, hasher),
                "request": self.request,
                "response": { "status": status, "data": body.map_or(Value::Null, |body| hashed(body, hasher)) },
            })
        };
        self.write(call, line, Durable::Yes).await
    }

    async fn write(&self, call: &Call, line: impl Fn(&AuditHasher) -> Value, durable: Durable) -> Result<()> {
        let mut must = false;
        let mut done = false;
        for (device, hasher) in &self.devices {
            let mut text = line(hasher).to_string();
            text.push('\n');
            let path = device.options.get(FILE_PATH).cloned().unwrap_or_default();
            let (node, file) = (call.node.clone(), path.clone());
            let written = blocking(move || node.audit.append(&file, text.as_bytes(), durable)).await;
            let blocks = device.options.get(BLOCKING).is_none_or(|blocking| blocking != "false");
            match written {
                Ok(()) => done = true,
                Err(error) => {
                    must |= blocks;
                    tracing::error!(device = device.path, "the audit device can't write to {path}: {error}");
                }
            }
        }
        if must && !done {
            return Err(Error::internal("no audit device could take the request down: it was refused"));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    No,
}

impl Audit {
    /// Whether a device can write there: found out when it is enabled.
    pub fn try_open(&self, path: &str) -> Result<()> {
        if [STANDARD_OUTPUT, NOWHERE].contains(&path) {
            return Ok(());
        }
        self.file(path).map(|_| ())
    }

    /// Forgets the open files, so that those that were moved away are made anew.
    pub fn reopen(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn append(&self, path: &str, line: &[u8], durable: Durable) -> Result<()> {
        match path {
            STANDARD_OUTPUT => return Ok(std::io::stdout().lock().write_all(line)?),
            NOWHERE => return Ok(()),
            _ => {}
        }
        let file = self.file(path)?;
        // One write a line, at the end of the file: lines of concurrent requests never mix.
        (&*file).write_all(line)?;
        if durable == Durable::Yes && file.metadata()?.is_file() {
            file.sync_data()?;
        }
        Ok(())
    }

    fn file(&self, path: &str) -> Result<Arc<File>> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(path) {
            return Ok(file.clone());
        }
        let opened = File::options().create(true).append(true).mode(0o600).open(path);
        let file = Arc::new(opened.map_err(|error| {
            Error::invalid(format!("sanity check failed; unable to open \"{path}\" for writing: {error}"))
        })?);
        files.insert(path.to_owned(), file.clone());
        Ok(file)
    }
}

fn auth(call: &Call, hasher: &AuditHasher) -> Value {
    let Some(caller) = &call.caller else { return Value::Null };
    json!({
        "accessor": hasher.hash(&caller.accessor),
        "display_name": caller.display_name,
        "policies": caller.policies,
    })
}

/// The same with every text and number as its hash. The names of fields stay.
fn hashed(value: &Value, hasher: &AuditHasher) -> Value {
    match value {
        Value::String(text) => Value::String(hasher.hash(text)),
        Value::Number(number) => Value::String(hasher.hash(&number.to_string())),
        Value::Array(items) => items.iter().map(|item| hashed(item, hasher)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), hashed(value, hasher))).collect(),
        Value::Bool(_) | Value::Null => value.clone(),
    }
}
