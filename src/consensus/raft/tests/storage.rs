//! openraft's own suite for log stores and state machines, over the memory store.

use crate::consensus::raft::log_store::LogStore;
use crate::consensus::raft::log_writer::AppliedNext;
use crate::consensus::raft::snapshot::{self, Cutter};
use crate::consensus::raft::state_machine::StateMachine;
use crate::consensus::raft::types::{StorageError, Types};
use crate::error::Result;
use crate::ids::NodeId;
use crate::state::State;
use crate::storage::keys::Key;
use crate::storage::memory::Memory;
use crate::storage::{KeyRange, Reader, ScanLimit, SharedStore, Store, Tree, WriteBatch};
use openraft::testing::{StoreBuilder, Suite};
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
