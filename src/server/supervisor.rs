//! What a node looks after by itself: what its peers say of themselves, what they remember of the region being open for
//! writes, and that a sealed node does not lead where an unsealed one could.

use super::autopilot;
use super::node::{Node, blocking};
use super::peers::NodeReport;
use crate::clock;
use crate::consensus::{Consensus, Standing};
use crate::ids::{DatasetId, Epoch, NodeId};
use crate::state::{PathState, Role};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// How often a leader asks its peers how they are.
const EVERY: Duration = Duration::from_secs(1);
/// How long a sealed leader stays that found nobody to step down for, before it tries again.
const STEP_DOWN_EVERY: Duration = Duration::from_secs(5);

/// Runs until `shutdown`.
pub async fn supervise(node: Arc<Node>, shutdown: CancellationToken) {
    let mut standing = node.raft.standing();
    let mut path = node.state.watch_path();
    let mut led_term = None;
    let mut tried_to_leave = None;
    let mut silent = BTreeSet::new();
    while !shutdown.is_cancelled() {
        let now = standing.borrow_and_update().clone();
        if now.lead_term != led_term {
            led_term = now.lead_term;
            node.set_leads_since(led_term.map(|_| clock::now()));
            if let Some(term) = led_term {
                info!(term, "this node leads its region");
            }
        }
        let line = line(&path.borrow_and_update());
        if now.is_leader {
            let unsealed = ask_peers(&node, &now, &mut silent).await;
            let due = tried_to_leave.is_none_or(|at| clock::steady().duration_since(at) >= STEP_DOWN_EVERY);
            if node.is_initialised() && node.vault.is_sealed() && unsealed && due {
                tried_to_leave = Some(clock::steady());
                leave(&node).await;
            }
            if let Err(error) = autopilot::clean_up(&node, &now).await {
                debug!("dead nodes were not looked for: {error}");
            }
        }
        if !now.is_leader && node.replication.wants_to_know_of_open() {
            ask_leader(&node, &now).await;
        }
        let vault = node.vault.clone();
        let checked = blocking(move || {
            vault.check_keys();
            Ok(())
        });
        if let Err(error) = checked.await {
            debug!("the keys were not checked: {error}");
        }
        // A node that joined, or restarted before it held its region's seal, could not open at once.
        if let Err(error) = node.unseal_from_file().await {
            debug!("the key file does not open this node: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            // A change of anything but the leader can wait for the next round.
            _ = standing.wait_for(|next| next.lead_term != led_term) => {}
            // Of a promotion all nodes are to know soon, in case that the leader is lost next.
            _ = path.wait_for(|next| self::line(next) != line) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// What decides whether what was seen open is still what there is.
fn line(path: &PathState) -> (Role, DatasetId, Epoch) {
    (path.role, path.dataset, path.epoch)
}

/// A follower that started lately hears from its leader that the region is open for writes, so that it may lead next.
async fn ask_leader(node: &Arc<Node>, standing: &Standing) {
    let Some(addr) = standing.leader_addr() else { return };
    match node.peers.report(addr).await {
        Ok(report) => remember_open(node, &report).await,
        Err(error) => debug!("the leader does not say whether the region is open: {error}"),
    }
}

/// What another node saw counts as seen: it ran ever since.
async fn remember_open(node: &Node, report: &NodeReport) {
    if let Some((dataset, epoch)) = report.saw_open {
        node.replication.remember_open(dataset, epoch).await;
    }
}

/// Asks all other members how they are. Whether one of them is an unsealed voter. Says so once when one falls silent,
/// and when it is back.
async fn ask_peers(node: &Arc<Node>, standing: &Standing, silent: &mut BTreeSet<NodeId>) -> bool {
    node.remember_only(|id| standing.members.contains_key(&id), clock::now());
    let others: Vec<_> = standing.members.iter().filter(|(id, _)| **id != standing.me).collect();
    let answers = futures::future::join_all(others.iter().map(|(_, member)| node.peers.report(&member.api_addr))).await;
    let mut unsealed_voter = false;
    let mut voters = standing.members.get(&standing.me).map_or(0, |me| u32::from(me.voter));
    for ((id, member), answer) in others.into_iter().zip(answers) {
        match answer {
            Ok(report) => {
                unsealed_voter |= member.voter && !report.sealed;
                voters += u32::from(member.voter);
                remember_open(node, &report).await;
                node.remember(*id, report, clock::now());
                if silent.remove(id) {
                    info!(node = member.name, "a node of this region answers again");
                }
            }
            // It is as it was when it last answered; the time beside it tells.
            Err(error) => {
                if silent.insert(*id) {
                    warn!(node = member.name, "a node of this region does not answer: {error}");
                }
            }
        }
    }
    node.replication.note_voters(voters);
    unsealed_voter
}

async fn leave(node: &Node) {
    info!("this node is sealed and leads, though another is unsealed: it steps down");
    if let Err(error) = node.raft.step_down().await {
        warn!("this sealed node could not hand leadership over: {error}");
    }
}
