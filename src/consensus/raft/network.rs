//! What a node sends to the others of its region: openraft's messages in our encoding, over a `Transport`.
//!
//! Each body begins with the version of the encoding. A snapshot goes part by part, each acknowledged before the
//! next, so neither side holds more than one in memory.
//!
//! openraft gives a message to a follower one heartbeat's time and then sends it again. A follower that is slower
//! than that, with a busy disk and a large entry, would be sent the same ever more often. So a message with entries
//! goes on after openraft has given up waiting, and its answer serves the message that comes next.

use super::codec::{Applied, AppliedForm, Encoded, VoteForm};
use super::snapshot::{Cutter, SnapshotData};
use super::types::{LogId, Peer, Types, Vote};
use crate::consensus::Transport;
use crate::consensus::raft::log_store::blocking;
use crate::decoding::{Decoder, Kind};
use crate::error::{Error, Result};
use crate::ids::NodeId;
use bytes::Bytes;
use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{OptionalSend, RaftNetwork, RaftNetworkFactory, Snapshot};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Kinds of messages, as the last segment of the address.
pub const APPEND: &str = "append";
pub const VOTE: &str = "vote";
pub const SNAPSHOT: &str = "snapshot";
/// From a leader that leaves: stand for election now.
pub const ELECT: &str = "elect";

/// The version of the encoding, the first byte of each body.
const VERSION: u8 = 1;
/// How long the sender waits for one part of a snapshot to be kept, and for the whole to be installed.
const PART_TIMEOUT: Duration = Duration::from_secs(10);
const INSTALL_TIMEOUT: Duration = Duration::from_secs(300);
/// How often one part is sent before the snapshot is given up; openraft begins another later.
const PART_ATTEMPTS_MAX: u32 = 4;
/// How much longer than openraft a message with entries waits for its answer.
const APPEND_PATIENCE: u32 = 4;
/// How long a node that can't be reached is left alone.
const BACKOFF: Duration = Duration::from_millis(100);

/// One step of a snapshot's transfer.
#[derive(Serialize, Deserialize)]
pub struct SnapshotStep {
    pub vote: VoteForm,
    /// Names the attempt: a step of another one is refused.
    pub id: [u8; 16],
    pub number: u64,
    pub content: SnapshotContent,
}

#[derive(Serialize, Deserialize)]
pub enum SnapshotContent {
    Part(Bytes),
    /// All parts are sent: install them. What is applied then.
    Install(AppliedForm),
}

/// The receiver's answer to a step.
#[derive(Serialize, Deserialize)]
pub struct SnapshotAnswer {
    /// The receiver's vote: if it is higher, the sender leads no longer.
    pub vote: VoteForm,
    /// The number of the step that it expects next.
    pub expected: u64,
}

/// A body of this version of the encoding.
pub fn pack<T: Serialize>(message: &T) -> Result<Bytes> {
    let body = postcard::to_extend(message, vec![VERSION])?;
    Ok(body.into())
}

pub fn unpack<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    match body.split_first() {
        Some((&VERSION, message)) => Ok(postcard::from_bytes(message)?),
        Some((other, _)) => Err(Error::invalid(format!(
            "a Raft message of version {other}; this node speaks {VERSION}: run the same release on all nodes"
        ))),
        None => Err(Error::corrupt("an empty Raft message")),
    }
}

/// The steps of a snapshot, as bodies.
pub const DECODERS: &[Decoder] =
    &[decoder::<SnapshotStep>("raft-snapshot-step"), decoder::<SnapshotAnswer>("raft-snapshot-answer")];

const fn decoder<T: Serialize + DeserializeOwned>(name: &'static str) -> Decoder {
    Decoder { name, again: |body| Ok(pack(&unpack::<T>(body)?)?.to_vec()), kind: Kind::Whole }
}

/// Makes a client for each follower.
pub struct Network {
    pub transport: Arc<dyn Transport>,
}

#[derive(Clone)]
struct Link {
    transport: Arc<dyn Transport>,
    target: NodeId,
    peer: Peer,
}

pub struct Client {
    link: Link,
    /// Entries that are under way, though openraft may have given up waiting for the answer.
    sending: Option<Sending>,
}

struct Sending {
    vote: Vote,
    previous: Option<LogId>,
    last: LogId,
    answer: JoinHandle<Result<AppendEntriesResponse<NodeId>>>,
}

impl Sending {
    /// What the success of this message says about `next`, which repeats it and may hold more.
    fn answers(&self, next: &AppendEntriesRequest<Types>) -> Option<AppendEntriesResponse<NodeId>> {
        if self.vote != next.vote || self.previous != next.prev_log_id {
            return None;
        }
        if next.entries.last()?.log_id == self.last {
            return Some(AppendEntriesResponse::Success);
        }
        let repeats = next.entries.iter().any(|entry| entry.log_id == self.last);
        repeats.then_some(AppendEntriesResponse::PartialSuccess(Some(self.last)))
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: NodeId, peer: &Peer) -> Client {
        Client { link: Link { transport: self.transport.clone(), target, peer: peer.clone() }, sending: None }
    }
}

