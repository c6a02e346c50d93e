//! `twinkeep read`, `write`, `list`, `delete` and `unwrap`: any path; and how an answer of any kind is shown.

use super::Context;
use super::args::{At, Connection, Format, Read, Unwrap, Write};
use super::failure::Failure;
use super::fields::fields;
use super::login;
use super::output::{Output, json, plain, table};
use crate::client::Logical;
use serde_json::{Map, Value};

pub async fn read(read: Read, context: &mut Context<'_>) -> Result<Output, Failure> {
    let query = pairs(&read.query)?;
    let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let client = context.environment.client(&read.connection)?;
    let wrap_ttl = read.wrap.wrap_ttl.as_deref();
    let answer = client.logical(&read.path, &query, Logical::Read, wrap_ttl).await.map_err(Failure::asked)?;
    let answer = answer.ok_or_else(|| nothing_at(&read.path))?;
    shown(answer, read.field.as_deref(), &read.connection, context, "")
}

pub async fn write(write: Write, context: &mut Context<'_>) -> Result<Output, Failure> {
    let body = Value::Object(fields(&write.fields, context)?);
    let client = context.environment.client(&write.connection)?;
    let wrap_ttl = write.wrap.wrap_ttl.as_deref();
    let answer = client.logical(&write.path, &[], Logical::Write(body), wrap_ttl).await.map_err(Failure::changed)?;
    let answer = answer.ok_or_else(|| nothing_at(&write.path))?;
    let done = format!("Success! Data written to: {}", write.path);
    shown(answer, write.field.as_deref(), &write.connection, context, &done)
}

pub async fn list(at: At, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&at.connection)?;
    let client = context.environment.client(&at.connection)?;
    let answer = client.logical(&at.path, &[], Logical::List, None).await.map_err(Failure::asked)?;
    let answer = answer.ok_or_else(|| nothing_at(&at.path))?;
    Ok(Output::of(format, &answer["data"]["keys"], |keys| names("Keys", keys)))
}

pub async fn delete(at: At, context: &mut Context<'_>) -> Result<Output, Failure> {
    let done = format!("Success! Data deleted (if it existed) at: {}", at.path);
    change(&at.path, Logical::Delete, &at.connection, context, done).await
}

pub async fn unwrap(unwrap: Unwrap, context: &mut Context<'_>) -> Result<Output, Failure> {
    let body = match unwrap.token {
        None => Value::Object(Map::new()),
        given => serde_json::json!({ "token": login::given_token(given, context)?.expose() }),
    };
    let client = context.environment.client(&unwrap.connection)?;
    let sent = client.logical("sys/wrapping/unwrap", &[], Logical::Write(body), None).await;
    let answer = sent.map_err(Failure::changed)?.ok_or_else(|| Failure::server("The token wraps nothing"))?;
    shown(answer, unwrap.field.as_deref(), &unwrap.connection, context, "")
}

/// A change that is answered with nothing, or with what people need not see.
pub async fn change(
    path: &str,
    what: Logical,
    connection: &Connection,
    context: &mut Context<'_>,
    done: impl Into<String>,
) -> Result<Output, Failure> {
    let format = context.environment.format(connection)?;
    let client = context.environment.client(connection)?;
    client.logical(path, &[], what, None).await.map_err(Failure::changed)?.ok_or_else(|| nothing_at(path))?;
    Ok(Output::said(format, done))
}

/// What is at a path, or a refusal.
pub async fn ask(path: &str, connection: &Connection, context: &mut Context<'_>) -> Result<Value, Failure> {
    let client = context.environment.client(connection)?;
    let answer = client.logical(path, &[], Logical::Read, None).await.map_err(Failure::asked)?;
    answer.ok_or_else(|| nothing_at(path))
}

/// An answer as it came, in JSON; one field of it; or a table of what it carries. `done` is said of an empty one.
pub fn shown(
    answer: Value,
    field: Option<&str>,
    connection: &Connection,
    context: &mut Context<'_>,
    done: &str,
) -> Result<Output, Failure> {
    let format = context.environment.format(connection)?;
    if let Some(field) = field {
        let rows = rows(&answer);
        let found = rows.iter().find(|(name, _)| name == field);
        let (_, value) = found.ok_or_else(|| Failure::local(format!("Field \"{field}\" not present in secret")))?;
        return Ok(Output::text(plain(value)));
    }
    if answer.is_null() {
        return Ok(Output::said(format, done));
    }
    Ok(Output::text(match format {
        Format::Json => json(&answer),
        Format::Table => {
            let rows: Vec<[String; 2]> = rows(&answer).into_iter().map(|(name, value)| [name, plain(&value)]).collect();
            let warnings = answer["warnings"].as_array().into_iter().flatten().map(plain);
            let mut text: Vec<String> = warnings.map(|warning| format!("WARNING! {warning}\n")).collect();
            text.push(if rows.is_empty() { done.to_owned() } else { table(["Key", "Value"], &rows) });
            text.join("\n")
        }
    }))
}

/// The names and values in an answer, with the names that Vault's CLI gives to tokens.
fn rows(answer: &Value) -> Vec<(String, Value)> {
    let named = |of: &Value, names: &[(&str, &str)]| {
        names.iter().map(|(shown, key)| ((*shown).to_owned(), of[key].clone())).collect()
    };
    if let wrapped @ Value::Object(_) = &answer["wrap_info"] {
        let names = [
            ("wrapping_token", "token"),
            ("wrapping_accessor", "accessor"),
            ("wrapping_token_ttl", "ttl"),
            ("wrapping_token_creation_time", "creation_time"),
            ("wrapping_token_creation_path", "creation_path"),
        ];
        return named(wrapped, &names);
    }
    if let auth @ Value::Object(_) = &answer["auth"] {
        let names = [
            ("token", "client_token"),
            ("token_accessor", "accessor"),
            ("token_duration", "lease_duration"),
            ("token_renewable", "renewable"),
            ("token_policies", "token_policies"),
            ("policies", "policies"),
        ];
        return named(auth, &names);
    }
    // An answer without an envelope is its own data.
    let data = answer.as_object().map(|answer| answer.get("data").unwrap_or(&Value::Null));
    match data {
        Some(Value::Object(data)) => data.clone().into_iter().collect(),
        _ if answer.get("request_id").is_some() => Vec::new(),
        _ => answer.as_object().cloned().unwrap_or_default().into_iter().collect(),
    }
}

/// A column of names.
pub fn names(heading: &str, names: &Value) -> String {
    let rows: Vec<[String; 1]> = names.as_array().into_iter().flatten().map(|name| [plain(name)]).collect();
    table([heading], &rows)
}

/// `KEY=VALUE` each, taken as it is.
pub fn pairs(given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let pair = |given: &String| {
        let (name, value) = given.split_once('=').filter(|(name, _)| !name.is_empty())?;
        Some((name.to_owned(), value.to_owned()))
    };
    let wrong = |given: &String| Failure::local(format!("`{given}`: expected KEY=VALUE"));
    given.iter().map(|given| pair(given).ok_or_else(|| wrong(given))).collect()
}

fn nothing_at(path: &str) -> Failure {
    Failure::server(format!("No value found at {path}"))
}
