//! Agreement through openraft 0.9, behind `Consensus`. Nothing outside this folder knows openraft.
//!
//! * `log_store`, `log_writer`: the Raft log, in the same store as everything else, one flush for all that waits.
//! * `state_machine`, `snapshot`: applying to `state::State`; snapshots are views of the store, streamed when needed.
//! * `network`, `receive`, `codec`: messages between the nodes, in an encoding of our own.
//! * `proposer`, `barrier`: writes and reads that wait share an entry, or a round to the followers.
//! * `members`, `handover`, `retention`, `standing`: who belongs to the region, who leads it next, how much log is
//!   kept, how things stand.
//!
//! Known limits of openraft 0.9, and what is done about them: its core waits for each flush of the log and sends no
//! heartbeats meanwhile, so a leader whose disk stalls longer than an election takes is replaced, and everything
//! that waits has a deadline; it can't hand leadership over, so `handover` does; it purges the log under a snapshot
//! before that is installed, so the writer's thread holds the purge back.

mod barrier;
mod codec;
mod handover;
mod log_store;
mod log_writer;
mod members;
mod network;
mod proposer;
mod receive;
mod retention;
mod snapshot;
mod standing;
mod state_machine;
mod types;

#[cfg(test)]
mod tests;

use super::gate::WriteGate;
use super::{Consensus, Member, Standing, Transport};
use crate::decoding::Decoder;
use crate::error::{Error, Result};
use crate::ids::{NodeId, Position};
use crate::state::{Batch, Command, Outcome, State};
use crate::storage::{SharedStore, format};
use async_trait::async_trait;
use barrier::Barrier;
use bytes::Bytes;
use log_store::{LogStore, blocking};
use log_writer::AppliedNext;
use members::Members;
pub use members::Suffrage;
use network::Network;
use openraft::SnapshotPolicy;
use openraft::error::{InitializeError, RaftError};
use proposer::{Ledger, Proposer};
use receive::Receiver;
pub use retention::Stretch;
pub use snapshot::recover;
use standing::not_leading;
use state_machine::StateMachine;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use types::{Payload, Peer, Reply, Types};

/// Entries of one message to a follower at most; bytes bound it further.
const MESSAGE_ENTRIES_MAX: u64 = 256;

/// What this folder decodes.
pub const DECODERS: [&[Decoder]; 3] = [codec::DECODERS, network::DECODERS, snapshot::DECODERS];

/// What a node needs to take part.
pub struct Options {
    pub node: NodeId,
    /// The configured `node_id`.
    pub name: String,
    pub api_addr: String,
    /// The store that `state` is open on.
    pub store: SharedStore,
    pub state: Arc<State>,
    pub transport: Arc<dyn Transport>,
    pub timing: Timing,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub heartbeat: Duration,
    /// A follower waits this long, plus `election_max`, after it last heard of a leader before it stands for
    /// election; each node draws its own between the two.
    pub election_min: Duration,
    pub election_max: Duration,
    /// The deadline of a proposal and of a read barrier.
    pub deadline: Duration,
    /// How long a node that joins may take to catch up.
    pub catch_up: Duration,
    /// How much of the log is kept.
    pub log: Stretch,
}

impl Timing {
    /// For nodes of one site. A leader that falls silent is replaced after 1.05 to 1.35 s (openraft's ticks included):
    /// more than a second, since a stalled flush sends no heartbeats, and no longer than that.
    pub fn wan_free_default() -> Timing {
        Timing {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(450),
            election_max: Duration::from_millis(600),
            deadline: Duration::from_secs(5),
            catch_up: Duration::from_secs(600),
            log: Stretch::default(),
        }
    }

    /// For tests: elections within a second, everything else with patience, since tests run on busy machines.
    pub fn fast() -> Timing {
        Timing {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(400),
            election_max: Duration::from_millis(700),
            deadline: Duration::from_secs(20),
            catch_up: Duration::from_secs(60),
            log: Stretch::default(),
        }
    }

    fn config(&self) -> Result<openraft::Config> {
        let ms = |duration: Duration| duration.as_millis() as u64;
        let config = openraft::Config {
            cluster_name: "region".to_owned(),
            heartbeat_interval: ms(self.heartbeat),
            election_timeout_min: ms(self.election_min),
            election_timeout_max: ms(self.election_max),
            max_payload_entries: MESSAGE_ENTRIES_MAX,
            // `retention` decides when to purge, and builds the snapshot for it.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            ..openraft::Config::default()
        };
        config.validate().map_err(|error| Error::invalid(format!("the timing of Raft: {error}")))
    }
}