type RpcError = RPCError<NodeId, Peer, RaftError<NodeId>>;
type SnapshotError = StreamingError<Types, Fatal<NodeId>>;

impl Link {
    async fn call<Q: Encoded, A: Encoded>(&self, kind: &str, message: &Q, timeout: Duration) -> Result<A> {
        let answer: A::Form = self.call_with(kind, &message.to_form(), timeout).await?;
        Ok(A::from_form(answer))
    }

    async fn call_with<Q: Serialize, A: DeserializeOwned>(
        &self,
        kind: &str,
        message: &Q,
        timeout: Duration,
    ) -> Result<A> {
        let answer = self.transport.call(&self.peer.api_addr, kind, pack(message)?, timeout).await?;
        unpack(&answer)
    }

    /// Sends the whole snapshot. Returns the follower's vote.
    async fn send_snapshot(&self, vote: Vote, snapshot: Snapshot<Types>) -> Result<Vote> {
        let SnapshotData::View(view) = *snapshot.snapshot else {
            return Err(Error::internal("a snapshot without its view can't be sent"));
        };
        let id = crate::clock::random_bytes();
        let mut cutter = Cutter::new(view);
        for number in 0.. {
            let (part, rest) = blocking(move || Ok((cutter.next_part()?, cutter))).await?;
            cutter = rest;
            let last = part.is_none();
            let content = match part {
                Some(part) => SnapshotContent::Part(part),
                None => SnapshotContent::Install(Applied::of_snapshot(&snapshot.meta).to_form()),
            };
            let timeout = if last { INSTALL_TIMEOUT } else { PART_TIMEOUT };
            let answer = self.send_step(&SnapshotStep { vote: vote.to_form(), id, number, content }, timeout).await?;
            let theirs = Vote::from_form(answer.vote);
            if theirs > vote {
                return Ok(theirs);
            }
            // One that was restarted meanwhile knows nothing of the parts, and installs nothing.
            if answer.expected != number + 1 {
                return Err(Error::unavailable(format!("{} began to receive another snapshot", self.peer.name)));
            }
            if last {
                return Ok(theirs);
            }
        }
        Err(Error::internal("a snapshot without an end"))
    }

    async fn send_step(&self, step: &SnapshotStep, timeout: Duration) -> Result<SnapshotAnswer> {
        let mut attempt = 1;
        loop {
            match self.call_with(SNAPSHOT, step, timeout).await {
                Err(error) if attempt < PART_ATTEMPTS_MAX => {
                    tracing::debug!(node = %self.target, %error, "a part of a snapshot is sent again");
                    attempt += 1;
                    tokio::time::sleep(BACKOFF).await;
                }
                answer => return answer,
            }
        }
    }
}

impl RaftNetwork<Types> for Client {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, RpcError> {
        let former = match &mut self.sending {
            Some(sending) => Some((&mut sending.answer).await),
            None => None,
        };
        if let (Some(sending), Some(Ok(Ok(AppendEntriesResponse::Success)))) = (self.sending.take(), former)
            && let Some(answer) = sending.answers(&rpc)
        {
            return Ok(answer);
        }
        let Some(last) = rpc.entries.last().map(|last| last.log_id) else {
            return self.link.call(APPEND, &rpc, option.hard_ttl()).await.map_err(unreachable);
        };
        let (link, timeout) = (self.link.clone(), option.hard_ttl() * APPEND_PATIENCE);
        let (vote, previous) = (rpc.vote, rpc.prev_log_id);
        let answer = tokio::spawn(async move { link.call(APPEND, &rpc, timeout).await });
        let sending = self.sending.insert(Sending { vote, previous, last, answer });
        let answer = (&mut sending.answer).await;
        self.sending = None;
        answer.map_err(|error| Unreachable::new(&error))?.map_err(unreachable)
    }

    async fn vote(&mut self, rpc: VoteRequest<NodeId>, option: RPCOption) -> Result<VoteResponse<NodeId>, RpcError> {
        self.link.call(VOTE, &rpc, option.hard_ttl()).await.map_err(unreachable)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<Types>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<NodeId>, SnapshotError> {
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = self.link.send_snapshot(vote, snapshot) => match sent {
                Ok(vote) => Ok(SnapshotResponse::new(vote)),
                Err(error) => Err(Unreachable::new(&error).into()),
            },
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}

/// Every failure waits a little before the next attempt: a refused connection fails at once, and would spin.
fn unreachable(error: Error) -> RpcError {
    Unreachable::new(&error).into()
}
