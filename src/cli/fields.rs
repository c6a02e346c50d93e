//! Fields of what is written, as people give them: on the command line, from files, from standard input.

use super::Context;
use super::failure::Failure;
use crate::api::kv::Fields;
use serde_json::Value;

/// `key=value`, `key=@file`, `key=-`, or all of it as one JSON object: `@file` or `-`. `\@` is an `@`.
pub fn fields(given: &[String], context: &mut Context<'_>) -> Result<Fields, Failure> {
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
