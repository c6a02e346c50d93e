//! What a node tells of itself to who operates it: the machine, the version, the configuration, the requests under way.

use crate::clock;
use crate::config::{Seal, Tls};
use crate::error::Result;
use crate::secrets::{KvKind, Table};
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::host;
use crate::server::node::blocking;
use crate::server::openapi::{self, Mounts};
use serde_json::{Map, Value, json};

pub async fn host_info(call: Call) -> Result<Answer> {
    let data = call.node.config.storage.path.clone();
    let mut info = blocking(move || Ok(host::info(&data))).await?;
    info["timestamp"] = json!(clock::now().rfc3339());
    Ok(Answer::data(&info))
}

/// The version that runs: which ones ran before is not kept.
pub async fn version_history(call: Call) -> Result<Answer> {
    let version = env!("CARGO_PKG_VERSION");
    let mut versions = Map::new();
    let installed = call.node.started_at().rfc3339();
    versions.insert(
        version.to_owned(),
        json!({ "previous_version": null, "timestamp_installed": installed, "build_date": "", "commit_date": "" }),
    );
    Ok(Answer::data(&json!({ "keys": [version], "key_info": versions })))
}

pub async fn in_flight(call: Call) -> Result<Answer> {
    let shown = call.node.requests.under_way().into_iter().map(|request| {
        let shown = json!({
            "start_time": request.since.rfc3339(),
            "client_remote_address": request.client.map(|client| client.to_string()).unwrap_or_default(),
            "request_path": request.path,
            "request_method": request.method,
            "client_id": "",
        });
        (request.id, shown)
    });
    Ok(Answer::plain(&shown.collect::<Map<String, Value>>()))
}

/// The configuration without what is secret in it: no activation token, no key file.
pub async fn config(call: Call) -> Result<Answer> {
    let config = &call.node.config;
    let seal = match config.seal {
        Seal::Shamir => "shamir",
        Seal::File { .. } => "file",
    };
    Ok(Answer::data(&json!({
        "api_addr": config.api_addr,
        "cluster_addr": config.api_addr,
        "cluster_name": config.cluster_name,
        "default_lease_ttl": config.leases.default_ttl.as_secs(),
        "max_lease_ttl": config.leases.max_ttl.as_secs(),
        "listeners": [{
            "type": "tcp",
            "config": { "address": config.listener.address, "tls_disable": config.listener.tls == Tls::Disabled },
        }],
        "log_format": format!("{:?}", config.log_format).to_lowercase(),
        "log_level": config.log_level.name(),
        "seals": [{ "type": seal, "disabled": false }],
        "storage": {
            "type": "raft",
            "cluster_addr": config.api_addr,
            "redirect_addr": config.api_addr,
            "disable_clustering": false,
            "raft": { "node_id": config.storage.node_id, "engine": config.storage.engine.name() },
        },
        "replication": { "path": config.replication.path, "enabled": config.replication.enabled },
        "disable_cache": false,
        "enable_ui": false,
    })))
}

/// With the KV mounts that the caller may see.
pub async fn openapi(call: Call) -> Result<Answer> {
    let acl = &call.caller()?.acl;
    let mounts = call.node.vault.mounts(Table::Secret)?.into_iter().filter(|mount| acl.sees(&mount.route()));
    let (mut kv1, mut kv2) = (Vec::new(), Vec::new());
    for mount in mounts {
        let path = mount.path.trim_end_matches('/').to_owned();
        match mount.kv() {
            Some(KvKind::Plain) => kv1.push(path),
            Some(KvKind::Versioned) => kv2.push(path),
            None => {}
        }
    }
    Ok(Answer::plain(&openapi::document(&Mounts { kv1, kv2 })))
}
