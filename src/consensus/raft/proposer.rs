//! Client writes on their way into the log: all that wait become one entry, so they share a flush and a round.
//!
//! What holds:
//! * Writes are proposed in the order in which they came; the next entry may be under way before the last is applied.
//! * An entry holds writes of one term and one epoch only.
//! * Each write has a deadline. If it passes before the write was proposed, it never will be (`Unavailable`);
//!   after that, nobody knows (`Unknown`).
//! * A write that was given up while it was under way could be applied behind one that is evaluated later without
//!   knowing of it. So while there is one, `Ledger` says that this term can't be evaluated in.

use super::standing::not_leading;
use super::types::{Payload, Reply, Types};
use crate::consensus::{Standing, refused_write};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Position};
use crate::state::{Batch, Command, Outcome, State};
use openraft::raft::ClientWriteResult;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

/// Writes that wait to be proposed; who comes on top waits to be let in.
const QUEUE_MAX: usize = 4096;
/// Writes that one entry takes at most, and their bytes (give or take the last write).
const ENTRY_WRITES_MAX: usize = 512;
const ENTRY_BYTES_MAX: u64 = 512 << 10;
/// Entries under way at once: while one is replicated, the next is flushed.
const ENTRIES_IN_FLIGHT_MAX: usize = 3;

pub struct Proposer {
    queue: mpsc::Sender<Waiting>,
    ledger: Arc<Ledger>,
    deadline: Duration,
}

/// A write that waits to be proposed.
struct Waiting {
    epoch: Epoch,
    batch: Batch,
    receipt: Receipt,
}

/// Whom to answer about a write.
struct Receipt {
    term: u64,
    ticket: Arc<Ticket>,
    answer: oneshot::Sender<Result<Position>>,
}

/// How far a write has come, agreed on between who waits for it and who proposes it.
struct Ticket {
    stage: AtomicU8,
}

const QUEUED: u8 = 0;
const PROPOSED: u8 = 1;
const SETTLED: u8 = 2;
const GIVEN_UP: u8 = 3;

impl Ticket {
    fn moves(&self, from: u8, to: u8) -> bool {
        self.stage.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The writes that were given up while they were under way, by the newest term.
#[derive(Default)]
pub struct Ledger {
    given_up: Mutex<(u64, usize)>,
}

impl Ledger {
    /// Whether a write of `term` may yet be applied of which nobody waits for the outcome.
    pub fn is_open(&self, term: u64) -> bool {
        let given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        given_up.0 == term && given_up.1 > 0
    }

    fn open(&self, term: u64) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        if given_up.0 < term {
            *given_up = (term, 0);
        }
        if given_up.0 == term {
            given_up.1 += 1;
        }
    }

    fn close(&self, term: u64) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        if given_up.0 == term {
            given_up.1 = given_up.1.saturating_sub(1);
        }
    }
}

/// Gives a write up when who waits for it goes away, by its deadline or because its request was dropped.
struct Waiter {
    term: u64,
    ticket: Arc<Ticket>,
    ledger: Arc<Ledger>,
}

impl Waiter {
    /// What a write that was given up is called, or `None` if its outcome has come in at the last moment.
    fn give_up(&self) -> Option<Error> {
        if self.ticket.moves(QUEUED, GIVEN_UP) {
            return Some(Error::unavailable(
                "the write could not be proposed in time; nothing was done, send it again",
            ));
        }
        if self.ticket.stage.load(Ordering::Acquire) != PROPOSED {
            return None;
        }
        // Entered before the stage changes, so that the proposer never strikes it out before it is in.
        self.ledger.open(self.term);
        if self.ticket.moves(PROPOSED, GIVEN_UP) {
            return Some(Error::Unknown(
                "the write was proposed, but not confirmed in time; read before repeating".into(),
            ));
        }
        self.ledger.close(self.term);
        None
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // Settled or given up already: nothing happens.
        let _ = self.give_up();
    }
}

impl Proposer {
    pub fn start(
        node: openraft::Raft<Types>,
        state: Arc<State>,
        standing: watch::Receiver<Standing>,
        ledger: Arc<Ledger>,
        deadline: Duration,
    ) -> (Proposer, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let window = Arc::new(Semaphore::new(ENTRIES_IN_FLIGHT_MAX));
        let task = Task { node, state, standing, ledger: ledger.clone(), deadline, window, waiting, next: None };
        (Proposer { queue, ledger, deadline }, tokio::spawn(task.run()))
    }

    /// Proposes a write, together with others that wait, and returns its position once it is applied.
    pub async fn write(&self, term: u64, epoch: Epoch, batch: Batch) -> Result<Position> {
        let ticket = Arc::new(Ticket { stage: AtomicU8::new(QUEUED) });
        let waiter = Waiter { term, ticket: ticket.clone(), ledger: self.ledger.clone() };
        let (answer, mut outcome) = oneshot::channel();
        let settled = async {
            let waiting = Waiting { epoch, batch, receipt: Receipt { term, ticket, answer } };
            // Without a proposer the outcome's other end is gone, too.
            let _ = self.queue.send(waiting).await;
            (&mut outcome).await
        };
        if let Ok(Ok(result)) = tokio::time::timeout(self.deadline, settled).await {
            return result;
        }
        match waiter.give_up() {
            Some(error) => Err(error),
            // Settled in this very moment: the answer is on its way.
            None => outcome.await.unwrap_or_else(|_| Err(Error::unavailable("this node is shutting down"))),
        }
    }
}

