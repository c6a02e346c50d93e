//! What a node looks after by itself: what its peers say of themselves, and that a sealed node does not lead where an
//! unsealed one could.

use super::node::Node;
use crate::clock;
use crate::consensus::{Consensus, Standing};
use crate::ids::NodeId;
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
        if now.is_leader {
            let unsealed = ask_peers(&node, &now, &mut silent).await;
            let due = tried_to_leave.is_none_or(|at| clock::steady().duration_since(at) >= STEP_DOWN_EVERY);
            if node.is_initialised() && node.vault.is_sealed() && unsealed && due {
                tried_to_leave = Some(clock::steady());
                leave(&node).await;
            }
        }
        // A node that joined, or restarted before it held its region's seal, could not open at once.
        if let Err(error) = node.unseal_from_file().await {
            debug!("the key file does not open this node: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            // A change of anything but the leader can wait for the next round.
            _ = standing.wait_for(|next| next.lead_term != led_term) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// Asks all other members how they are. Whether one of them is an unsealed voter. Says so once when one falls silent,
/// and when it is back.
async fn ask_peers(node: &Arc<Node>, standing: &Standing, silent: &mut BTreeSet<NodeId>) -> bool {
    node.remember_only(|id| standing.members.contains_key(&id), clock::now());
    let others: Vec<_> = standing.members.iter().filter(|(id, _)| **id != standing.me).collect();
    let answers = futures::future::join_all(others.iter().map(|(_, member)| node.peers.report(&member.api_addr))).await;
    let mut unsealed_voter = false;
    for ((id, member), answer) in others.into_iter().zip(answers) {
        match answer {
            Ok(report) => {
                unsealed_voter |= member.voter && !report.sealed;
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
    unsealed_voter
}

async fn leave(node: &Node) {
    info!("this node is sealed and leads, though another is unsealed: it steps down");
    if let Err(error) = node.raft.step_down().await {
        warn!("this sealed node could not hand leadership over: {error}");
    }
}
