//! What is kept of a promotion under its id, in the same commit as what it came to.

use super::super::interface::{DeclinedRecord, PromotionEnd};
use crate::api::replication::Step;
use crate::clock::UnixMs;
use crate::ids::PromotionId;
use crate::state::HandoverAsk;
use crate::storage::keys::Key;
use bytes::Bytes;

/// A record in the bytes that are stored.
pub(in super::super) fn encode<T: serde::Serialize>(record: &T) -> Bytes {
    Bytes::from(postcard::to_stdvec(record).expect("plain values always encode"))
}

/// The write of a promotion's end under its id.
pub(in super::super) fn put(id: PromotionId, end: &PromotionEnd) -> (Bytes, Option<Bytes>) {
    (Key::Promotion(id.0).to_bytes(), Some(encode(end)))
}

/// The end of an ask that comes to nothing.
pub(in super::super) fn declined(ask: &HandoverAsk, at: UnixMs, reason: String, steps: Vec<Step>) -> PromotionEnd {
    PromotionEnd::Declined(DeclinedRecord {
        id: ask.id,
        epoch: ask.epoch.next(),
        began_at: ask.begun_at,
        at,
        reason,
        steps,
    })
}
