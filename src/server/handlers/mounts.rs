//! What is mounted where, and how it is tuned.

use super::{auth_methods, fields, written};
use crate::api::mounts::{Mount, MountConfig, Mounts};
use crate::error::{Error, Result};
use crate::secrets::{self, Listing, MountConfigChange, MountRequest, MountTuning, Table};
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::moves::Move;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The kind of the one way to log in.
const TOKEN_KIND: &str = "token";
/// What it makes, as Vault says it.
const TOKEN_TYPE: &str = "default-service";
/// What Vault says of a move, which here is done when it is said.
const MOVED: &str = "Mount move has been queued. Progress will be reported in the server's log, tagged with the returned \
                     migration_id";

pub async fn list(call: Call) -> Result<Answer> {
    Ok(Answer::data_and_top(&table(&call, Table::Secret).await?))
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
    let config = match body.get("config") {
        Some(Value::Object(config)) => config.clone(),
        Some(other) if !fields::is_nothing(other) => return Err(Error::invalid("`config` must be an object")),
        _ => Map::new(),
    };
    for fields in [&body, &config] {
        expect_own_version(fields, &fields::text(&body, "type")?)?;
    }
    let mut options = options(&body)?.unwrap_or_default();
    // An older place of the version.
    if let Some(version) = config.get("version").and_then(Value::as_str) {
        options.entry("version".into()).or_insert_with(|| version.to_owned());
    }
    let request = MountRequest {
        kind: fields::text(&body, "type")?,
        description: fields::text(&body, "description")?,
        options,
        local: fields::flag(&body, "local")?.unwrap_or(false),
        seal_wrap: fields::flag(&body, "seal_wrap")?.unwrap_or(false),
        external_entropy: fields::flag(&body, "external_entropy_access")?.unwrap_or(false),
        config: config_change(&config)?,
    };
    let done = call.node.vault.mount_enable(&path, request).await?;
    Ok(written(Answer::empty(), done.position))
}

async fn tune(call: &Call, path: &str) -> Result<Answer> {
    let body = call.object()?;
    if !fields::text(&body, "token_type")?.is_empty() {
        return Err(Error::invalid("'token_type' can only be modified on auth mounts"));
    }
    let kind = find(call, Table::Secret, path).await?.map(|mount| mount.kind);
    expect_own_version(&body, kind.as_deref().unwrap_or_default())?;
    let done = call.node.vault.mount_tune(path, tuning_of(&body)?).await?;
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
    let id = call.node.moves.add(Move { from: with_slash(&from), to: with_slash(&to) });
    let answer = Answer::data_and_top(&json!({ "migration_id": id })).with_warning(MOVED).await?;
    Ok(written(answer, done.position))
}

pub async fn remount_status(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let Some(Move { from, to }) = call.node.moves.get(id) else { return Ok(Answer::missing()) };
    let info = json!({ "source_mount": from, "target_mount": to, "status": "success" });
    Ok(Answer::data_and_top(&json!({ "migration_id": id, "migration_info": info })))
}

fn with_slash(path: &str) -> String {
    format!("{}/", path.trim_matches('/'))
}

/// Whatever a change left to do, as long as the request may take; the leader's housekeeping goes on after it.
async fn finish(call: &Call) -> Result<()> {
    while call.node.vault.tidy_mounts().await? {}
    Ok(())
}

pub async fn find(call: &Call, of: Table, path: &str) -> Result<Option<secrets::Mount>> {
    let path = with_slash(path);
    Ok(call.node.vault.mounts(of)?.into_iter().find(|mount| mount.path == path))
}

/// What a tuning's body asks for. As in Vault, an empty description is one.
pub fn tuning_of(body: &Map<String, Value>) -> Result<MountTuning> {
    let said = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    Ok(MountTuning {
        description: said("description").then(|| fields::text(body, "description")).transpose()?,
        options: options(body)?,
        config: config_change(body)?,
    })
}

