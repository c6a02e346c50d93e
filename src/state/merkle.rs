//! The Merkle tree over the data tree: what lets two regions say in 32 bytes that they hold the same.
//!
//! `LEAVES` buckets by key hash. A leaf is the sum, modulo 2^256 word by word, of the keyed BLAKE3 hashes of its
//! entries, so that adding and removing an entry are one addition each; a node is the hash of its two children.
//! Each entry's hash covers key, position and value. The tree lives in memory (4 MiB) and is rebuilt by a scan
//! when a node starts, about 3 s for a million entries. Inner nodes are hashed when somebody asks for the root.

use super::batch::Stored;
use crate::error::Result;
use crate::ids::DatasetId;
use crate::storage::{KeyRange, Reader, ScanLimit, Tree};
use serde::{Deserialize, Serialize};

/// Buckets. A power of two; both sides of a link must agree on it.
pub const LEAVES: usize = 1 << 16;

/// The scan's stretch while the tree is rebuilt.
const REBUILD_CHUNK: ScanLimit = ScanLimit { entries: 4096, bytes: 8 << 20 };

const NODE_BYTES: usize = 32;

/// A leaf's sum or an inner node's hash.
pub type Hash = [u8; 32];

/// A hash as one region names it to another: cut short, since nobody can choose what is hashed.
pub type Short = [u8; 16];

/// Children of a node that are compared at once: those four levels below it.
pub const FAN: usize = 16;

/// The hashes of the nodes four levels below `parent` (heap order), from left to right.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Nodes {
    pub parent: u32,
    pub below: [Short; FAN],
}

/// Whether a node has others four levels below it that the tree is compared by: the root, and each fourth level.
pub fn is_compared(parent: u32) -> bool {
    let level = parent.checked_ilog2();
    level.is_some_and(|level| level.is_multiple_of(FAN.ilog2())) && (parent as usize) < LEAVES
}

/// The keyed hash of an entry: what a leaf is the sum of.
#[derive(Clone)]
pub struct EntryHasher {
    key: [u8; 32],
}

impl EntryHasher {
    /// The key only separates data sets; values are ciphertexts, which nobody outside can choose.
    pub fn new(dataset: DatasetId) -> EntryHasher {
        EntryHasher { key: blake3::derive_key("twinkeep 2026 merkle tree of a data set", &dataset.0) }
    }

    pub fn hash(&self, key: &[u8], stored: &Stored) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(key.len() as u64).to_be_bytes());
        hasher.update(key);
        hasher.update(&stored.position.to_bytes());
        hasher.update(&stored.value);
        *hasher.finalize().as_bytes()
    }

    pub fn short(&self, key: &[u8], stored: &Stored) -> Short {
        short(&self.hash(key, stored))
    }
}

fn short(hash: &[u8]) -> Short {
    hash[..size_of::<Short>()].try_into().expect("a hash is longer")
}

#[derive(Clone)]
pub struct Merkle {
    hasher: EntryHasher,
    /// 32 bytes a node, in heap order: the root at 1, the leaves from `LEAVES`. Flat, so that an empty tree costs
    /// nothing until it is touched.
    nodes: Vec<u8>,
    /// Leaves whose ancestors are not hashed yet: each once, as `is_dirty` sees to.
    dirty: Vec<usize>,
    is_dirty: Vec<bool>,
    /// Whether the inner nodes are those of some tree: at first they are all zero.
    is_hashed: bool,
}

impl Merkle {
    /// An empty tree.
    pub fn new(dataset: DatasetId) -> Merkle {
        let hasher = EntryHasher::new(dataset);
        let nodes = vec![0; 2 * LEAVES * NODE_BYTES];
        Merkle { hasher, nodes, dirty: Vec::new(), is_dirty: vec![false; LEAVES], is_hashed: false }
    }

