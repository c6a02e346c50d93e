//! KV version 1 and the cubbyhole: the body itself is the secret, and passes through as text.

use super::kv_lists::scanned;
use super::{fields, page, written};
use crate::error::{Error, Result};
use crate::secrets::kv::Plain;
use crate::sensitive::SensitiveString;
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::time::Duration;

pub async fn write(call: Call) -> Result<Answer> {
    let fields = call.object()?;
    if fields.is_empty() {
        return Err(Error::invalid("missing data fields"));
    }
    // What came as JSON stays as it was written; a form becomes JSON.
    let body = std::str::from_utf8(&call.body).map(str::trim).unwrap_or_default();
    let text = if body.starts_with('{') { body.to_owned() } else { serde_json::Value::Object(fields).to_string() };
    let done = call.node.vault.plain_put(owner(&call)?, call.param("path"), SensitiveString::new(text)).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn read(call: Call) -> Result<Answer> {
    // At the root of a mount there is nothing.
    if call.param("path").is_empty() && call.mount_is_kv() {
        return Ok(Answer::missing());
    }
    let owner = owner(&call)?;
    let Some(data) = call.node.vault.plain_get(owner, call.param("path")).await? else { return Ok(Answer::missing()) };
    let data: &RawValue =
        serde_json::from_str(data.expose()).map_err(|_| Error::corrupt("a stored secret is no JSON"))?;
    // Vault says of KV v1 when to look again, of a cubbyhole nothing.
    let lease = if call.mount_is_kv() { look_again(&call, data) } else { Duration::ZERO };
    Ok(Answer::leased(&data, lease))
}

pub async fn delete(call: Call) -> Result<Answer> {
    if call.param("path").is_empty() && call.mount_is_kv() {
        return Ok(Answer::empty());
    }
    let done = call.node.vault.plain_delete(owner(&call)?, call.param("path")).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn list(call: Call) -> Result<Answer> {
    Ok(Answer::keys(page(&call, &call.node.vault.plain_list(owner(&call)?, call.param("path")).await?)?))
}

/// All paths below, however deep.
pub async fn scan(call: Call) -> Result<Answer> {
    Ok(scanned(&call.node.vault.plain_scan(owner(&call)?, call.param("path")).await?))
}

/// What the secret itself says by `ttl` or `lease`, else its mount, else the configuration.
fn look_again(call: &Call, data: &RawValue) -> Duration {
    let fields: Map<String, Value> = serde_json::from_str(data.get()).unwrap_or_default();
    let said = |name: &str| fields::duration(&fields, name).ok().flatten().filter(|ttl| !ttl.is_zero());
    let of_mount = || call.mount.as_ref().map(|mount| mount.config.default_ttl).filter(|ttl| !ttl.is_zero());
    said("ttl").or_else(|| said("lease")).or_else(of_mount).unwrap_or(call.node.config.leases.default_ttl)
}

/// The mount, where the path lies in one of KV v1; else the caller's cubbyhole.
fn owner(call: &Call) -> Result<Plain> {
    match call.mount.as_ref().filter(|_| call.mount_is_kv()) {
        Some(mount) => Ok(Plain::of_mount(mount.id)),
        None => Plain::cubbyhole(call.caller()?),
    }
}
