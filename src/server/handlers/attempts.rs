//! What is under way for holders of shares and needs no token, a rekey and the making of a root token: who is told its nonce,
//! and who may end it. Otherwise a stranger could keep it from ever being done.

use crate::error::{Error, Result};
use crate::secrets::{Asked, Decision, Operation};
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::{Map, Value, json};

/// What only whoever began, or who has a token that may read it, is told: they tell the holders of shares.
const TOLD: &[&str] = &["nonce", "verification_nonce"];

/// A status for whoever asks.
pub fn told(call: &Call, mut status: Value) -> Result<Value> {
    if !may(call, Operation::Read)? {
        for name in TOLD {
            if let Some(nonce) = status.get_mut(name) {
                *nonce = json!("");
            }
        }
    }
    Ok(status)
}

/// Fails for who neither names it nor shows a token that may end it.
pub fn expect_may_end(call: &Call, nonce: &str) -> Result<()> {
    let body = call.object()?;
    let named = call.query.get("nonce").or_else(|| body.get("nonce")?.as_str());
    if nonce.is_empty() || named == Some(nonce) || may(call, Operation::Delete)? {
        return Ok(());
    }
    Err(Error::invalid("one is under way: its nonce is required to cancel it, or a token that may"))
}

fn may(call: &Call, operation: Operation) -> Result<bool> {
    // The paths that want a token looked at it before.
    if call.caller.is_some() {
        return Ok(true);
    }
    let Some(token) = call.token() else { return Ok(false) };
    let Some(caller) = call.node.vault.recognise(&token, call.address(), call.uses)? else { return Ok(false) };
    let asked = Asked { path: &call.path, operation, parameters: &Map::new, wrap_ttl: None };
    Ok(matches!(caller.acl.decide(&asked), Decision::Allowed { .. }))
}

/// Vault's own paths answer without an envelope; OpenBao's, which want a token, with one.
pub fn answer(call: &Call, payload: &Value) -> Answer {
    if call.caller.is_none() { Answer::plain(payload) } else { Answer::data_and_top(payload) }
}
