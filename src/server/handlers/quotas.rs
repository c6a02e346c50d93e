//! `sys/quotas`: rate limits, and what holds for all of them.

use super::{fields, page, written};
use crate::error::{Error, Result};
use crate::secrets::quotas::RateLimit;
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::{Value, json};
use std::time::Duration;

/// Of a limit that names none.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
/// Quotas there may be: each request is held against them.
const LIMITS_MAX: usize = 256;

pub async fn list(call: Call) -> Result<Answer> {
    let settings = call.node.vault.settings()?;
    let names: Vec<String> = settings.quotas.rate_limits.keys().cloned().collect();
    Ok(Answer::keys(page(&call, &names)?))
}

pub async fn read(call: Call) -> Result<Answer> {
    let settings = call.node.vault.settings()?;
    let name = call.param("name");
    let Some(limit) = settings.quotas.rate_limits.get(name) else { return Ok(Answer::missing()) };
    Ok(Answer::data(&json!({
        "block_interval": limit.block.as_secs(),
        "interval": limit.interval.as_secs(),
        "name": name,
        "path": limit.path,
        "rate": number(limit.rate),
        "role": "",
        "type": "rate-limit",
    })))
}

pub async fn write(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let kind = fields::text(&body, "type")?;
    if !matches!(kind.as_str(), "" | "rate-limit") {
        return Err(Error::invalid(format!("unsupported quota type: {kind}")));
    }
    let path = call.node.vault.quota_path(&fields::text(&body, "path")?)?;
    if !fields::text(&body, "role")?.is_empty() {
        return Err(Error::invalid(format!("Mount path \"{path}\" does not support use with role-based quotas")));
    }
    let rate = match body.get("rate") {
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(other) => other.as_f64(),
        None => None,
    };
    let rate = rate.filter(|rate: &f64| *rate > 0.0 && *rate <= f64::from(u32::MAX));
    let rate = rate.ok_or_else(|| Error::invalid("'rate' is invalid"))?;
    let whole =
        |name| Ok::<_, Error>(Duration::from_secs(fields::duration(&body, name)?.unwrap_or_default().as_secs()));
    let interval = Some(whole("interval")?).filter(|interval| !interval.is_zero()).unwrap_or(INTERVAL_DEFAULT);
    let limit = RateLimit { path, rate, interval, block: whole("block_interval")? };
    let name = call.param("name").to_owned();
    let done = call.node.vault.settings_change(move |settings| {
        settings.put_rate_limit(name, limit)?;
        match settings.quotas.rate_limits.len() {
            0..=LIMITS_MAX => Ok(()),
            _ => Err(Error::invalid(format!("there are at most {LIMITS_MAX} quotas"))),
        }
    });
    Ok(written(Answer::empty(), done.await?.position))
}

pub async fn delete(call: Call) -> Result<Answer> {
    let name = call.param("name").to_owned();
    let done = call.node.vault.settings_change(move |settings| {
        settings.quotas.rate_limits.remove(&name);
        Ok(())
    });
    Ok(written(Answer::empty(), done.await?.position))
}

pub async fn config(call: Call) -> Result<Answer> {
    let settings = call.node.vault.settings()?;
    Ok(Answer::data(&json!({
        "enable_rate_limit_audit_logging": settings.quotas.audits,
        "enable_rate_limit_response_headers": settings.quotas.tells,
        "rate_limit_exempt_paths": settings.quotas.exempt,
    })))
}

/// What is not named stays.
pub async fn config_write(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let exempt = fields::names(&body, "rate_limit_exempt_paths")?;
    let tells = fields::flag(&body, "enable_rate_limit_response_headers")?;
    let audits = fields::flag(&body, "enable_rate_limit_audit_logging")?;
    let done = call.node.vault.settings_change(move |settings| {
        let quotas = &mut settings.quotas;
        quotas.exempt = exempt.unwrap_or(std::mem::take(&mut quotas.exempt));
        quotas.tells = tells.unwrap_or(quotas.tells);
        quotas.audits = audits.unwrap_or(quotas.audits);
        Ok(())
    });
    Ok(written(Answer::empty(), done.await?.position))
}

/// Whole numbers without a point, as Go writes them.
fn number(rate: f64) -> Value {
    if rate.fract() == 0.0 { json!(rate as u64) } else { json!(rate) }
}
