//! The Raft log as openraft sees it: entries in `Tree::Log`, the vote and the purged log id in `Tree::Node`.
//!
//! What holds:
//! * An entry can be read when `append` returns: it is kept in memory at least until the writer's thread has
//!   written it, and beyond that within bounds, since followers and apply read the newest entries right away.
//! * The memory holds the end of the log without a gap, so the store needs to be asked only for what lies before.
//! * The vote and the entries are durable before openraft counts on them; both go through one ordered thread.

use super::codec::Encoded;
use super::log_writer::{AppliedNext, Job, LogWriter};
use super::snapshot::read_applied;
use super::types::{Entry, LogId, StorageError, StorageIoError, Types, Vote};
use crate::error::{Error, Result};
use crate::storage::keys::Key;
use crate::storage::{KeyRange, ScanLimit, SharedStore, Tree, WriteBatch};
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};

/// Bytes of entries that one message to a follower, or one step of reading, takes at most; one entry always goes.
const READ_BYTES_MAX: usize = 1 << 20;
/// What stays in memory of entries that are written already.
const TAIL_ENTRIES_MAX: usize = 1024;
const TAIL_BYTES_MAX: usize = 4 << 20;

pub struct LogStore {
    reader: LogReader,
    writer: LogWriter,
}

/// Reads the log; cheap to clone, one for each follower.
#[derive(Clone)]
pub struct LogReader {
    store: SharedStore,
    shared: Arc<Shared>,
}

/// What the log store knows without asking the store, and tells others.
pub struct Shared {
    tail: Mutex<Tail>,
    /// One more than the index that is known to be committed; in memory only, since what is applied is stored.
    committed_next: AtomicU64,
    /// What was appended since the start, for who decides when to purge.
    appended: watch::Sender<Appended>,
}

/// How much was appended since the start.
#[derive(Clone, Copy, Default, Debug)]
pub struct Appended {
    pub entries: u64,
    pub bytes: u64,
    pub last_index: u64,
}

#[derive(Default)]
struct Tail {
    entries: BTreeMap<u64, (Entry, usize)>,
    bytes: usize,
    last: Option<LogId>,
    purged: Option<LogId>,
    /// The oldest index that the store may still hold.
    oldest: u64,
}

impl Tail {
    fn push(&mut self, entry: Entry, bytes: usize) {
        self.last = Some(entry.log_id);
        self.bytes += bytes;
        self.entries.insert(entry.log_id.index, (entry, bytes));
    }

    fn remove(&mut self, index: u64) {
        if let Some((_, bytes)) = self.entries.remove(&index) {
            self.bytes -= bytes;
        }
    }

    /// Drops the oldest entries that are written, until the bounds hold.
    fn shrink(&mut self, written_through: u64) {
        while self.entries.len() > TAIL_ENTRIES_MAX || self.bytes > TAIL_BYTES_MAX {
            match self.entries.first_key_value() {
                Some((index, _)) if *index <= written_through => {
                    let index = *index;
                    self.remove(index);
                }
                _ => break,
            }
        }
    }

    /// The index after the last purged one.
    fn first(&self) -> u64 {
        self.purged.map_or(0, |purged| purged.index + 1)
    }
}

impl Shared {
    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index that is known to be committed; 0 if none is.
    pub fn committed_index(&self) -> u64 {
        self.committed_next.load(Ordering::Relaxed).saturating_sub(1)
    }

    pub fn watch_appended(&self) -> watch::Receiver<Appended> {
        self.appended.subscribe()
    }
}

/// Entries that one batch deletes.
const HOLE_ENTRIES: usize = 4096;

fn purged(store: &SharedStore) -> Result<Option<LogId>> {
    store.get(Tree::Node, &Key::Purged.to_bytes())?.map(|bytes| LogId::decode(&bytes)).transpose()
}

