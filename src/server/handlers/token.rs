//! Tokens: make, look up, renew, revoke.

use super::{fields, page, written};
use crate::api::token::TokenLookup;
use crate::error::{Error, Result};
use crate::secrets::{Cidr, Parent, TokenInfo, TokenKind, TokenRequest};
use crate::sensitive::SensitiveString;
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Vault's words for an accessor that names no token.
const INVALID_ACCESSOR: &str = "1 error occurred:\n\t* invalid accessor\n\n";

pub async fn lookup_self(call: Call) -> Result<Answer> {
    let info = call.node.vault.token_lookup_self(call.caller()?).await?;
    let token = call.token().ok_or(Error::PermissionDenied)?;
    Ok(Answer::data(&shown(info, token.expose())))
}

/// The token stands in the body, or in the query; without one it is the caller's own.
pub async fn lookup(call: Call) -> Result<Answer> {
    let token = match call.query.get("token") {
        Some(token) => token.to_owned(),
        None => fields::text(&call.object()?, "token")?,
    };
    if token.is_empty() {
        return lookup_self(call).await;
    }
    let token = SensitiveString::new(token);
    match call.node.vault.token_lookup(&token).await {
        Ok(info) => Ok(Answer::data(&shown(info, token.expose()))),
        // As Vault has it: a token that is not there is 403, not 404.
        Err(Error::NotFound(text)) => Ok(Answer::error(403, &text)),
        Err(error) => Err(error),
    }
}

pub async fn lookup_accessor(call: Call) -> Result<Answer> {
    match call.node.vault.token_lookup_accessor(&accessor(&call)?).await {
        Ok(info) => Ok(Answer::data(&shown(info, ""))),
        Err(error) => invalid_accessor(error),
    }
}

pub async fn accessors(call: Call) -> Result<Answer> {
    Ok(Answer::keys(page(&call, &call.node.vault.token_accessors().await?)?))
}

/// `auth/token/create`, `create-orphan` and `create/ROLE`. Vault's CLI sends `"0s"` and `""` for what it does not set.
pub async fn create(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let body = &body;
    let is_set = |name: &str| fields::flag(body, name).map(|flag| flag.unwrap_or(false));
    let kind = match fields::text(body, "type")?.as_str() {
        "" => None,
        "service" => Some(TokenKind::Service),
        "batch" => Some(TokenKind::Batch),
        _ => return Err(Error::invalid("invalid 'token_type' value")),
    };
    let uses = match body.get("num_uses") {
        Some(uses) if uses.as_i64().is_some_and(|uses| uses < 0) => {
            return Err(Error::invalid("number of uses cannot be negative"));
        }
        _ => fields::number(body, "num_uses")?.unwrap_or(0),
    };
    if !fields::text(body, "entity_alias")?.is_empty() {
        return Err(Error::invalid(match call.param("role") {
            "" => "'entity_alias' is only allowed in combination with token role",
            _ => "invalid 'entity_alias' value",
        }));
    }
    // `lease` is what `ttl` was called once.
    let ttl = fields::duration(body, "ttl")?.or(fields::duration(body, "lease")?);
    let request = TokenRequest {
        id: Some(fields::text(body, "id")?).filter(|id| !id.is_empty()).map(SensitiveString::new),
        policies: policies(body)?,
        no_default_policy: is_set("no_default_policy")?,
        ttl: ttl.unwrap_or_default(),
        explicit_max_ttl: fields::duration(body, "explicit_max_ttl")?.unwrap_or_default(),
        period: fields::duration(body, "period")?.unwrap_or_default(),
        uses,
        renewable: fields::flag(body, "renewable")?,
        display_name: fields::text(body, "display_name")?,
        meta: meta(body)?,
        kind,
        parent: match (call.path.as_str(), is_set("no_parent")?) {
            ("auth/token/create-orphan", _) => Parent::None,
            (_, true) => Parent::NoneIfAllowed,
            (_, false) => Parent::Caller,
        },
        role: Some(call.param("role").to_owned()).filter(|role| !role.is_empty()),
        sudo: call.sudo,
    };
    let made = call.node.vault.token_create(call.caller()?, request).await?;
    let ttl = made.value.info.creation_ttl;
    let answer = Answer::auth(auth(&made.value.info, made.value.token.expose(), ttl), made.value.warnings);
    Ok(written(answer, made.position))
}

pub async fn renew(call: Call) -> Result<Answer> {
    let token = named(&call)?;
    match call.node.vault.token_renew(&token, increment(&call)?).await {
        Ok(done) => Ok(written(renewed(done.value, token.expose()), done.position)),
        Err(Error::NotFound(text)) => Err(Error::invalid(text)),
        Err(error) => Err(error),
    }
}

pub async fn renew_self(call: Call) -> Result<Answer> {
    let token = call.token().ok_or(Error::PermissionDenied)?;
    let done = call.node.vault.token_renew_self(call.caller()?, increment(&call)?).await?;
    Ok(written(renewed(done.value, token.expose()), done.position))
}

pub async fn renew_accessor(call: Call) -> Result<Answer> {
    match call.node.vault.token_renew_accessor(&accessor(&call)?, increment(&call)?).await {
        Ok(done) => Ok(written(renewed(done.value, ""), done.position)),
        Err(error) => invalid_accessor(error),
    }
}

