//! KV version 2. The data of a secret passes through as the text that the client sent: no number loses a digit.

use super::{fields, no_route, written};
use crate::api::kv::{Config, ConfigRequest, Metadata, MetadataRequest, ReadAnswer, VersionMetadata, VersionState};
use crate::duration;
use crate::error::{Error, Result};
use crate::secrets::kv::data::cas_mismatch;
use crate::secrets::kv::details::cas_mismatch as metadata_cas_mismatch;
use crate::secrets::kv::{
    CustomMetadataChange, DeleteVersionAfter, KvConfigChange, KvFound, KvMetadata, KvMetadataChange, KvPatched,
    KvVersion,
};
use crate::secrets::{KvKind, MountId};
use crate::sensitive::SensitiveString;
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::request::{Verb, parse_body};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const MERGE_PATCH: &str = "application/merge-patch+json";

/// A write's fields, the data still as text. Of a name given twice the last one counts.
type Write = BTreeMap<String, Box<RawValue>>;

/// A read's answer, the data as the text that was written.
#[derive(Serialize)]
struct Live<'a> {
    data: &'a RawValue,
    metadata: VersionMetadata,
}

pub async fn write(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let (data, cas) = write_request(&call)?;
    let done = call.node.vault.kv_put(mount, call.param("path"), data, cas).await?;
    Ok(written(Answer::data(&version_metadata(done.value)), done.position))
}

pub async fn patch(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    if let Some(answer) = unless_merge_patch(&call) {
        return Ok(answer);
    }
    let (data, cas) = write_request(&call)?;
    let done = call.node.vault.kv_patch(mount, call.param("path"), data, cas).await?;
    Ok(match done.value {
        KvPatched::Done(version) => written(Answer::data(&version_metadata(version)), done.position),
        // As Vault has it, without the data that a read would show as null.
        KvPatched::Gone(version) => Answer::data(&version_metadata(version)).with_status(404),
        KvPatched::Missing => Answer::missing(),
    })
}

pub async fn read(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    match call.node.vault.kv_get(mount, call.param("path"), call.query.number("version")?).await? {
        KvFound::Live { data, version } => {
            let data: &RawValue =
                serde_json::from_str(data.expose()).map_err(|_| Error::corrupt("a stored secret is no JSON"))?;
            Ok(Answer::data(&Live { data, metadata: version_metadata(version) }))
        }
        KvFound::Gone(version) => Ok(gone(version)),
        KvFound::Missing => Ok(Answer::missing()),
    }
}

/// The names of the fields, without their values: `?depth=N` goes no deeper.
pub async fn subkeys(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let depth = call.query.number::<usize>("depth")?.unwrap_or(0);
    match call.node.vault.kv_get(mount, call.param("path"), call.query.number("version")?).await? {
        KvFound::Live { data, version } => {
            let data: Value =
                serde_json::from_str(data.expose()).map_err(|_| Error::corrupt("a stored secret is no JSON"))?;
            let subkeys = without_values(&data, depth, 0);
            Ok(Answer::data(&json!({ "metadata": version_metadata(version), "subkeys": subkeys })))
        }
        KvFound::Gone(version) => {
            let metadata = version_metadata(version);
            Ok(Answer::data(&json!({ "metadata": metadata, "subkeys": null })).with_status(404))
        }
        KvFound::Missing => Ok(Answer::missing()),
    }
}

fn without_values(value: &Value, depth_max: usize, depth: usize) -> Value {
    match value {
        Value::Object(fields) if !fields.is_empty() && (depth_max == 0 || depth < depth_max) => {
            let names = fields.iter().map(|(name, value)| (name.clone(), without_values(value, depth_max, depth + 1)));
            Value::Object(names.collect())
        }
        Value::Object(fields) if fields.is_empty() && depth == 0 => Value::Object(Map::new()),
        _ => Value::Null,
    }
}

