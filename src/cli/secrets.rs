//! `twinkeep secrets` and `twinkeep audit`: what is mounted where, and what is written down.

use super::Context;
use super::args::{Audit, AuditEnable, Connection, Secrets, SecretsEnable, SecretsMove, SecretsTune};
use super::failure::Failure;
use super::logical::{ask, change, pairs};
use super::output::{Output, plain, table};
use crate::client::Logical;
use serde_json::{Map, Value, json};

pub async fn run(command: Secrets, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        Secrets::List(connection) => list("sys/mounts", "accessor", "Accessor", &connection, context).await,
        Secrets::Enable(enable) => run_enable(enable, context).await,
        Secrets::Disable(at) => {
            let done =
                format!("Success! Disabled the secrets engine (if it existed) at: {}/", at.path.trim_matches('/'));
            change(&format!("sys/mounts/{}", at.path), Logical::Delete, &at.connection, context, done).await
        }
        Secrets::Tune(tune) => run_tune(tune, context).await,
        Secrets::Move(moved) => run_move(moved, context).await,
    }
}

pub async fn audit(command: Audit, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        Audit::List(connection) => list("sys/audit", "options", "Options", &connection, context).await,
        Audit::Enable(enable) => run_audit_enable(enable, context).await,
        Audit::Disable(at) => {
            let done = format!("Success! Disabled audit device (if it was enabled) at: {}/", at.path.trim_matches('/'));
            change(&format!("sys/audit/{}", at.path), Logical::Delete, &at.connection, context, done).await
        }
    }
}

/// A table by path; one of its columns is told.
async fn list(
    path: &str,
    column: &str,
    heading: &str,
    connection: &Connection,
    context: &mut Context<'_>,
) -> Result<Output, Failure> {
    let format = context.environment.format(connection)?;
    let answer = ask(path, connection, context).await?;
    Ok(Output::of(format, &answer["data"], |mounts| {
        let row = |(path, mount): (&String, &Value)| {
            let description = plain(&mount["description"]);
            let description = if description.is_empty() { "n/a".to_owned() } else { description };
            [path.clone(), plain(&mount["type"]), plain(&mount[column]), description]
        };
        let rows: Vec<[String; 4]> = mounts.as_object().into_iter().flatten().map(row).collect();
        table(["Path", "Type", heading, "Description"], &rows)
    }))
}

async fn run_enable(enable: SecretsEnable, context: &mut Context<'_>) -> Result<Output, Failure> {
    let path = enable.path.as_deref().unwrap_or(&enable.engine).trim_matches('/').to_owned();
    let mut body = json!({ "type": enable.engine, "description": enable.description.unwrap_or_default() });
    if let Some(version) = enable.version {
        body["options"] = json!({ "version": version.to_string() });
    }
    let done = format!("Success! Enabled the {} secrets engine at: {path}/", enable.engine);
    change(&format!("sys/mounts/{path}"), Logical::Write(body), &enable.connection, context, done).await
}

async fn run_tune(tune: SecretsTune, context: &mut Context<'_>) -> Result<Output, Failure> {
    let path = tune.path.trim_matches('/').to_owned();
    let mut body = Map::new();
    let texts = [
        ("description", tune.description),
        ("default_lease_ttl", tune.default_lease_ttl),
        ("max_lease_ttl", tune.max_lease_ttl),
    ];
    body.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?)))));
    if let Some(version) = tune.version {
        body.insert("options".into(), json!({ "version": version.to_string() }));
    }
    let done = format!("Success! Tuned the secrets engine at: {path}/");
    change(&format!("sys/mounts/{path}/tune"), Logical::Write(body.into()), &tune.connection, context, done).await
}

async fn run_move(moved: SecretsMove, context: &mut Context<'_>) -> Result<Output, Failure> {
    let body = json!({ "from": moved.from, "to": moved.to });
    let done = format!("Success! Moved the secrets engine from {} to {}", moved.from, moved.to);
    change("sys/remount", Logical::Write(body), &moved.connection, context, done).await
}

async fn run_audit_enable(enable: AuditEnable, context: &mut Context<'_>) -> Result<Output, Failure> {
    let path = enable.path.as_deref().unwrap_or(&enable.device).trim_matches('/').to_owned();
    let options: Map<String, Value> =
        pairs(&enable.options)?.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    let description = enable.description.unwrap_or_default();
    let body = json!({ "type": enable.device, "description": description, "options": options });
    let done = format!("Success! Enabled the {} audit device at: {path}/", enable.device);
    change(&format!("sys/audit/{path}"), Logical::Write(body), &enable.connection, context, done).await
}
