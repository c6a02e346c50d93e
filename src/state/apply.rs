//! Applying commands, and reading what they left.

use super::batch::{Batch, Op, Stored, WalEntry};
use super::command::{Command, CopyChunk, Outcome, Refusal, RegionChange, expect_stored};
use super::line;
use super::merkle::{self, Merkle};
use super::path::{PathChange, PathState, Role, SyncKind, SyncState};
use super::wal;
use crate::error::{Error, Result};
use crate::ids::{DatasetId, Position};
use crate::storage::keys::{self, Key};
use crate::storage::{KeyRange, Pair, ScanLimit, SharedStore, Tree, WriteBatch};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How much of the WAL one `TrimWal` takes away, so that no apply takes long.
const TRIM_LIMIT: ScanLimit = ScanLimit { entries: 4096, bytes: 16 << 20 };

/// How much of the old data is read at a time while a stretch of it is replaced, which may hold far more than is sent.
const STRETCH_LIMIT: ScanLimit = ScanLimit { entries: 4096, bytes: 8 << 20 };

/// The applied state of one node. Cheap to read from many threads; one caller at a time applies.
pub struct State {
    store: SharedStore,
    inner: Mutex<Inner>,
    path: watch::Sender<PathState>,
}

pub(super) struct Inner {
    pub path: PathState,
    pub merkle: Merkle,
}

/// The changes of one storage batch in the making: what was put so far is what later reads see.
pub(super) struct Draft<'a> {
    pub store: &'a SharedStore,
    pub batch: WriteBatch,
    /// The data keys this draft wrote: their newest value, or `None` for deleted.
    pub data: HashMap<Bytes, Option<Stored>>,
    pub path: PathState,
    merkle: &'a mut Merkle,
}

impl State {
    /// Opens what `store` holds. An empty store is a region that was not initialised: its path is `first`, kept in
    /// memory until the first apply stores it. A data tree that is not what the path's record counts is corrupt.
    pub fn open(store: SharedStore, path_name: &str) -> Result<State> {
        let path = match store.get(Tree::Region, &Key::Path.to_bytes())? {
            Some(bytes) => postcard::from_bytes(&bytes)?,
            None => PathState::first(path_name, DatasetId::default()),
        };
        let (merkle, entries, bytes) = Merkle::rebuild(path.dataset, store.as_ref())?;
        if (entries, bytes) != (path.entries, path.bytes) {
            return Err(Error::corrupt(format!(
                "the data directory holds {entries} entries of {bytes} bytes, and should hold {} of {}: empty it and let \
                 the node rejoin its region, which sends it everything again",
                path.entries, path.bytes
            )));
        }
        Ok(State { store, path: watch::Sender::new(path.clone()), inner: Mutex::new(Inner { path, merkle }) })
    }

    /// Reads everything again, after a Raft snapshot replaced the trees under it.
    pub fn reload(&self) -> Result<()> {
        let name = self.path().name;
        let fresh = State::open(self.store.clone(), &name)?;
        let fresh = fresh.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.path.send_replace(fresh.path.clone());
        *self.inner() = fresh;
        Ok(())
    }

    /// Applies `command` of Raft term `term`, and writes `also` (the applied log id) in the same storage batch.
    ///
    /// A command that can't be applied is `Outcome::Refused`, which changes nothing but `also`. An `Err` means that
    /// storage failed: nothing was applied, what is in memory may be ahead of it, and the node must stop.
    pub fn apply(&self, term: u64, command: &Command, also: &[(Key, Bytes)]) -> Result<Outcome> {
        let mut inner = self.inner();
        let before = inner.path.clone();
        let Inner { merkle, .. } = &mut *inner;
        let mut draft =
            Draft { store: &self.store, batch: WriteBatch::new(), data: HashMap::new(), path: before.clone(), merkle };
        let outcome = draft.command(term, command)?;
        let Draft { mut batch, path, .. } = draft;
        for (key, value) in also {
            batch.put(key.tree(), key.to_bytes(), value.clone());
        }
        if path != before {
            batch.put(Tree::Region, Key::Path.to_bytes(), postcard::to_stdvec(&path)?);
        }
        let rebuild = path.dataset != before.dataset;
        self.store.write(batch)?;
        if rebuild {
            let (merkle, entries, bytes) = Merkle::rebuild(path.dataset, self.store.as_ref())?;
            inner.merkle = merkle;
            debug_assert_eq!((entries, bytes), (path.entries, path.bytes));
        }
        if path != before {
            inner.path = path.clone();
            self.path.send_replace(path);
        }
        Ok(outcome)
    }