fn config_change(config: &Map<String, Value>) -> Result<MountConfigChange> {
    let listing = match config.get("listing_visibility") {
        None | Some(Value::Null) => None,
        Some(_) => Some(Listing::from_name(&fields::text(config, "listing_visibility")?)?),
    };
    Ok(MountConfigChange {
        default_ttl: lease(config, "default_lease_ttl")?,
        max_ttl: lease(config, "max_lease_ttl")?,
        force_no_cache: fields::flag(config, "force_no_cache")?,
        listing,
        audit_request_keys: fields::names(config, "audit_non_hmac_request_keys")?,
        audit_response_keys: fields::names(config, "audit_non_hmac_response_keys")?,
        passthrough_request_headers: fields::names(config, "passthrough_request_headers")?,
        allowed_response_headers: fields::names(config, "allowed_response_headers")?,
    })
}

/// `system` stands for the region's own.
fn lease(config: &Map<String, Value>, name: &str) -> Result<Option<Duration>> {
    match config.get(name) {
        Some(Value::String(text)) if text == "system" => Ok(Some(Duration::ZERO)),
        _ => fields::duration(config, name),
    }
}

/// There is one version of every engine: the one built in.
fn expect_own_version(fields: &Map<String, Value>, kind: &str) -> Result<()> {
    match fields::text(fields, "plugin_version")? {
        version if version.is_empty() || version == built_in_version() => Ok(()),
        version => Err(Error::invalid(format!("plugin not found in the catalog: {kind}, version={version}"))),
    }
}

/// What Vault calls the version of an engine that comes with it.
pub fn built_in_version() -> String {
    format!("v{}+builtin.twinkeep", env!("CARGO_PKG_VERSION"))
}

fn options(body: &Map<String, Value>) -> Result<Option<BTreeMap<String, String>>> {
    let options = match body.get("options") {
        Some(Value::Object(options)) => options,
        // One `name=value`, or a list of them.
        Some(Value::String(pair)) => return pairs([pair.as_str().into()].iter()).map(Some),
        Some(Value::Array(listed)) => return pairs(listed.iter()).map(Some),
        _ => return Ok(None),
    };
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(Error::invalid("`options` must be an object of strings")),
    };
    options.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect::<Result<_>>().map(Some)
}

fn pairs<'a>(listed: impl Iterator<Item = &'a Value>) -> Result<BTreeMap<String, String>> {
    let wrong = || Error::invalid("`options` must be an object of strings, or a list of `name=value`");
    let pair = |value: &Value| {
        let (name, value) = value.as_str()?.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    listed.map(|value| pair(value).ok_or_else(wrong)).collect()
}

pub fn tuning(call: &Call, mount: &secrets::Mount) -> Value {
    let leases = call.node.config.leases;
    let or = |own: Duration, default: Duration| if own.is_zero() { default } else { own }.as_secs();
    let mut shown = json!(config_shown(mount));
    shown["default_lease_ttl"] = or(mount.config.default_ttl, leases.default_ttl).into();
    shown["max_lease_ttl"] = or(mount.config.max_ttl, leases.max_ttl).into();
    shown["description"] = json!(mount.description);
    if mount.external_entropy {
        shown["external_entropy_access"] = true.into();
    }
    if !mount.options.is_empty() {
        shown["options"] = json!(mount.options);
    }
    shown
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
        // As in Vault: what is built in has none.
        options: mount.is_engine().then(|| mount.options.clone()),
        local: mount.local,
        seal_wrap: mount.seal_wrap,
        external_entropy_access: mount.external_entropy,
        config: config_shown(mount),
        deprecation_status: mount.is_engine().then(|| "supported".to_owned()),
        running_plugin_version: built_in_version(),
        uuid: mount.id.to_string(),
        ..Mount::default()
    }
}

fn config_shown(mount: &secrets::Mount) -> MountConfig {
    let config = mount.config.clone();
    MountConfig {
        default_lease_ttl: config.default_ttl.as_secs(),
        max_lease_ttl: config.max_ttl.as_secs(),
        force_no_cache: config.force_no_cache,
        listing_visibility: config.listing.map(|listing| listing.name().to_owned()),
        audit_non_hmac_request_keys: config.audit_request_keys,
        audit_non_hmac_response_keys: config.audit_response_keys,
        passthrough_request_headers: config.passthrough_request_headers,
        allowed_response_headers: config.allowed_response_headers,
        token_type: (mount.kind == TOKEN_KIND).then(|| TOKEN_TYPE.to_owned()),
    }
}
