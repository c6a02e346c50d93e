//! Agreement inside a region. `Consensus` is the narrow face that the layers above see; `raft` (openraft) is the
//! one behind it in a server, `direct` applies at once and serves the tests of the layers above.
//!
//! What holds whatever stands behind the face:
//! * `propose` returns an outcome only after the command is on the disks of a majority and applied here.
//! * An `Error::Unknown` says that the command may yet be applied; `Error::Unavailable` and `Error::NotLeader` that it never will be.
//! * What is evaluated in a term (`lead_term`) has seen everything that was agreed on before.
//! * After `read_barrier`, the local state holds everything that was acknowledged before the call.

pub mod direct;
pub mod gate;
pub mod raft;

use crate::error::{Error, Result, WrongRole};
use crate::ids::{NodeId, Position};
use crate::state::{Batch, Command, Outcome, Refusal, Role, State};
use async_trait::async_trait;
use bytes::Bytes;
use gate::WriteGate;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

#[async_trait]
pub trait Consensus: Send + Sync + 'static {
    /// Agrees on a command. Only the leader can; elsewhere `Error::NotLeader`. `Outcome::Refused` comes back as `Ok`.
    async fn propose(&self, command: Command) -> Result<Outcome>;

    /// Agrees on one client write, together with whatever other writes wait at the moment (one log entry, one fsync
    /// for all of them). `term` is the Raft term in which the batch was evaluated. Returns its position. A refusal
    /// is an error here: `Error::WrongRole`, or `Error::Unavailable` when the leader changed or the `gate` is closed.
    async fn write(&self, term: u64, batch: Batch) -> Result<Position>;

    /// Waits until local reads see everything acknowledged before the call. Fails on a node that is no leader.
    /// Concurrent callers share one round to the followers.
    async fn read_barrier(&self) -> Result<()>;

    /// The Raft term to evaluate a write in. Ask after taking the locks and before reading what the write depends on;
    /// `write` and apply then refuse the batch if the leader has changed meanwhile. `Error::NotLeader` on a node
    /// that does not lead, that has not yet applied all that earlier leaders agreed on, or while the outcome of a
    /// write is open that was given up before it was confirmed.
    fn lead_term(&self) -> Result<u64>;

    /// Where this node stands in its region; wakes on every change.
    fn standing(&self) -> watch::Receiver<Standing>;

    fn state(&self) -> &Arc<State>;

    /// What `write` lets through: whoever knows whether this region may acknowledge opens and closes it.
    fn gate(&self) -> &WriteGate;
}

/// A node's view of its region's Raft cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    pub me: NodeId,
    pub is_leader: bool,
    pub leader: Option<NodeId>,
    pub term: u64,
    /// The term to evaluate writes in, on a leader that has applied all that was agreed on before it.
    pub lead_term: Option<u64>,
    pub last_log_index: u64,
    pub committed_index: u64,
    pub applied_index: u64,
    /// All members by id.
    pub members: BTreeMap<NodeId, Member>,
}

/// A member of a region's Raft cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Member {
    /// The configured `node_id`.
    pub name: String,
    pub api_addr: String,
    pub voter: bool,
    /// On the leader: the log index that this member is known to hold.
    pub matched_index: Option<u64>,
}

impl Standing {
    /// The leader's API address, to forward to.
    pub fn leader_addr(&self) -> Option<&str> {
        let leader = self.members.get(&self.leader?)?;
        Some(&leader.api_addr)
    }
}

/// How the nodes of a region reach each other. The server implements it over HTTP; tests in memory.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends `body` as a message of `kind` to the node at `to_addr` (an API address), and returns its answer.
    async fn call(&self, to_addr: &str, kind: &str, body: Bytes, timeout: Duration) -> Result<Bytes>;
}

/// Lets a write of this term through the gate. A region that is no primary at all says that, and who is.
async fn pass(gate: &WriteGate, term: u64, state: &State) -> Result<()> {
    let passed = gate.pass(term).await;
    match state.path().role {
        Role::Standby | Role::Fenced if passed.is_err() => Err(wrong_role(state)),
        _ => passed,
    }
}

/// The error that a client sees for a write that apply refused.
pub fn refused_write(refusal: &Refusal, state: &State) -> Error {
    match refusal {
        Refusal::Role { .. } | Refusal::Epoch { .. } => wrong_role(state),
        other => Error::unavailable(format!("the write was not made: {other}; send it again")),
    }
}

/// Why this region refuses in its present role, and whom to ask. In the middle of a switchover nobody takes writes, and
/// it is not yet known who will: the same request is to be sent again.
pub fn wrong_role(state: &State) -> Error {
    let path = state.path();
    if let Some(gave_up) = &path.handover.gave_up {
        return Error::unavailable(in_handover(&gave_up.to.name));
    }
    let role = if path.is_whole() { path.role.name().to_owned() } else { "syncing".to_owned() };
    let primary = path.primary.map(|primary| (primary.name, primary.addresses.first().cloned().unwrap_or_default()));
    Error::WrongRole(WrongRole { role, epoch: path.epoch, primary })
}

/// What a client reads that writes while its region hands over to another.
pub fn in_handover(to: &str) -> String {
    format!(
        "this region hands over to {to}, which takes no writes yet either: nothing was written, try again in a moment"
    )
}
