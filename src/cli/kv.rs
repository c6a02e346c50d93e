//! `twinkeep kv`: secrets of a KV mount.

use super::args::{At, Kv, KvDelete, KvGet, KvPath, KvPut};
use super::failure::{EXIT_SERVER, Failure};
use super::fields::fields;
use super::kv_place::Place;
use super::logical::{ask, change};
use super::output::{Output, json, key_values, plain, table, titled};
use super::{Context, kv_versions, logical};
use crate::api::kv::{ReadAnswer, VersionMetadata};
use crate::client::Logical;
use serde_json::Value;

pub async fn run(command: Kv, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        Kv::Put(put) => run_put(put, context).await,
        Kv::Get(get) => run_get(get, context).await,
        Kv::List(path) => run_list(path, context).await,
        Kv::Delete(delete) => run_delete(delete, context).await,
        Kv::Patch(patch) => kv_versions::patch(patch, context).await,
        Kv::Undelete(versions) => kv_versions::versions("undelete", versions, context).await,
        Kv::Destroy(versions) => kv_versions::versions("destroy", versions, context).await,
        Kv::Rollback(rollback) => kv_versions::rollback(rollback, context).await,
        Kv::Metadata(command) => kv_versions::metadata(command, context).await,
        Kv::EnableVersioning(enable) => kv_versions::enable_versioning(enable, context).await,
    }
}

async fn run_put(put: KvPut, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&put.path.connection)?;
    let fields = fields(&put.fields, context)?;
    let client = context.environment.client(&put.path.connection)?;
    let place = Place::of(&client, &put.path).await?;
    if place.is_plain() {
        let (path, body) = (place.in_plain(), Logical::Write(Value::Object(fields)));
        let done = format!("Success! Data written to: {path}");
        return change(&path, body, &put.path.connection, context, done).await;
    }
    let written = client.kv_put(&place.mount, &place.path, fields, put.cas).await.map_err(Failure::changed)?;
    Ok(Output::of_data(format, written, |metadata| {
        format!("{}\n\n{}", titled("Secret Path", &place.data()), version(metadata))
    }))
}

async fn run_get(get: KvGet, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&get.path.connection)?;
    let client = context.environment.client(&get.path.connection)?;
    let place = Place::of(&client, &get.path).await?;
    if place.is_plain() {
        let (path, connection) = (place.in_plain(), &get.path.connection);
        let secret = ask(&path, connection, context).await?;
        return logical::shown(secret, get.field.as_deref(), connection, context, "");
    }
    let secret = client
        .kv_get(&place.mount, &place.path, get.version)
        .await
        .map_err(Failure::asked)?
        .ok_or_else(|| Failure::server(format!("No value found at {}", place.data())))?;
    if let Some(field) = &get.field {
        let value = secret.data.as_ref().and_then(|data| data.get(field));
        let value = value.ok_or_else(|| Failure::local(format!("Field \"{field}\" not present in secret")))?;
        return Ok(Output::text(plain(value)));
    }
    // A version without data is shown, and told apart by the exit code.
    let exit = if secret.data.is_some() { 0 } else { EXIT_SERVER };
    let output = Output::of_data(format, secret, |secret| shown(&place, secret));
    Ok(Output { exit, ..output })
}

async fn run_list(path: KvPath, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&path.connection)?;
    let client = context.environment.client(&path.connection)?;
    let place = Place::of(&client, &path).await?;
    if place.is_plain() {
        let at = At { path: place.in_plain(), connection: path.connection };
        return logical::list(at, context).await;
    }
    let keys = client
        .kv_list(&place.mount, &place.path)
        .await
        .map_err(Failure::asked)?
        .ok_or_else(|| Failure::server(format!("No value found at {}", place.metadata())))?
        .keys;
    Ok(Output::of(format, &keys, |keys| {
        let rows: Vec<[String; 1]> = keys.iter().map(|key| [key.clone()]).collect();
        table(["Keys"], &rows)
    }))
}

async fn run_delete(delete: KvDelete, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&delete.path.connection)?;
    let client = context.environment.client(&delete.path.connection)?;
    let place = Place::of(&client, &delete.path).await?;
    if place.is_plain() {
        let path = place.in_plain();
        let done = format!("Success! Data deleted (if it existed) at: {path}");
        return change(&path, Logical::Delete, &delete.path.connection, context, done).await;
    }
    let deleted = if delete.versions.is_empty() {
        client.kv_delete(&place.mount, &place.path).await
    } else {
        client.kv_delete_versions(&place.mount, &place.path, &delete.versions).await
    };
    deleted.map_err(Failure::changed)?;
    Ok(Output::said(format, format!("Success! Data deleted (if it existed) at: {}", place.data())))
}

fn shown(place: &Place, secret: &ReadAnswer) -> String {
    let mut text = format!("{}\n\n{}", titled("Secret Path", &place.data()), version(&secret.metadata));
    if let Some(data) = &secret.data {
        let rows: Vec<[String; 2]> = data.iter().map(|(key, value)| [key.clone(), plain(value)]).collect();
        text.push_str(&format!("\n\n{}", titled("Data", &table(["Key", "Value"], &rows))));
    }
    text
}

fn version(metadata: &VersionMetadata) -> String {
    let custom = metadata.custom_metadata.as_ref().map_or_else(|| "<nil>".to_owned(), json);
    let deletion = if metadata.deletion_time.is_empty() { "n/a".to_owned() } else { metadata.deletion_time.clone() };
    let body = key_values(&[
        ("created_time", metadata.created_time.clone()),
        ("custom_metadata", custom),
        ("deletion_time", deletion),
        ("destroyed", metadata.destroyed.to_string()),
        ("version", metadata.version.to_string()),
    ]);
    titled("Metadata", &body)
}
