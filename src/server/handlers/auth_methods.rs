//! Ways to log in: there is one, by token, and it can be looked at and tuned like any other of Vault's.

use super::mounts::{find, shown, table, tuning, tuning_of};
use super::{fields, written};
use crate::error::{Error, Result};
use crate::secrets::Table;
use crate::server::answer::Answer;
use crate::server::call::Call;

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
    Ok(Answer::data_and_top(&tuning(call, &mount)))
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
    if !fields::text(&body, "token_type")?.is_empty() {
        return Err(Error::invalid("'token_type' cannot be set for 'token' or 'ns_token' auth mounts"));
    }
    let done = call.node.vault.auth_tune(path, tuning_of(&body)?).await?;
    Ok(written(Answer::empty(), done.position))
}

/// As in Vault, one that is not there is disabled already.
pub async fn disable(call: Call) -> Result<Answer> {
    if call.param("path").trim_matches('/') == TOKEN {
        return Err(Error::invalid("token credential backend cannot be disabled"));
    }
    Ok(Answer::empty())
}
