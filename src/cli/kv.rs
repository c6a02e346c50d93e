//! `twinkeep kv`: secrets of a KV mount.

use super::args::{At, Kv, KvDelete, KvGet, KvPath, KvPut};
use super::failure::{EXIT_SERVER, Failure};
use super::logical::{ask, change};
use super::output::{Output, json, key_values, table, titled};
use super::{Context, kv_versions, logical};
use crate::api::kv::{Fields, ReadAnswer, VersionMetadata};
use crate::client::{Client, Logical};
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

/// Where a secret is: its mount, and its path in it.
pub(super) struct Place {
    pub mount: String,
    pub path: String,
    kind: MountKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MountKind {
    /// KV version 1.
    Plain,
    Versioned,
}

impl Place {
    /// The server says where the mount ends, as Vault's CLI has it said.
    async fn of(client: &Client, given: &KvPath) -> Result<Place, Failure> {
        let path = given.path.trim_start_matches('/');
        let whole = match &given.mount {
            Some(mount) => format!("{}/{path}", mount.trim_matches('/')),
            None => path.to_owned(),
        };
        let found = client.mount_of(&whole).await.map_err(Failure::asked)?;
        let version = found.mount.options.as_ref().and_then(|options| options.get("version"));
        let kind = match (found.mount.kind.as_str(), version.map(String::as_str)) {
            ("kv", Some("2")) => MountKind::Versioned,
            ("kv", _) => MountKind::Plain,
            _ => return Err(Failure::local(format!("{} is no KV mount: expected one, like secret/", found.path))),
        };
        // `kv list secret` names the mount without its slash.
        let rest = format!("{whole}/");
        let rest = rest.strip_prefix(&found.path).map(|rest| rest.trim_end_matches('/').to_owned());
        let path = rest.ok_or_else(|| {
            Failure::server(format!("the server says that {whole} lies in the mount {}, and it does not", found.path))
        })?;
        Ok(Place { mount: found.path.trim_end_matches('/').to_owned(), path, kind })
    }

    /// As `of`, where versions are kept.
    pub async fn versioned(client: &Client, given: &KvPath) -> Result<Place, Failure> {
        let place = Place::of(client, given).await?;
        if place.is_plain() {
            return Err(Failure::local(format!(
                "{}/ is KV version 1 and keeps no versions: `kv enable-versioning {}` changes that",
                place.mount, place.mount
            )));
        }
        Ok(place)
    }

    fn is_plain(&self) -> bool {
        self.kind == MountKind::Plain
    }

    fn in_plain(&self) -> String {
        format!("{}/{}", self.mount, self.path)
    }

    pub fn data(&self) -> String {
        format!("{}/data/{}", self.mount, self.path)
    }

    pub fn metadata(&self) -> String {
        format!("{}/metadata/{}", self.mount, self.path)
    }
}

/// `key=value`, `key=@file`, `key=-`, or all of it as one JSON object: `@file` or `-`. `\@` is an `@`.
pub(super) fn fields(given: &[String], context: &mut Context<'_>) -> Result<Fields, Failure> {
    let mut fields = Fields::new();
    let mut stdin_taken = false;
    for argument in given {
        if argument == "-" || argument.starts_with('@') {
            let text = content(argument, &mut stdin_taken, context)?;
            let object: Fields = serde_json::from_str(&text).map_err(|error| {
                // Where it is wrong, never what is there.
                Failure::local(format!(
                    "{argument}: no JSON object, at line {}, column {}",
                    error.line(),
                    error.column()
                ))
            })?;
            fields.extend(object);
            continue;
        }
        let Some((key, value)) = argument.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::local("a field is not of the form KEY=VALUE, and neither @FILE nor -"));
        };
        let value = content(value, &mut stdin_taken, context)?;
        fields.insert(key.to_owned(), Value::String(value));
    }
    Ok(fields)
}

fn content(value: &str, stdin_taken: &mut bool, context: &mut Context<'_>) -> Result<String, Failure> {
    if value == "-" {
        if std::mem::replace(stdin_taken, true) {
            return Err(Failure::local("standard input can be read once only: `-` was given twice"));
        }
        let read = context.person.standard_input();
        return read.map_err(|error| Failure::local(format!("standard input can't be read: {error}")));
    }
    if let Some(file) = value.strip_prefix('@') {
        return std::fs::read_to_string(file).map_err(|error| Failure::local(format!("{file}: {error}")));
    }
    Ok(match value.strip_prefix("\\@") {
        Some(rest) => format!("@{rest}"),
        None => value.to_owned(),
    })
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

/// A string as it is, anything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