pub async fn revoke(call: Call) -> Result<Answer> {
    let done = call.node.vault.token_revoke(&named(&call)?).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn revoke_orphan(call: Call) -> Result<Answer> {
    let token = named(&call)?;
    if !call.sudo {
        return Err(Error::invalid("root or sudo privileges required to revoke and orphan"));
    }
    let done = call.node.vault.token_revoke_orphan(&token).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn revoke_accessor(call: Call) -> Result<Answer> {
    match call.node.vault.token_revoke_accessor(&accessor(&call)?).await {
        Ok(done) => Ok(written(Answer::empty(), done.position)),
        Err(Error::NotFound(_)) => Ok(Answer::warning("No token found with this accessor")),
        Err(error) => Err(error),
    }
}

pub async fn revoke_self(call: Call) -> Result<Answer> {
    let done = call.node.vault.token_revoke_self(call.caller()?).await?;
    Ok(written(Answer::empty(), done.position))
}

/// There is nothing to tidy: what has ended is removed as it ends. Clients that ask are told so as Vault tells them.
pub async fn tidy(_: Call) -> Result<Answer> {
    Ok(Answer::warning("Tokens that have ended are removed as they end: there is nothing to tidy.").with_status(202))
}

fn named(call: &Call) -> Result<SensitiveString> {
    let token = fields::text(&call.object()?, "token")?;
    if token.is_empty() { Err(Error::invalid("missing token ID")) } else { Ok(SensitiveString::new(token)) }
}

fn accessor(call: &Call) -> Result<String> {
    let accessor = fields::text(&call.object()?, "accessor")?;
    if accessor.is_empty() { Err(Error::invalid("1 error occurred:\n\t* missing accessor\n\n")) } else { Ok(accessor) }
}

fn invalid_accessor(error: Error) -> Result<Answer> {
    match error {
        Error::NotFound(_) => Err(Error::invalid(INVALID_ACCESSOR)),
        error => Err(error),
    }
}

fn increment(call: &Call) -> Result<Duration> {
    Ok(fields::duration(&call.object()?, "increment")?.unwrap_or_default())
}

/// `None` where none are asked for: whoever gets the caller's own said nothing at all. A name that is empty is a name.
fn policies(body: &Map<String, Value>) -> Result<Option<Vec<String>>> {
    let names = fields::names(body, "policies")?;
    Ok(match body.get("policies") {
        Some(Value::Array(asked)) if asked.is_empty() => None,
        Some(Value::String(asked)) if asked.is_empty() => None,
        _ => names,
    })
}

fn meta(body: &Map<String, Value>) -> Result<BTreeMap<String, String>> {
    match body.get("meta") {
        None => Ok(BTreeMap::new()),
        Some(meta) if fields::is_nothing(meta) => Ok(BTreeMap::new()),
        Some(meta) => {
            let wrong = || Error::invalid("`meta` must be an object of strings");
            let text = |value: &Value| match value {
                Value::String(text) => Ok(text.clone()),
                Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
                _ => Err(wrong()),
            };
            let fields = meta.as_object().ok_or_else(wrong)?;
            fields.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect()
        }
    }
}

fn renewed((info, warning): (TokenInfo, Option<String>), token: &str) -> Answer {
    let ttl = info.ttl;
    Answer::auth(auth(&info, token, ttl), warning.into_iter().collect())
}

fn auth(info: &TokenInfo, token: &str, ttl: Duration) -> Value {
    json!({
        "client_token": token,
        "accessor": info.accessor,
        "policies": info.policies,
        "token_policies": info.policies,
        "metadata": if info.meta.is_empty() { Value::Null } else { json!(info.meta) },
        "lease_duration": ttl.as_secs(),
        "renewable": info.renewable,
        "entity_id": "",
        "token_type": info.kind.name(),
        "orphan": info.orphan,
        "mfa_requirement": null,
        "num_uses": info.uses,
    })
}

fn shown(info: TokenInfo, id: &str) -> TokenLookup {
    let seconds = |duration: Duration| duration.as_secs();
    TokenLookup {
        accessor: info.accessor,
        bound_cidrs: info.bound_cidrs.iter().map(Cidr::to_string).collect(),
        creation_time: info.created_at.0 / 1000,
        creation_ttl: seconds(info.creation_ttl),
        display_name: info.display_name,
        entity_id: String::new(),
        expire_time: info.expires_at.map(|end| end.rfc3339()),
        explicit_max_ttl: seconds(info.explicit_max_ttl),
        id: id.to_owned(),
        issue_time: Some(info.created_at.rfc3339()),
        last_renewal: info.renewed_at.map(|at| at.rfc3339()),
        last_renewal_time: info.renewed_at.map(|at| at.0 / 1000),
        meta: (!info.meta.is_empty()).then_some(info.meta),
        num_uses: info.uses,
        orphan: info.orphan,
        path: info.path,
        period: Some(seconds(info.period)).filter(|period| *period > 0),
        policies: info.policies,
        renewable: info.renewable,
        role: info.role,
        ttl: seconds(info.ttl),
        kind: info.kind.name().into(),
    }
}
