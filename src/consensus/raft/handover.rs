//! Leaving leadership to another node, which openraft 0.9 has no way for.
//!
//! The leader takes no more proposals, waits until its successor holds the whole log, and asks it to stand for
//! election. The successor votes for itself and the leader, whose lease binds only followers, votes for it: among
//! three nodes that is a majority at once, among five the next follower's lease runs out within an election timeout.
//! If the successor does not answer, the leader's silence makes the others elect one of them, as if it had died.

use super::Raft;
use super::network::{ELECT, pack};
use crate::consensus::Standing;
use crate::error::{Error, Result};
use crate::ids::NodeId;

/// Hands over to `successor`, or to the voter that holds most of the log. Returns when another node leads; if none
/// does before the deadline, this one leads on. On a node that does not lead it does nothing.
pub async fn hand_over(raft: &Raft, successor: Option<NodeId>) -> Result<()> {
    let mut standing = raft.standing.clone();
    let successor = {
        let now = standing.borrow();
        if !now.is_leader {
            return Ok(());
        }
        choose(&now, successor)?
    };
    let _silence = Silence::keep(raft);
    let handed_over = async {
        ask(raft, successor).await;
        let me = raft.me;
        standing.wait_for(|standing| standing.leader.is_some_and(|leader| leader != me)).await.map(drop)
    };
    match tokio::time::timeout(raft.timing.deadline, handed_over).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Error::unavailable("this node is shutting down")),
        Err(_) => Err(Error::unavailable("no other node took over in time; this node leads on")),
    }
}

fn choose(standing: &Standing, successor: Option<NodeId>) -> Result<NodeId> {
    let others = standing.members.iter().filter(|(id, member)| **id != standing.me && member.voter);
    match successor {
        Some(named) if others.clone().any(|(id, _)| *id == named) => Ok(named),
        Some(named) => Err(Error::invalid(format!("node {named} is no other voter of this region"))),
        None => match others.max_by_key(|(_, member)| member.matched_index) {
            Some((id, _)) => Ok(*id),
            None => Err(Error::Conflict("there is no other voter to lead the region".into())),
        },
    }
}

/// Asks `successor` to stand for election once it holds the whole log. If it doesn't soon, it is not asked: then the
/// silence must do.
async fn ask(raft: &Raft, successor: NodeId) {
    let mut standing = raft.standing.clone();
    let holds_all = standing.wait_for(|standing| {
        let member = standing.members.get(&successor);
        !standing.is_leader || member.is_some_and(|member| member.matched_index == Some(standing.last_log_index))
    });
    if !matches!(tokio::time::timeout(raft.timing.election_max, holds_all).await, Ok(Ok(_))) {
        return;
    }
    let Some(address) = raft.standing.borrow().members.get(&successor).map(|member| member.api_addr.clone()) else {
        return;
    };
    let asked = match pack(&()) {
        Ok(body) => raft.transport.call(&address, ELECT, body, raft.timing.election_max).await,
        Err(error) => Err(error),
    };
    if let Err(error) = asked {
        tracing::info!(%successor, %error, "the successor was not reached; another will be elected");
    }
}

/// While it lives, this node neither proposes (what wants to waits for the end) nor sends heartbeats nor stands for election.
struct Silence<'a> {
    raft: &'a Raft,
}

impl Silence<'_> {
    fn keep(raft: &Raft) -> Silence<'_> {
        let silence = Silence { raft };
        silence.set(true);
        silence
    }

    fn set(&self, silent: bool) {
        self.raft.stepping_down.send_replace(silent);
        self.raft.node.runtime_config().heartbeat(!silent);
        self.raft.node.runtime_config().elect(!silent);
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        self.set(false);
    }
}
