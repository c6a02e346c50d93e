//! Audit devices: list, enable, disable, and what a value looks like in one.

use super::{fields, written};
use crate::error::{Error, Result};
use crate::secrets::audit::AuditDevice;
use crate::server::answer::Answer;
use crate::server::audit::options::{self, Target};
use crate::server::call::Call;
use crate::server::node::blocking;
use serde_json::{Map, Value, json};

pub async fn list(call: Call) -> Result<Answer> {
    let devices = call.node.vault.audit_devices()?;
    let shown = devices.iter().map(|device| {
        let shown = json!({
            "type": device.kind,
            "description": device.description,
            "options": device.options,
            "local": device.local,
            "path": device.path,
        });
        (device.path.clone(), shown)
    });
    Ok(Answer::data_and_top(&shown.collect::<Map<String, Value>>()))
}

pub async fn enable(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let kind = fields::text(&body, "type")?;
    if kind != "file" {
        return Err(Error::invalid(format!("unknown backend type: \"{kind}\" (there is `file`)")));
    }
    let asked = body.get("options").and_then(Value::as_object).cloned().unwrap_or_default();
    let node = call.node.clone();
    let options = blocking(move || {
        let data = &node.config.storage.path;
        let options = options::parse(&asked, data)?;
        node.audit.try_open(&Target::of(&options), data)?;
        Ok(options)
    })
    .await?;
    let device = AuditDevice {
        path: format!("{}/", call.param("path").trim_matches('/')),
        kind,
        description: fields::text(&body, "description")?,
        local: fields::flag(&body, "local")?.unwrap_or(false),
        options,
        salt: [0; 16],
    };
    let done = call.node.vault.audit_enable(device).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn disable(call: Call) -> Result<Answer> {
    let path = format!("{}/", call.param("path").trim_matches('/'));
    let done = call.node.vault.audit_disable(&path).await?;
    Ok(written(Answer::empty(), done.position))
}

/// What `input` is in the log of a device: to look for it there.
pub async fn hash(call: Call) -> Result<Answer> {
    let input = fields::text(&call.object()?, "input")?;
    if input.is_empty() {
        return Err(Error::invalid("the \"input\" parameter is empty"));
    }
    let path = format!("{}/", call.param("path").trim_matches('/'));
    let devices = call.node.vault.audit_hashers()?;
    let found = devices.iter().find(|(device, _)| device.path == path);
    let (_, hasher) = found.ok_or_else(|| Error::invalid(format!("unknown audit backend: {path}")))?;
    Ok(Answer::data(&json!({ "hash": hasher.hash(&input) })))
}
