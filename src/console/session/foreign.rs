//! Looks at a server that is no Twinkeep: what anybody is told each second, what only a token is told less often.

use super::Shared;
use crate::api::cluster::{HaNode, RaftServer};
use crate::client::{Client, ClientError, HealthAnswer};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::console::domain::foreign::{Leads, RaftPeer, RaftView, cluster_id, go_duration};
use crate::console::domain::node::normal_address;
use crate::console::domain::{Access, Contact, Foreign, NodeReport, Observed, Product};
use std::time::Duration;

/// Raft's and autopilot's state, which a follower fetches from its leader.
const RAFT_EVERY: Duration = Duration::from_secs(3);

/// Whether an error of the status, which needs no token in a Twinkeep, is what another server says.
pub fn is_foreign(error: &ClientError) -> bool {
    let ClientError::Status { status, errors, .. } = error else { return false };
    let says = |what: &str| errors.iter().any(|error| error.contains(what));
    match status {
        // A Twinkeep names the path that it does not have.
        404 => !says("no replication path"),
        400 | 403 | 405 => true,
        503 => says("sealed") || says("not initialized"),
        _ => false,
    }
}

/// Of one node: when what needs a token was asked for last.
#[derive(Default)]
pub struct ForeignEye {
    asked_at: Option<UnixMs>,
    raft: Option<Observed<RaftView>>,
    untold: Option<String>,
}

impl ForeignEye {
    /// Looks once and notes it in the report. Addresses of the cluster's other nodes come back.
    pub async fn look(
        &mut self,
        shared: &Shared,
        open: &Client,
        tokens: &mut [Client],
        report: &mut NodeReport,
    ) -> Result<Vec<String>, ClientError> {
        let asked_at = shared.clock.now();
        let HealthAnswer { health, .. } = open.health().await?;
        let trip = shared.clock.now().since(asked_at);
        let serves = health.initialized && !health.sealed;
        let leader = if serves { open.leader().await.ok() } else { None };
        let told = if serves { open.vault_replication().await } else { Ok(None) };
        let replication = told.ok().flatten();
        let product = match &replication {
            Some(_) => Product::Vault,
            // OpenBao began with version 2.
            None if health.version.starts_with("1.") => Product::Vault,
            None => Product::OpenBao,
        };
        let unseal = match open.seal_status().await {
            Ok(seal) if seal.sealed && seal.initialized => Some((seal.progress, seal.t)),
            Ok(_) | Err(_) => None,
        };
        let due = self.asked_at.is_none_or(|at| asked_at.since(at) >= RAFT_EVERY);
        if due && serves {
            self.asked_at = Some(asked_at);
            self.ask_raft(shared, tokens, report).await;
        }
        let now = shared.clock.now();
        let source = self.raft.as_ref().and_then(|raft| {
            let own = raft.last().peers.iter().find(|peer| normal_address(&peer.api_address) == report.address);
            own.map(|peer| peer.id.clone())
        });
        let source = source.unwrap_or_else(|| report.address.clone());
        let cluster = health.cluster_id.as_deref().and_then(cluster_id).zip(health.cluster_name);
        let foreign = Foreign {
            product,
            version: health.version,
            cluster,
            initialized: health.initialized,
            sealed: health.sealed,
            unseal,
            follower: health.standby,
            committed_index: leader.as_ref().and_then(|leader| leader.raft_committed_index),
            applied_index: leader.as_ref().and_then(|leader| leader.raft_applied_index),
            leader: match leader {
                None => Leads::Untold,
                Some(leader) if leader.leader_address.is_empty() => Leads::Nobody,
                Some(leader) => Leads::At(leader.leader_address),
            },
            replication,
            raft: self.raft.clone(),
            untold: self.untold.clone(),
        };
        let others = self.raft.iter().flat_map(|raft| &raft.last().peers).map(|peer| peer.api_address.as_str());
        let others: Vec<String> = others.chain(foreign.leader.address()).map(normal_address).collect();
        if !matches!(report.contact, Contact::Up { .. }) {
            report.contact = Contact::Up { since: now };
        }
        report.round_trip = Some(trip);
        report.foreign = Some(Observed::new(foreign, now, source));
        Ok(others.into_iter().filter(|address| !address.is_empty()).collect())
    }