    pub fn path(&self) -> PathState {
        self.path.borrow().clone()
    }

    /// Wakes when the path's record changes, which each applied batch does.
    pub fn watch_path(&self) -> watch::Receiver<PathState> {
        self.path.subscribe()
    }

    /// A value of the data tree, with the position that wrote it.
    pub fn data(&self, key: &[u8]) -> Result<Option<Stored>> {
        self.store.get(Tree::Data, key)?.map(|bytes| Stored::from_bytes(&bytes)).transpose()
    }

    /// Entries of the data tree in key order.
    pub fn scan_data(&self, range: &KeyRange, limit: ScanLimit) -> Result<Vec<(Bytes, Stored)>> {
        let pairs = self.store.scan(Tree::Data, range, limit)?;
        pairs.into_iter().map(|(key, value)| Ok((key, Stored::from_bytes(&value)?))).collect()
    }

    /// A record of the region's own tree.
    pub fn region(&self, key: &Key) -> Result<Option<Bytes>> {
        if key.tree() != Tree::Region {
            return Err(Error::internal(format!("{key:?} is no key of the region tree")));
        }
        self.store.get(Tree::Region, &key.to_bytes())
    }

    /// Records of the region's own tree whose keys begin with `prefix` (`keys::LINKS`, …).
    pub fn scan_region(&self, prefix: &[u8]) -> Result<Vec<Pair>> {
        self.store.scan(Tree::Region, &KeyRange::prefix(prefix), ScanLimit::NONE)
    }

    pub fn wal(&self, from: u64, limit: ScanLimit) -> Result<Vec<WalEntry>> {
        wal::read(self.store.as_ref(), from, limit)
    }

    /// The applied position and the Merkle root there.
    pub fn root(&self) -> (Position, merkle::Hash) {
        let mut inner = self.inner();
        (inner.path.applied, inner.merkle.root())
    }

    /// The store below, for snapshots and for the log that shares it.
    pub fn store(&self) -> &SharedStore {
        &self.store
    }

