//! `sys/loggers`: how much the node that is asked logs.

use crate::config::LogLevel;
use crate::error::{Error, Result};
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::loggers::{self, Which};
use serde_json::{Map, Value, json};

pub async fn levels(call: Call) -> Result<Answer> {
    Ok(shown(&call, |_| true))
}

/// Of a part that is none, nothing.
pub async fn level(call: Call) -> Result<Answer> {
    Ok(shown(&call, |name| name == call.param("name")))
}

pub async fn write_all(call: Call) -> Result<Answer> {
    change(&call, Which::All, Some(wanted(&call)?))
}

pub async fn write(call: Call) -> Result<Answer> {
    change(&call, Which::Named(call.param("name")), Some(wanted(&call)?))
}

pub async fn revert_all(call: Call) -> Result<Answer> {
    change(&call, Which::All, None)
}

pub async fn revert(call: Call) -> Result<Answer> {
    change(&call, Which::Named(call.param("name")), None)
}

fn shown(call: &Call, is_wanted: impl Fn(&str) -> bool) -> Answer {
    let levels = loggers::levels(call.node.config.log_level).into_iter().filter(|(name, _)| is_wanted(name));
    Answer::data(&levels.map(|(name, level)| (name.to_owned(), json!(level.name()))).collect::<Map<_, _>>())
}

fn change(call: &Call, which: Which<'_>, level: Option<LogLevel>) -> Result<Answer> {
    loggers::change(which, level, call.node.config.log_level)?;
    Ok(Answer::empty())
}

/// In Vault's words.
fn wanted(call: &Call) -> Result<LogLevel> {
    let text = match call.object()?.remove("level") {
        None | Some(Value::Null) => return Err(Error::invalid("level is required")),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    if text.is_empty() {
        return Err(Error::invalid("level is empty"));
    }
    LogLevel::named(&text).ok_or_else(|| Error::invalid(format!("invalid level provided: unknown log level: {text}")))
}
