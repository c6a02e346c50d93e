//! `sys/storage/raft/autopilot/*`: the health of the region's nodes, and by what it is judged.

use super::fields;
use super::membership::host_and_port;
use crate::clock;
use crate::consensus::Member;
use crate::error::Result;
use crate::ids::NodeId;
use crate::server::answer::Answer;
use crate::server::autopilot::{self, Seconds, Settings};
use crate::server::call::Call;
use serde_json::{Map, json};

pub async fn configuration(call: Call) -> Result<Answer> {
    Ok(Answer::data(&autopilot::settings(&call.node).await?))
}

/// What is not named stays as it is.
pub async fn configure(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let old = autopilot::settings(&call.node).await?;
    let seconds = |name: &str, old: Seconds| fields::duration(&body, name).map(|new| new.map_or(old, Seconds));
    let settings = Settings {
        cleanup_dead_servers: fields::flag(&body, "cleanup_dead_servers")?.unwrap_or(old.cleanup_dead_servers),
        dead_server_last_contact_threshold: seconds(
            "dead_server_last_contact_threshold",
            old.dead_server_last_contact_threshold,
        )?,
        last_contact_threshold: seconds("last_contact_threshold", old.last_contact_threshold)?,
        max_trailing_logs: fields::number(&body, "max_trailing_logs")?.unwrap_or(old.max_trailing_logs),
        min_quorum: fields::number(&body, "min_quorum")?.unwrap_or(old.min_quorum),
        server_stabilization_time: seconds("server_stabilization_time", old.server_stabilization_time)?,
        ..old
    };
    settings.check()?;
    autopilot::store(&call.node, &settings).await?;
    Ok(Answer::empty())
}

/// How each node is, as far as the leader has heard.
pub async fn state(call: Call) -> Result<Answer> {
    let settings = autopilot::settings(&call.node).await?;
    let standing = call.node.standing();
    let now = clock::now();
    let mut servers = Map::new();
    let (mut healthy_voters, mut all_healthy) = (0, true);
    for (id, member) in &standing.members {
        let is_me = *id == standing.me;
        let report = call.node.report_of(*id);
        let silent_for = report.as_ref().map(|(_, heard_at)| now.since(*heard_at)).filter(|_| !is_me);
        let healthy = is_me || silent_for.is_some_and(|silent| silent < settings.last_contact_threshold.0);
        let leads = standing.leader == Some(*id);
        healthy_voters += usize::from(healthy && member.voter);
        all_healthy &= healthy;
        let status = match (leads, member.voter) {
            (true, _) => "leader",
            (false, true) => "voter",
            (false, false) => "non-voter",
        };
        let version = report.map(|(report, _)| report.version).unwrap_or_default();
        let server = json!({
            "id": member.name,
            "name": member.name,
            "address": host_and_port(&member.api_addr),
            "node_status": if healthy { "alive" } else { "failed" },
            "last_contact": format!("{}ms", silent_for.unwrap_or_default().as_millis()),
            "last_term": standing.term,
            "last_index": member.matched_index.unwrap_or(standing.last_log_index),
            "healthy": healthy,
            "stable_since": call.node.leads_since().unwrap_or_default().rfc3339(),
            "status": status,
            "node_type": if member.voter { "voter" } else { "non-voter" },
            "version": if is_me { env!("CARGO_PKG_VERSION").to_owned() } else { version },
        });
        servers.insert(member.name.clone(), server);
    }
    let named = |wanted: &dyn Fn(&NodeId, &Member) -> bool| -> Vec<String> {
        standing
            .members
            .iter()
            .filter(|(id, member)| wanted(id, member))
            .map(|(_, member)| member.name.clone())
            .collect()
    };
    let voters = named(&|_, member| member.voter);
    let majority = voters.len() / 2 + 1;
    Ok(Answer::data(&json!({
        "healthy": all_healthy,
        "failure_tolerance": healthy_voters.saturating_sub(majority),
        "leader": named(&|id, _| standing.leader == Some(*id)).pop().unwrap_or_default(),
        "voters": voters,
        "servers": servers,
    })))
}
