//! The engine of tests: ordered maps in memory, with a `crash` that forgets what was not flushed.

use super::{Engine, KeyRange, Pair, Reader, ScanLimit, Snapshot, Store, Tree, WriteBatch};
use crate::error::Result;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Map = BTreeMap<(Tree, Bytes), Bytes>;

/// What is visible, and what a power cut would leave.
#[derive(Default)]
struct Inner {
    visible: Arc<Map>,
    durable: Arc<Map>,
}

#[derive(Default)]
pub struct Memory {
    inner: Mutex<Inner>,
}

impl Memory {
    pub fn new() -> Memory {
        Memory::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything that was written since the last `flush`, as a power cut does.
    pub fn crash(&self) {
        let mut inner = self.inner();
        inner.visible = inner.durable.clone();
    }

    fn view(&self) -> View {
        View { map: self.inner().visible.clone() }
    }
}

impl Reader for Memory {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>> {
        self.view().get(tree, key)
    }

    fn scan(&self, tree: Tree, range: &KeyRange, limit: ScanLimit) -> Result<Vec<Pair>> {
        self.view().scan(tree, range, limit)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>> {
        self.view().last(tree)
    }
}

impl Store for Memory {
    fn write(&self, batch: WriteBatch) -> Result<()> {
        batch.check_keys()?;
        let mut inner = self.inner();
        let map = Arc::make_mut(&mut inner.visible);
        for (tree, key, value) in batch.into_ops() {
            match value {
                Some(value) => map.insert((tree, key), value),
                None => map.remove(&(tree, key)),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let mut inner = self.inner();
        inner.durable = inner.visible.clone();
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(self.view()))
    }

    fn disk_bytes(&self) -> Result<u64> {
        Ok(0)
    }

    fn engine(&self) -> Engine {
        Engine::Memory
    }
}

/// One moment of the maps; copied only if they are written while it is held.
struct View {
    map: Arc<Map>,
}

impl Snapshot for View {}

impl Reader for View {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.map.get(&(tree, Bytes::copy_from_slice(key))).cloned())
    }

    fn scan(&self, tree: Tree, range: &KeyRange, limit: ScanLimit) -> Result<Vec<Pair>> {
        let mut found = Vec::new();
        if range.is_empty() {
            return Ok(found);
        }
        let mut bytes = 0;
        let start = Bound::Included((tree, Bytes::copy_from_slice(&range.start)));
        for ((at, key), value) in self.map.range((start, Bound::Unbounded)) {
            if *at != tree || !range.contains(key) || found.len() >= limit.entries || bytes >= limit.bytes {
                break;
            }
            bytes += key.len() + value.len();
            found.push((key.clone(), value.clone()));
        }
        Ok(found)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>> {
        let start = Bound::Included((tree, Bytes::new()));
        let next_tree = Tree::ALL.into_iter().find(|other| *other > tree);
        let end = next_tree.map_or(Bound::Unbounded, |next| Bound::Excluded((next, Bytes::new())));
        let last = self.map.range((start, end)).next_back();
        Ok(last.map(|((_, key), value)| (key.clone(), value.clone())))
    }
}
