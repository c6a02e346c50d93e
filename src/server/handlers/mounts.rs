//! What is mounted where, and the preflight of Vault's CLI.

use super::{auth_methods, fields, written};
use crate::api::mounts::{Mount, MountConfig, MountPreflight, Mounts};
use crate::error::{Error, Result};
use crate::secrets::{self, MountRequest, MountTuning, Table};
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The kind of the one way to log in.
const TOKEN_KIND: &str = "token";
/// What it makes, as Vault says it.
pub const TOKEN_TYPE: &str = "default-service";

pub async fn list(call: Call) -> Result<Answer> {
    Ok(Answer::data_and_top(&table(&call, Table::Secret).await?))
}

/// Those in which the caller may do anything at all.
pub async fn ui_mounts(call: Call) -> Result<Answer> {
    let acl = &call.caller()?.acl;
    let (mut secret, mut auth) = (table(&call, Table::Secret).await?, table(&call, Table::Auth).await?);
    secret.retain(|path, _| acl.sees(path));
    auth.retain(|path, _| acl.sees(&format!("auth/{path}")));
    Ok(Answer::data(&json!({ "secret": secret, "auth": auth })))
}

/// Where there is no mount, or none that the caller may see, the answer is 403: the CLI would take 404 for KV version 1.
pub async fn preflight(call: Call) -> Result<Answer> {
    let path = call.param("path");
    let acl = &call.caller()?.acl;
    let found = call.node.vault.mount_of(path)?;
    let Some((mount, _)) = found.filter(|(mount, _)| acl.sees(&mount.route())) else {
        let text = format!(
            "preflight capability check returned 403, please ensure client's policies grant access to path \"{path}/\""
        );
        return Ok(Answer::error(403, &text));
    };
    Ok(Answer::data(&MountPreflight { path: mount.path.clone(), mount: shown(&mount) }))
}

pub async fn read(call: Call) -> Result<Answer> {
    let path = call.param("path").to_owned();
    // A mount may itself end in `tune`: what is mounted there comes first.
    if let Some(mount) = find(&call, Table::Secret, &path).await? {
        return Ok(Answer::data_and_top(&shown(&mount)));
    }
    if let Some(of) = path.strip_suffix("/tune") {
        return match find(&call, Table::Secret, of).await? {
            Some(mount) => Ok(Answer::data_and_top(&tuning(&call, &mount))),
            None => match of.strip_prefix("auth/") {
                Some(auth) => auth_methods::read_tuning(&call, auth).await,
                None => Err(Error::invalid(format!("cannot fetch sysview for path \"{of}/\""))),
            },
        };
    }
    Err(Error::invalid(format!("No secret engine mount at {path}/")))
}

/// Enables an engine, or tunes one: the path tells.
pub async fn write(call: Call) -> Result<Answer> {
    let path = call.param("path").to_owned();
    if let Some(of) = path.strip_suffix("/tune") {
        return match of.strip_prefix("auth/") {
            Some(auth) => auth_methods::tune(&call, auth).await,
            None => tune(&call, of).await,
        };
    }
    let body = call.object()?;
    if fields::flag(&body, "local")?.unwrap_or(false) {
        return Err(Error::invalid("a mount that is kept out of replication is not supported: leave `local` out"));
    }
    let config = body.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut options = options(&body)?.unwrap_or_default();
    // An older place of the version.
    if let Some(version) = config.get("version").and_then(Value::as_str) {
        options.entry("version".into()).or_insert_with(|| version.to_owned());
    }
    let request = MountRequest {
        kind: fields::text(&body, "type")?,
        description: fields::text(&body, "description")?,
        options,
        default_ttl: fields::duration(&config, "default_lease_ttl")?.unwrap_or_default(),
        max_ttl: fields::duration(&config, "max_lease_ttl")?.unwrap_or_default(),
    };
    let done = call.node.vault.mount_enable(&path, request).await?;
    Ok(written(Answer::empty(), done.position))
}