    /// The tree of what `reader` holds, and the count and bytes of its entries.
    pub fn rebuild(dataset: DatasetId, reader: &dyn Reader) -> Result<(Merkle, u64, u64)> {
        let mut tree = Merkle::new(dataset);
        let (mut entries, mut bytes) = (0, 0);
        let mut range = KeyRange::all();
        loop {
            let chunk = reader.scan(Tree::Data, &range, REBUILD_CHUNK)?;
            let Some((last, _)) = chunk.last() else { break };
            range.start = successor(last);
            for (key, value) in &chunk {
                tree.add(key, &Stored::from_bytes(value)?);
                entries += 1;
                bytes += (key.len() + value.len()) as u64;
            }
        }
        Ok((tree, entries, bytes))
    }

    /// The bucket of a key.
    pub fn bucket(key: &[u8]) -> usize {
        let hash = blake3::hash(key);
        usize::from(u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]))
    }

    pub fn add(&mut self, key: &[u8], stored: &Stored) {
        self.combine(key, stored, u64::wrapping_add);
    }

    /// Takes out what `add` put in, given the same entry.
    pub fn remove(&mut self, key: &[u8], stored: &Stored) {
        self.combine(key, stored, u64::wrapping_sub);
    }

    pub fn root(&mut self) -> Hash {
        self.settle();
        self.hash(1)
    }

    /// The hash of a node in heap order (root 1, children of `n` at `2n` and `2n + 1`, leaves from `LEAVES`).
    pub fn node(&mut self, index: usize) -> Option<Hash> {
        self.settle();
        (index < 2 * LEAVES).then(|| self.hash(index))
    }

    /// The buckets whose sums are not those of `other`.
    pub fn differing(&self, other: &Merkle) -> Vec<u16> {
        let leaf = |bucket: &usize| bytes_of(LEAVES + bucket);
        let differs = |bucket: &usize| self.nodes[leaf(bucket)] != other.nodes[leaf(bucket)];
        (0..LEAVES).filter(differs).map(|bucket| bucket as u16).collect()
    }

    /// Adds to some buckets what lies between two other trees of the same data set.
    pub fn shift(&mut self, from: &Merkle, to: &Merkle, buckets: &[u16]) {
        for bucket in buckets.iter().map(|bucket| usize::from(*bucket)) {
            let leaf = bytes_of(LEAVES + bucket);
            self.combine_sum(bucket, &from.nodes[leaf.clone()], u64::wrapping_sub);
            self.combine_sum(bucket, &to.nodes[leaf], u64::wrapping_add);
        }
    }

    /// What lies four levels below a node; `None` for one that the tree is not compared by.
    pub fn below(&mut self, parent: u32) -> Option<Nodes> {
        if !is_compared(parent) {
            return None;
        }
        self.settle();
        let first = parent as usize * FAN;
        let below = std::array::from_fn(|child| short(&self.nodes[bytes_of(first + child)]));
        Some(Nodes { parent, below })
    }

    fn hash(&self, index: usize) -> Hash {
        self.nodes[bytes_of(index)].try_into().expect("a node has as many bytes as a hash")
    }

    fn combine(&mut self, key: &[u8], stored: &Stored, with: fn(u64, u64) -> u64) {
        let hash = self.hasher.hash(key, stored);
        self.combine_sum(Merkle::bucket(key), &hash, with);
    }

    fn combine_sum(&mut self, bucket: usize, hash: &[u8], with: fn(u64, u64) -> u64) {
        let leaf = &mut self.nodes[bytes_of(LEAVES + bucket)];
        for (old, new) in leaf.chunks_exact_mut(8).zip(hash.chunks_exact(8)) {
            let sum = with(word(old), word(new));
            old.copy_from_slice(&sum.to_be_bytes());
        }
        if !std::mem::replace(&mut self.is_dirty[bucket], true) {
            self.dirty.push(bucket);
        }
    }

    fn hash_of_children(&self, parent: usize) -> Hash {
        hash_pair(&self.hasher.key, &self.nodes[bytes_of(2 * parent)], &self.nodes[bytes_of(2 * parent + 1)])
    }

    /// Fills in the inner nodes over empty leaves: those of a level are alike.
    fn hash_empty(&mut self) {
        let mut child = [0; NODE_BYTES];
        let mut level = LEAVES;
        while level > 1 {
            level /= 2;
            child = hash_pair(&self.hasher.key, &child, &child);
            (level..2 * level).for_each(|node| self.nodes[bytes_of(node)].copy_from_slice(&child));
        }
        self.is_hashed = true;
    }

    /// Hashes the ancestors of changed leaves, each once.
    fn settle(&mut self) {
        if !self.is_hashed {
            self.hash_empty();
        }
        let mut parents = std::mem::take(&mut self.dirty);
        parents.sort_unstable();
        for bucket in &mut parents {
            self.is_dirty[*bucket] = false;
            *bucket = (LEAVES + *bucket) / 2;
        }
        while parents.first().is_some_and(|&first| first >= 1) {
            parents.dedup();
            for &parent in &parents {
                let hash = self.hash_of_children(parent);
                self.nodes[bytes_of(parent)].copy_from_slice(&hash);
            }
            parents.iter_mut().for_each(|parent| *parent /= 2);
        }
    }
}

