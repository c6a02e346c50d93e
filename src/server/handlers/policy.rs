//! Policies, by their two names in Vault's API, and what they let a token do.

use super::{fields, page, written};
use crate::error::{Error, Result};
use crate::secrets::Acl;
use crate::sensitive::SensitiveString;
use crate::server::answer::Answer;
use crate::server::call::Call;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

/// Each is held against all rules, twice over in the answer.
const CAPABILITIES_PATHS_MAX: usize = 1000;

pub async fn list(call: Call) -> Result<Answer> {
    Ok(Answer::keys(page(&call, &call.node.vault.policies().await?)?))
}

/// `sys/policy`, with the older name of the list beside the newer one.
pub async fn list_old(call: Call) -> Result<Answer> {
    let all = call.node.vault.policies().await?;
    let names = page(&call, &all)?;
    Ok(Answer::data_and_top(&json!({ "keys": names, "policies": names })))
}

pub async fn read(call: Call) -> Result<Answer> {
    let found = call.node.vault.policy(call.param("name")).await?;
    let shown = found.map(|policy| json!({ "name": policy.name, "policy": policy.text }));
    Ok(shown.map_or_else(Answer::missing, |shown| Answer::data(&shown)))
}

pub async fn read_old(call: Call) -> Result<Answer> {
    let found = call.node.vault.policy(call.param("name")).await?;
    let shown = found.map(|policy| json!({ "name": policy.name, "rules": policy.text }));
    Ok(shown.map_or_else(Answer::missing, |shown| Answer::data_and_top(&shown)))
}

/// The text stands under `policy`, or under its older name `rules`; base64 is taken as well.
pub async fn write(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let text = match fields::text(&body, "policy")? {
        text if text.is_empty() => fields::text(&body, "rules")?,
        text => text,
    };
    if text.is_empty() {
        return Err(Error::invalid("'policy' parameter not supplied or empty"));
    }
    let decoded = BASE64.decode(text.trim()).ok().filter(|bytes| !bytes.is_empty());
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let done = call.node.vault.policy_put(call.param("name"), decoded.as_deref().unwrap_or(&text)).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn delete(call: Call) -> Result<Answer> {
    let done = call.node.vault.policy_delete(call.param("name")).await?;
    Ok(written(Answer::empty(), done.position))
}

/// What another token may do at paths.
pub async fn capabilities(call: Call) -> Result<Answer> {
    let token = fields::text(&call.object()?, "token")?;
    if token.is_empty() {
        return capabilities_self(call).await;
    }
    match call.node.vault.token_acl(&SensitiveString::new(token)).await {
        Ok(acl) => shown(&call, &acl),
        Err(Error::NotFound(_)) => Ok(Answer::error(400, "1 error occurred:\n\t* invalid token\n\n")),
        Err(error) => Err(error),
    }
}

pub async fn capabilities_accessor(call: Call) -> Result<Answer> {
    let accessor = fields::text(&call.object()?, "accessor")?;
    if accessor.is_empty() {
        return Err(Error::invalid("missing accessor"));
    }
    match call.node.vault.token_acl_of_accessor(&accessor).await {
        Ok(acl) => shown(&call, &acl),
        Err(Error::NotFound(_)) => Ok(Answer::error(400, "1 error occurred:\n\t* invalid accessor\n\n")),
        Err(error) => Err(error),
    }
}

pub async fn capabilities_self(call: Call) -> Result<Answer> {
    shown(&call, &call.caller()?.acl)
}

fn shown(call: &Call, acl: &Acl) -> Result<Answer> {
    let body = call.object()?;
    let named = |name| fields::names(&body, name).map(Option::unwrap_or_default);
    let paths = [named("paths")?, named("path")?].concat();
    if paths.is_empty() {
        return Err(Error::invalid("paths must be supplied"));
    }
    if paths.len() > CAPABILITIES_PATHS_MAX {
        return Err(Error::invalid(format!("{} paths at once: ask for {CAPABILITIES_PATHS_MAX} at most", paths.len())));
    }
    let can = |path: &str| json!(acl.capabilities(path.trim_start_matches('/')));
    let mut answer: Map<String, Value> = paths.iter().map(|path| (path.clone(), can(path))).collect();
    if let [path] = &paths[..] {
        answer.insert("capabilities".into(), can(path));
    }
    Ok(Answer::data_and_top(&answer))
}
