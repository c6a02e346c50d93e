//! Rotating the key that encrypts.

use super::written;
use crate::error::Result;
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::json;

pub async fn rotate(call: Call) -> Result<Answer> {
    let done = call.node.vault.rotate().await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn key_status(call: Call) -> Result<Answer> {
    let status = call.node.vault.key_status().await?;
    Ok(Answer::data_and_top(&json!({
        "term": status.term,
        "install_time": status.since.rfc3339(),
        "encryptions": status.encryptions,
    })))
}
