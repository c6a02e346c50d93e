//! Entries of a ledger between the state's types and the API's.

use crate::api::ledger::{
    AcceptConflict, ConflictInfo, ExportedEntry, ExportedOp, LedgerEntryInfo, LedgerSummary, ReviewInfo,
};
use crate::error::{Error, Result};
use crate::state::{Conflict, LedgerEntry, LedgerId, Op, PathState, Review};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

pub fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub fn decode(text: &str) -> Result<Bytes> {
    Ok(BASE64.decode(text).map_err(|_| Error::invalid("a key or a value is not in base64"))?.into())
}

pub fn op(op: &Op) -> ExportedOp {
    match op {
        Op::Put { key, value } => ExportedOp::Put { key: encode(key), value: encode(value) },
        Op::Delete { key } => ExportedOp::Delete { key: encode(key) },
    }
}

pub fn op_from(op: &ExportedOp) -> Result<Op> {
    Ok(match op {
        ExportedOp::Put { key, value } => Op::Put { key: decode(key)?, value: decode(value)? },
        ExportedOp::Delete { key } => Op::Delete { key: decode(key)? },
    })
}

/// What people see of an entry. `describe` puts a key into clear, where it can.
pub fn info(id: LedgerId, entry: &LedgerEntry, describe: impl Fn(&[u8]) -> Option<String>) -> LedgerEntryInfo {
    let mut paths: Vec<String> = entry.batch.ops.iter().filter_map(|op| describe(op.key())).collect();
    paths.sort_unstable();
    paths.dedup();
    let review = match &entry.review {
        Review::Unreviewed { conflicts } => {
            ReviewInfo::Unreviewed { conflicts: conflicts.iter().map(|it| conflict(it, &describe)).collect() }
        }
        Review::Replayed { at, position } => ReviewInfo::Replayed { at: *at, position: *position },
        Review::Discarded { at, reason } => ReviewInfo::Discarded { at: *at, reason: reason.clone() },
    };
    LedgerEntryInfo {
        entry: id.to_string(),
        position: entry.position,
        class: entry.batch.class,
        at: entry.batch.at,
        bytes: entry.batch.bytes(),
        paths,
        review,
    }
}

pub fn conflict(conflict: &Conflict, describe: impl Fn(&[u8]) -> Option<String>) -> ConflictInfo {
    let path = describe(&conflict.key).unwrap_or_else(|| hex::encode(&conflict.key));
    ConflictInfo { path, position: conflict.position, at: conflict.at }
}

pub fn conflict_from(conflict: &AcceptConflict) -> Result<Conflict> {
    Ok(Conflict { key: decode(&conflict.key)?, position: conflict.position, at: conflict.at })
}

pub fn exported(id: LedgerId, entry: &LedgerEntry, describe: impl Fn(&[u8]) -> Option<String>) -> ExportedEntry {
    ExportedEntry { info: info(id, entry, describe), ops: entry.batch.ops.iter().map(op).collect() }
}

pub fn summary(path: &PathState) -> Option<LedgerSummary> {
    let ledger = path.ledger.as_ref()?;
    Some(LedgerSummary {
        number: ledger.number,
        fork: ledger.fork,
        reached: ledger.reached,
        by_epoch: ledger.by_epoch,
        kept: ledger.is_kept(),
        entries: ledger.entries(),
        bytes: ledger.totals.bytes,
        by_class: ledger.totals.by_class(),
        unreviewed: ledger.unreviewed,
        missing: ledger.missing,
        older_unreviewed: ledger.older_unreviewed,
        left: ledger.left,
        may_rejoin: path.waits_to_rejoin(),
    })
}
