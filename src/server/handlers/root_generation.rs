//! `sys/generate-root/*`, which needs no token but shares, as in Vault; and the same for who has a token as
//! `sys/generate-root-token/*`, as OpenBao has it.

use super::attempts::{self, answer};
use super::seal::{count_if_none, too_many_shares};
use super::{fields, rekey, written};
use crate::error::{Error, Result};
use crate::secrets::root_generation::{OTP_LENGTH, RootGenerationStatus};
use crate::sensitive::SensitiveString;
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::node::blocking;
use serde_json::{Value, json};

pub async fn status(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    let vault = call.node.vault.clone();
    let status = blocking(move || vault.root_generation_status()).await?;
    Ok(answer(&call, &attempts::told(&call, shown(&status))?))
}

pub async fn begin(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    let body = call.object()?;
    if !fields::text(&body, "pgp_key")?.is_empty() {
        return Err(Error::invalid("encrypting the token to a PGP key is not supported: leave `pgp_key` out"));
    }
    let otp = Some(fields::text(&body, "otp")?).filter(|otp| !otp.is_empty()).map(SensitiveString::new);
    let vault = call.node.vault.clone();
    let (status, made) = blocking(move || vault.root_generation_begin(otp)).await?;
    let mut shown = shown(&status);
    shown["otp"] = json!(made.as_ref().map_or("", |otp| otp.expose()));
    Ok(answer(&call, &shown))
}

pub async fn cancel(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    let vault = call.node.vault.clone();
    let status = blocking(move || vault.root_generation_status()).await?;
    attempts::expect_may_end(&call, &status.nonce)?;
    call.node.vault.root_generation_cancel();
    Ok(Answer::empty())
}

pub async fn update(call: Call) -> Result<Answer> {
    call.node.expect_open()?;
    if let Some(answer) = too_many_shares(&call) {
        return Ok(answer);
    }
    let (share, nonce) = rekey::share(&call)?;
    let outcome = call.node.vault.root_generation_update(&share, &nonce).await;
    count_if_none(&call, &outcome);
    match outcome? {
        Ok(made) => {
            let mut shown = shown(&made.status);
            shown["complete"] = json!(true);
            // Its older name as well.
            shown["encoded_token"] = json!(made.encoded);
            shown["encoded_root_token"] = json!(made.encoded);
            Ok(written(answer(&call, &shown), made.position))
        }
        Err(status) => Ok(answer(&call, &shown(&status))),
    }
}

fn shown(status: &RootGenerationStatus) -> Value {
    json!({
        "nonce": status.nonce,
        "started": status.started,
        "progress": status.progress,
        "required": status.required,
        "complete": false,
        "encoded_token": "",
        "encoded_root_token": "",
        "pgp_fingerprint": "",
        "otp": "",
        "otp_length": OTP_LENGTH,
    })
}
