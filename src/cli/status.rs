//! `twinkeep status`: one node, as Vault's `status` shows it; or regions together, judged.

use super::Context;
use super::args::{Format, Status};
use super::attach;
use super::failure::{EXIT_SERVER, EXIT_UNKNOWN, Failure};
use super::output::{Output, key_values};
use crate::api::cluster::Leader;
use crate::api::seal::SealStatus;
use crate::console::{self, AttachOptions, Standing};
use serde::Serialize;

/// The fields of both, side by side, as Vault's CLI has them.
#[derive(Serialize)]
struct NodeStatus {
    #[serde(flatten)]
    seal: SealStatus,
    #[serde(flatten)]
    leader: Option<Leader>,
    /// Whether the connection to it was encrypted.
    tls: bool,
}

pub async fn run(status: Status, context: &mut Context<'_>) -> Result<Output, Failure> {
    let view = &status.view;
    let regions = !view.addresses.is_empty() || !view.context.is_empty() || view.contexts_file.is_some();
    if regions {
        return judge(status, context).await;
    }
    let connection = status.view.connection;
    let format = context.environment.format(&connection)?;
    let client = context.environment.client(&connection)?;
    let seal = client.seal_status().await.map_err(Failure::asked)?;
    // A sealed node may not know its leader; the rest is worth showing all the same.
    let leader = match client.leader().await {
        Ok(leader) => Some(leader),
        Err(error) if seal.sealed && !error.is_unreachable() => None,
        Err(error) => return Err(Failure::asked(error)),
    };
    let fit = seal.initialized && !seal.sealed;
    let status = NodeStatus { seal, leader, tls: client.address().starts_with("https:") };
    let output = Output::of(format, &status, shown);
    Ok(Output { exit: if fit { 0 } else { EXIT_SERVER }, ..output })
}

/// The regions together, for scripts and monitoring.
async fn judge(status: Status, context: &mut Context<'_>) -> Result<Output, Failure> {
    let max_lag = status.max_lag.as_deref().map(crate::duration::parse).transpose();
    let max_lag = max_lag.map_err(|error| Failure::local(format!("-max-lag: {error}")))?;
    let format = match context.environment.format(&status.view.connection)? {
        Format::Table => console::Format::Text,
        Format::Json => console::Format::Json,
    };
    let contexts = attach::contexts(&status.view, false, context)?;
    let options = AttachOptions { contexts, ..AttachOptions::default() };
    let verdict = console::judge(options, format, max_lag).await.map_err(attach::refused)?;
    let exit = match verdict.standing {
        Standing::Well => 0,
        Standing::Unknown => EXIT_UNKNOWN,
        Standing::Unlinked | Standing::Syncing | Standing::Attention | Standing::Alarm => EXIT_SERVER,
    };
    Ok(Output { exit, ..Output::text(verdict.text) })
}

fn shown(status: &NodeStatus) -> String {
    let mut rows = seal_rows(&status.seal);
    if let Some(leader) = &status.leader {
        rows.push(("HA Enabled", leader.ha_enabled.to_string()));
        let mode = if leader.is_self { "active" } else { "standby" };
        rows.push(("HA Mode", mode.to_owned()));
        let none = || "<none>".to_owned();
        let address = Some(leader.leader_address.clone()).filter(|address| !address.is_empty());
        rows.push(("Active Node Address", address.unwrap_or_else(none)));
        if let Some(index) = leader.raft_committed_index {
            rows.push(("Raft Committed Index", index.to_string()));
        }
        if let Some(index) = leader.raft_applied_index {
            rows.push(("Raft Applied Index", index.to_string()));
        }
    }
    if !status.tls {
        rows.push(("TLS", "disabled: whoever is on the way reads tokens and secrets".to_owned()));
    }
    key_values(&rows)
}

/// The part that `operator unseal` shows as well.
pub fn seal_rows(seal: &SealStatus) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("Seal Type", seal.kind.clone()),
        ("Initialized", seal.initialized.to_string()),
        ("Sealed", seal.sealed.to_string()),
        ("Total Shares", seal.n.to_string()),
        ("Threshold", seal.t.to_string()),
    ];
    if seal.sealed && seal.initialized {
        rows.push(("Unseal Progress", format!("{}/{}", seal.progress, seal.t)));
        rows.push(("Unseal Nonce", if seal.nonce.is_empty() { "n/a".to_owned() } else { seal.nonce.clone() }));
    }
    rows.push(("Version", seal.version.clone()));
    rows.push(("Storage Type", seal.storage_type.clone()));
    if let Some(name) = &seal.cluster_name {
        rows.push(("Cluster Name", name.clone()));
    }
    if let Some(id) = &seal.cluster_id {
        rows.push(("Cluster ID", id.clone()));
    }
    rows
}