/// Where a node's hash lies.
fn bytes_of(node: usize) -> std::ops::Range<usize> {
    node * NODE_BYTES..(node + 1) * NODE_BYTES
}

fn hash_pair(key: &[u8; 32], left: &[u8], right: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(left);
    hasher.update(right);
    *hasher.finalize().as_bytes()
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The smallest key after `key`.
pub fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, Position};

    fn stored(index: u64, value: &'static [u8]) -> Stored {
        Stored { position: Position::new(Epoch(1), index), value: value.into() }
    }

    #[test]
    fn order_does_not_matter_and_removal_undoes_addition() {
        let (mut one, mut two) = (Merkle::new(DatasetId([1; 16])), Merkle::new(DatasetId([1; 16])));
        let empty = one.root();
        one.add(b"a", &stored(1, b"x"));
        one.add(b"b", &stored(2, b"y"));
        two.add(b"b", &stored(2, b"y"));
        two.add(b"a", &stored(1, b"x"));
        assert_eq!(one.root(), two.root());
        one.remove(b"a", &stored(1, b"x"));
        assert_ne!(one.root(), two.root());
        one.remove(b"b", &stored(2, b"y"));
        assert_eq!(one.root(), empty);
    }

    #[test]
    fn inner_nodes_are_the_hashes_of_their_children_however_they_came_about() {
        let mut tree = Merkle::new(DatasetId([1; 16]));
        for number in 0..200_u64 {
            tree.add(&number.to_be_bytes(), &stored(number, b"x"));
            if number % 50 == 0 {
                tree.root();
            }
        }
        tree.root();
        for parent in 1..LEAVES {
            assert_eq!(tree.nodes[bytes_of(parent)], tree.hash_of_children(parent));
        }
    }

    #[test]
    fn the_tree_is_compared_at_the_root_and_each_fourth_level() {
        let mut tree = Merkle::new(DatasetId([1; 16]));
        let (key, entry) = (b"a", stored(1, b"x"));
        let empty: Vec<_> = [1, 16, 256, 4096].into_iter().filter_map(|parent| tree.below(parent)).collect();
        assert_eq!(empty.len(), 4);
        tree.add(key, &entry);
        let mut node = (LEAVES + Merkle::bucket(key)) as u32;
        while node > 1 {
            let below = tree.below(node / FAN as u32).expect("an ancestor");
            assert_ne!(below.below[node as usize % FAN], empty[0].below[0]);
            node /= FAN as u32;
        }
        for odd in [0, 2, 15, 32, 65_536, 131_071, u32::MAX] {
            assert!(tree.below(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn key_position_value_and_data_set_all_count() {
        let root = |dataset, key: &[u8], entry: Stored| {
            let mut tree = Merkle::new(DatasetId([dataset; 16]));
            tree.add(key, &entry);
            tree.root()
        };
        let base = root(1, b"a", stored(1, b"x"));
        assert_ne!(base, root(1, b"b", stored(1, b"x")));
        assert_ne!(base, root(1, b"a", stored(2, b"x")));
        assert_ne!(base, root(1, b"a", stored(1, b"y")));
        assert_ne!(base, root(2, b"a", stored(1, b"x")));
    }
}
