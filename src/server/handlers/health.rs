//! `sys/health`, `sys/leader`, `sys/ha-status`: who is well, and who leads.

use crate::api::cluster::{HaNode, HaStatus, Leader};
use crate::api::health::{Health, code};
use crate::clock;
use crate::error::{Error, Result};
use crate::ids;
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::state::Role;

/// What Vault calls the code of a node that can't reach its leader.
const LEADER_UNREACHABLE: &str = "haunhealthycode";

/// What Go writes for no time.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

pub async fn health(call: Call) -> Result<Answer> {
    let node = &call.node;
    let standing = node.standing();
    let path = node.state.path();
    let identity = node.state.identity()?;
    let sealed = node.vault.is_sealed();
    // Whoever asks a node that is not open learns what state it is in, and no names.
    let told = identity.filter(|_| !sealed);
    let health = Health {
        initialized: path.is_initialised() || node.joining.is_expected(),
        sealed,
        standby: !standing.is_leader || sealed,
        performance_standby: false,
        replication_performance_mode: if sealed { "unknown" } else { "disabled" }.into(),
        replication_dr_mode: match path.role {
            _ if sealed => "unknown",
            Role::Primary if !path.is_initialised() => "disabled",
            Role::Primary => "primary",
            Role::Standby => "secondary",
            Role::Fenced => "disabled",
        }
        .into(),
        server_time_utc: clock::now().0 / 1000,
        version: env!("CARGO_PKG_VERSION").into(),
        cluster_name: told.as_ref().map(|identity| identity.name.clone()),
        cluster_id: told.map(|identity| ids::uuid(identity.id.0)),
        last_wal: (!sealed && path.is_initialised()).then_some(path.applied.index),
        closed: node.replication.closed(),
    };
    let (name, default) = if !health.initialized {
        ("uninitcode", code::UNINITIALISED)
    } else if health.sealed {
        ("sealedcode", code::SEALED)
    } else if !path.ships() || !path.is_whole() {
        ("drsecondarycode", code::STANDBY_REGION)
    } else if health.closed.is_some() {
        ("closedcode", code::CLOSED)
    } else if standing.is_leader || (standing.leader.is_some() && call.query.flag("standbyok")) {
        ("activecode", code::ACTIVE)
    } else if standing.leader.is_none() {
        (LEADER_UNREACHABLE, code::LEADER_UNREACHABLE)
    } else {
        ("standbycode", code::FOLLOWER)
    };
    let status = [name, other_name(name)].iter().find_map(|name| call.query.number(name).transpose());
    let status: u16 = status.transpose()?.unwrap_or(default);
    if !(200..600).contains(&status) {
        return Err(Error::invalid("a status code is a number from 200 to 599"));
    }
    Ok(Answer::plain(&health).with_status(status))
}

/// Whoever overrides the code of a follower, but not of one without a leader, means both.
fn other_name(name: &str) -> &str {
    if name == LEADER_UNREACHABLE { "standbycode" } else { name }
}

/// A node that is not open says only that, in the words that Vault's command line knows.
pub async fn leader(call: Call) -> Result<Answer> {
    if call.node.vault.is_sealed() {
        return Err(Error::Sealed);
    }
    let standing = call.node.standing();
    let leader_address = standing.leader_addr().unwrap_or_default().to_owned();
    let since = call.node.leads_since().filter(|_| standing.is_leader);
    Ok(Answer::plain(&Leader {
        ha_enabled: true,
        is_self: standing.is_leader,
        active_time: since.map_or_else(|| NO_TIME.into(), |since| since.rfc3339()),
        leader_cluster_address: leader_address.clone(),
        leader_address,
        performance_standby: false,
        performance_standby_last_remote_wal: 0,
        raft_committed_index: Some(standing.committed_index),
        raft_applied_index: Some(standing.applied_index),
    }))
}

pub async fn ha_status(call: Call) -> Result<Answer> {
    let standing = call.node.standing();
    let nodes = standing.members.iter().map(|(id, member)| {
        let is_me = *id == standing.me;
        let (report, heard_at) = call.node.report_of(*id).unzip();
        let version = report.map(|report| report.version);
        HaNode {
            hostname: member.name.clone(),
            api_address: member.api_addr.clone(),
            cluster_address: member.api_addr.clone(),
            active_node: standing.leader == Some(*id),
            last_echo: heard_at.map(|at| at.rfc3339()),
            version: if is_me { env!("CARGO_PKG_VERSION").into() } else { version.unwrap_or_default() },
            upgrade_version: String::new(),
        }
    });
    Ok(Answer::data_and_top(&HaStatus { nodes: nodes.collect() }))
}
