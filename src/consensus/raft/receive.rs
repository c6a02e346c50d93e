//! What a node does with the messages of the others.

use super::codec::{Applied, Encoded};
use super::log_store::blocking;
use super::network::{APPEND, ELECT, SNAPSHOT, SnapshotAnswer, SnapshotContent, SnapshotStep, VOTE, pack, unpack};
use super::snapshot::{self, SnapshotData};
use super::types::{Types, Vote};
use crate::error::{Error, Result};
use crate::ids::NodeId;
use crate::storage::SharedStore;
use bytes::Bytes;
use openraft::Snapshot;
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Answers the messages of the region's other nodes.
pub struct Receiver {
    node: openraft::Raft<Types>,
    store: SharedStore,
    /// The snapshot that is being received. Locked while a step is handled, and all through an install.
    receiving: Arc<Mutex<Receiving>>,
}

/// Which attempt, and what comes next of it.
#[derive(Default)]
struct Receiving {
    id: [u8; 16],
    expected: u64,
}

impl Receiver {
    pub fn new(node: openraft::Raft<Types>, store: SharedStore) -> Receiver {
        Receiver { node, store, receiving: Arc::default() }
    }

    pub async fn handle(&self, kind: &str, body: Bytes) -> Result<Bytes> {
        match kind {
            APPEND => {
                let request = AppendEntriesRequest::from_form(unpack(&body)?);
                let answer = self.node.append_entries(request).await.map_err(stopped)?;
                pack(&answer.to_form())
            }
            VOTE => {
                let request = VoteRequest::<NodeId>::from_form(unpack(&body)?);
                let answer = self.node.vote(request).await.map_err(stopped)?;
                pack(&answer.to_form())
            }
            ELECT => {
                self.node.trigger().elect().await.map_err(stopped)?;
                pack(&())
            }
            SNAPSHOT => pack(&self.snapshot_step(unpack(&body)?).await?),
            other => Err(Error::NotFound(format!("there is no Raft message `{other}`"))),
        }
    }

    async fn snapshot_step(&self, step: SnapshotStep) -> Result<SnapshotAnswer> {
        let busy = |_| Error::unavailable("another snapshot is being received or installed");
        let mut receiving = self.receiving.clone().try_lock_owned().map_err(busy)?;
        let vote = Vote::from_form(step.vote);
        let mine = self.node.with_raft_state(|state| *state.vote_ref()).await.map_err(stopped)?;
        if vote < mine {
            return Ok(SnapshotAnswer { vote: mine.to_form(), expected: receiving.expected });
        }
        if step.number == 0 {
            self.begin(&mut receiving, step.id).await?;
        }
        let again = step.number + 1 == receiving.expected;
        if step.id != receiving.id || (step.number != receiving.expected && !again) {
            return Ok(SnapshotAnswer { vote: mine.to_form(), expected: receiving.expected });
        }
        match step.content {
            SnapshotContent::Part(part) => {
                let store = self.store.clone();
                blocking(move || snapshot::keep_part(&store, step.number, part)).await?;
                receiving.expected = step.number + 1;
                Ok(SnapshotAnswer { vote: mine.to_form(), expected: receiving.expected })
            }
            SnapshotContent::Install(applied) => {
                let applied = Applied::from_form(applied);
                let install = install(self.node.clone(), self.store.clone(), receiving, vote, applied, step.number);
                // A task of its own: when the sender hangs up, the install goes on, and keeps the lock until its end.
                let vote = tokio::spawn(install)
                    .await
                    .map_err(|error| Error::cut_off("a snapshot from the leader", &error))??;
                Ok(SnapshotAnswer { vote: vote.to_form(), expected: step.number + 1 })
            }
        }
    }

    async fn begin(&self, receiving: &mut Receiving, id: [u8; 16]) -> Result<()> {
        let store = self.store.clone();
        blocking(move || snapshot::drop_parts(&store)).await?;
        *receiving = Receiving { id, expected: 0 };
        Ok(())
    }
}

async fn install(
    node: openraft::Raft<Types>,
    store: SharedStore,
    mut receiving: OwnedMutexGuard<Receiving>,
    vote: Vote,
    applied: Applied,
    parts: u64,
) -> Result<Vote> {
    let snapshot = Snapshot { meta: applied.snapshot_meta(), snapshot: Box::new(SnapshotData::Parts(parts)) };
    let answer = node.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
    // openraft leaves a snapshot alone that is older than what it has.
    blocking(move || snapshot::drop_parts(&store)).await?;
    *receiving = Receiving::default();
    Ok(answer.vote)
}

/// openraft fails a message only when it has stopped.
fn stopped(error: impl std::fmt::Display) -> Error {
    Error::unavailable(format!("Raft has stopped on this node: {error}"))
}
