//! The physical batch: puts and deletes of encrypted values, with a tag that says what kind of change it was.

use crate::clock::UnixMs;
use crate::error::{Error, Result};
use crate::ids::Position;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a batch does, in the operator's words: what a lag or a loss consists of. Ordinals are stored: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    KvWrite,
    KvDelete,
    TokenCreate,
    TokenRevoke,
    Policy,
    Mount,
    KeyRotate,
    System,
}

impl Class {
    pub const ALL: [Class; 8] = [
        Class::KvWrite,
        Class::KvDelete,
        Class::TokenCreate,
        Class::TokenRevoke,
        Class::Policy,
        Class::Mount,
        Class::KeyRotate,
        Class::System,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Class::KvWrite => "kv-write",
            Class::KvDelete => "kv-delete",
            Class::TokenCreate => "token-create",
            Class::TokenRevoke => "token-revoke",
            Class::Policy => "policy",
            Class::Mount => "mount",
            Class::KeyRotate => "key-rotate",
            Class::System => "system",
        }
    }
}

/// One change of one key of the data tree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Op {
    Put { key: Bytes, value: Bytes },
    Delete { key: Bytes },
}

impl Op {
    pub fn key(&self) -> &Bytes {
        match self {
            Op::Put { key, .. } | Op::Delete { key } => key,
        }
    }
}

/// One acknowledged request's changes: all of it or nothing. A key occurs at most once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Batch {
    pub class: Class,
    /// When the primary's leader evaluated it.
    pub at: UnixMs,
    pub ops: Vec<Op>,
}

impl Batch {
    /// Bytes of keys and values: what `lag_bytes` counts.
    pub fn bytes(&self) -> u64 {
        let op_bytes = |op: &Op| match op {
            Op::Put { key, value } => key.len() + value.len(),
            Op::Delete { key } => key.len(),
        };
        self.ops.iter().map(op_bytes).sum::<usize>() as u64
    }
}

/// Running totals of a data set's log: every batch up to a position, by class. Two positions' totals subtract to what
/// lies between them, so that a lag and a loss are known by class and bytes without reading the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Bytes of keys and values, as `Batch::bytes` counts them.
    pub bytes: u64,
    /// Batches in the order of `Class::ALL`.
    batches: [u64; Class::ALL.len()],
}

impl Totals {
    pub fn add(&mut self, batch: &Batch) {
        self.bytes = self.bytes.saturating_add(batch.bytes());
        let batches = &mut self.batches[batch.class as usize];
        *batches = batches.saturating_add(1);
    }

    /// What came after `earlier`; zero where `earlier` is not earlier.
    pub fn since(&self, earlier: &Totals) -> Totals {
        let mut rest = Totals { bytes: self.bytes.saturating_sub(earlier.bytes), ..Totals::default() };
        for class in Class::ALL {
            let at = class as usize;
            rest.batches[at] = self.batches[at].saturating_sub(earlier.batches[at]);
        }
        rest
    }

    pub fn entries(&self) -> u64 {
        // Another region's totals may be anything.
        self.batches.iter().fold(0, |sum, batches| sum.saturating_add(*batches))
    }

    /// The classes that occur, with their counts.
    pub fn by_class(&self) -> Vec<(Class, u64)> {
        let counts = Class::ALL.into_iter().map(|class| (class, self.batches[class as usize]));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// A batch at its place in the write-ahead log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WalEntry {
    pub position: Position,
    pub batch: Batch,
}

/// What the data tree holds for a key: 16 bytes of the position that wrote it, then the value's ciphertext.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stored {
    pub position: Position,
    pub value: Bytes,
}

impl Stored {
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(16 + self.value.len());
        bytes.extend_from_slice(&self.position.to_bytes());
        bytes.extend_from_slice(&self.value);
        bytes.into()
    }

    pub fn from_bytes(bytes: &Bytes) -> Result<Stored> {
        let position = bytes.get(..16).and_then(|head| head.try_into().ok());
        let position = position.ok_or_else(|| Error::corrupt("a stored value is shorter than its position"))?;
        Ok(Stored { position: Position::from_bytes(position), value: bytes.slice(16..) })
    }
}
