//! Rotating the key that encrypts, by hand and by itself.

use super::{fields, written};
use crate::duration;
use crate::error::{Error, Result};
use crate::secrets::rotation::{INTERVAL_MIN, OPERATIONS_MAX, OPERATIONS_MIN};
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

pub async fn config(call: Call) -> Result<Answer> {
    let settings = call.node.vault.settings()?;
    let rotation = &settings.rotation;
    // Vault's forms: the number 0, or the text of a duration.
    let interval = if rotation.interval.is_zero() { json!(0) } else { json!(duration::go(rotation.interval)) };
    Ok(Answer::data(&json!({
        "enabled": rotation.enabled,
        "interval": interval,
        "max_operations": rotation.operations_max,
    })))
}

/// What is not named stays.
pub async fn config_write(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let operations: Option<u64> = fields::number(&body, "max_operations")?;
    if operations.is_some_and(|operations| !(OPERATIONS_MIN..=OPERATIONS_MAX).contains(&operations)) {
        let text = format!("max_operations must be in the range [{OPERATIONS_MIN},{OPERATIONS_MAX}]");
        return Err(Error::invalid(text));
    }
    let interval = fields::duration(&body, "interval")?;
    if interval.is_some_and(|interval| !interval.is_zero() && interval < INTERVAL_MIN) {
        let least = duration::go(INTERVAL_MIN);
        return Err(Error::invalid(format!("interval must be greater or equal to {least}")));
    }
    let enabled = fields::flag(&body, "enabled")?;
    let done = call.node.vault.settings_change(move |settings| {
        let rotation = &mut settings.rotation;
        rotation.enabled = enabled.unwrap_or(rotation.enabled);
        rotation.operations_max = operations.unwrap_or(rotation.operations_max);
        rotation.interval = interval.unwrap_or(rotation.interval);
        Ok(())
    });
    Ok(written(Answer::empty(), done.await?.position))
}