/// Behind a snapshot the log may go on where the snapshot ends, while what the snapshot replaced is not purged yet: after
/// a crash just then the log has a hole. What lies before it is in the state.
fn close_hole(store: &SharedStore) -> Result<()> {
    let Some(applied) = read_applied(store.as_ref())?.last else { return Ok(()) };
    let at = Key::LogEntry(applied.index);
    if purged(store)?.is_some_and(|purged| purged >= applied) || store.get(at.tree(), &at.to_bytes())?.is_some() {
        return Ok(());
    }
    let below = KeyRange::new(Key::LogEntry(0).to_bytes(), at.to_bytes());
    loop {
        let found = store.scan(Tree::Log, &below, ScanLimit::entries(HOLE_ENTRIES))?;
        if found.is_empty() {
            break;
        }
        let mut batch = WriteBatch::new();
        found.into_iter().for_each(|(key, _)| batch.delete(Tree::Log, key));
        store.write(batch)?;
    }
    let mut batch = WriteBatch::new();
    batch.put(Key::Purged.tree(), Key::Purged.to_bytes(), applied.encode());
    store.write(batch)
}

impl LogStore {
    /// Opens the log that `store` holds. The thread ends when openraft drops the log store.
    pub fn open(store: SharedStore, applied_next: AppliedNext) -> Result<(LogStore, JoinHandle<()>)> {
        close_hole(&store)?;
        let purged = purged(&store)?;
        let last = match store.last(Tree::Log)? {
            Some((_, entry)) => Some(Entry::decode(&entry)?.log_id),
            None => purged,
        };
        let oldest = purged.map_or(0, |purged| purged.index + 1);
        let tail = Mutex::new(Tail { last, purged, oldest, ..Tail::default() });
        let last_index = last.map_or(0, |last| last.index);
        let appended = watch::Sender::new(Appended { last_index, ..Appended::default() });
        let shared = Shared { tail, committed_next: AtomicU64::new(0), appended };
        let (writer, thread) = LogWriter::start(store.clone(), applied_next)?;
        Ok((LogStore { reader: LogReader { store, shared: Arc::new(shared) }, writer }, thread))
    }

    pub fn shared(&self) -> Arc<Shared> {
        self.reader.shared.clone()
    }

    /// Waits for the writer's answer to a job.
    async fn settled(&self, job: Job, done: oneshot::Receiver<Result<()>>) -> Result<()> {
        self.writer.hand_over(job).await?;
        done.await.unwrap_or_else(|_| Err(Error::unavailable("the Raft log is closed")))
    }

    async fn append_encoded(&self, entries: Vec<Entry>, done: LogFlushed<Types>) -> Result<()> {
        let encoded: Vec<_> = entries.iter().map(|entry| (entry.log_id.index, entry.encode())).collect();
        {
            // openraft appends only after the former append was flushed, so all that is here already is written.
            let mut tail = self.reader.shared.tail();
            let written_through = tail.last.map_or(0, |last| last.index);
            tail.shrink(written_through);
            for (entry, (_, bytes)) in entries.into_iter().zip(&encoded) {
                tail.push(entry, bytes.len());
            }
        }
        if let Some((last_index, _)) = encoded.last() {
            self.reader.shared.appended.send_modify(|appended| {
                appended.entries += encoded.len() as u64;
                appended.bytes += encoded.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
                appended.last_index = *last_index;
            });
        }
        self.writer.hand_over(Job::Append { entries: encoded, done }).await
    }

    async fn truncate_from(&self, from: u64) -> Result<()> {
        let through = {
            let mut tail = self.reader.shared.tail();
            let through = tail.last.map_or(0, |last| last.index);
            for index in from..=through {
                tail.remove(index);
            }
            through
        };
        if through >= from {
            let (done, answer) = oneshot::channel();
            self.settled(Job::Truncate { from, through, done }, answer).await?;
        }
        let before = self.reader.last_before(from).await?;
        self.reader.shared.tail().last = before;
        Ok(())
    }

