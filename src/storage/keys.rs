//! Every key that is ever stored: one enum, each variant with its tree and its byte layout.
//!
//! Ordinals (the first byte of a key) are never reused within a tree. A change of layout raises
//! `format::VERSION`.

use crate::ids::RegionId;
use bytes::Bytes;

/// A named tree. The first two belong to the node, the third to the region, the last two cross the link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tree {
    /// The node's own: identity, vote, what was applied. Never agreed on, never sent.
    Node,
    /// The Raft log of this node.
    Log,
    /// Agreed on inside the region through Raft, and never sent to another: role, links, tokens, seal, ledger.
    Region,
    /// The replicated data set: encrypted keys and values. The only tree, with `Wal`, that a sync writes.
    Data,
    /// The write-ahead log of the path: what the links ship.
    Wal,
}

impl Tree {
    pub const ALL: [Tree; 5] = [Tree::Node, Tree::Log, Tree::Region, Tree::Data, Tree::Wal];

    pub fn name(self) -> &'static str {
        match self {
            Tree::Node => "node",
            Tree::Log => "log",
            Tree::Region => "region",
            Tree::Data => "data",
            Tree::Wal => "wal",
        }
    }
}

/// A stored key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Key {
    /// `Node` `[02]` → postcard of the node's identity: its configured node id.
    NodeIdentity,
    /// `Node` `[03]` → postcard of openraft's vote. Flushed before it is answered.
    Vote,
    /// `Node` `[04]` → postcard of the log id up to which the log was purged.
    Purged,
    /// `Node` `[05]` → postcard of the last applied log id and the membership it implies. Written with each apply.
    Applied,
    /// `Node` `[07]` → 32 bytes: the key that authenticates requests between the nodes of this region.
    RaftKey,
    /// `Node` `[08]` → postcard of what a snapshot's install will have applied. There while it lasts.
    Installing,
    /// `Node` `[09] number` → a part of the snapshot that is being received, encoded by the sender.
    SnapshotPart(u64),
    /// `Log` index as u64 big-endian → postcard of an openraft entry.
    LogEntry(u64),
    /// `Region` `[01]` → postcard of `state::path::PathState`.
    Path,
    /// `Region` `[02]` → postcard of the region's id and name.
    RegionIdentity,
    /// `Region` `[03]` → JSON of the seal's configuration and the root key, encrypted by the unseal key.
    Seal,
    /// `Region` `[04]` → the keyring, encrypted by the region's root key.
    Keyring,
    /// `Region` `[05] accessor` → postcard of an activation token's record (never the token).
    ActivationToken(String),
    /// `Region` `[06] region id` → postcard of a link's record: addresses, credential, direction.
    Link(RegionId),
    /// `Region` `[07] id` → postcard of a promotion's record.
    Promotion([u8; 16]),
    /// `Region` `[0c] time in milliseconds` → postcard of an operator's override of the restart rule.
    Override(u64),
    /// `Region` `[0d]` → postcard of what is left to do of a snapshot that is restored by force.
    Restore,
    /// `Region` `[0e]` → JSON of the settings by which the health of nodes is judged.
    Autopilot,
    /// `Region` `[08] number u32` → postcard of `state::LedgerHead`.
    Ledger(u32),
    /// `Region` `[09] number u32, index u64` → postcard of `state::LedgerEntry`.
    LedgerEntry { number: u32, index: u64 },
    /// `Region` `[0A] region id, number u32, index u64` → postcard of the position at which this region wrote that
    /// entry of another region's ledger.
    Accepted { origin: RegionId, number: u32, index: u64 },
    /// `Data` bytes as `secrets` made them (path segments encrypted one by one) → `state::Stored`.
    Data(Bytes),
    /// `Wal` index as u64 big-endian → postcard of `state::WalEntry`.
    Wal(u64),
}

impl Key {
    pub fn tree(&self) -> Tree {
        match self {
            Key::NodeIdentity
            | Key::Vote
            | Key::Purged
            | Key::Applied
            | Key::RaftKey
            | Key::Installing
            | Key::SnapshotPart(_) => Tree::Node,
            Key::LogEntry(_) => Tree::Log,
            Key::Path
            | Key::RegionIdentity
            | Key::Seal
            | Key::Keyring
            | Key::ActivationToken(_)
            | Key::Link(_)
            | Key::Promotion(_)
            | Key::Override(_)
            | Key::Restore
            | Key::Autopilot
            | Key::Ledger(_)
            | Key::LedgerEntry { .. }
            | Key::Accepted { .. } => Tree::Region,
            Key::Data(_) => Tree::Data,
            Key::Wal(_) => Tree::Wal,
        }
    }

    pub fn to_bytes(&self) -> Bytes {
        match self {
            Key::Path => Bytes::from_static(&[1]),
            Key::NodeIdentity | Key::RegionIdentity => Bytes::from_static(&[2]),
            Key::Vote | Key::Seal => Bytes::from_static(&[3]),
            Key::Purged | Key::Keyring => Bytes::from_static(&[4]),
            Key::Applied => Bytes::from_static(&[5]),
            Key::RaftKey => Bytes::from_static(&[7]),
            Key::Installing => Bytes::from_static(&[8]),
            Key::SnapshotPart(number) => tagged(9, &number.to_be_bytes()),
            Key::ActivationToken(accessor) => tagged(5, accessor.as_bytes()),
            Key::Link(region) => tagged(6, &region.0),
            Key::Promotion(id) => tagged(7, id),
            Key::Override(at) => tagged(12, &at.to_be_bytes()),
            Key::Restore => Bytes::from_static(&[13]),
            Key::Autopilot => Bytes::from_static(&[14]),
            Key::Ledger(number) => tagged(8, &number.to_be_bytes()),
            Key::LedgerEntry { number, index } => {
                tagged(9, &[&number.to_be_bytes()[..], &index.to_be_bytes()].concat())
            }
            Key::Accepted { origin, number, index } => {
                [&accepted_prefix(*origin, *number)[..], &index.to_be_bytes()].concat().into()
            }
            Key::LogEntry(index) | Key::Wal(index) => Bytes::copy_from_slice(&index.to_be_bytes()),
            Key::Data(key) => key.clone(),
        }
    }
}

/// The prefix of all activation tokens, of all links and of all promotions in `Tree::Region`.
pub const ACTIVATION_TOKENS: &[u8] = &[5];
pub const LINKS: &[u8] = &[6];
pub const PROMOTIONS: &[u8] = &[7];

/// The prefix of the entries of all ledgers in `Tree::Region`.
pub const LEDGER_ENTRIES: &[u8] = &[9];

/// The prefix of what was accepted of one ledger in `Tree::Region`.
pub fn accepted_prefix(origin: RegionId, number: u32) -> Bytes {
    tagged(10, &[&origin.0[..], &number.to_be_bytes()].concat())
}

/// The ledger that a key of `Key::LedgerEntry` belongs to; `None` if it is no such key.
pub fn ledger_number(key: &[u8]) -> Option<u32> {
    let number = key.strip_prefix(LEDGER_ENTRIES)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*number))
}

/// The prefix of the parts of a snapshot in `Tree::Node`.
pub const SNAPSHOT_PARTS: &[u8] = &[9];

/// The index that a key of `Tree::Log` or `Tree::Wal` names; `None` if it is none of theirs.
pub fn index_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

fn tagged(tag: u8, rest: &[u8]) -> Bytes {
    let mut key = Vec::with_capacity(1 + rest.len());
    key.push(tag);
    key.extend_from_slice(rest);
    key.into()
}