    /// One token after the other; what none is told stays unknown, with the reason.
    async fn ask_raft(&mut self, shared: &Shared, tokens: &mut [Client], report: &mut NodeReport) {
        if tokens.is_empty() {
            report.access = Access::NoToken;
            self.untold = Some("its nodes are told to who has a token only: set VAULT_TOKEN".into());
            return;
        }
        for at in 0..tokens.len() {
            match raft(&tokens[at]).await {
                Ok(view) => {
                    report.access = Access::Accepted;
                    self.untold = None;
                    self.raft = Some(Observed::new(view, shared.clock.now(), report.address.clone()));
                    tokens.swap(0, at);
                    return;
                }
                Err(error) => {
                    if error.status() == Some(403) {
                        report.access = Access::Refused;
                    }
                    self.untold = Some(format!("its nodes are not told: {error}"));
                }
            }
        }
    }
}

/// The nodes, from three answers that each know a part. Without Raft there is only who takes part in high availability.
async fn raft(client: &Client) -> Result<RaftView, ClientError> {
    let (configuration, autopilot, members) =
        tokio::join!(client.raft_configuration(), client.autopilot_state(), client.ha_status());
    let members = members.map(|status| status.nodes).unwrap_or_default();
    let servers = match configuration {
        Ok(configuration) => configuration.servers,
        Err(error) if members.is_empty() => return Err(error),
        Err(_) => Vec::new(),
    };
    let autopilot = autopilot.ok();
    let mut peers: Vec<RaftPeer> = servers.into_iter().map(|server| peer(server, &members)).collect();
    if peers.is_empty() {
        peers = members.iter().map(member).collect();
    }
    for peer in &mut peers {
        let Some(said) = autopilot.as_ref().and_then(|state| state.servers.get(&peer.id)) else { continue };
        peer.healthy = Some(said.healthy);
        peer.last_contact = go_duration(&said.last_contact);
        peer.last_index = Some(said.last_index);
        peer.last_term = Some(said.last_term);
        peer.version.clone_from(&said.version);
    }
    Ok(RaftView {
        healthy: autopilot.as_ref().map(|state| state.healthy),
        failure_tolerance: autopilot.as_ref().map(|state| state.failure_tolerance),
        peers,
    })
}

fn peer(server: RaftServer, members: &[HaNode]) -> RaftPeer {
    // One has a scheme, the other has none.
    let member = members.iter().find(|member| member.cluster_address.ends_with(&server.address));
    RaftPeer {
        api_address: member.map(|member| member.api_address.clone()).unwrap_or_default(),
        version: member.map(|member| member.version.clone()).unwrap_or_default(),
        id: server.node_id,
        cluster_address: server.address,
        leader: server.leader,
        voter: server.voter,
        ..RaftPeer::default()
    }
}

fn member(member: &HaNode) -> RaftPeer {
    RaftPeer {
        id: member.hostname.clone(),
        api_address: member.api_address.clone(),
        cluster_address: member.cluster_address.clone(),
        leader: member.active_node,
        version: member.version.clone(),
        ..RaftPeer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_twinkeep_never_says_is_foreign() {
        let error = |status: u16, words: &str| ClientError::Status {
            method: "GET".into(),
            url: String::new(),
            status,
            errors: vec![words.into()],
            raw: None,
        };
        assert!(is_foreign(&error(403, "permission denied")));
        assert!(is_foreign(&error(404, "unsupported path")));
        assert!(is_foreign(&error(400, "path disabled in replication DR secondary mode")));
        assert!(is_foreign(&error(503, "Vault is sealed")));
        assert!(!is_foreign(&error(404, "there is no replication path `other` here")));
        assert!(!is_foreign(&error(503, "no leader")));
        assert!(!is_foreign(&error(500, "internal error")));
    }
}