    async fn purge_through(&self, through: LogId) -> Result<()> {
        let (from, stored_through) = {
            let mut tail = self.reader.shared.tail();
            let from = tail.oldest;
            let stored_through = tail.last.map_or(0, |last| last.index).min(through.index);
            while let Some((index, _)) = tail.entries.first_key_value() {
                let index = *index;
                if index > through.index {
                    break;
                }
                tail.remove(index);
            }
            tail.purged = tail.purged.max(Some(through));
            tail.last = tail.last.max(Some(through));
            tail.oldest = tail.oldest.max(through.index + 1);
            (from, stored_through)
        };
        self.writer.hand_over(Job::Purge { from, stored_through, through }).await
    }
}

impl LogReader {
    /// Entries of `start..end` that exist, in order, until they come to `bytes`.
    async fn read(&self, start: u64, end: u64, bytes: usize) -> Result<Vec<Entry>> {
        let (start, stored_end, cached) = {
            let tail = self.shared.tail();
            let start = start.max(tail.first());
            let stored_end = tail.entries.first_key_value().map_or(end, |(first, _)| end.min(*first));
            let cached: Vec<_> =
                if start < end { tail.entries.range(start..end).map(|(_, e)| e.clone()).collect() } else { vec![] };
            (start, stored_end, cached)
        };
        let (mut entries, mut size) =
            if start < stored_end { self.read_stored(start, stored_end, bytes).await? } else { (vec![], 0) };
        if entries.last().is_some_and(|last| last.log_id.index + 1 < stored_end) {
            return Ok(entries);
        }
        for (entry, entry_bytes) in cached {
            if size >= bytes && !entries.is_empty() {
                break;
            }
            size += entry_bytes;
            entries.push(entry);
        }
        Ok(entries)
    }

    async fn read_stored(&self, start: u64, end: u64, bytes: usize) -> Result<(Vec<Entry>, usize)> {
        let store = self.store.clone();
        blocking(move || {
            let range = KeyRange::new(Key::LogEntry(start).to_bytes(), Key::LogEntry(end).to_bytes());
            let pairs = store.scan(Tree::Log, &range, ScanLimit { entries: usize::MAX, bytes })?;
            let size = pairs.iter().map(|(_, value)| value.len()).sum();
            let entries = pairs.iter().map(|(_, value)| Entry::decode(value)).collect::<Result<Vec<_>>>()?;
            Ok((entries, size))
        })
        .await
    }

    /// The id of the last entry below `index`, or what was purged.
    async fn last_before(&self, index: u64) -> Result<Option<LogId>> {
        let entries = self.read(index.saturating_sub(1), index, 1).await?;
        Ok(entries.last().map(|entry| entry.log_id).or(self.shared.tail().purged))
    }

    async fn vote(&self) -> Result<Option<Vote>> {
        let store = self.store.clone();
        blocking(move || {
            let stored = store.get(Tree::Node, &Key::Vote.to_bytes())?;
            stored.map(|bytes| Vote::decode(&bytes)).transpose()
        })
        .await
    }
}

/// Runs a storage call off the async threads.
pub async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => Err(Error::cut_off("a storage call", &error)),
    }
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start, end, usize::MAX).await.map_err(read_error)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        self.read(start, end, READ_BYTES_MAX).await.map_err(read_error)
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        self.reader.try_get_log_entries(range).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        self.reader.limited_get_log_entries(start, end).await
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let tail = self.reader.shared.tail();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let (done, answer) = oneshot::channel();
        self.settled(Job::Vote { vote: vote.encode(), done }, answer).await.map_err(write_error)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        self.reader.vote().await.map_err(read_error)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let next = committed.map_or(0, |committed| committed.index + 1);
        self.reader.shared.committed_next.fetch_max(next, Ordering::Relaxed);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.append_encoded(entries, callback).await.map_err(write_error)
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.truncate_from(log_id.index).await.map_err(write_error)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.purge_through(log_id).await.map_err(write_error)
    }
}

fn read_error(error: Error) -> StorageError {
    StorageIoError::read_logs(AnyError::new(&error)).into()
}

fn write_error(error: Error) -> StorageError {
    StorageIoError::write_logs(AnyError::new(&error)).into()
}
