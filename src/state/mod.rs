//! What a region has agreed on: commands, their apply, and reading the result.
//!
//! Apply is deterministic: every node of a region that applied the same Raft log holds the same bytes, so
//! nothing here reads a clock or chooses at random. Pure over the storage trait: consensus applies to it and
//! replication reads from it without knowing each other.
//!
//! Invariants:
//! * The data tree, the WAL, the path's record and the applied log id change in one storage batch.
//! * `path.applied` is the position of the newest WAL entry whose effect the data tree holds.
//! * Each stored value carries the position that wrote it; a value is never replaced by an older one.
//! * Equal data set and equal position mean equal data trees, hence equal Merkle roots (unless `path.sync` is set).
//! * A region never leaves a line of history before its ledger keeps what only that line holds.
//! * Applied state is not flushed; after a crash the Raft log replays it.

pub mod batch;
pub mod command;
pub mod diff;
pub mod handover;
pub mod identity;
pub mod ledger;
pub mod line;
pub mod merkle;
pub mod path;
pub mod scrub;
pub mod wal;

mod apply;
mod keep;
mod patch;
#[cfg(test)]
mod tests;

use crate::decoding::{Decoder, Kind};
pub use apply::State;
pub use batch::{Batch, Class, Op, Stored, Totals, WalEntry};
pub use command::{Command, CopyChunk, Outcome, Patch, Refusal, RegionChange, Then, expect_stored};
pub use handover::{GaveUp, Handover, HandoverAsk, HandoverChange};
pub use identity::RegionIdentity;
pub use ledger::{Conflict, KeepDiverged, LedgerEntry, LedgerHead, LedgerId, LedgerState, Review};
pub use line::EpochStart;
pub use path::{Fence, KnownPrimary, PathChange, PathState, Rejoin, Role, SyncKind, SyncState};

/// What is read back from the store, or comes from other nodes and regions.
pub const DECODERS: &[Decoder] = &[
    Decoder::postcard::<WalEntry>("wal-entry"),
    Decoder::postcard::<Command>("command"),
    Decoder::postcard::<CopyChunk>("copy-chunk"),
    Decoder::postcard::<PathState>("path-record"),
    Decoder::postcard::<RegionIdentity>("region-identity"),
    Decoder::postcard::<LedgerHead>("ledger-head"),
    Decoder::postcard::<LedgerEntry>("ledger-entry"),
    Decoder { name: "stored-value", again: stored_again, kind: Kind::Open },
];

fn stored_again(bytes: &[u8]) -> crate::error::Result<Vec<u8>> {
    Ok(Stored::from_bytes(&bytes::Bytes::copy_from_slice(bytes))?.to_bytes().to_vec())
}