/// A node's part in its region's Raft cluster.
pub struct Raft {
    me: NodeId,
    peer: Peer,
    node: openraft::Raft<Types>,
    state: Arc<State>,
    standing: watch::Receiver<Standing>,
    proposer: Proposer,
    ledger: Arc<Ledger>,
    barrier: Barrier,
    members: Members,
    receiver: Receiver,
    transport: Arc<dyn Transport>,
    timing: Timing,
    gate: WriteGate,
    /// True while leadership is being handed over; then nothing is proposed.
    stepping_down: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    log_thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Raft {
    /// Takes part with what the store holds. A fresh node waits: `initialise` starts a region with it, or another
    /// node's `add_node` takes it into one.
    pub async fn open(options: Options) -> Result<Arc<Raft>> {
        let Options { node: me, name, api_addr, store, state, transport, timing } = options;
        let config = Arc::new(timing.config()?);
        let applied_next = AppliedNext::default();
        let (log, log_thread, machine) = {
            let (store, state, name) = (store.clone(), state.clone(), name.clone());
            blocking(move || open_stored(store, state, &name, applied_next)).await?
        };
        let shared = log.shared();
        let network = Network { transport: transport.clone() };
        let node = openraft::Raft::new(me, config, network, log, machine).await;
        let node = node.map_err(|error| Error::Storage(format!("Raft does not start: {error}")))?;
        let ledger = Arc::new(Ledger::default());
        let (standing, follows) = standing::follow(node.metrics(), shared.clone());
        let (proposer, proposes) =
            Proposer::start(node.clone(), state.clone(), standing.clone(), ledger.clone(), timing.deadline);
        let (barrier, confirms) = Barrier::start(node.clone(), timing.deadline);
        let keeps = tokio::spawn(retention::keep(node.clone(), shared.watch_appended(), timing.log));
        Ok(Arc::new(Raft {
            me,
            peer: Peer { name, api_addr },
            members: Members::new(node.clone(), standing.clone(), timing.deadline, timing.catch_up),
            receiver: Receiver::new(node.clone(), store),
            node,
            state,
            standing,
            proposer,
            ledger,
            barrier,
            transport,
            timing,
            gate: WriteGate::default(),
            stepping_down: watch::Sender::new(false),
            tasks: vec![follows, proposes, confirms, keeps],
            log_thread: Mutex::new(Some(log_thread)),
        }))
    }

    /// Starts a region whose only voter is this node, and waits until it leads.
    pub async fn initialise(&self) -> Result<()> {
        let members = BTreeMap::from([(self.me, self.peer.clone())]);
        match self.node.initialize(members).await {
            Ok(()) => {}
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                return Err(Error::Conflict("this node belongs to a region already".into()));
            }
            Err(error) => return Err(Error::unavailable(format!("the region can't be started: {error}"))),
        }
        let mut standing = self.standing.clone();
        let leads = standing.wait_for(|standing| standing.lead_term.is_some());
        match tokio::time::timeout(self.timing.deadline, leads).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::unavailable("the region is started, but this node does not lead it yet")),
        }
    }

    /// Whether this node belongs to a region.
    pub async fn is_initialised(&self) -> Result<bool> {
        self.node.is_initialized().await.map_err(|error| Error::unavailable(format!("Raft has stopped: {error}")))
    }

    /// On the leader: takes a node in, as a learner until it has caught up, then as a voter if it is to be one. The member's
    /// `voter` and `matched_index` don't matter.
    pub async fn add_node(&self, id: NodeId, member: Member, suffrage: Suffrage) -> Result<()> {
        self.members.add(id, Peer { name: member.name, api_addr: member.api_addr }, suffrage).await
    }

    /// On the leader: gives a member a vote, or takes it.
    pub async fn set_suffrage(&self, id: NodeId, suffrage: Suffrage) -> Result<()> {
        self.members.set(id, suffrage).await
    }

    /// On the leader: removes a node.
    pub async fn remove_node(&self, id: NodeId) -> Result<()> {
        self.members.remove(id).await
    }

    /// Leaves leadership to the voter that is closest behind, and waits until another node leads. On a node that does
    /// not lead it does nothing.
    pub async fn step_down(&self) -> Result<()> {
        handover::hand_over(self, None).await
    }

    /// Leaves leadership to `successor`. Another node may still win the election.
    pub async fn hand_over(&self, successor: NodeId) -> Result<()> {
        handover::hand_over(self, Some(successor)).await
    }

    /// Answers a message of another node. The caller has checked that it comes from one.
    pub async fn handle_rpc(&self, kind: &str, body: Bytes) -> Result<Bytes> {
        self.receiver.handle(kind, body).await
    }

    /// Stops taking part. Waits until the log is flushed and the store no longer used.
    pub async fn shutdown(&self) -> Result<()> {
        let stopped = self.node.shutdown().await;
        for task in &self.tasks {
            task.abort();
        }
        let thread = self.log_thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            blocking(move || thread.join().map_err(|_| Error::internal("the log's thread panicked"))).await?;
        }
        stopped.map_err(|error| Error::internal(format!("Raft did not stop as it should: {error}")))
    }

    /// The index up to which the log was purged; 0 if nothing was.
    #[cfg(test)]
    fn purged_index(&self) -> u64 {
        self.node.metrics().borrow().purged.map_or(0, |purged| purged.index)
    }

    /// While leadership is on its way to another node nothing is proposed here: whoever asks waits for the end of it,
    /// and is sent to the new leader then instead of being told to try again.
    async fn may_propose(&self) -> Result<()> {
        let stopped = || Error::unavailable("this node is shutting down");
        self.stepping_down.subscribe().wait_for(|leaving| !leaving).await.map_err(|_| stopped())?;
        self.leads()
    }

    fn leads(&self) -> Result<()> {
        let standing = self.standing.borrow();
        if standing.is_leader { Ok(()) } else { Err(not_leading(&standing)) }
    }
}

