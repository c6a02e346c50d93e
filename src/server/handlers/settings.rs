//! `sys/config/*`: which web pages may use the API, headers for pages, request headers in the audit log.

use super::{fields, written};
use crate::error::{Error, Result};
use crate::secrets::settings::Cors;
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::cors::allowed_headers;
use axum::http::HeaderName;
use serde_json::{Map, Value, json};

pub async fn cors(call: Call) -> Result<Answer> {
    Ok(Answer::data_and_top(&match &call.node.vault.settings()?.cors {
        None => json!({ "enabled": false }),
        Some(cors) => json!({
            "enabled": true,
            "allowed_origins": cors.origins,
            "allowed_headers": allowed_headers(cors),
            "allow_credentials": false,
        }),
    }))
}

pub async fn cors_write(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let origins = fields::names(&body, "allowed_origins")?.unwrap_or_default();
    if origins.is_empty() {
        return Err(Error::invalid("at least one origin or the wildcard must be provided"));
    }
    if origins.len() > 1 && origins.iter().any(|origin| origin == "*") {
        return Err(Error::invalid("to allow all origins the '*' must be the only value for allowed_origins"));
    }
    let headers = fields::names(&body, "allowed_headers")?.unwrap_or_default();
    headers.iter().try_for_each(|name| header(name).map(|_| ()))?;
    let cors = Cors { origins, headers };
    let done = call.node.vault.settings_change(move |settings| {
        settings.cors = Some(cors);
        Ok(())
    });
    Ok(written(Answer::empty(), done.await?.position))
}

pub async fn cors_delete(call: Call) -> Result<Answer> {
    let done = call.node.vault.settings_change(|settings| {
        settings.cors = None;
        Ok(())
    });
    Ok(written(Answer::empty(), done.await?.position))
}

pub async fn ui_headers(call: Call) -> Result<Answer> {
    Ok(Answer::keys(&call.node.vault.settings()?.ui_headers.keys().cloned().collect::<Vec<_>>()))
}

pub async fn ui_header(call: Call) -> Result<Answer> {
    let settings = call.node.vault.settings()?;
    let Some(values) = settings.ui_headers.get(&canonical(call.param("name"))) else { return Ok(Answer::missing()) };
    Ok(Answer::data(&match call.query.flag("multivalue") {
        true => json!({ "values": values }),
        false => json!({ "value": values.first() }),
    }))
}

pub async fn ui_header_write(call: Call) -> Result<Answer> {
    let name = canonical(header(call.param("name"))?.as_str());
    if name.starts_with("X-Vault-") {
        return Err(Error::invalid("X-Vault headers cannot be set"));
    }
    let values = fields::names(&call.object()?, "values")?.unwrap_or_default();
    if values.is_empty() || values.iter().any(|value| value.contains(char::is_control)) {
        return Err(Error::invalid("header values must be one text or more, without control characters"));
    }
    let done = call.node.vault.settings_change(move |settings| {
        settings.ui_headers.insert(name, values);
        Ok(())
    });
    Ok(written(Answer::empty(), done.await?.position))
}

pub async fn ui_header_delete(call: Call) -> Result<Answer> {
    let name = canonical(call.param("name"));
    let done = call.node.vault.settings_change(move |settings| {
        settings.ui_headers.remove(&name);
        Ok(())
    });
    Ok(written(Answer::empty(), done.await?.position))
}

pub async fn audited_headers(call: Call) -> Result<Answer> {
    let settings = call.node.vault.settings()?;
    let shown: Map<String, Value> =
        settings.audited_headers.iter().map(|(name, hmac)| (name.clone(), json!({ "hmac": hmac }))).collect();
    Ok(Answer::data_and_top(&json!({ "headers": shown })))
}

pub async fn audited_header(call: Call) -> Result<Answer> {
    let settings = call.node.vault.settings()?;
    let name = call.param("name").to_lowercase();
    let hmac = settings.audited_headers.get(&name).ok_or_else(|| Error::invalid("Could not find header in config"))?;
    let shown: Map<String, Value> = [(name, json!({ "hmac": hmac }))].into_iter().collect();
    Ok(Answer::data_and_top(&shown))
}

pub async fn audited_header_write(call: Call) -> Result<Answer> {
    let name = header(call.param("name"))?.as_str().to_owned();
    if SECRET_HEADERS.contains(&name.as_str()) {
        return Err(Error::invalid(format!("the header {name} carries tokens: it is never logged")));
    }
    let hmac = fields::flag(&call.object()?, "hmac")?.unwrap_or(false);
    let done = call.node.vault.settings_change(move |settings| {
        settings.audited_headers.insert(name, hmac);
        Ok(())
    });
    Ok(written(Answer::empty(), done.await?.position))
}

pub async fn audited_header_delete(call: Call) -> Result<Answer> {
    let name = call.param("name").to_lowercase();
    let done = call.node.vault.settings_change(move |settings| {
        settings.audited_headers.remove(&name);
        Ok(())
    });
    Ok(written(Answer::empty(), done.await?.position))
}

const SECRET_HEADERS: &[&str] = &["x-vault-token", "authorization", "cookie"];

fn header(name: &str) -> Result<HeaderName> {
    let wrong = |_| Error::invalid(format!("\"{name}\" is no name of a header"));
    HeaderName::from_bytes(name.as_bytes()).map_err(wrong)
}

/// As Go writes a header's name: `X-Custom`.
fn canonical(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(chars.map(|c| c.to_ascii_lowercase())).collect::<String>()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
