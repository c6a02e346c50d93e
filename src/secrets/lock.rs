//! What a write keeps others from while it is evaluated and until its outcome has come.
//!
//! A gate stands before a family of records. Whoever changes one of them passes with others; whoever changes what all
//! of them depend on (a mount is taken away, a family of tokens revoked) passes alone.

use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Two records share a lock with a chance of one in this many; then one waits for the other, no more.
const RECORD_LOCKS: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Before the mount table and all that lies in mounts.
    Mounts,
    /// Before all tokens, so that no child is born while its parent goes.
    Tokens,
}

pub enum Lock {
    /// One record that no gate stands before.
    Record(Vec<u8>),
    /// One record behind a gate.
    Within(Gate, Vec<u8>),
    /// All behind a gate.
    Whole(Gate),
}

pub struct Locks {
    records: Vec<Arc<Mutex<()>>>,
    mounts: Arc<RwLock<()>>,
    tokens: Arc<RwLock<()>>,
}

/// Let go when it is dropped.
pub struct Held {
    _shared: Option<OwnedRwLockReadGuard<()>>,
    _alone: Option<OwnedRwLockWriteGuard<()>>,
    _record: Option<OwnedMutexGuard<()>>,
}

/// Everything, until it is dropped.
pub struct AllHeld {
    _gates: [OwnedRwLockWriteGuard<()>; 2],
    _records: Vec<OwnedMutexGuard<()>>,
}

impl Locks {
    pub fn new() -> Locks {
        Locks {
            records: (0..RECORD_LOCKS).map(|_| Arc::default()).collect(),
            mounts: Arc::default(),
            tokens: Arc::default(),
        }
    }

    /// The gate comes before the record, so that no two wait for each other.
    pub async fn hold(&self, lock: Lock) -> Held {
        match lock {
            Lock::Record(record) => {
                Held { _shared: None, _alone: None, _record: Some(self.record(&record).lock_owned().await) }
            }
            Lock::Within(gate, record) => {
                let shared = self.gate(gate).read_owned().await;
                let record = self.record(&record).lock_owned().await;
                Held { _shared: Some(shared), _alone: None, _record: Some(record) }
            }
            Lock::Whole(gate) => {
                Held { _shared: None, _alone: Some(self.gate(gate).write_owned().await), _record: None }
            }
        }
    }

    /// All gates and all records, in an order in which no two wait for each other.
    pub async fn hold_all(&self) -> AllHeld {
        let gates = [self.mounts.clone().write_owned().await, self.tokens.clone().write_owned().await];
        let mut records = Vec::with_capacity(RECORD_LOCKS);
        for record in &self.records {
            records.push(record.clone().lock_owned().await);
        }
        AllHeld { _gates: gates, _records: records }
    }

    fn gate(&self, gate: Gate) -> Arc<RwLock<()>> {
        match gate {
            Gate::Mounts => self.mounts.clone(),
            Gate::Tokens => self.tokens.clone(),
        }
    }

    fn record(&self, record: &[u8]) -> Arc<Mutex<()>> {
        let [a, b, ..] = *blake3::hash(record).as_bytes();
        self.records[usize::from(u16::from_be_bytes([a, b])) % RECORD_LOCKS].clone()
    }
}
