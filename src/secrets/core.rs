//! What all parts of a vault stand on: the keys in memory, the locks, and the way of a write from its evaluation to
//! its commit.
//!
//! A write is evaluated on the leader against its applied state, under the lock of the record it changes, in a Raft
//! term; apply refuses it in another term. The lock is held until the outcome has come, since the next evaluation must
//! see what this one did. Where an outcome stays unknown, `Consensus::lead_term` lets nobody evaluate until it is settled.

use super::barrier::Barrier;
use super::keyring::Keyring;
use super::known::Known;
use super::layout;
use super::lock::{AllHeld, Held, Lock, Locks};
use super::time::{Clock, DatasetTime};
use super::tokens::Leases;
use crate::clock::UnixNs;
use crate::consensus::{Consensus, wrong_role};
use crate::error::{Error, Result};
use crate::ids::Position;
use crate::sensitive::Key as RootKey;
use crate::state::{Batch, Class, Op, Role, State, Stored};
use crate::storage::keys::Key;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::warn;

/// A new leader first applies what its predecessors agreed on; requests wait for that no longer than this.
const CATCH_UP_WAIT: Duration = Duration::from_secs(5);
/// What one record may hold, and all that one write puts: so that a snapshot that was saved can be restored, and a write
/// passes from node to node and from region to region.
const RECORD_BYTES_MAX: u64 = 4 << 20;
const WRITE_BYTES_MAX: u64 = 12 << 20;

/// What a request wants of clients' records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Write,
}

/// Whether a standby answers reads, from what has arrived there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StandbyReads {
    #[default]
    Refused,
    Served,
}

pub struct Core {
    pub consensus: Arc<dyn Consensus>,
    standby_reads: StandbyReads,
    time: DatasetTime,
    keys: Mutex<Option<Keys>>,
    locks: Locks,
    leases: Leases,
}

/// What an unsealed node holds in memory.
struct Keys {
    root: RootKey,
    known: Arc<Known>,
    /// The stored keyring as it was when it was opened. A sync replaces it, so each use looks whether it still is.
    keyring: Option<Opened>,
}

/// A keyring in use, and the stored bytes that it was opened from: the region's, and the data set's terms.
struct Opened {
    keyring: Bytes,
    terms: Option<Bytes>,
    barrier: Arc<Barrier>,
}

/// What an operation is evaluated against.
pub struct View {
    pub state: Arc<State>,
    pub barrier: Arc<Barrier>,
    pub known: Arc<Known>,
    pub now: UnixNs,
}

/// What a write gives back, and the position that made it (or, if nothing had to change, the newest one).
#[derive(Debug)]
pub struct Written<T> {
    pub value: T,
    pub position: Position,
}

impl Core {
    pub fn new(consensus: Arc<dyn Consensus>, clock: Clock, leases: Leases, standby_reads: StandbyReads) -> Core {
        Core {
            consensus,
            standby_reads,
            time: DatasetTime::new(clock),
            keys: Mutex::new(None),
            locks: Locks::new(),
            leases,
        }
    }

    pub fn state(&self) -> &Arc<State> {
        self.consensus.state()
    }

    pub fn leases(&self) -> Leases {
        self.leases
    }

    /// The time of the data set.
    pub fn now(&self) -> UnixNs {
        self.time.now(self.state().path().applied_at.ns())
    }

    pub fn is_sealed(&self) -> bool {
        self.keys().is_none()
    }

    /// Holds `root` in memory from now on.
    pub fn unseal(&self, root: RootKey) {
        *self.keys() = Some(Keys { root, known: Arc::default(), keyring: None });
    }

    /// Forgets all keys; their memory is wiped once the operations under way are done.
    pub fn seal(&self) {
        *self.keys() = None;
    }

    pub fn root(&self) -> Result<RootKey> {
        Ok(self.keys().as_ref().ok_or(Error::Sealed)?.root.clone())
    }

