//! A node's standing in its region, derived from openraft's metrics.

use super::log_store::Shared;
use super::types::Metrics;
use crate::consensus::{Member, Standing};
use crate::error::Error;
use openraft::ServerState;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Follows `metrics` until openraft ends.
pub fn follow(
    metrics: watch::Receiver<Metrics>,
    log: Arc<Shared>,
) -> (watch::Receiver<Standing>, tokio::task::JoinHandle<()>) {
    let mut lead = Lead::default();
    let first = standing(&metrics.borrow(), &log, &mut lead);
    let (told, standings) = watch::channel(first);
    (standings, tokio::spawn(run(metrics, log, lead, told)))
}

async fn run(mut metrics: watch::Receiver<Metrics>, log: Arc<Shared>, mut lead: Lead, told: watch::Sender<Standing>) {
    while metrics.changed().await.is_ok() {
        let next = standing(&metrics.borrow_and_update(), &log, &mut lead);
        told.send_if_modified(|standing| {
            let changed = *standing != next;
            *standing = next;
            changed
        });
    }
    told.send_modify(|standing| {
        *standing = Standing { me: standing.me, members: std::mem::take(&mut standing.members), ..Standing::default() };
    });
}

/// The term this node leads in, and what must be applied before it may evaluate in it: all that was in its log when
/// it came to lead, which includes the term's own first entry. A node that restarts as leader of the same term finds
/// entries of its former life there, hence the log and not the first entry only.
#[derive(Default)]
struct Lead {
    term: Option<u64>,
    must_apply: u64,
}

impl Lead {
    fn evaluation_term(&mut self, metrics: &Metrics, is_leader: bool) -> Option<u64> {
        if !is_leader {
            *self = Lead::default();
            return None;
        }
        if self.term != Some(metrics.current_term) {
            *self = Lead { term: Some(metrics.current_term), must_apply: metrics.last_log_index.unwrap_or(0) };
        }
        let applied = metrics.last_applied?.index;
        if applied >= self.must_apply { self.term } else { None }
    }
}

fn standing(metrics: &Metrics, log: &Shared, lead: &mut Lead) -> Standing {
    let is_leader = metrics.state == ServerState::Leader && metrics.running_state.is_ok();
    let membership = metrics.membership_config.membership();
    let voters: Vec<_> = membership.voter_ids().collect();
    let members = membership.nodes().map(|(id, peer)| {
        let matched = metrics.replication.as_ref().and_then(|all| *all.get(id)?);
        let member = Member {
            name: peer.name.clone(),
            api_addr: peer.api_addr.clone(),
            voter: voters.contains(id),
            matched_index: matched.map(|log_id| log_id.index),
        };
        (*id, member)
    });
    let applied_index = metrics.last_applied.map_or(0, |last| last.index);
    Standing {
        me: metrics.id,
        is_leader,
        leader: metrics.current_leader.filter(|_| metrics.running_state.is_ok()),
        term: metrics.current_term,
        lead_term: lead.evaluation_term(metrics, is_leader),
        last_log_index: metrics.last_log_index.unwrap_or(0),
        committed_index: log.committed_index().max(applied_index),
        applied_index,
        members: members.collect::<BTreeMap<_, _>>(),
    }
}

/// Why this node can't propose, and whom to ask instead.
pub fn not_leading(standing: &Standing) -> Error {
    if standing.is_leader {
        return Error::not_leader("this node has just become the leader and is catching up; try again");
    }
    match standing.leader.and_then(|leader| standing.members.get(&leader)) {
        Some(leader) => Error::not_leader(format!(
            "this node is not the leader of its region; ask {} at {}",
            leader.name, leader.api_addr
        )),
        None => Error::not_leader("the region has no leader at the moment; try again"),
    }
}
