//! The undo log of an engine without snapshots: what keys held before they were written, while somebody needs it.
//!
//! Time is counted in batches. A snapshot is opened at a moment; a batch that is written later gets a later moment,
//! and leaves under each of its keys what it replaced. So a snapshot of moment `m` reads, for a key, the first record
//! later than `m`, and if there is none, what the store holds now.

use crate::error::{Error, Result};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What open snapshots may cost in memory. A snapshot that is streamed to another node while clients write stays far
/// below; one that somebody forgot does not.
pub const UNDO_BYTES_MAX: usize = 64 << 20;

/// A record's share beyond its key and value: map node, vector, moment.
const RECORD_BYTES: usize = 96;

/// A count of batches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Moment(u64);

#[derive(Default)]
pub struct Undo {
    /// Of the newest batch.
    now: Moment,
    /// The moments of open snapshots, with how many were opened there.
    open: BTreeMap<Moment, usize>,
    /// Under each key what later and later batches replaced; `None`: the key was not there.
    replaced: BTreeMap<Bytes, Vec<(Moment, Option<Bytes>)>>,
    bytes: usize,
    /// Snapshots opened up to here were given up.
    given_up: Option<Moment>,
}

impl Undo {
    /// Whether a snapshot is open that a write must be recorded for.
    pub fn is_wanted(&self) -> bool {
        self.newest_open().is_some()
    }

    pub fn open(&mut self) -> Moment {
        // A moment that was given up must not be opened again.
        if self.given_up == Some(self.now) {
            self.advance();
        }
        *self.open.entry(self.now).or_default() += 1;
        self.now
    }

    pub fn close(&mut self, moment: Moment) {
        let Some(count) = self.open.get_mut(&moment) else { return };
        *count -= 1;
        if *count == 0 {
            self.open.remove(&moment);
            self.forget();
        }
    }

    /// Records what the batch of the next moment replaces. Each key once per batch; `advance` ends the batch.
    pub fn record(&mut self, key: Vec<u8>, before: Option<Bytes>) {
        let Some(newest_open) = self.newest_open() else { return };
        let key = Bytes::from(key);
        let records = self.replaced.entry(key.clone()).or_default();
        // An older record serves all snapshots opened before it.
        if records.last().is_some_and(|(moment, _)| *moment > newest_open) {
            return;
        }
        self.bytes += record_bytes(&key, &before);
        records.push((Moment(self.now.0 + 1), before));
        if self.bytes > UNDO_BYTES_MAX {
            self.given_up = Some(newest_open);
            self.replaced.clear();
            self.bytes = 0;
        }
    }

    pub fn advance(&mut self) {
        self.now.0 += 1;
    }

    /// What `key` held at `moment`: `None` if it holds the same now.
    pub fn get(&self, moment: Moment, key: &[u8]) -> Result<Option<&Option<Bytes>>> {
        self.check(moment)?;
        Ok(self.replaced.get(key).and_then(|records| at(moment, records)))
    }

    /// The keys from `start` (inclusive) to `end` (exclusive) that were written since `moment`, and what they held.
    pub fn range(
        &self,
        moment: Moment,
        start: Vec<u8>,
        end: Vec<u8>,
    ) -> Result<impl DoubleEndedIterator<Item = (&Bytes, &Option<Bytes>)>> {
        self.check(moment)?;
        let start = Bytes::from(start);
        let end = Bytes::from(end).max(start.clone());
        let written = self.replaced.range(start..end);
        Ok(written.filter_map(move |(key, records)| Some((key, at(moment, records)?))))
    }

    fn check(&self, moment: Moment) -> Result<()> {
        if self.given_up.is_some_and(|given_up| moment <= given_up) {
            return Err(Error::unavailable(format!(
                "the snapshot was given up: more than {} MiB were overwritten while it was open; take it again",
                UNDO_BYTES_MAX >> 20
            )));
        }
        Ok(())
    }

    fn newest_open(&self) -> Option<Moment> {
        let newest = *self.open.last_key_value()?.0;
        self.given_up.is_none_or(|given_up| newest > given_up).then_some(newest)
    }

    /// Drops the records that no open snapshot reads.
    fn forget(&mut self) {
        let Some((&oldest, _)) = self.open.first_key_value() else {
            self.replaced.clear();
            self.bytes = 0;
            return;
        };
        let mut freed = 0;
        self.replaced.retain(|key, records| {
            records.retain(|(moment, before)| {
                let needed = *moment > oldest;
                if !needed {
                    freed += record_bytes(key, before);
                }
                needed
            });
            !records.is_empty()
        });
        self.bytes -= freed;
    }
}

fn at(moment: Moment, records: &[(Moment, Option<Bytes>)]) -> Option<&Option<Bytes>> {
    let first_later = records.partition_point(|(written, _)| *written <= moment);
    records.get(first_later).map(|(_, before)| before)
}

fn record_bytes(key: &Bytes, before: &Option<Bytes>) -> usize {
    RECORD_BYTES + key.len() + before.as_ref().map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn write(undo: &mut Undo, key: &str, before: Option<&'static str>) {
        undo.record(key.into(), before.map(Bytes::from));
        undo.advance();
    }

    #[test]
    fn each_snapshot_reads_the_first_record_after_it() {
        let mut undo = Undo::default();
        let first = undo.open();
        write(&mut undo, "a", Some("one"));
        let second = undo.open();
        write(&mut undo, "a", Some("two"));
        write(&mut undo, "a", Some("three"));
        assert_eq!(undo.get(first, b"a").unwrap(), Some(&Some("one".into())));
        assert_eq!(undo.get(second, b"a").unwrap(), Some(&Some("two".into())));
        assert_eq!(undo.get(undo.now, b"a").unwrap(), None);
        assert_eq!(undo.replaced["a".as_bytes()].len(), 2, "nobody reads `three`");
        undo.close(first);
        assert_eq!(undo.replaced["a".as_bytes()].len(), 1);
        undo.close(second);
        assert_eq!((undo.replaced.len(), undo.bytes), (0, 0));
    }

    #[test]
    fn beyond_the_bound_open_snapshots_are_given_up_and_new_ones_work() {
        let mut undo = Undo::default();
        let old = undo.open();
        for index in 0..=UNDO_BYTES_MAX >> 20 {
            undo.record(format!("{index}").into(), Some(vec![0; 1 << 20].into()));
            undo.advance();
        }
        let refusal = undo.get(old, b"0").unwrap_err();
        assert!(refusal.is_retryable(), "{refusal}");
        assert!(!undo.is_wanted() && undo.bytes == 0);
        let new = undo.open();
        write(&mut undo, "a", None);
        assert_eq!(undo.get(new, b"a").unwrap(), Some(&None));
        assert!(undo.get(old, b"a").is_err());
        undo.close(old);
        assert_eq!(undo.get(new, b"a").unwrap(), Some(&None));
    }
}
