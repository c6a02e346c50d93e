//! openraft's own suite for log stores and state machines, over the memory store.

use crate::consensus::raft::codec::{Applied, Encoded};
use crate::consensus::raft::log_store::LogStore;
use crate::consensus::raft::log_writer::AppliedNext;
use crate::consensus::raft::snapshot::{self, Cutter};
use crate::consensus::raft::state_machine::StateMachine;
use crate::consensus::raft::types::{Entry, LogId, StorageError, Types};
use crate::error::Result;
use crate::ids::NodeId;
use crate::state::State;
use crate::storage::keys::{Key, index_of};
use crate::storage::memory::Memory;
use crate::storage::{KeyRange, Reader, ScanLimit, SharedStore, Store, Tree, WriteBatch};
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{CommittedLeaderId, RaftLogReader};
use std::sync::Arc;

/// The suite names its nodes by numbers.
impl From<u64> for NodeId {
    fn from(id: u64) -> NodeId {
        NodeId(id)
    }
}

struct Builder;

impl StoreBuilder<Types, LogStore, StateMachine> for Builder {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError> {
        let store: SharedStore = Arc::new(Memory::new());
        let state = Arc::new(State::open(store.clone(), "default").expect("an empty store opens"));
        let applied_next = AppliedNext::default();
        let machine = StateMachine::open(state, applied_next.clone()).expect("an empty store opens");
        let (log, _ends_with_the_log) = LogStore::open(store, applied_next).expect("an empty store opens");
        Ok(((), log, machine))
    }
}

#[test]
fn the_suite_of_openraft_passes() {
    Suite::test_all(Builder).expect("the store keeps openraft's contract");
}

/// A crash behind the install of a snapshot, and before what the snapshot replaced is purged.
#[tokio::test]
async fn a_hole_that_a_snapshot_left_in_the_log_is_closed() {
    let log_id = |index| LogId::new(CommittedLeaderId::new(1, NodeId(1)), index);
    let entry = |index| Entry { log_id: log_id(index), payload: openraft::EntryPayload::Blank };
    let memory: SharedStore = Arc::new(Memory::new());
    let (mut log, _ends_with_the_log) = LogStore::open(memory.clone(), AppliedNext::default()).expect("it opens");
    log.blocking_append((0..5).chain(21..24).map(entry)).await.expect("it is flushed");
    let applied = Applied { last: Some(log_id(20)), ..Applied::default() };
    let mut batch = WriteBatch::new();
    batch.put(Tree::Node, Key::Applied.to_bytes(), applied.encode());
    memory.write(batch).expect("memory takes it");
    let (mut reopened, _ends_with_the_log) = LogStore::open(memory, AppliedNext::default()).expect("it opens");
    let state = reopened.get_log_state().await.expect("known");
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(log_id(20)), Some(log_id(23))));
    let left = reopened.try_get_log_entries(0..).await.expect("readable");
    assert_eq!(left.iter().map(|entry| entry.log_id.index).collect::<Vec<_>>(), [21, 22, 23]);
}

#[tokio::test]
async fn the_log_keeps_what_is_not_applied_although_openraft_purged_it() {
    let memory = Arc::new(Memory::new());
    let entry = |index| Entry {
        log_id: LogId::new(CommittedLeaderId::new(1, NodeId(1)), index),
        payload: openraft::EntryPayload::Blank,
    };
    let stored = |memory: &Memory| {
        let pairs = memory.scan(Tree::Log, &KeyRange::all(), ScanLimit::NONE).expect("memory reads");
        pairs.iter().filter_map(|(key, _)| index_of(key)).collect::<Vec<u64>>()
    };
    let applied_next = AppliedNext::default();
    let (mut log, _ends_with_the_log) = LogStore::open(memory.clone(), applied_next.clone()).expect("it opens");
    log.blocking_append((0..10).map(entry)).await.expect("it is flushed");
    log.purge(entry(5).log_id).await.expect("openraft is told that it is gone");
    log.blocking_append([entry(10)]).await.expect("it is flushed");
    assert_eq!(log.get_log_state().await.expect("known").last_purged_log_id, Some(entry(5).log_id));
    assert_eq!(log.try_get_log_entries(0..).await.expect("readable").len(), 5);
    memory.crash();
    assert_eq!(stored(&memory), (0..=10).collect::<Vec<_>>(), "a crash before the install finds the whole log");

    applied_next.store(6, std::sync::atomic::Ordering::SeqCst);
    log.blocking_append([entry(11)]).await.expect("it is flushed");
    memory.crash();
    assert_eq!(stored(&memory), (6..=11).collect::<Vec<_>>());
    let (mut reopened, _ends_with_the_log) = LogStore::open(memory, applied_next).expect("it opens");
    let state = reopened.get_log_state().await.expect("known");
    assert_eq!(state.last_purged_log_id, Some(entry(5).log_id));
    assert_eq!(state.last_log_id, Some(entry(11).log_id));
}