async fn tune(call: &Call, path: &str) -> Result<Answer> {
    let body = call.object()?;
    // Empty texts stand for nothing, as Vault's command line sends them.
    let description = Some(fields::text(&body, "description")?).filter(|text| !text.is_empty());
    let tuning = MountTuning {
        description,
        options: options(&body)?,
        default_ttl: fields::duration(&body, "default_lease_ttl")?,
        max_ttl: fields::duration(&body, "max_lease_ttl")?,
    };
    let done = call.node.vault.mount_tune(path, tuning).await?;
    if !done.value {
        return Ok(written(Answer::empty(), done.position));
    }
    finish(call).await?;
    let text = "Upgrading mount from version 1 to version 2. This mount will be unavailable for a brief period and will \
                resume service shortly.";
    Ok(written(Answer::warning(text), done.position))
}

pub async fn disable(call: Call) -> Result<Answer> {
    let done = call.node.vault.mount_disable(call.param("path")).await?;
    finish(&call).await?;
    Ok(written(Answer::empty(), done.position))
}

/// Moves a mount before it answers: clients look right after.
pub async fn remount(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let (from, to) = (fields::text(&body, "from")?, fields::text(&body, "to")?);
    if from.is_empty() || to.is_empty() {
        return Err(Error::invalid("both 'from' and 'to' path must be specified as a string"));
    }
    let done = call.node.vault.mount_move(&from, &to).await?;
    // All that there is to know of a move that is done.
    let id = hex::encode(format!("{}\n{}", from.trim_matches('/'), to.trim_matches('/')));
    Ok(written(Answer::data_and_top(&json!({ "migration_id": id })), done.position))
}

pub async fn remount_status(call: Call) -> Result<Answer> {
    let id = call.param("id").to_owned();
    let named = hex::decode(&id).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((from, to)) = named.as_ref().and_then(|named| named.split_once('\n')) else {
        return Ok(Answer::missing());
    };
    let info = json!({ "source_mount": format!("{from}/"), "target_mount": format!("{to}/"), "status": "success" });
    Ok(Answer::data_and_top(&json!({ "migration_id": id, "migration_info": info })))
}

/// Whatever a change left to do, as long as the request may take; the leader's housekeeping goes on after it.
async fn finish(call: &Call) -> Result<()> {
    while call.node.vault.tidy_mounts().await? {}
    Ok(())
}

pub async fn find(call: &Call, of: Table, path: &str) -> Result<Option<secrets::Mount>> {
    let path = format!("{}/", path.trim_matches('/'));
    Ok(call.node.vault.mounts(of)?.into_iter().find(|mount| mount.path == path))
}

fn options(body: &Map<String, Value>) -> Result<Option<BTreeMap<String, String>>> {
    let Some(Value::Object(options)) = body.get("options") else { return Ok(None) };
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Error::invalid("`options` must be an object of strings")),
    };
    options.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect::<Result<_>>().map(Some)
}

pub fn tuning(call: &Call, mount: &secrets::Mount) -> Value {
    let leases = call.node.config.leases;
    let or = |own: Duration, default: Duration| if own.is_zero() { default } else { own }.as_secs();
    json!({
        "default_lease_ttl": or(mount.default_ttl, leases.default_ttl),
        "max_lease_ttl": or(mount.max_ttl, leases.max_ttl),
        "description": mount.description,
        "force_no_cache": false,
        "options": mount.options,
    })
}

pub async fn table(call: &Call, table: Table) -> Result<Mounts> {
    let mounts = call.node.vault.mounts(table)?;
    Ok(mounts.iter().map(|mount| (mount.path.clone(), shown(mount))).collect())
}

pub fn shown(mount: &secrets::Mount) -> Mount {
    Mount {
        kind: mount.kind.clone(),
        description: mount.description.clone(),
        accessor: mount.accessor.clone(),
        options: (!mount.options.is_empty()).then(|| mount.options.clone()),
        local: mount.local,
        config: MountConfig {
            default_lease_ttl: mount.default_ttl.as_secs(),
            max_lease_ttl: mount.max_ttl.as_secs(),
            force_no_cache: false,
            token_type: (mount.kind == TOKEN_KIND).then(|| TOKEN_TYPE.to_owned()),
        },
        uuid: mount.id.to_string(),
        ..Mount::default()
    }
}