    /// The barrier of the keyring that is stored now. Blocks on storage.
    pub fn barrier(&self) -> Result<Arc<Barrier>> {
        let stored = self.state().region(&Key::Keyring)?;
        let terms = self.state().data(layout::TERMS)?.map(|stored| stored.value);
        let mut held = self.keys();
        let keys = held.as_mut().ok_or(Error::Sealed)?;
        let stored = stored.ok_or(Error::Uninitialised)?;
        if let Some(opened) = &keys.keyring
            && opened.keyring == stored
            && opened.terms == terms
        {
            return Ok(opened.barrier.clone());
        }
        let mut keyring = match Keyring::decrypt(&keys.root, &stored) {
            Ok(keyring) => keyring,
            Err(error) => {
                // The region got another's keys, by a snapshot: this node is to be opened anew.
                warn!("this node is sealed, since its root key does not open the region's keyring: {error}");
                *held = None;
                return Err(error);
            }
        };
        if let Some(terms) = &terms {
            keyring = keyring.with_terms(terms)?;
        }
        let barrier = Arc::new(Barrier::new(keyring));
        keys.keyring = Some(Opened { keyring: stored, terms, barrier: barrier.clone() });
        Ok(barrier)
    }

    /// Reads some records as they are here: all that was acknowledged on a leader that is up to date, less elsewhere.
    ///
    /// On the caller's thread: a record is found in microseconds, and the way to another thread and back costs many times
    /// that. What walks through many goes by `scan`.
    pub fn read_local<T>(&self, read: impl FnOnce(&View) -> Result<T>) -> Result<T> {
        read(&self.view()?)
    }

    /// Reads some of what clients own: on a primary everything acknowledged before the call, on a standby what has
    /// arrived.
    pub async fn read<T>(&self, read: impl FnOnce(&View) -> Result<T>) -> Result<T> {
        self.expect_serving(Access::Read)?;
        self.consensus.read_barrier().await?;
        let value = self.read_local(read)?;
        // A sync that began meanwhile may have mixed two positions.
        self.expect_serving(Access::Read)?;
        Ok(value)
    }

    /// As `read`, off the async threads: for what walks through many records.
    pub async fn scan<T, F>(self: &Arc<Self>, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&View) -> Result<T> + Send + 'static,
    {
        self.expect_serving(Access::Read)?;
        self.consensus.read_barrier().await?;
        let core = self.clone();
        let value = blocking(move || core.read_local(read)).await?;
        self.expect_serving(Access::Read)?;
        Ok(value)
    }

    /// Evaluates `change` under `lock` and commits the operations it returns as one batch.
    pub async fn write<T, F>(self: &Arc<Self>, class: Class, lock: Lock, change: F) -> Result<Written<T>>
    where
        T: Send + 'static,
        F: FnOnce(&View) -> Result<(T, Vec<Op>)> + Send + 'static,
    {
        self.expect_serving(Access::Write)?;
        let reach = if matches!(lock, Lock::Whole(_)) { Reach::Many } else { Reach::Few };
        let held = self.locks.hold(lock).await;
        let core = self.clone();
        // A task of its own: a caller that goes away would leave a write of unknown outcome, for which all others wait.
        let task = tokio::spawn(async move { core.write_locked(class, held, reach, change).await });
        task.await.map_err(|error| Error::cut_off("a write", &error))?
    }

    /// `_held` is let go when the outcome has come.
    async fn write_locked<T, F>(
        self: Arc<Self>,
        class: Class,
        _held: Held,
        reach: Reach,
        change: F,
    ) -> Result<Written<T>>
    where
        T: Send + 'static,
        F: FnOnce(&View) -> Result<(T, Vec<Op>)> + Send + 'static,
    {
        let term = self.lead_term().await?;
        let core = self.clone();
        let evaluate = move || {
            let view = core.view()?;
            let (value, ops) = change(&view)?;
            Ok((value, ops, view.now))
        };
        let (value, ops, now) = match reach {
            Reach::Few => evaluate()?,
            Reach::Many => blocking(evaluate).await?,
        };
        if ops.is_empty() {
            // That there is nothing to do may have been read from a state that is old: one cut off still leads, it thinks.
            self.consensus.read_barrier().await?;
            return Ok(Written { value, position: self.state().path().applied });
        }
        expect_bounded(&ops)?;
        let position = self.consensus.write(term, Batch { class, at: now.ms(), ops }).await?;
        Ok(Written { value, position })
    }

    /// Where this node leads its region: once it holds all that was acknowledged before, and still leads.
    pub async fn confirm_if_leader(&self) -> Result<()> {
        self.catch_up_if_leader().await;
        let leads = self.consensus.standing().borrow().is_leader;
        if leads { self.consensus.read_barrier().await } else { Ok(()) }
    }

