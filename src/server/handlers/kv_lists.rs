//! Lists of KV version 2: page by page, all that is below, and with what is known of each secret.

use super::kv::{kv2, shown};
use super::{no_route, page};
use crate::error::Result;
use crate::secrets::MountId;
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::{Map, Value, json};

pub async fn list(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    Ok(Answer::keys(&names(&call, mount).await?))
}

/// As OpenBao has it: in one piece, and of nothing an empty answer.
pub async fn scan(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    Ok(scanned(&call.node.vault.kv_scan(mount, call.param("path")).await?))
}

pub async fn list_details(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let keys = names(&call, mount).await?;
    if keys.is_empty() {
        return Ok(Answer::missing());
    }
    with_details(&call, mount, keys).await
}

pub async fn scan_details(call: Call) -> Result<Answer> {
    let Some(mount) = kv2(&call) else { return no_route(call).await };
    let keys = call.node.vault.kv_scan(mount, call.param("path")).await?;
    with_details(&call, mount, keys).await
}

/// `{keys}` of a scan, where nothing is no error.
pub fn scanned(keys: &[String]) -> Answer {
    Answer::data(&if keys.is_empty() { json!({}) } else { json!({ "keys": keys }) })
}

async fn names(call: &Call, mount: MountId) -> Result<Vec<String>> {
    let names = call.node.vault.kv_list(mount, call.param("path")).await?;
    Ok(page(call, &names)?.to_vec())
}

/// Of a folder nothing is known.
async fn with_details(call: &Call, mount: MountId, keys: Vec<String>) -> Result<Answer> {
    let secrets = keys.iter().filter(|key| !key.ends_with('/')).cloned().collect();
    let mut known = call.node.vault.kv_details(mount, call.param("path"), secrets).await?;
    let mut info = |key: &String| known.remove(key).map_or(json!({}), |metadata| json!(shown(metadata)));
    let infos: Map<String, Value> = keys.iter().map(|key| (key.clone(), info(key))).collect();
    Ok(Answer::data(&if keys.is_empty() { json!({}) } else { json!({ "keys": keys, "key_info": infos }) }))
}
