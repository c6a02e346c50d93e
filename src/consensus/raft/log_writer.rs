//! The one thread that writes the Raft log and the vote, in the order in which they were handed over.
//!
//! It takes everything that waits, writes it as one storage batch, makes one flush for all of it, and only then
//! says of each that it is done. Storage calls block, so none of this runs on an async thread.

use super::codec::Encoded;
use super::types::{LogId, Types};
use crate::error::{Error, Result};
use crate::storage::keys::Key;
use crate::storage::{SharedStore, WriteBatch};
use bytes::Bytes;
use openraft::storage::LogFlushed;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Jobs that wait for the thread at most; who hands over more waits.
const QUEUE_JOBS_MAX: usize = 256;
/// Jobs that one flush takes at most.
const FLUSH_JOBS_MAX: usize = 128;

/// Something to be made durable, or at least visible, in order.
pub enum Job {
    /// Entries by index, encoded. Durable when `done` is called.
    Append { entries: Vec<(u64, Bytes)>, done: LogFlushed<Types> },
    /// Durable before it is answered.
    Vote { vote: Bytes, done: oneshot::Sender<Result<()>> },
    /// Entries `from..=through` go, since a leader has others there. Visible before it is answered; needs no flush,
    /// since whatever is acknowledged next is flushed behind it.
    Truncate { from: u64, through: u64, done: oneshot::Sender<Result<()>> },
    /// Entries up to `through` go, since the applied state covers them; the store holds those of
    /// `from..=stored_through` at most.
    Purge { from: u64, stored_through: u64, through: LogId },
}

/// Where jobs are handed over. The thread ends when the last clone is dropped.
#[derive(Clone)]
pub struct LogWriter {
    jobs: mpsc::Sender<Job>,
}

/// How far the state machine has come: one more than the applied index, 0 for nothing. The log must keep what is
/// not applied.
pub type AppliedNext = Arc<AtomicU64>;

impl LogWriter {
    /// Starts the thread.
    pub fn start(store: SharedStore, applied_next: AppliedNext) -> Result<(LogWriter, JoinHandle<()>)> {
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS_MAX);
        let thread = Thread { store, applied_next, queue, purges: Vec::new() };
        let handle = std::thread::Builder::new().name("raft-log".into()).spawn(move || thread.run())?;
        Ok((LogWriter { jobs }, handle))
    }

    pub async fn hand_over(&self, job: Job) -> Result<()> {
        self.jobs.send(job).await.map_err(|_| Error::unavailable("the Raft log is closed"))
    }
}

struct Thread {
    store: SharedStore,
    applied_next: AppliedNext,
    queue: mpsc::Receiver<Job>,
    /// Purges that wait until the state machine has caught up: openraft purges the log under a snapshot before the
    /// snapshot is installed, and a crash in between must not leave neither.
    purges: Vec<Purge>,
}

struct Purge {
    from: u64,
    stored_through: u64,
    through: LogId,
}

/// Whom to tell once a batch is written.
#[derive(Default)]
struct Waiting {
    appended: Vec<LogFlushed<Types>>,
    flushed: Vec<oneshot::Sender<Result<()>>>,
    written: Vec<oneshot::Sender<Result<()>>>,
}

impl Thread {
    fn run(mut self) {
        while let Some(job) = self.queue.blocking_recv() {
            let mut jobs = vec![job];
            while jobs.len() < FLUSH_JOBS_MAX {
                match self.queue.try_recv() {
                    Ok(job) => jobs.push(job),
                    Err(_) => break,
                }
            }
            self.execute(jobs);
        }
        // What was applied meanwhile is worth keeping: without it the next start replays more of the log.
        if let Err(error) = self.store.flush() {
            tracing::warn!(%error, "the last flush of the Raft log failed");
        }
    }

    fn execute(&mut self, jobs: Vec<Job>) {
        let mut batch = WriteBatch::new();
        let mut waiting = Waiting::default();
        for job in jobs {
            match job {
                Job::Append { entries, done } => {
                    self.purge_what_is_applied(&mut batch);
                    for (index, entry) in entries {
                        put(&mut batch, Key::LogEntry(index), entry);
                    }
                    waiting.appended.push(done);
                }
                Job::Vote { vote, done } => {
                    put(&mut batch, Key::Vote, vote);
                    waiting.flushed.push(done);
                }
                Job::Truncate { from, through, done } => {
                    delete_entries(&mut batch, from, through);
                    waiting.written.push(done);
                }
                Job::Purge { from, stored_through, through } => {
                    self.purges.push(Purge { from, stored_through, through });
                }
            }
        }
        self.purge_what_is_applied(&mut batch);
        self.commit(batch, waiting);
    }

    fn purge_what_is_applied(&mut self, batch: &mut WriteBatch) {
        let applied_next = self.applied_next.load(Ordering::Acquire);
        let (due, waiting) = self.purges.drain(..).partition(|purge| purge.through.index < applied_next);
        self.purges = waiting;
        let due: Vec<Purge> = due;
        for purge in due {
            delete_entries(batch, purge.from, purge.stored_through);
            put(batch, Key::Purged, purge.through.encode());
        }
    }

    fn commit(&self, batch: WriteBatch, waiting: Waiting) {
        let written = if batch.is_empty() { Ok(()) } else { self.store.write(batch) };
        for done in waiting.written {
            // Who no longer waits does not need to know.
            let _ = done.send(written.clone());
        }
        if waiting.appended.is_empty() && waiting.flushed.is_empty() {
            return;
        }
        let flushed = written.and_then(|()| self.store.flush());
        for done in waiting.flushed {
            let _ = done.send(flushed.clone());
        }
        for done in waiting.appended {
            done.log_io_completed(flushed.clone().map_err(std::io::Error::other));
        }
    }
}

fn put(batch: &mut WriteBatch, key: Key, value: Bytes) {
    batch.put(key.tree(), key.to_bytes(), value);
}

fn delete_entries(batch: &mut WriteBatch, from: u64, through: u64) {
    for index in from..=through {
        let key = Key::LogEntry(index);
        batch.delete(key.tree(), key.to_bytes());
    }
}
