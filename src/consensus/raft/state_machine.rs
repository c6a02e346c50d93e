//! openraft's state machine over `state::State`: applies committed entries, and hands out and takes in snapshots.
//!
//! Applied state is not flushed: it becomes durable with the next flush of the log, since all share one store that
//! loses writes only from the end, and what a crash takes away the log replays. Each apply writes what was applied
//! in the same batch, so nothing is ever applied twice or left out.

use super::codec::{Applied, Encoded};
use super::log_store::blocking;
use super::log_writer::AppliedNext;
use super::snapshot::{self, Cutter, SnapshotData};
use super::types::{Entry, LogId, Payload, Reply, SnapshotMeta, StorageError, StorageIoError, StoredMembership, Types};
use crate::error::{Error, Result};
use crate::state::State;
use crate::storage::keys::Key;
use crate::storage::{SharedStore, WriteBatch};
use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Clones share everything; openraft uses one at a time to apply.
#[derive(Clone)]
pub struct StateMachine {
    state: Arc<State>,
    applied: Applied,
    applied_next: AppliedNext,
}

impl StateMachine {
    /// `state` must be open on the same store that the log is in, and after `snapshot::recover`.
    pub fn open(state: Arc<State>, applied_next: AppliedNext) -> Result<StateMachine> {
        let applied = snapshot::read_applied(state.store().as_ref())?;
        let machine = StateMachine { state, applied, applied_next };
        machine.publish();
        Ok(machine)
    }

    fn publish(&self) {
        let next = self.applied.last.map_or(0, |last| last.index + 1);
        self.applied_next.store(next, Ordering::Release);
    }

    fn store(&self) -> SharedStore {
        self.state.store().clone()
    }

    async fn apply_all(&mut self, entries: Vec<Entry>) -> Result<Vec<Reply>> {
        let (state, mut applied) = (self.state.clone(), self.applied.clone());
        let (replies, applied) = blocking(move || {
            let mut replies = Vec::with_capacity(entries.len());
            for entry in entries {
                replies.push(apply_one(&state, &mut applied, entry)?);
            }
            Ok((replies, applied))
        })
        .await?;
        self.applied = applied;
        self.publish();
        Ok(replies)
    }

    async fn view(&self) -> Result<Option<Snapshot<Types>>> {
        let store = self.store();
        let view = blocking(move || store.snapshot()).await?;
        let view: Arc<dyn crate::storage::Snapshot> = view.into();
        let applied = snapshot::read_applied(view.as_ref())?;
        if applied.last.is_none() {
            return Ok(None);
        }
        let data = Box::new(SnapshotData::View(view));
        Ok(Some(Snapshot { meta: applied.snapshot_meta(), snapshot: data }))
    }

    async fn install(&mut self, meta: &SnapshotMeta, data: SnapshotData) -> Result<()> {
        let (state, applied) = (self.state.clone(), Applied::of_snapshot(meta));
        self.applied = blocking(move || {
            let store = state.store();
            let parts = match data {
                SnapshotData::Parts(parts) => parts,
                SnapshotData::View(view) => keep_all(store, view)?,
            };
            snapshot::install(store, &applied, parts)?;
            state.reload()?;
            Ok(applied)
        })
        .await?;
        self.publish();
        Ok(())
    }
}

/// Takes the parts of another store of this process.
fn keep_all(store: &SharedStore, view: Arc<dyn crate::storage::Snapshot>) -> Result<u64> {
    let mut cutter = Cutter::new(view);
    let mut parts = 0;
    while let Some(part) = cutter.next_part()? {
        snapshot::keep_part(store, parts, part)?;
        parts += 1;
    }
    Ok(parts)
}

fn apply_one(state: &State, applied: &mut Applied, entry: Entry) -> Result<Reply> {
    applied.last = Some(entry.log_id);
    if let EntryPayload::Membership(membership) = &entry.payload {
        applied.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
    }
    let record = applied.encode();
    match entry.payload {
        EntryPayload::Normal(Payload(command)) => {
            let outcome = state.apply(entry.log_id.leader_id.term, &command, &[(Key::Applied, record)])?;
            Ok(Reply::Outcome(outcome))
        }
        EntryPayload::Blank | EntryPayload::Membership(_) => {
            let mut batch = WriteBatch::new();
            batch.put(Key::Applied.tree(), Key::Applied.to_bytes(), record);
            state.store().write(batch)?;
            Ok(Reply::Nothing)
        }
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = StateMachine;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied.last, self.applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.apply_all(entries).await.map_err(apply_error)
    }

    async fn get_snapshot_builder(&mut self) -> StateMachine {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotData>, StorageError> {
        Ok(Box::new(SnapshotData::Parts(0)))
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Box<SnapshotData>) -> Result<(), StorageError> {
        self.install(meta, *data).await.map_err(snapshot_error)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        self.view().await.map_err(snapshot_error)
    }
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    /// Makes what is applied durable, so that the log below it may go.
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let store = self.store();
        blocking(move || store.flush()).await.map_err(snapshot_error)?;
        let meta = self.applied.snapshot_meta();
        // Nobody reads this one: a follower in need gets the view of its moment.
        Ok(Snapshot { meta, snapshot: Box::new(SnapshotData::Parts(0)) })
    }
}

fn apply_error(error: Error) -> StorageError {
    StorageIoError::write_state_machine(AnyError::new(&error)).into()
}

fn snapshot_error(error: Error) -> StorageError {
    StorageIoError::read_snapshot(None, AnyError::new(&error)).into()
}