#[test]
fn an_install_that_a_crash_interrupts_is_finished_at_the_next_start() -> Result<()> {
    let pairs = |store: &SharedStore| {
        [Tree::Region, Tree::Data, Tree::Wal].map(|tree| store.scan(tree, &KeyRange::all(), ScanLimit::NONE))
    };
    let source: SharedStore = Arc::new(Memory::new());
    let mut batch = WriteBatch::new();
    for at in 0..20_000_u32 {
        batch.put(Tree::Data, at.to_be_bytes().to_vec(), vec![b'x'; 100]);
    }
    batch.put(Tree::Region, vec![9], "record");
    source.write(batch)?;
    let applied = snapshot::read_applied(source.as_ref())?;

    // Cut off after each number of storage writes, the install ends the same when it is taken up again.
    let mut cut_after = 0;
    loop {
        let memory = Arc::new(Memory::new());
        let store: SharedStore = memory.clone();
        let mut old = WriteBatch::new();
        old.put(Tree::Data, vec![1], "old");
        store.write(old)?;
        let mut cutter = Cutter::new(source.snapshot()?.into());
        let mut parts = 0;
        while let Some(part) = cutter.next_part()? {
            snapshot::keep_part(&store, parts, part)?;
            parts += 1;
        }
        assert!(parts > 3, "the snapshot is worth cutting");
        let failing = Arc::new(FailsAfter { inner: store.clone(), left: cut_after.into() });
        let failing: SharedStore = failing;
        let finished = snapshot::install(&failing, &applied, parts).is_ok();
        let marked = store.get(Tree::Node, &Key::Installing.to_bytes())?.is_some();
        if marked {
            store.flush()?;
        }
        memory.crash();
        assert_eq!(snapshot::recover(&store)?, marked, "cut after {cut_after} writes");
        assert!(!snapshot::recover(&store)?, "once is enough");
        if finished || marked {
            for (installed, original) in pairs(&store).into_iter().zip(pairs(&source)) {
                assert_eq!(installed?, original?, "cut after {cut_after} writes");
            }
        }
        assert!(store.get(Tree::Node, &Key::SnapshotPart(0).to_bytes())?.is_none());
        if finished {
            return Ok(());
        }
        cut_after += 1;
    }
}

/// A store whose process dies after a number of writes.
struct FailsAfter {
    inner: SharedStore,
    left: std::sync::atomic::AtomicU64,
}

impl Reader for FailsAfter {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<bytes::Bytes>> {
        self.inner.get(tree, key)
    }

    fn scan(&self, tree: Tree, range: &KeyRange, limit: ScanLimit) -> Result<Vec<crate::storage::Pair>> {
        self.inner.scan(tree, range, limit)
    }

    fn last(&self, tree: Tree) -> Result<Option<crate::storage::Pair>> {
        self.inner.last(tree)
    }
}

impl Store for FailsAfter {
    fn write(&self, batch: WriteBatch) -> Result<()> {
        use std::sync::atomic::Ordering::SeqCst;
        let left = self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| crate::error::Error::Storage("the process is dead".into()))?;
        self.inner.write(batch)
    }

    fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    fn snapshot(&self) -> Result<Box<dyn crate::storage::Snapshot>> {
        self.inner.snapshot()
    }

    fn disk_bytes(&self) -> Result<u64> {
        self.inner.disk_bytes()
    }

    fn engine(&self) -> crate::storage::Engine {
        self.inner.engine()
    }
}
