//! `sys/rekey/*`, which needs no token but shares, as in Vault; and the same for who has a token as `sys/rotate/root/*`,
//! as OpenBao has it.

use super::attempts::{self, answer};
use super::fields;
use super::seal::{count_if_none, too_many_shares};
use crate::error::{Error, Result};
use crate::secrets::Split;
use crate::secrets::rekey::{RekeyStatus, Rekeyed, Verification};
use crate::sensitive::SensitiveString;
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::node::blocking;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

pub async fn status(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    let vault = call.node.vault.clone();
    let status = blocking(move || vault.rekey_status()).await?;
    Ok(answer(&call, &attempts::told(&call, shown(&status))?))
}

pub async fn begin(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    let body = call.object()?;
    if body.get("pgp_keys").and_then(Value::as_array).is_some_and(|keys| !keys.is_empty()) {
        return Err(Error::invalid("encrypting the shares to PGP keys is not supported: leave `pgp_keys` out"));
    }
    if fields::flag(&body, "backup")?.unwrap_or(false) {
        return Err(Error::invalid(
            "cannot request a backup of the new keys without providing PGP keys for encryption",
        ));
    }
    let split = Split::new(
        fields::number(&body, "secret_shares")?.unwrap_or(0),
        fields::number(&body, "secret_threshold")?.unwrap_or(0),
    )?;
    let verify = fields::flag(&body, "require_verification")?.unwrap_or(false);
    let vault = call.node.vault.clone();
    let status = blocking(move || vault.rekey_begin(split, verify)).await?;
    Ok(answer(&call, &shown(&status)))
}

pub async fn cancel(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    let vault = call.node.vault.clone();
    let status = blocking(move || vault.rekey_status()).await?;
    attempts::expect_may_end(&call, &status.nonce)?;
    call.node.vault.rekey_cancel();
    Ok(Answer::empty())
}

pub async fn update(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    if let Some(answer) = too_many_shares(&call) {
        return Ok(answer);
    }
    let (share, nonce) = share(&call)?;
    let outcome = call.node.vault.rekey_update(&share, &nonce).await;
    count_if_none(&call, &outcome);
    Ok(match outcome? {
        Rekeyed::More(status) => answer(&call, &shown(&status)),
        Rekeyed::Made(keys, status) => answer(
            &call,
            &json!({
                "nonce": status.nonce,
                "complete": true,
                "keys": keys.iter().map(|key| hex::encode(key.expose())).collect::<Vec<_>>(),
                "keys_base64": keys.iter().map(|key| BASE64.encode(key.expose())).collect::<Vec<_>>(),
                "pgp_fingerprints": null,
                "backup": false,
                "verification_required": status.verify,
                "verification_nonce": verification_nonce(&status),
            }),
        ),
    })
}

pub async fn verification(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    let vault = call.node.vault.clone();
    let status = blocking(move || vault.rekey_status()).await?;
    let Some(verification) = &status.verification else {
        return Err(Error::invalid("no rekey configuration found"));
    };
    Ok(answer(&call, &attempts::told(&call, verification_shown(&status, verification))?))
}

pub async fn verify(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    if let Some(answer) = too_many_shares(&call) {
        return Ok(answer);
    }
    let (share, nonce) = share(&call)?;
    let outcome = call.node.vault.rekey_verify(&share, &nonce).await;
    count_if_none(&call, &outcome);
    match outcome? {
        Some(nonce) => Ok(answer(&call, &json!({ "nonce": nonce, "complete": true }))),
        None => verification(call).await,
    }
}

pub async fn verify_restart(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    let vault = call.node.vault.clone();
    let before = blocking(move || vault.rekey_status()).await?;
    let of_rekey = |_| attempts::expect_may_end(&call, &before.nonce);
    attempts::expect_may_end(&call, verification_nonce(&before)).or_else(of_rekey)?;
    let vault = call.node.vault.clone();
    let status = blocking(move || vault.rekey_verify_restart()).await?;
    let shown = status.verification.as_ref().map(|verification| verification_shown(&status, verification));
    Ok(answer(&call, &shown.unwrap_or(Value::Null)))
}

/// New shares are encrypted to nobody, so none are kept.
pub async fn backup(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    Err(Error::invalid("no backed-up keys found"))
}

pub async fn backup_delete(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    Ok(Answer::empty())
}

pub async fn recovery(_: Call) -> Result<Answer> {
    Err(Error::invalid("recovery rekeying not supported: this region has shares of its unseal key only"))
}

/// A share and the nonce that it is given for.
pub fn share(call: &Call) -> Result<(SensitiveString, String)> {
    let body = call.object()?;
    let key = fields::text(&body, "key")?;
    if key.is_empty() {
        return Err(Error::invalid("'key' must be specified in request body as JSON"));
    }
    Ok((SensitiveString::new(key), fields::text(&body, "nonce")?))
}

fn shown(status: &RekeyStatus) -> Value {
    json!({
        "nonce": status.nonce,
        "started": status.started,
        "t": status.split.threshold,
        "n": status.split.shares,
        "progress": status.progress,
        "required": status.required,
        "pgp_fingerprints": null,
        "backup": false,
        "verification_required": status.verify,
        "verification_nonce": verification_nonce(status),
    })
}

fn verification_nonce(status: &RekeyStatus) -> &str {
    status.verification.as_ref().map_or("", |verification| &verification.nonce)
}

fn verification_shown(status: &RekeyStatus, verification: &Verification) -> Value {
    json!({
        "nonce": verification.nonce,
        "started": true,
        "t": status.split.threshold,
        "n": status.split.shares,
        "progress": verification.progress,
    })
}
