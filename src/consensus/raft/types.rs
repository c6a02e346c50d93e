//! The types that openraft is parametrised with, and short names for its own.

use super::snapshot::SnapshotData;
use crate::ids::NodeId;
use crate::state::{Command, Outcome};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

openraft::declare_raft_types!(
    /// openraft's parameters.
    pub Types:
        D = Payload,
        R = Reply,
        NodeId = NodeId,
        Node = Peer,
        SnapshotData = SnapshotData,
);

pub type Entry = openraft::Entry<Types>;
pub type EntryPayload = openraft::EntryPayload<Types>;
pub type LogId = openraft::LogId<NodeId>;
pub type Membership = openraft::Membership<NodeId, Peer>;
pub type Metrics = openraft::RaftMetrics<NodeId, Peer>;
pub type SnapshotMeta = openraft::SnapshotMeta<NodeId, Peer>;
pub type StorageError = openraft::StorageError<NodeId>;
pub type StorageIoError = openraft::StorageIOError<NodeId>;
pub type StoredMembership = openraft::StoredMembership<NodeId, Peer>;
pub type Vote = openraft::Vote<NodeId>;

/// A command on its way through Raft. Shared, since the log, each follower's stream and apply hold it at once.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(pub Arc<Command>);

impl Payload {
    pub fn new(command: Command) -> Payload {
        Payload(Arc::new(command))
    }
}

/// openraft prints entries when it traces; the commands themselves stay out of logs.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payload")
    }
}

/// What apply returns for an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// For entries of Raft's own: the first of a term, and changes of membership.
    Nothing,
    Outcome(Outcome),
}

/// What the membership says of a node: its configured name, and where it listens.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Peer {
    pub name: String,
    pub api_addr: String,
}
