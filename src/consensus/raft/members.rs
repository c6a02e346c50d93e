//! Adding nodes to a region and taking them away, one change at a time.
//!
//! A node joins as a learner, is brought up to date, and only then gets a vote: it never weakens the majority while
//! it is still empty. openraft changes voters in two steps through a joint configuration; if a leader is lost in
//! between, the next change finishes that first.

use super::standing::not_leading;
use super::types::{Metrics, Peer, Types};
use crate::error::{Error, Result};
use crate::ids::NodeId;
use openraft::ChangeMembers;
use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// How many entries a learner may be behind when it gets its vote.
const CAUGHT_UP_ENTRIES: u64 = 64;

/// Whether a member counts for the majority. One that does not holds all data, and never leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suffrage {
    Voter,
    NonVoter,
}

pub struct Members {
    node: openraft::Raft<Types>,
    standing: watch::Receiver<crate::consensus::Standing>,
    /// How long one change may take to be agreed on.
    deadline: Duration,
    /// How long a new node may take to catch up; a snapshot of everything may have to go over.
    catch_up: Duration,
    changing: Mutex<()>,
}

impl Members {
    pub fn new(
        node: openraft::Raft<Types>,
        standing: watch::Receiver<crate::consensus::Standing>,
        deadline: Duration,
        catch_up: Duration,
    ) -> Members {
        Members { node, standing, deadline, catch_up, changing: Mutex::default() }
    }

    /// Makes `peer` a member. Adding one again changes its address, or nothing; a voter stays one.
    pub async fn add(&self, id: NodeId, peer: Peer, suffrage: Suffrage) -> Result<()> {
        let one_at_a_time = self.changing.lock().await;
        self.finish_joint().await?;
        let known = self.node.metrics().borrow().membership_config.membership().get_node(&id).cloned();
        if known.is_none() {
            self.change(ChangeMembers::AddNodes(BTreeMap::from([(id, peer)]))).await?;
        } else if known.is_some_and(|known| known != peer) {
            self.change(ChangeMembers::SetNodes(BTreeMap::from([(id, peer)]))).await?;
        }
        if self.is_voter(id) || suffrage == Suffrage::NonVoter {
            return Ok(());
        }
        // One that never catches up, since its address is wrong perhaps, must not keep others from being removed.
        drop(one_at_a_time);
        self.caught_up(id).await?;
        let _one_at_a_time = self.changing.lock().await;
        self.finish_joint().await?;
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([id]))).await
    }

    /// Gives a member a vote once it has caught up, or takes it.
    pub async fn set(&self, id: NodeId, suffrage: Suffrage) -> Result<()> {
        if suffrage == Suffrage::Voter {
            self.caught_up(id).await?;
        }
        let _one_at_a_time = self.changing.lock().await;
        self.finish_joint().await?;
        match suffrage {
            Suffrage::Voter => self.change(ChangeMembers::AddVoterIds(BTreeSet::from([id]))).await,
            Suffrage::NonVoter if self.voters() == 1 => {
                Err(Error::Conflict("the last voter of a region can't be demoted".into()))
            }
            Suffrage::NonVoter => {
                let demoted = ChangeMembers::RemoveVoters(BTreeSet::from([id]));
                self.agree(demoted, Removed::Stays).await
            }
        }
    }

    /// Removes a node. Removing one that is no member is an error; a leader that removes itself stops leading.
    pub async fn remove(&self, id: NodeId) -> Result<()> {
        let _one_at_a_time = self.changing.lock().await;
        self.finish_joint().await?;
        let known = self.node.metrics().borrow().membership_config.membership().get_node(&id).is_some();
        if !known {
            return Err(Error::NotFound(format!("node {id} is no member of this region")));
        }
        if !self.is_voter(id) {
            return self.change(ChangeMembers::RemoveNodes(BTreeSet::from([id]))).await;
        }
        if self.voters() == 1 {
            return Err(Error::Conflict("the last voter of a region can't be removed".into()));
        }
        self.change(ChangeMembers::RemoveVoters(BTreeSet::from([id]))).await
    }

    fn is_voter(&self, id: NodeId) -> bool {
        self.node.metrics().borrow().membership_config.membership().voter_ids().any(|voter| voter == id)
    }

    fn voters(&self) -> usize {
        self.node.metrics().borrow().membership_config.membership().voter_ids().count()
    }

    /// Finishes a change of voters that a former leader had begun.
    async fn finish_joint(&self) -> Result<()> {
        let joint = self.node.metrics().borrow().membership_config.membership().get_joint_config().len() > 1;
        if joint { self.change(ChangeMembers::AddVoterIds(BTreeSet::new())).await } else { Ok(()) }
    }

    async fn change(&self, change: ChangeMembers<NodeId, Peer>) -> Result<()> {
        self.agree(change, Removed::Goes).await
    }

    async fn agree(&self, change: ChangeMembers<NodeId, Peer>, removed: Removed) -> Result<()> {
        if !self.standing.borrow().is_leader {
            return Err(not_leading(&self.standing.borrow()));
        }
        let done = self.node.change_membership(change, removed == Removed::Stays);
        match tokio::time::timeout(self.deadline, done).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(refused(error)),
            Err(_) => {
                Err(Error::Unknown("the change of members was not confirmed in time; look before repeating".into()))
            }
        }
    }

    async fn caught_up(&self, id: NodeId) -> Result<()> {
        let mut metrics = self.node.metrics();
        let near = |metrics: &Metrics| match &metrics.replication {
            Some(replication) => {
                let matched = replication.get(&id).copied().flatten().map_or(0, |matched| matched.index + 1);
                matched > 0 && matched + CAUGHT_UP_ENTRIES > metrics.last_log_index.unwrap_or(0)
            }
            // No leader any more: the change that follows says so.
            None => true,
        };
        match tokio::time::timeout(self.catch_up, metrics.wait_for(near)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::unavailable("this node is shutting down")),
            Err(_) => Err(Error::unavailable(format!(
                "node {id} does not catch up; it stays a learner: see that its address can be reached, and add it again"
            ))),
        }
    }
}

/// What becomes of voters that a change takes the vote from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Removed {
    Goes,
    /// As a member without a vote.
    Stays,
}

type ChangeError = RaftError<NodeId, ClientWriteError<NodeId, Peer>>;

fn refused(error: ChangeError) -> Error {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => {
            Error::Unknown("the leader changed while members were changed; look before repeating".into())
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => match error {
            ChangeMembershipError::InProgress(_) => Error::unavailable("another change of members is under way"),
            other => Error::Conflict(other.to_string()),
        },
        RaftError::Fatal(error) => Error::unavailable(format!("Raft has stopped on this node: {error}")),
    }
}
