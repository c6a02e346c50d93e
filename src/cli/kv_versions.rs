//! `twinkeep kv`: patch, undelete, destroy, rollback, metadata, and a mount's change to KV version 2.

use super::Context;
use super::args::{KvEnableVersioning, KvMetadata, KvMetadataPut, KvPatch, KvRollback, KvVersions};
use super::failure::Failure;
use super::fields::fields;
use super::kv_place::Place;
use super::logical::{change, pairs, shown};
use super::output::{Output, key_values, plain, table, titled};
use crate::client::Logical;
use serde_json::{Map, Value, json};

pub async fn patch(patch: KvPatch, context: &mut Context<'_>) -> Result<Output, Failure> {
    let fields = fields(&patch.fields, context)?;
    let client = context.environment.client(&patch.path.connection)?;
    let place = Place::versioned(&client, &patch.path).await?;
    let mut body = json!({ "data": fields });
    if let Some(cas) = patch.cas {
        body["options"] = json!({ "cas": cas });
    }
    let sent = client.logical(&place.data(), &[], Logical::Patch(body), None).await.map_err(Failure::changed)?;
    let answer = sent.ok_or_else(|| Failure::server(format!("No value found at {}", place.data())))?;
    shown(answer, None, &patch.path.connection, context, "")
}

/// `undelete` and `destroy`.
pub async fn versions(what: &str, given: KvVersions, context: &mut Context<'_>) -> Result<Output, Failure> {
    let client = context.environment.client(&given.path.connection)?;
    let place = Place::versioned(&client, &given.path).await?;
    let path = format!("{}/{what}/{}", place.mount, place.path);
    let done = match what {
        "destroy" => format!("Success! Data destroyed (if it existed) at: {path}"),
        _ => format!("Success! Data written to: {path}"),
    };
    let body = json!({ "versions": given.versions });
    change(&path, Logical::Write(body), &given.path.connection, context, done).await
}

pub async fn rollback(rollback: KvRollback, context: &mut Context<'_>) -> Result<Output, Failure> {
    let client = context.environment.client(&rollback.path.connection)?;
    let place = Place::versioned(&client, &rollback.path).await?;
    let missing = || Failure::server(format!("No value found at {}", place.data()));
    let read = |version| client.kv_get(&place.mount, &place.path, version);
    let newest = read(None).await.map_err(Failure::asked)?.ok_or_else(missing)?.metadata.version;
    let old = read(Some(rollback.version)).await.map_err(Failure::asked)?.ok_or_else(missing)?;
    let gone = || Failure::server(format!("Version {} is deleted or destroyed: its data is gone", rollback.version));
    let body = json!({ "data": old.data.ok_or_else(gone)?, "options": { "cas": newest } });
    let sent = client.logical(&place.data(), &[], Logical::Write(body), None).await.map_err(Failure::changed)?;
    shown(sent.ok_or_else(missing)?, None, &rollback.path.connection, context, "")
}

pub async fn metadata(command: KvMetadata, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        KvMetadata::Get(path) => {
            let format = context.environment.format(&path.connection)?;
            let client = context.environment.client(&path.connection)?;
            let place = Place::versioned(&client, &path).await?;
            let found = client.logical(&place.metadata(), &[], Logical::Read, None).await.map_err(Failure::asked)?;
            let found = found.ok_or_else(|| Failure::server(format!("No value found at {}", place.metadata())))?;
            Ok(Output::of(format, &found, |found| settings(&place, &found["data"])))
        }
        KvMetadata::Put(put) => put_metadata(put, context).await,
        KvMetadata::Delete(path) => {
            let client = context.environment.client(&path.connection)?;
            let place = Place::versioned(&client, &path).await?;
            let done = format!("Success! Data deleted (if it existed) at: {}", place.metadata());
            change(&place.metadata(), Logical::Delete, &path.connection, context, done).await
        }
    }
}

async fn put_metadata(put: KvMetadataPut, context: &mut Context<'_>) -> Result<Output, Failure> {
    let client = context.environment.client(&put.path.connection)?;
    let place = Place::versioned(&client, &put.path).await?;
    let mut body = Map::new();
    let given = [
        ("max_versions", put.max_versions.map(Value::from)),
        ("cas_required", put.cas_required.map(Value::from)),
        ("delete_version_after", put.delete_version_after.map(Value::from)),
    ];
    body.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let custom: Map<String, Value> =
        pairs(&put.custom_metadata)?.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    if !custom.is_empty() {
        body.insert("custom_metadata".into(), custom.into());
    }
    let done = format!("Success! Data written to: {}", place.metadata());
    change(&place.metadata(), Logical::Write(body.into()), &put.path.connection, context, done).await
}

pub async fn enable_versioning(enable: KvEnableVersioning, context: &mut Context<'_>) -> Result<Output, Failure> {
    let path = enable.path.trim_matches('/');
    let done = format!("Success! Tuned the secrets engine at: {path}/");
    let body = json!({ "options": { "version": "2" } });
    change(&format!("sys/mounts/{path}/tune"), Logical::Write(body), &enable.connection, context, done).await
}

fn settings(place: &Place, data: &Value) -> String {
    let names = ["cas_required", "created_time", "current_version", "custom_metadata", "delete_version_after"];
    let more = ["max_versions", "oldest_version", "updated_time"];
    let rows: Vec<(&str, String)> = names.into_iter().chain(more).map(|name| (name, plain(&data[name]))).collect();
    let mut versions: Vec<(u64, &Value)> = data["versions"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(number, version)| Some((number.parse().ok()?, version)))
        .collect();
    versions.sort_unstable_by_key(|(number, _)| *number);
    let rows_of = |(number, version): &(u64, &Value)| {
        let deleted = plain(&version["deletion_time"]);
        let deleted = if deleted.is_empty() { "n/a".to_owned() } else { deleted };
        [number.to_string(), plain(&version["created_time"]), deleted, plain(&version["destroyed"])]
    };
    let versions: Vec<[String; 4]> = versions.iter().map(rows_of).collect();
    let versions = table(["Version", "Created", "Deleted", "Destroyed"], &versions);
    let head = titled("Metadata Path", &place.metadata());
    format!("{head}\n\n{}\n\n{}", titled("Metadata", &key_values(&rows)), titled("Versions", &versions))
}
