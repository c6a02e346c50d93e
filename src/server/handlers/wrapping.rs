//! Response wrapping: what clients ask of wrapped answers, and wrapping any answer on demand.

use super::{fields, written};
use crate::error::{Error, Result};
use crate::secrets::wrapping::{self, Wrapped, Wrapping};
use crate::sensitive::SensitiveString;
use crate::server::answer::Answer;
use crate::server::authorise::wrap_ttl;
use crate::server::call::Call;
use crate::server::forward::UNPROVEN;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Answers the body itself, which is then wrapped as any other answer.
pub async fn wrap(call: Call) -> Result<Answer> {
    if wrap_ttl(&call)?.is_none() {
        return Err(Error::invalid("endpoint requires response wrapping to be used"));
    }
    Ok(Answer::data(&call.object()?))
}

/// The token stands in the body, or is the one that the request came with.
pub async fn unwrap(call: Call) -> Result<Answer> {
    let named = named(&call)?;
    let done = call.node.vault.unwrap(wrapping(&call, &named)?).await?;
    let Some(answer) = done.value else { return Ok(nothing_wrapped()) };
    Ok(written(Answer::json_text(answer.expose()), done.position))
}

/// To look proves nothing and takes nothing: whoever has the wrapping token may, and needs no other.
pub async fn lookup(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    let token = named(&call)?.or_else(|| call.token()).ok_or_else(wrapping::invalid)?;
    let found = call.node.vault.wrapping_lookup(Wrapping::Named(&token)).await?;
    let Some(found) = found else { return Ok(nothing_wrapped()) };
    Ok(Answer::data(&json!({
        "creation_path": found.path,
        "creation_time": found.created_at.rfc3339(),
        "creation_ttl": found.ttl.as_secs(),
    })))
}

pub async fn rewrap(call: Call) -> Result<Answer> {
    let named = named(&call)?;
    let done = call.node.vault.rewrap(wrapping(&call, &named)?).await?;
    let Some(moved) = done.value else { return Ok(nothing_wrapped()) };
    Ok(written(Answer::wrapped(shown(&moved, None)), done.position))
}

/// To a token that wraps nothing. Whoever tries many of them is guessing.
pub fn nothing_wrapped() -> Answer {
    Answer::from(wrapping::invalid()).with_header(UNPROVEN, "1")
}

/// `answer` wrapped for `ttl`, if it says anything.
pub async fn wrapped(call: &Call, answer: Answer, ttl: Duration) -> Result<Answer> {
    let Some(text) = answer.text_to_wrap().await? else { return Ok(Answer::empty()) };
    let holds_token = token_in(&text);
    let done = call.node.vault.wrap(&call.asked_path(), ttl, SensitiveString::new(text)).await?;
    Ok(written(Answer::wrapped(shown(&done.value, holds_token)), done.position))
}

/// Whether the body names the token of a wrapped answer.
pub fn is_named(call: &Call) -> bool {
    named(call).is_ok_and(|token| token.is_some())
}

fn named(call: &Call) -> Result<Option<SensitiveString>> {
    let token = fields::text(&call.object()?, "token")?;
    Ok(Some(token).filter(|token| !token.is_empty()).map(SensitiveString::new))
}

fn wrapping<'a>(call: &'a Call, named: &'a Option<SensitiveString>) -> Result<Wrapping<'a>> {
    match (named, call.token()) {
        // Some clients send their wrapping token both ways.
        (Some(named), Some(own)) if named.expose() != own.expose() => Ok(Wrapping::Named(named)),
        _ => Ok(Wrapping::Own(call.caller()?)),
    }
}

/// The accessor of a token that an answer brings, by which whoever wrapped it can end it without seeing it.
fn token_in(answer: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Brings {
        auth: Option<Auth>,
    }
    #[derive(Deserialize)]
    struct Auth {
        accessor: Option<String>,
    }
    let brings: Brings = serde_json::from_str(answer).ok()?;
    brings.auth?.accessor.filter(|accessor| !accessor.is_empty())
}

fn shown(wrapped: &Wrapped, holds_token: Option<String>) -> Value {
    let mut shown = json!({
        "token": wrapped.token.expose(),
        "accessor": wrapped.accessor,
        "ttl": wrapped.ttl.as_secs(),
        "creation_time": wrapped.created_at.rfc3339(),
        "creation_path": wrapped.path,
    });
    if let Some(accessor) = holds_token {
        shown["wrapped_accessor"] = accessor.into();
    }
    shown
}
