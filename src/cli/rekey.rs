//! `twinkeep operator rekey`: new unseal keys by a quorum of the old ones, as Vault's CLI has it.

use super::Context;
use super::args::{Format, Rekey};
use super::failure::Failure;
use super::output::{Output, json, key_values, plain};
use crate::client::{Client, Logical};
use serde_json::{Value, json};
use std::fmt::Write;

const INIT: &str = "sys/rekey/init";
const UPDATE: &str = "sys/rekey/update";
const VERIFY: &str = "sys/rekey/verify";

pub async fn run(rekey: Rekey, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&rekey.connection)?;
    let client = context.environment.client(&rekey.connection)?;
    if rekey.init {
        return begin(&rekey, &client, format).await;
    }
    if rekey.cancel {
        return cancel(&rekey, &client, format).await;
    }
    if rekey.status {
        return Ok(shown(format, &status(&rekey, &client).await?, ""));
    }
    give(rekey, &client, format, context).await
}

async fn begin(rekey: &Rekey, client: &Client, format: Format) -> Result<Output, Failure> {
    let body = json!({
        "secret_shares": rekey.key_shares,
        "secret_threshold": rekey.key_threshold,
        "require_verification": rekey.verify,
    });
    let status = call(client, INIT, Logical::Write(body)).await.map_err(Failure::changed)?;
    let next = "\n\nNow give a quorum of the unseal keys, each by `operator rekey` and with the nonce. The old keys are good\nuntil then, and with -verify until the new ones were given back.";
    Ok(shown(format, &status, next))
}

async fn cancel(rekey: &Rekey, client: &Client, format: Format) -> Result<Output, Failure> {
    let (path, done) = match rekey.verify {
        false => (INIT, "Success! Canceled rekeying (if it was started)"),
        true => (VERIFY, "Success! Forgot which of the new keys were given back. The rekey goes on."),
    };
    let named: Vec<_> = rekey.nonce.iter().map(|nonce| ("nonce", nonce.as_str())).collect();
    client.logical(path, &named, Logical::Delete, None).await.map_err(Failure::changed)?;
    Ok(Output::said(format, done))
}

async fn status(rekey: &Rekey, client: &Client) -> Result<Value, Failure> {
    let path = if rekey.verify { VERIFY } else { INIT };
    call(client, path, Logical::Read).await.map_err(Failure::asked)
}

/// One of the old keys, or with `-verify` one of the new.
async fn give(rekey: Rekey, client: &Client, format: Format, context: &mut Context<'_>) -> Result<Output, Failure> {
    let status = status(&rekey, client).await?;
    if status["started"] != true {
        return Err(Failure::local("No rekey is in progress. Start one by `operator rekey -init`."));
    }
    let failed = |error: std::io::Error| Failure::local(format!("the key can't be read: {error}"));
    let (key, nonce) = match rekey.key.as_deref() {
        Some(key) if key != "-" => (key.to_owned(), rekey.nonce.clone()),
        None if context.person.is_present() => {
            // Who sits there sees what the key is for.
            let told = || Some(plain(&status["nonce"])).filter(|nonce| !nonce.is_empty());
            let nonce = rekey.nonce.clone().or_else(told).ok_or_else(no_nonce)?;
            let question = format!("Rekey operation nonce: {nonce}\nUnseal Key (it won't be shown): ");
            (context.person.ask_secret(&question).map_err(failed)?, Some(nonce))
        }
        Some(_) | None => (context.person.standard_input().map_err(failed)?, rekey.nonce.clone()),
    };
    let nonce = nonce.ok_or_else(no_nonce)?;
    if key.trim().is_empty() {
        return Err(Failure::local("no key was given"));
    }
    let body = json!({ "key": key.trim(), "nonce": nonce });
    let path = if rekey.verify { VERIFY } else { UPDATE };
    let answer = call(client, path, Logical::Write(body)).await.map_err(Failure::changed)?;
    if answer["complete"] != true {
        return Ok(shown(format, &answer, ""));
    }
    Ok(match (format, rekey.verify) {
        (Format::Json, _) => Output::text(json(&answer)),
        (Format::Table, true) => Output::text(format!(
            "Success! Rekey verification completed successfully.\nThe new unseal keys are good from now on; the old ones are not.\n\n\
             Operation nonce: {}",
            plain(&answer["nonce"])
        )),
        (Format::Table, false) => Output::text(made(&answer, &status)),
    })
}

fn no_nonce() -> Failure {
    Failure::local("the nonce of the rekey is missing: give the one that -init printed by -nonce=NONCE")
}

/// The new keys, once.
fn made(answer: &Value, status: &Value) -> String {
    let mut text = String::new();
    for (at, key) in answer["keys_base64"].as_array().into_iter().flatten().enumerate() {
        // Writing to a string can't fail.
        let _ = writeln!(text, "Key {}: {}", at + 1, plain(key));
    }
    let (shares, threshold) = (plain(&status["n"]), plain(&status["t"]));
    let _ = writeln!(text, "\nOperation nonce: {}\n", plain(&answer["nonce"]));
    text.push_str(&if answer["verification_required"] == true {
        format!(
            "The new keys are made and not good yet: give {threshold} of them back by `operator rekey -verify`.\n\n\
             Verification nonce: {}",
            plain(&answer["verification_nonce"])
        )
    } else {
        format!(
            "The region has {shares} new keys; any {threshold} of them unseal a node that starts. They are shown this once: give\n\
             each to another person. The old keys are good for nothing any more."
        )
    });
    text
}

fn shown(format: Format, status: &Value, more: &str) -> Output {
    Output::of(format, status, |status| {
        let started = status["started"] == true;
        let mut rows = vec![("Nonce", plain(&status["nonce"])), ("Started", started.to_string())];
        if started {
            // Of a verification the progress is counted up to the new threshold.
            let required = status.get("required").unwrap_or(&status["t"]);
            rows.push(("Rekey Progress", format!("{}/{}", plain(&status["progress"]), plain(required))));
            rows.push(("New Shares", plain(&status["n"])));
            rows.push(("New Threshold", plain(&status["t"])));
            if let Some(required) = status.get("verification_required") {
                rows.push(("Verification Required", plain(required)));
            }
            if let Some(nonce) = status["verification_nonce"].as_str().filter(|nonce| !nonce.is_empty()) {
                rows.push(("Verification Nonce", nonce.to_owned()));
            }
        }
        format!("{}{more}", key_values(&rows))
    })
}

/// What the server answers; `null` for nothing.
async fn call(client: &Client, path: &str, what: Logical) -> crate::client::Result<Value> {
    Ok(client.logical(path, &[], what, None).await?.unwrap_or_default())
}
