//! `sys/leases/*`. All leases are those of tokens: this vault hands out nothing else that ends.

use super::{fields, page, written};
use crate::error::{Error, Result};
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::{Value, json};

pub async fn lookup(call: Call) -> Result<Answer> {
    let id = named(&call)?;
    let found = call.node.vault.lease(&id).await?;
    let token = found.ok_or_else(|| Error::invalid("invalid lease"))?;
    Ok(Answer::data(&json!({
        "id": id,
        "issue_time": token.created_at.rfc3339(),
        "expire_time": token.expires_at.map(|at| at.rfc3339()),
        "last_renewal": token.renewed_at.map(|at| at.rfc3339()),
        "renewable": token.renewable,
        "ttl": token.ttl.as_secs(),
    })))
}

pub async fn list(call: Call) -> Result<Answer> {
    Ok(Answer::keys(page(&call, &call.node.vault.leases_below(call.param("prefix")).await?)?))
}

/// As in Vault: a token is renewed as a token.
pub async fn renew(call: Call) -> Result<Answer> {
    match call.node.vault.lease(&named(&call)?).await? {
        Some(_) => Err(Error::invalid("tokens cannot be renewed through this endpoint")),
        None => Err(Error::invalid("lease not found")),
    }
}

pub async fn revoke(call: Call) -> Result<Answer> {
    let done = call.node.vault.lease_revoke(&named(&call)?).await?;
    Ok(written(Answer::empty(), done.position))
}

/// `revoke-prefix` and `revoke-force` are one here: nothing outside has to be told of the end of a token.
pub async fn revoke_prefix(call: Call) -> Result<Answer> {
    let done = call.node.vault.lease_revoke_prefix(call.param("prefix")).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn count(call: Call) -> Result<Answer> {
    match call.query.get("type") {
        // None that could not be revoked stays behind.
        Some("irrevocable") => Ok(Answer::data(&json!({ "lease_count": 0, "counts": {} }))),
        _ => Err(Error::invalid("`type` must be `irrevocable`")),
    }
}

pub async fn irrevocable(call: Call) -> Result<Answer> {
    match call.query.get("type") {
        Some("irrevocable") => Ok(Answer::data(&json!({ "lease_count": 0, "leases": [] }))),
        _ => Err(Error::invalid("`type` must be `irrevocable`")),
    }
}

pub async fn tidy(_: Call) -> Result<Answer> {
    Ok(Answer::warning("Leases end with their tokens: there is nothing to tidy.").with_status(202))
}

/// `sys/internal/counters/…`
pub async fn counters(call: Call) -> Result<Answer> {
    let counters: Value = match call.param("of") {
        "tokens" => json!({ "service_tokens": { "total": call.node.vault.token_accessors().await?.len() } }),
        "entities" => json!({ "entities": { "total": 0 } }),
        _ => return Ok(Answer::missing()),
    };
    Ok(Answer::data(&json!({ "counters": counters })))
}

/// The id in the body, or, as Vault's command line sends it, in the path.
fn named(call: &Call) -> Result<String> {
    let id = match fields::text(&call.object()?, "lease_id")? {
        id if id.is_empty() => call.param("id").to_owned(),
        id => id,
    };
    if id.is_empty() { Err(Error::invalid("lease_id must be specified")) } else { Ok(id) }
}