    /// Shows a path's record that was corrected without a command.
    pub(super) fn publish(&self, path: &PathState) {
        self.path.send_replace(path.clone());
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Draft<'_> {
    fn command(&mut self, term: u64, command: &Command) -> Result<Outcome> {
        match command {
            Command::Write { term: evaluated, epoch, batches } => {
                if *evaluated != term {
                    return Ok(Outcome::Refused(Refusal::Term { evaluated: *evaluated, applied: term }));
                }
                if self.path.role != Role::Primary {
                    return Ok(self.wrong_role());
                }
                if *epoch != self.path.epoch {
                    return Ok(Outcome::Refused(Refusal::Epoch { expected: *epoch, actual: self.path.epoch }));
                }
                self.write(batches)
            }
            Command::Follow { entries } => self.follow(entries),
            Command::Copy(chunk) => self.copy(chunk),
            Command::Region(change) => self.change_region(change),
            Command::TrimWal { below } => self.trim_wal(*below),
            Command::Patch(patch) => self.patch(patch),
            Command::KeepDiverged(keep) => self.keep_diverged(keep),
            Command::Review { reviews } => self.review(reviews),
            Command::Accept(accept) => self.accept(accept),
        }
    }

    fn write(&mut self, batches: &[Batch]) -> Result<Outcome> {
        let first = self.next_position();
        for batch in batches {
            self.entry(self.next_position(), batch)?;
        }
        Ok(Outcome::Written { first, last: self.path.applied })
    }

    pub fn next_position(&self) -> Position {
        Position::new(self.path.epoch, self.path.applied.index + 1)
    }

    fn follow(&mut self, entries: &[WalEntry]) -> Result<Outcome> {
        if self.path.role != Role::Standby {
            return Ok(self.wrong_role());
        }
        if let Some(SyncState { cursor: Some(cursor), .. }) = &self.path.sync {
            return Ok(Outcome::Refused(Refusal::Sync { cursor: Some(cursor.clone()) }));
        }
        let applied = self.path.applied;
        let mut next_index = applied.index + 1;
        for WalEntry { position, .. } in entries {
            if position.epoch > self.path.epoch {
                return Ok(Outcome::Refused(Refusal::Epoch { expected: self.path.epoch, actual: position.epoch }));
            }
            // An entry of another line than this region follows, even one that is skipped, shows a sender that forked.
            if position.index > next_index || !line::holds(&self.path.history, *position) {
                return Ok(Outcome::Refused(Refusal::Gap { applied, next: *position }));
            }
            next_index = next_index.max(position.index + 1);
        }
        let mut keys = entries.iter().flat_map(|entry| &entry.batch.ops).map(Op::key);
        if let Err(refusal) = keys.try_for_each(|key| expect_stored(key)) {
            return Ok(Outcome::Refused(refusal));
        }
        for WalEntry { position, batch } in entries {
            if position.index > self.path.applied.index {
                self.entry(*position, batch)?;
            }
        }
        self.finish_sync_if_whole();
        Ok(Outcome::Followed { applied: self.path.applied })
    }

    /// One WAL entry at its position: the log, the data tree, the Merkle tree, the counts.
    pub fn entry(&mut self, position: Position, batch: &Batch) -> Result<()> {
        self.path.wal_bytes += wal::append(&mut self.batch, position, batch)?;
        for op in &batch.ops {
            let key = op.key();
            let new = match op {
                Op::Put { value, .. } => Some(Stored { position, value: value.clone() }),
                Op::Delete { .. } => None,
            };
            let old = self.current(key)?;
            // While a sync replays the log, the tree already holds what some later entries wrote.
            if old.as_ref().is_none_or(|old| old.position < position) {
                self.replace(key, old.as_ref(), new.as_ref());
                self.data.insert(key.clone(), new);
            }
        }
        self.path.applied = position;
        self.path.applied_at = batch.at;
        self.path.totals.add(batch);
        Ok(())
    }

    fn copy(&mut self, chunk: &CopyChunk) -> Result<Outcome> {
        if self.path.role != Role::Standby {
            return Ok(self.wrong_role());
        }
        let cursor = match &self.path.sync {
            Some(sync) if sync.id == chunk.sync && sync.kind == SyncKind::Full => sync.cursor.clone(),
            _ => return Ok(Outcome::Refused(Refusal::Sync { cursor: None })),
        };
        if cursor.as_ref() != Some(&chunk.after) {
            return Ok(Outcome::Refused(Refusal::Sync { cursor }));
        }
        if !chunk.is_sound() {
            return Ok(Outcome::Refused(Refusal::Sync { cursor }));
        }
        self.replace_stretch(chunk)?;
        let bytes: usize = chunk.entries.iter().map(|(key, stored)| key.len() + stored.value.len()).sum();
        if let Some(sync) = &mut self.path.sync {
            sync.entries_done += chunk.entries.len() as u64;
            sync.bytes_done += bytes as u64;
            sync.cursor = chunk.through.clone();
            sync.whole_at = sync.whole_at.max(chunk.read_at);
        }
        self.finish_sync_if_whole();
        Ok(Outcome::Copied { cursor: chunk.through.clone().unwrap_or_default(), applied: self.path.applied })
    }

    /// Walks along what the data tree holds between the chunk's ends and along what was sent, both in key order.
    fn replace_stretch(&mut self, chunk: &CopyChunk) -> Result<()> {
        let start = if chunk.after.is_empty() { Vec::new() } else { merkle::successor(&chunk.after) };
        let mut range = KeyRange { start, end: chunk.through.as_deref().map(merkle::successor) };
        let mut sent = chunk.entries.iter().peekable();
        loop {
            let held = self.store.scan(Tree::Data, &range, STRETCH_LIMIT)?;
            let Some((last, _)) = held.last() else { break };
            range.start = merkle::successor(last);
            for (key, old) in &held {
                while let Some((new_key, new)) = sent.next_if(|(new_key, _)| new_key < key) {
                    self.replace(new_key, None, Some(new));
                }
                let old = Stored::from_bytes(old)?;
                match sent.next_if(|(new_key, _)| new_key == key) {
                    Some((_, new)) if *new == old => {}
                    Some((_, new)) => self.replace(key, Some(&old), Some(new)),
                    None => self.replace(key, Some(&old), None),
                }
            }
        }
        sent.for_each(|(key, new)| self.replace(key, None, Some(new)));
        Ok(())
    }

    pub(super) fn finish_sync_if_whole(&mut self) {
        let whole = |sync: &SyncState| sync.cursor.is_none() && self.path.applied >= sync.whole_at;
        if self.path.sync.as_ref().is_some_and(whole) {
            self.path.sync = None;
        }
    }

    fn change_region(&mut self, change: &RegionChange) -> Result<Outcome> {
        for (key, expected) in &change.expect {
            if self.store.get(Tree::Region, key)? != *expected {
                return Ok(Outcome::Refused(Refusal::Guard { key: key.clone() }));
            }
        }
        if let Some(step) = &change.path {
            let path = match self.path.change(step) {
                Ok(path) => path,
                Err(refusal) => return Ok(Outcome::Refused(refusal)),
            };
            if let PathChange::BeginSync { .. } = step {
                self.drop_wal()?;
            }
            self.path = path;
        }
        for (key, value) in &change.puts {
            match value {
                Some(value) => self.batch.put(Tree::Region, key.clone(), value.clone()),
                None => self.batch.delete(Tree::Region, key.clone()),
            }
        }
        Ok(Outcome::Changed)
    }

    fn trim_wal(&mut self, below: u64) -> Result<Outcome> {
        if self.path.keeps_log() {
            return Ok(Outcome::Changed);
        }
        // From where the log begins, not from index 0: an engine walks over what was deleted.
        let range = KeyRange::new(Key::Wal(self.path.wal_first).to_bytes(), Key::Wal(below).to_bytes());
        for (key, value) in self.store.scan(Tree::Wal, &range, TRIM_LIMIT)? {
            self.path.wal_bytes -= (key.len() + value.len()) as u64;
            self.path.wal_first = keys::index_of(&key).map_or(self.path.wal_first, |index| index + 1);
            self.batch.delete(Tree::Wal, key);
        }
        Ok(Outcome::Changed)
    }

    /// The log of what the region held before it took over another's data leads nowhere. A long one goes a stretch at a
    /// time, ahead of the batch that says so, lest one batch hold it all: after a crash in between, the node applies this
    /// command again before it reads its log.
    fn drop_wal(&mut self) -> Result<()> {
        let stretch = TRIM_LIMIT.entries as u64;
        while self.path.applied.index - (self.path.wal_first - 1) > stretch {
            let mut gone = WriteBatch::new();
            for index in self.path.wal_first..self.path.wal_first + stretch {
                gone.delete(Tree::Wal, Key::Wal(index).to_bytes());
            }
            self.store.write(gone)?;
            self.path.wal_first += stretch;
        }
        for index in self.path.wal_first..=self.path.applied.index {
            self.batch.delete(Tree::Wal, Key::Wal(index).to_bytes());
        }
        Ok(())
    }

    pub(super) fn current(&self, key: &Bytes) -> Result<Option<Stored>> {
        match self.data.get(key) {
            Some(drafted) => Ok(drafted.clone()),
            None => self.store.get(Tree::Data, key)?.map(|bytes| Stored::from_bytes(&bytes)).transpose(),
        }
    }

    pub(super) fn replace(&mut self, key: &Bytes, old: Option<&Stored>, new: Option<&Stored>) {
        let size = |stored: &Stored| (key.len() + 16 + stored.value.len()) as u64;
        if let Some(old) = old {
            self.merkle.remove(key, old);
            self.path.entries -= 1;
            self.path.bytes -= size(old);
        }
        match new {
            Some(new) => {
                self.merkle.add(key, new);
                self.path.entries += 1;
                self.path.bytes += size(new);
                self.batch.put(Tree::Data, key.clone(), new.to_bytes());
            }
            None if old.is_some() => self.batch.delete(Tree::Data, key.clone()),
            None => {}
        }
    }

    pub fn wrong_role(&self) -> Outcome {
        Outcome::Refused(Refusal::Role { role: self.path.role, epoch: self.path.epoch })
    }
}
