//! Ways to log in: there is one, by token, and it can be looked at and tuned like any other of Vault's.

use super::mounts::{TOKEN_TYPE, find, shown, table, tuning};
use super::{fields, written};
use crate::error::{Error, Result};
use crate::secrets::{MountTuning, Table};
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::json;

/// The one there is.
const TOKEN: &str = "token";

pub async fn list(call: Call) -> Result<Answer> {
    Ok(Answer::data_and_top(&table(&call, Table::Auth).await?))
}

pub async fn read(call: Call) -> Result<Answer> {
    let path = call.param("path").to_owned();
    match path.strip_suffix("/tune") {
        Some(of) => read_tuning(&call, of).await,
        None => match find(&call, Table::Auth, &path).await? {
            Some(mount) => Ok(Answer::data_and_top(&shown(&mount))),
            None => Err(Error::invalid(format!("No auth engine at {path}/"))),
        },
    }
}

pub async fn read_tuning(call: &Call, path: &str) -> Result<Answer> {
    let missing = || Error::invalid(format!("cannot fetch sysview for path \"auth/{path}/\""));
    let mount = find(call, Table::Auth, path).await?.ok_or_else(missing)?;
    let mut tuning = tuning(call, &mount);
    tuning["token_type"] = json!(TOKEN_TYPE);
    Ok(Answer::data_and_top(&tuning))
}

/// Tunes the one there is; enables none.
pub async fn write(call: Call) -> Result<Answer> {
    let path = call.param("path").to_owned();
    if let Some(of) = path.strip_suffix("/tune") {
        return tune(&call, of).await;
    }
    let kind = fields::text(&call.object()?, "type")?;
    match kind.as_str() {
        "" => Err(Error::invalid("backend type must be specified as a string")),
        TOKEN => Err(Error::invalid("token credential backend cannot be instantiated")),
        other => Err(Error::invalid(format!(
            "plugin not found in the catalog: {other} (tokens are the only way to log in here)"
        ))),
    }
}

pub async fn tune(call: &Call, path: &str) -> Result<Answer> {
    let path = path.trim_matches('/');
    if find(call, Table::Auth, path).await?.is_none() {
        return Err(Error::invalid(format!("tune of path \"auth/{path}/\" failed: no mount entry found")));
    }
    let body = call.object()?;
    let tuning = MountTuning {
        description: Some(fields::text(&body, "description")?).filter(|text| !text.is_empty()),
        options: None,
        default_ttl: fields::duration(&body, "default_lease_ttl")?,
        max_ttl: fields::duration(&body, "max_lease_ttl")?,
    };
    let done = call.node.vault.auth_tune(path, tuning).await?;
    Ok(written(Answer::empty(), done.position))
}

/// As in Vault, one that is not there is disabled already.
pub async fn disable(call: Call) -> Result<Answer> {
    if call.param("path").trim_matches('/') == TOKEN {
        return Err(Error::invalid("token credential backend cannot be disabled"));
    }
    Ok(Answer::empty())
}
