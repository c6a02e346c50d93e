//! Holding the data tree against its Merkle tree: what the disk holds now against what was applied.
//!
//! The Merkle tree in memory grows with each applied batch and never looks at the disk again before the node starts
//! anew; so a stored value that changed by itself shows as a bucket whose sum is another. Only this node's disk is read.

use super::apply::State;
use super::diff::{self, Held, path_of};
use super::merkle::{Merkle, Nodes};
use super::path::PathState;
use crate::error::{Error, Result};
use crate::ids::Position;
use crate::storage::Snapshot;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The region's data as of one moment: the disk and the Merkle tree, which belong together. It costs the engine space:
/// keep one for minutes, not for hours.
pub struct Frozen {
    at: Position,
    snapshot: Box<dyn Snapshot>,
    /// At first the tree in memory; that of the disk once it was corrected.
    merkle: Mutex<Merkle>,
    path: PathState,
}

/// What to do with the Merkle tree in memory where the disk holds something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Correction {
    /// Take the disk's part, so that a comparison with another region finds what is to be repaired.
    Correct,
    /// Leave it: it is what the region agreed on, and no other region is to be made like the disk.
    Keep,
}

impl Frozen {
    pub fn at(&self) -> Position {
        self.at
    }

    pub fn nodes(&self, parents: &[u32]) -> Vec<Nodes> {
        let mut merkle = self.merkle();
        parents.iter().filter_map(|parent| merkle.below(*parent)).collect()
    }

    /// As `State::held`, of the frozen moment.
    pub fn held(&self, buckets: &[u16], bytes_max: usize) -> Result<Held> {
        diff::held(self.snapshot.as_ref(), buckets, bytes_max)
    }

    fn merkle(&self) -> MutexGuard<'_, Merkle> {
        self.merkle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The present moment, to be read at leisure.
    pub fn freeze(&self) -> Result<Frozen> {
        let inner = self.inner();
        let snapshot = self.store().snapshot()?;
        let path = path_of(snapshot.as_ref())?;
        if path.applied != inner.path.applied {
            return Err(Error::internal("what is applied and what is stored belong to different moments"));
        }
        Ok(Frozen { at: path.applied, snapshot, merkle: Mutex::new(inner.merkle.clone()), path: inner.path.clone() })
    }

    /// Reads all of the frozen data from the disk. Returns in how many buckets it is not what the Merkle tree in memory
    /// says. Blocks for seconds.
    pub fn scrub(&self, frozen: &Frozen, correction: Correction) -> Result<usize> {
        let (disk, entries, bytes) = Merkle::rebuild(frozen.path.dataset, frozen.snapshot.as_ref())?;
        let mut memory = frozen.merkle();
        let buckets = memory.differing(&disk);
        if buckets.is_empty() || correction == Correction::Keep {
            return Ok(buckets.len());
        }
        let mut inner = self.inner();
        // What was applied meanwhile added to the sums and to the counts, so the difference is all there is to add.
        if inner.path.dataset == frozen.path.dataset {
            inner.merkle.shift(&memory, &disk, &buckets);
            let shifted = |now: u64, was: u64, is: u64| now.wrapping_add(is).wrapping_sub(was);
            inner.path.entries = shifted(inner.path.entries, frozen.path.entries, entries);
            inner.path.bytes = shifted(inner.path.bytes, frozen.path.bytes, bytes);
            self.publish(&inner.path);
        }
        *memory = disk;
        Ok(buckets.len())
    }
}
