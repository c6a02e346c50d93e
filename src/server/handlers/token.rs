//! Tokens, and what they may do.

use super::written;
use crate::api::token::TokenLookup;
use crate::duration;
use crate::error::{Error, Result};
use crate::secrets::{TokenInfo, TokenRequest};
use crate::sensitive::SensitiveString;
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    token: String,
    #[serde(default)]
    accessor: String,
}

pub async fn lookup_self(call: Call) -> Result<Answer> {
    let info = call.node.vault.token_lookup_self(call.caller()?).await?;
    let token = call.token().ok_or(Error::PermissionDenied)?;
    Ok(Answer::data(&shown(info, token.expose())))
}

pub async fn lookup(call: Call) -> Result<Answer> {
    let named: Named = call.json()?;
    if named.token.is_empty() {
        return lookup_self(call).await;
    }
    let token = SensitiveString::new(named.token);
    match call.node.vault.token_lookup(&token).await {
        Ok(info) => Ok(Answer::data(&shown(info, token.expose()))),
        // As Vault has it: a token that is not there is 403, not 404.
        Err(Error::NotFound(text)) => Ok(Answer::error(403, &text)),
        Err(error) => Err(error),
    }
}

pub async fn lookup_accessor(call: Call) -> Result<Answer> {
    let named: Named = call.json()?;
    match call.node.vault.token_lookup_accessor(&named.accessor).await {
        Ok(info) => Ok(Answer::data(&shown(info, ""))),
        Err(Error::NotFound(text)) => Ok(Answer::error(403, &text)),
        Err(error) => Err(error),
    }
}

pub async fn accessors(call: Call) -> Result<Answer> {
    Ok(Answer::keys(&call.node.vault.token_accessors().await?))
}

/// `auth/token/create` and `create-orphan`. Vault's CLI sends `"0s"` and `""` for what it does not set.
pub async fn create(call: Call) -> Result<Answer> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Create {
        policies: Option<Vec<String>>,
        ttl: Option<Value>,
        display_name: Option<String>,
        meta: Option<BTreeMap<String, String>>,
        no_parent: bool,
    }
    let asked: Create = call.json()?;
    let ttl = asked.ttl.as_ref().filter(|ttl| **ttl != json!("")).map(duration::from_json).transpose()?;
    let request = TokenRequest {
        policies: asked.policies.unwrap_or_default(),
        ttl: ttl.filter(|ttl| !ttl.is_zero()),
        display_name: asked.display_name.filter(|name| !name.is_empty()),
        meta: asked.meta.unwrap_or_default(),
        orphan: asked.no_parent || call.path.ends_with("create-orphan"),
    };
    let made = call.node.vault.token_create(call.caller()?, request).await?;
    let (token, info) = made.value;
    let answer = Answer::auth(json!({
        "client_token": token.expose(),
        "accessor": info.accessor,
        "policies": info.policies,
        "token_policies": info.policies,
        "identity_policies": null,
        "metadata": if info.meta.is_empty() { Value::Null } else { json!(info.meta) },
        "lease_duration": info.creation_ttl.as_secs(),
        "renewable": false,
        "entity_id": "",
        "token_type": "service",
        "orphan": info.orphan,
        "mfa_requirement": null,
        "num_uses": 0,
    }));
    Ok(written(answer, made.position))
}

pub async fn revoke(call: Call) -> Result<Answer> {
    let named: Named = call.json()?;
    if named.token.is_empty() {
        return Err(Error::invalid("missing token"));
    }
    let done = call.node.vault.token_revoke(&SensitiveString::new(named.token)).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn revoke_accessor(call: Call) -> Result<Answer> {
    let named: Named = call.json()?;
    match call.node.vault.token_revoke_accessor(&named.accessor).await {
        Ok(done) => Ok(written(Answer::empty(), done.position)),
        Err(Error::NotFound(text)) => Err(Error::invalid(text)),
        Err(error) => Err(error),
    }
}

pub async fn revoke_self(call: Call) -> Result<Answer> {
    let done = call.node.vault.token_revoke_self(call.caller()?).await?;
    Ok(written(Answer::empty(), done.position))
}

/// What the caller may do at paths. As long as there are no policies but `root`, that is everything.
pub async fn capabilities(call: Call) -> Result<Answer> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Asked {
        path: Value,
        paths: Value,
        token: String,
    }
    let asked: Asked = call.json()?;
    let strings = |value: &Value| match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    let paths = [strings(&asked.paths), strings(&asked.path)].concat();
    if paths.is_empty() {
        return Err(Error::invalid("paths must be supplied"));
    }
    let of_another = !asked.token.is_empty() && !call.path.ends_with("-self");
    let known = if of_another {
        call.node.vault.authenticate(&SensitiveString::new(asked.token)).await.is_ok_and(|other| other.is_root())
    } else {
        call.caller()?.is_root()
    };
    let can = if known { json!(["root"]) } else { json!(["deny"]) };
    let mut answer: Map<String, Value> = paths.iter().map(|path| (path.clone(), can.clone())).collect();
    if paths.len() == 1 {
        answer.insert("capabilities".into(), can);
    }
    Ok(Answer::data_and_top(&answer))
}

fn shown(info: TokenInfo, id: &str) -> TokenLookup {
    let seconds = |duration: Duration| duration.as_secs();
    TokenLookup {
        accessor: info.accessor,
        creation_time: info.created_at.0 / 1000,
        creation_ttl: seconds(info.creation_ttl),
        display_name: info.display_name,
        entity_id: String::new(),
        expire_time: info.expires_at.map(|end| end.rfc3339()),
        explicit_max_ttl: 0,
        id: id.to_owned(),
        issue_time: Some(info.created_at.rfc3339()),
        meta: (!info.meta.is_empty()).then_some(info.meta),
        num_uses: 0,
        orphan: info.orphan,
        path: info.path,
        policies: info.policies,
        renewable: false,
        ttl: seconds(info.ttl),
        kind: "service".into(),
    }
}