/// Everything that is read from the store before openraft starts.
fn open_stored(
    store: SharedStore,
    state: Arc<State>,
    name: &str,
    applied_next: AppliedNext,
) -> Result<(LogStore, std::thread::JoinHandle<()>, StateMachine)> {
    format::claim_node(store.as_ref(), name)?;
    if snapshot::recover(&store)? {
        state.reload()?;
    }
    let machine = StateMachine::open(state, applied_next.clone())?;
    let (log, thread) = LogStore::open(store, applied_next)?;
    Ok((log, thread, machine))
}

#[async_trait]
impl Consensus for Raft {
    async fn propose(&self, command: Command) -> Result<Outcome> {
        self.may_propose().await?;
        let outcome = self.node.client_write_ff(Payload::new(command)).await;
        let outcome = outcome.map_err(|error| Error::unavailable(format!("Raft has stopped on this node: {error}")))?;
        let unknown = |why: &str| Err(Error::Unknown(format!("{why}; look before repeating")));
        match tokio::time::timeout(self.timing.deadline, outcome).await {
            Ok(Ok(Ok(response))) => match response.data {
                Reply::Outcome(outcome) => Ok(outcome),
                Reply::Nothing => Err(Error::internal("a command came out as an entry of Raft's own")),
            },
            Ok(Ok(Err(_))) => unknown("the leader changed"),
            Ok(Err(_)) => unknown("Raft has stopped on this node"),
            Err(_) => unknown("the proposal was not confirmed in time"),
        }
    }

    async fn write(&self, term: u64, batch: Batch) -> Result<Position> {
        self.may_propose().await?;
        // The epoch it was evaluated in: another may begin while it waits.
        let epoch = self.state.path().epoch;
        crate::consensus::pass(&self.gate, term, &self.state).await?;
        self.proposer.write(term, epoch, batch).await
    }

    async fn read_barrier(&self) -> Result<()> {
        self.may_propose().await?;
        self.barrier.pass().await
    }

    fn lead_term(&self) -> Result<u64> {
        self.leads()?;
        let term = self.standing.borrow().lead_term;
        let term = term.ok_or_else(|| not_leading(&self.standing.borrow()))?;
        if self.ledger.is_open(term) {
            return Err(Error::unavailable("the outcome of an earlier write is not known yet; try again"));
        }
        Ok(term)
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    fn state(&self) -> &Arc<State> {
        &self.state
    }

    fn gate(&self) -> &WriteGate {
        &self.gate
    }
}
