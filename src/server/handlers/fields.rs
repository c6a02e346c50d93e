//! Fields of a body as Vault's clients send them: numbers and flags as strings, lists as texts with commas, and `""` or
//! `null` for what is not set.

use crate::duration;
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::time::Duration;

type Body = Map<String, Value>;

/// Empty where it is not set.
pub fn text(body: &Body, name: &str) -> Result<String> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(wrong(name, "a string")),
    }
}

pub fn flag(body: &Body, name: &str) -> Result<Option<bool>> {
    match set(body, name) {
        None => Ok(None),
        Some(value) => value_flag(value, name).map(Some),
    }
}

pub fn number<T: TryFrom<u64>>(body: &Body, name: &str) -> Result<Option<T>> {
    match set(body, name) {
        None => Ok(None),
        Some(value) => value_number(value, name).map(Some),
    }
}

pub fn duration(body: &Body, name: &str) -> Result<Option<Duration>> {
    match set(body, name) {
        None => Ok(None),
        Some(Value::String(text)) if text.starts_with('-') => Err(Error::invalid(format!("{name} must be positive"))),
        Some(value) => match duration::from_json(value) {
            Ok(duration) => Ok(Some(duration)),
            Err(_) => Err(wrong(name, "a duration: seconds, or a form like 90s, 30m or 1h30m")),
        },
    }
}

/// A list of strings, or one string with commas.
pub fn names(body: &Body, name: &str) -> Result<Option<Vec<String>>> {
    let names = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>(),
        Some(Value::Array(items)) => {
            let items: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            items.ok_or_else(|| wrong(name, "a list of strings"))?
        }
        Some(_) => return Err(wrong(name, "a list of strings")),
    };
    Ok(Some(names.into_iter().filter(|name| !name.is_empty()).collect()))
}

/// A number, or one as a string.
pub fn value_number<T: TryFrom<u64>>(value: &Value, name: &str) -> Result<T> {
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    let fits = number.and_then(|number| T::try_from(number).ok());
    fits.ok_or_else(|| wrong(name, "a whole number"))
}

/// A flag, or one as a string or a number.
pub fn value_flag(value: &Value, name: &str) -> Result<bool> {
    let flag = match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Some(true),
            "false" | "f" | "0" => Some(false),
            _ => None,
        },
        Value::Number(number) => number.as_u64().map(|number| number != 0),
        _ => None,
    };
    flag.ok_or_else(|| wrong(name, "true or false"))
}

/// `null`, and the empty list that some languages write for an empty object.
pub fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn set<'a>(body: &'a Body, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
}

/// The value itself may be secret: it is not quoted.
fn wrong(name: &str, expected: &str) -> Error {
    Error::invalid(format!("Field validation failed: error converting input for field \"{name}\": expected {expected}"))
}