struct Task {
    node: openraft::Raft<Types>,
    state: Arc<State>,
    standing: watch::Receiver<Standing>,
    ledger: Arc<Ledger>,
    deadline: Duration,
    window: Arc<Semaphore>,
    waiting: mpsc::Receiver<Waiting>,
    /// Taken from the queue, but of another term or epoch than the entry before.
    next: Option<Waiting>,
}

impl Task {
    async fn run(mut self) {
        loop {
            let first = match self.next.take() {
                Some(first) => first,
                None => match self.waiting.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            // Writes gather while the entries before are under way.
            let Ok(permit) = self.window.clone().acquire_owned().await else { return };
            let gathered = self.gather(first);
            if !gathered.is_empty() {
                self.propose(gathered, permit).await;
            }
        }
    }

    /// `first` and all others that wait and fit, without those that were given up.
    fn gather(&mut self, first: Waiting) -> Vec<Waiting> {
        let (term, epoch) = (first.receipt.term, first.epoch);
        let mut bytes = first.batch.bytes();
        let mut gathered = vec![first];
        while gathered.len() < ENTRY_WRITES_MAX && bytes < ENTRY_BYTES_MAX {
            match self.waiting.try_recv() {
                Ok(waiting) if (waiting.receipt.term, waiting.epoch) == (term, epoch) => {
                    bytes += waiting.batch.bytes();
                    gathered.push(waiting);
                }
                Ok(other) => {
                    self.next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        gathered.retain(|waiting| waiting.receipt.ticket.moves(QUEUED, PROPOSED));
        gathered
    }

    async fn propose(&self, gathered: Vec<Waiting>, permit: OwnedSemaphorePermit) {
        let Some((term, epoch)) = gathered.first().map(|first| (first.receipt.term, first.epoch)) else { return };
        let (batches, receipts) = gathered.into_iter().map(|waiting| (waiting.batch, waiting.receipt)).unzip();
        let settling = self.settling(term, receipts);
        if self.standing.borrow().lead_term != Some(term) {
            let error = not_leading(&self.standing.borrow());
            return settling.answer(|_| Err(error.clone()));
        }
        let command = Command::Write { term, epoch, batches };
        match self.node.client_write_ff(Payload::new(command)).await {
            Err(stopped) => {
                let error = Error::unavailable(format!("Raft has stopped on this node: {stopped}"));
                settling.answer(|_| Err(error.clone()));
            }
            Ok(outcome) => {
                tokio::spawn(async move {
                    settling.settle(outcome).await;
                    drop(permit);
                });
            }
        }
    }

    fn settling(&self, term: u64, receipts: Vec<Receipt>) -> Settling {
        Settling {
            term,
            receipts,
            state: self.state.clone(),
            standing: self.standing.clone(),
            ledger: self.ledger.clone(),
            patience: self.deadline,
        }
    }
}

/// An entry under way: waits for its outcome and tells those whose writes are in it.
struct Settling {
    term: u64,
    receipts: Vec<Receipt>,
    state: Arc<State>,
    standing: watch::Receiver<Standing>,
    ledger: Arc<Ledger>,
    /// How long to wait for the outcome of an entry of a term that has passed.
    patience: Duration,
}

type EntryOutcome = Result<ClientWriteResult<Types>, oneshot::error::RecvError>;

impl Settling {
    async fn settle(mut self, outcome: oneshot::Receiver<ClientWriteResult<Types>>) {
        let unknown = |why: String| Error::Unknown(format!("{why}; read before repeating the write"));
        let error = match self.outcome(outcome).await {
            Some(Ok(Ok(response))) => match response.data {
                Reply::Outcome(Outcome::Written { first, .. }) => {
                    return self.answer(|at| Ok(Position::new(first.epoch, first.index + at)));
                }
                Reply::Outcome(Outcome::Refused(refusal)) => refused_write(&refusal, &self.state),
                other => Error::internal(format!("a write came out as {other:?}")),
            },
            // Although openraft says so only of entries that are not in its log any more, another node may still
            // hold this one, and come to lead.
            Some(Ok(Err(error))) => unknown(format!("the leader changed: {error}")),
            Some(Err(_)) => unknown("Raft has stopped on this node".into()),
            None => unknown("the leader changed".into()),
        };
        self.answer(|_| Err(error.clone()));
    }

    /// The entry's outcome. A leader's entries all come out in the end; those of a former leader need not, so after
    /// the term has passed, patience is limited.
    async fn outcome(&mut self, mut outcome: oneshot::Receiver<ClientWriteResult<Types>>) -> Option<EntryOutcome> {
        let term = self.term;
        tokio::select! {
            outcome = &mut outcome => return Some(outcome),
            _ = self.standing.wait_for(|standing| standing.term > term || !standing.is_leader) => {}
        }
        tokio::time::timeout(self.patience, outcome).await.ok()
    }

    /// Answers each write by its place in the entry.
    fn answer(self, result: impl Fn(u64) -> Result<Position>) {
        for (at, receipt) in self.receipts.into_iter().enumerate() {
            if receipt.ticket.moves(PROPOSED, SETTLED) {
                // Who went away in this very moment needs no answer.
                let _ = receipt.answer.send(result(at as u64));
            } else {
                self.ledger.close(receipt.term);
            }
        }
    }
}