    /// The Raft term to evaluate a write in. Waits a little where this node has just become the leader.
    pub async fn lead_term(&self) -> Result<u64> {
        self.catch_up_if_leader().await;
        self.consensus.lead_term()
    }

    /// On a new leader, waits until it has applied what was acknowledged before it led, or for a while.
    pub async fn catch_up_if_leader(&self) {
        let mut standing = self.consensus.standing();
        let caught_up = standing.wait_for(|now| !now.is_leader || now.lead_term.is_some());
        // Too late, or the node stops: whoever goes on finds out by `lead_term` or by what is missing.
        let _late = tokio::time::timeout(CATCH_UP_WAIT, caught_up).await;
    }

    /// Fails where clients' records are not served: when sealed, while the region is being made whole, and in any role
    /// but a primary's, except that a standby may read.
    pub fn expect_serving(&self, access: Access) -> Result<()> {
        if self.is_sealed() {
            return Err(Error::Sealed);
        }
        let path = self.state().path();
        if !path.is_initialised() {
            return Err(Error::Uninitialised);
        }
        let serves = match path.role {
            Role::Primary => true,
            Role::Standby => access == Access::Read && self.standby_reads == StandbyReads::Served,
            Role::Fenced => false,
        };
        if serves && path.is_whole() { Ok(()) } else { Err(wrong_role(self.state())) }
    }

    /// What this node holds now, as it would read it for a request.
    pub fn view(&self) -> Result<View> {
        let known = self.keys().as_ref().ok_or(Error::Sealed)?.known.clone();
        Ok(View { state: self.state().clone(), barrier: self.barrier()?, known, now: self.now() })
    }

    /// While this is held, no write is between its evaluation and its outcome, and none begins.
    pub async fn hold_writes(&self) -> AllHeld {
        self.locks.hold_all().await
    }

    fn keys(&self) -> MutexGuard<'_, Option<Keys>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many records an evaluation looks at: what stops all others of its kind walks through many.
enum Reach {
    Few,
    Many,
}

impl View {
    /// The record at `key`, decrypted and decoded.
    pub fn get<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>> {
        let Some(plain) = self.get_bytes(key)? else { return Ok(None) };
        Ok(Some(decode(&plain)?))
    }

    /// The record that is stored so at `key`.
    pub fn open<T: serde::de::DeserializeOwned>(&self, key: &[u8], stored: &Stored) -> Result<T> {
        decode(&self.barrier.decrypt(key, &stored.value)?)
    }

    pub fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.state.data(key)?.is_some())
    }

    pub fn get_bytes(&self, key: &[u8]) -> Result<Option<crate::sensitive::Sensitive>> {
        let Some(stored) = self.state.data(key)? else { return Ok(None) };
        Ok(Some(self.barrier.decrypt(key, &stored.value)?))
    }

    /// The operation that stores `record` at `key`.
    pub fn put<T: serde::Serialize>(&self, key: Bytes, record: &T) -> Result<Op> {
        let plain = zeroize::Zeroizing::new(postcard::to_stdvec(record)?);
        Ok(self.put_bytes(key, &plain))
    }

    pub fn put_bytes(&self, key: Bytes, plain: &[u8]) -> Op {
        let value = self.barrier.encrypt(&key, plain);
        Op::Put { key, value }
    }
}

/// A decrypted record. The decoder's own words could quote it, so they are left out.
pub fn decode<T: serde::de::DeserializeOwned>(plain: &crate::sensitive::Sensitive) -> Result<T> {
    postcard::from_bytes(plain.expose()).map_err(|_| Error::corrupt("a stored record does not decode"))
}

/// Runs what blocks on storage off the async threads.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::cut_off("an operation", &error))?
}

/// Says no to what would be agreed on and then fit nowhere.
fn expect_bounded(ops: &[Op]) -> Result<()> {
    let sizes = ops.iter().map(|op| match op {
        Op::Put { key, value } => (key.len() as u64, value.len() as u64),
        Op::Delete { key } => (key.len() as u64, 0),
    });
    let (largest, all) =
        sizes.fold((0, 0), |(largest, all): (u64, u64), (key, value)| (largest.max(value), all + key + value));
    match () {
        () if largest > RECORD_BYTES_MAX => Err(Error::ValueTooLarge { got: largest, max: RECORD_BYTES_MAX }),
        () if all > WRITE_BYTES_MAX => Err(Error::ValueTooLarge { got: all, max: WRITE_BYTES_MAX }),
        () => Ok(()),
    }
}
