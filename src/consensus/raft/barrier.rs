//! Linearizable reads: all that wait share one round to the followers.

use super::types::{Peer, Types};
use crate::error::{Error, Result};
use crate::ids::NodeId;
use openraft::error::{CheckIsLeaderError, RaftError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Readers that wait for a round at most; who comes on top waits to be let in.
const QUEUE_MAX: usize = 4096;
/// Between two attempts, when no majority answered in time.
const PAUSE: Duration = Duration::from_millis(20);

pub struct Barrier {
    queue: mpsc::Sender<oneshot::Sender<Result<()>>>,
    deadline: Duration,
}

impl Barrier {
    pub fn start(node: openraft::Raft<Types>, deadline: Duration) -> (Barrier, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        (Barrier { queue, deadline }, tokio::spawn(run(node, waiting, deadline)))
    }

    /// Returns once local reads see everything that was acknowledged before the call.
    pub async fn pass(&self) -> Result<()> {
        let (answer, passed) = oneshot::channel();
        let passed = async {
            self.queue.send(answer).await.ok()?;
            passed.await.ok()
        };
        match tokio::time::timeout(self.deadline, passed).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(Error::unavailable("this node is shutting down")),
            Err(_) => Err(late()),
        }
    }
}

async fn run(
    node: openraft::Raft<Types>,
    mut waiting: mpsc::Receiver<oneshot::Sender<Result<()>>>,
    deadline: Duration,
) {
    while let Some(first) = waiting.recv().await {
        // Only who waits before the round begins may count on it.
        let mut round = vec![first];
        while let Ok(next) = waiting.try_recv() {
            round.push(next);
        }
        let result = tokio::time::timeout(deadline, confirm(&node)).await.unwrap_or_else(|_| Err(late()));
        for reader in round {
            let _ = reader.send(result.clone());
        }
    }
}

async fn confirm(node: &openraft::Raft<Types>) -> Result<()> {
    loop {
        match node.ensure_linearizable().await {
            Ok(_) => return Ok(()),
            Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(not_leader(error)),
        }
    }
}

fn not_leader(error: RaftError<NodeId, CheckIsLeaderError<NodeId, Peer>>) -> Error {
    match error {
        RaftError::APIError(_) => Error::not_leader("this node is not the leader of its region; ask the leader"),
        RaftError::Fatal(error) => Error::unavailable(format!("Raft has stopped on this node: {error}")),
    }
}

fn late() -> Error {
    Error::unavailable("no majority of the region's nodes answered in time")
}