pub async fn delete_newest(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let done = call.node.vault.kv_delete_latest(mount, call.param("path")).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn delete_versions(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let done = call.node.vault.kv_delete(mount, call.param("path"), versions(&call)?).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn undelete(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let done = call.node.vault.kv_undelete(mount, call.param("path"), versions(&call)?).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn destroy(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let done = call.node.vault.kv_destroy(mount, call.param("path"), versions(&call)?).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn read_metadata(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let found = call.node.vault.kv_metadata(mount, call.param("path")).await?;
    Ok(found.map_or_else(Answer::missing, |metadata| Answer::data(&shown(metadata))))
}

pub async fn write_metadata(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let is_patch = call.verb == Verb::Patch;
    if is_patch && let Some(answer) = unless_merge_patch(&call) {
        return Ok(answer);
    }
    let change = metadata_change(&call, is_patch)?;
    if change.is_nothing() {
        return Ok(Answer::empty());
    }
    let path = call.param("path");
    let mandated = mandated(&call, mount, &change).await?;
    let done = if is_patch {
        call.node.vault.kv_patch_metadata(mount, path, change).await?
    } else {
        call.node.vault.kv_put_metadata(mount, path, change).await?.map(|()| true)
    };
    if !done.value {
        return Ok(Answer::missing());
    }
    let answer = if mandated.is_empty() { Answer::empty() } else { Answer::warnings(&mandated) };
    Ok(written(answer, done.position))
}

/// Vault's words to who asks for less than the mount does.
async fn mandated(call: &Call, mount: MountId, change: &KvMetadataChange) -> Result<Vec<String>> {
    let config = call.node.vault.kv_config(mount).await?;
    let asked = [
        ("cas_required", change.cas_required, config.cas_required),
        ("metadata_cas_required", change.metadata_cas_required, config.metadata_cas_required),
    ];
    let less = asked.into_iter().filter(|(_, asked, mandated)| *asked == Some(false) && *mandated);
    let words =
        |name| format!("\"{name}\" set to false, but is mandated by backend config. This value will be ignored.");
    Ok(less.map(|(name, ..)| words(name)).collect())
}

pub async fn delete_metadata(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let done = call.node.vault.kv_delete_metadata(mount, call.param("path")).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn read_config(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let config = call.node.vault.kv_config(mount).await?;
    Ok(Answer::data(&Config {
        cas_required: config.cas_required,
        delete_version_after: match config.delete_version_after {
            DeleteVersionAfter::Unset => duration::go(Duration::ZERO),
            DeleteVersionAfter::Disabled => "-1s".into(),
            DeleteVersionAfter::After(after) => duration::go(after),
        },
        max_versions: config.max_versions.into(),
        metadata_cas_required: config.metadata_cas_required,
    }))
}

pub async fn write_config(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let request: ConfigRequest = call.json()?;
    let after = |value: Value| match value.as_str() {
        Some(text) if text.starts_with('-') => Ok(DeleteVersionAfter::Disabled),
        Some("") => Ok(DeleteVersionAfter::Unset),
        _ => duration::from_json(&value).map(|after| match after {
            Duration::ZERO => DeleteVersionAfter::Unset,
            after => DeleteVersionAfter::After(after),
        }),
    };
    let change = KvConfigChange {
        max_versions: request.max_versions.map(|value| fields::value_number(&value, "max_versions")).transpose()?,
        cas_required: flag(&request.cas_required, "cas_required")?,
        metadata_cas_required: flag(&request.metadata_cas_required, "metadata_cas_required")?,
        delete_version_after: request.delete_version_after.map(after).transpose()?,
    };
    let done = call.node.vault.kv_configure(mount, change).await?;
    Ok(written(Answer::empty(), done.position))
}

/// The mount, if it is of KV version 2: the only kind that these routes are for.
pub fn kv2(call: &Call) -> Option<MountId> {
    // Of the root of `data` or `metadata` only the names below it can be asked for.
    let lists = matches!(call.verb, Verb::List | Verb::Scan);
    let named = lists || call.path.ends_with("/config") || !call.param("path").is_empty();
    call.mount.as_ref().filter(|mount| named && mount.kv() == Some(KvKind::Versioned)).map(|mount| mount.id)
}

fn unless_merge_patch(call: &Call) -> Option<Answer> {
    let right = call.header("content-type").is_some_and(|given| given.to_ascii_lowercase().starts_with(MERGE_PATCH));
    let given = call.header("content-type").unwrap_or_default();
    (!right).then(|| Answer::error(415, &format!("PATCH requires Content-Type of {MERGE_PATCH}, provided {given}")))
}

fn write_request(call: &Call) -> Result<(SensitiveString, Option<u64>)> {
    // Checks the form of the body and says what is wrong with it.
    let body = parse_body(&call.headers, &call.body)?;
    if body.get("options").is_some_and(|options| !options.is_object() && !fields::is_nothing(options)) {
        return Err(Error::invalid("`options` must be an object"));
    }
    let no_data = || Error::invalid("no data provided");
    let mut write: Write = serde_json::from_slice(&call.body).map_err(|_| no_data())?;
    let data = match write.remove("data").filter(|_| !body.get("data").is_none_or(fields::is_nothing)) {
        Some(data) => Box::<str>::from(data).into_string(),
        // Vault takes a version of nothing at all.
        None if call.verb == Verb::Write && body.get("data").is_some() => "{}".to_owned(),
        None => return Err(no_data()),
    };
    if !data.starts_with('{') {
        return Err(Error::invalid("`data` must be an object"));
    }
    let given = body.get("options").and_then(|options| options.get("cas"));
    let cas = cas(given, "error parsing check-and-set parameter")?;
    let cas = cas.map(|cas| cas.ok_or_else(cas_mismatch)).transpose()?;
    Ok((SensitiveString::new(data), cas))
}

/// The number that a client expects; the inner `None` is one that nothing has. To say `null` is to say 0, as in Vault:
/// whoever names a version, even by mistake, must not overwrite another.
fn cas(given: Option<&Value>, wrong: &str) -> Result<Option<Option<u64>>> {
    let Some(given) = given else { return Ok(None) };
    let parsed = if given.is_null() { Some(0) } else { given.as_i64().or_else(|| given.as_str()?.trim().parse().ok()) };
    let number = parsed.ok_or_else(|| Error::invalid(wrong))?;
    Ok(Some(u64::try_from(number).ok()))
}

fn flag(given: &Option<Value>, name: &str) -> Result<Option<bool>> {
    given.as_ref().map(|value| fields::value_flag(value, name)).transpose()
}

fn versions(call: &Call) -> Result<Vec<u64>> {
    // Numbers, numbers as strings, one alone, or a text with commas.
    let given = match call.object()?.remove("versions") {
        Some(Value::Array(versions)) => versions,
        Some(Value::String(text)) => text.split(',').map(Value::from).collect(),
        Some(version @ Value::Number(_)) => vec![version],
        _ => Vec::new(),
    };
    if given.is_empty() {
        return Err(Error::invalid("No version number provided"));
    }
    given.iter().map(|version| fields::value_number(version, "versions")).collect()
}

fn metadata_change(call: &Call, is_patch: bool) -> Result<KvMetadataChange> {
    // PATCH removes what is null, which the type of a plain write can't tell from what is missing.
    let body = parse_body(&call.headers, &call.body)?;
    let custom = match body.get("custom_metadata") {
        None => None,
        Some(Value::Null) => Some(CustomMetadataChange::Clear),
        Some(value) => {
            let wrong = |_| Error::invalid("`custom_metadata` must be an object of strings");
            let value = if fields::is_nothing(value) { json!({}) } else { value.clone() };
            let given: BTreeMap<String, Value> = serde_json::from_value(value).map_err(wrong)?;
            let text = |value: Value| match value {
                // A key with nothing, which no secret has.
                Value::Null if !is_patch => Ok(Some(String::new())),
                Value::Null => Ok(None),
                Value::String(text) => Ok(Some(text)),
                Value::Number(_) | Value::Bool(_) if !is_patch => Ok(Some(value.to_string())),
                Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    Err(Error::invalid("`custom_metadata` must be an object of strings"))
                }
            };
            let pairs: BTreeMap<String, Option<String>> =
                given.into_iter().map(|(name, value)| Ok((name, text(value)?))).collect::<Result<_>>()?;
            Some(if is_patch {
                CustomMetadataChange::Merge(pairs)
            } else {
                CustomMetadataChange::Replace(pairs.into_iter().filter_map(|(k, v)| Some((k, v?))).collect())
            })
        }
    };
    let metadata_cas = cas(body.get("metadata_cas"), "error parsing metadata check-and-set parameter")?;
    let metadata_cas = metadata_cas.map(|cas| cas.ok_or_else(metadata_cas_mismatch)).transpose()?;
    let mut rest = body;
    if let Some(fields) = rest.as_object_mut() {
        fields.remove("custom_metadata");
        // A patch takes a setting back with null.
        let unset = [
            ("max_versions", json!(0)),
            ("cas_required", json!(false)),
            ("metadata_cas_required", json!(false)),
            ("delete_version_after", json!(0)),
        ];
        for (name, default) in unset.into_iter().filter(|_| is_patch) {
            if fields.get(name).is_some_and(Value::is_null) {
                fields.insert(name.to_owned(), default);
            }
        }
    }
    let request: MetadataRequest = serde_json::from_value(rest)
        .map_err(|_| Error::invalid("the body does not have the fields and types of a secret's metadata"))?;
    let after = request.delete_version_after.filter(|value| *value != Value::String(String::new()));
    Ok(KvMetadataChange {
        max_versions: request.max_versions.map(|value| fields::value_number(&value, "max_versions")).transpose()?,
        cas_required: flag(&request.cas_required, "cas_required")?,
        metadata_cas_required: flag(&request.metadata_cas_required, "metadata_cas_required")?,
        metadata_cas,
        delete_version_after: after.as_ref().map(duration::from_json).transpose()?,
        custom_metadata: custom,
    })
}

/// 404, with what is known of the version.
fn gone(version: KvVersion) -> Answer {
    Answer::data(&ReadAnswer { data: None, metadata: version_metadata(version) }).with_status(404)
}

fn version_metadata(version: KvVersion) -> VersionMetadata {
    VersionMetadata {
        created_time: version.created.rfc3339(),
        custom_metadata: version.custom_metadata,
        deletion_time: version.deletion.map(|at| at.rfc3339()).unwrap_or_default(),
        destroyed: version.destroyed,
        version: version.version,
    }
}

pub fn shown(metadata: KvMetadata) -> Metadata {
    let versions = metadata.versions.iter().map(|(number, info)| {
        let state = VersionState {
            created_time: info.created.rfc3339(),
            deletion_time: info.deletion.map(|at| at.rfc3339()).unwrap_or_default(),
            destroyed: info.destroyed,
        };
        (*number, state)
    });
    Metadata {
        cas_required: metadata.cas_required,
        created_time: metadata.created.rfc3339(),
        current_metadata_version: metadata.metadata_version,
        current_version: metadata.current_version,
        custom_metadata: metadata.custom_metadata.clone(),
        delete_version_after: duration::go(metadata.delete_version_after),
        max_versions: metadata.max_versions.into(),
        metadata_cas_required: metadata.metadata_cas_required,
        oldest_version: metadata.oldest_version,
        updated_time: metadata.updated.rfc3339(),
        versions: versions.collect(),
    }
}
