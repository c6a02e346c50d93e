//! What becomes of each entry of another region's ledger, if it is written here.
//!
//! It is written if, for each of its keys, the value here is still from the part of history that both lines share, or from
//! an earlier entry of the same ledger. Otherwise somebody changed the same thing since the fork: that is a conflict, and
//! nothing of the entry is written unless the operator asked for just that.

use super::ledger_wire as wire;
use super::ports::KeyringPort;
use crate::api::ledger::{AcceptConflict, AcceptOutcome, AcceptRequest};
use crate::clock::UnixMs;
use crate::error::Result;
use crate::ids::Position;
use crate::state::{Batch, Class, Op, PathState, State, expect_stored, line};
use crate::storage::ScanLimit;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What one read of the log returns.
const LOG_READ: ScanLimit = ScanLimit { entries: 4096, bytes: 16 << 20 };

/// What this region knows of keys and of what is encrypted for them.
pub(super) trait Keys {
    /// Whether this region's keys open a value.
    fn opens(&self, key: &[u8], value: &[u8]) -> Result<bool>;

    /// See `KeyringPort::keeps_from_replay`.
    fn keeps_from_replay(&self, key: &[u8], overwrites: bool) -> Option<&'static str>;
}

impl Keys for Arc<dyn KeyringPort> {
    fn opens(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.as_ref().opens(key, value)
    }

    fn keeps_from_replay(&self, key: &[u8], overwrites: bool) -> Option<&'static str> {
        self.as_ref().keeps_from_replay(key, overwrites)
    }
}

/// Of tests: everything is readable, and only what begins with `table` is held back.
#[cfg(test)]
pub(super) struct EveryKey;

#[cfg(test)]
impl Keys for EveryKey {
    fn opens(&self, _: &[u8], _: &[u8]) -> Result<bool> {
        Ok(true)
    }

    fn keeps_from_replay(&self, key: &[u8], overwrites: bool) -> Option<&'static str> {
        (overwrites && key.starts_with(b"table")).then_some("a table")
    }
}

/// An entry as it came, decoded.
struct Wanted {
    position: Position,
    class: Class,
    ops: Vec<Op>,
    overwrite: bool,
}

/// What became of each entry, `None` for those that are to be written; and these, by where they stand in the request.
pub(super) type Evaluated = (Vec<Option<AcceptOutcome>>, Vec<(usize, Batch)>);

/// What the entries are judged by.
pub(super) struct Look<'a> {
    state: &'a State,
    keys: &'a dyn Keys,
    wanted: Vec<Wanted>,
    /// The last position that this region's line and that of the ledger's region share: what it kept up to there is here.
    on_line: Position,
    /// The same, but no further than when the ledger was opened.
    shared: Position,
    /// What was taken of this ledger, by index there.
    taken: HashMap<u64, Position>,
    /// The newest change of each wanted key behind `shared`, as the log tells.
    changed: HashMap<Bytes, Position>,
    /// Whether the log reaches back to `shared`.
    log_tells: bool,
    /// The time of the new writes.
    at: UnixMs,
}

impl<'a> Look<'a> {
    pub fn new(
        state: &'a State,
        keys: &'a dyn Keys,
        path: &PathState,
        request: &AcceptRequest,
        at: UnixMs,
    ) -> Result<Look<'a>> {
        let wanted = request.entries.iter().map(|entry| {
            let ops = entry.ops.iter().map(wire::op_from).collect::<Result<Vec<_>>>()?;
            Ok(Wanted { position: entry.position, class: entry.class, ops, overwrite: entry.overwrite })
        });
        let wanted = wanted.collect::<Result<Vec<Wanted>>>()?;
        let on_line = line::fork(&path.history, path.applied, &request.line);
        let shared = if on_line.index < request.fork.index { on_line } else { request.fork };
        let taken = state.accepted(request.region, request.number)?;
        // What was taken on a line that this region left since was lost with it.
        let taken = taken.into_iter().filter(|(_, position)| line::holds(&path.history, *position)).collect();
        let changed = changed(state, &wanted, shared)?;
        let log_tells = path.wal_first <= shared.index + 1;
        Ok(Look { state, keys, wanted, on_line, shared, taken, changed, log_tells, at })
    }

    pub fn evaluate(&self) -> Result<Evaluated> {
        let ours: HashSet<Position> = self.taken.values().copied().collect();
        // Keys that entries before wrote, and keys of entries before that were not written.
        let (mut written, mut blocked) = (HashSet::new(), HashSet::new());
        let (mut outcomes, mut entries) = (Vec::new(), Vec::new());
        for (at, wanted) in self.wanted.iter().enumerate() {
            let keys = || wanted.ops.iter().map(|op| op.key().clone());
            let outcome = self.judge(wanted, &ours, &written, &blocked)?;
            match &outcome {
                None => {
                    written.extend(keys());
                    let batch = Batch { class: wanted.class, at: self.at, ops: wanted.ops.clone() };
                    entries.push((at, batch));
                }
                Some(AcceptOutcome::Replayed { .. }) => {}
                Some(AcceptOutcome::Conflict { .. } | AcceptOutcome::Refused { .. }) => blocked.extend(keys()),
            }
            outcomes.push(outcome);
        }
        Ok((outcomes, entries))
    }

    /// What becomes of an entry; `None` if it is to be written.
    fn judge(
        &self,
        wanted: &Wanted,
        ours: &HashSet<Position>,
        written: &HashSet<Bytes>,
        blocked: &HashSet<Bytes>,
    ) -> Result<Option<AcceptOutcome>> {
        // Of two primaries that the ledger's region met, the later one had more of its line.
        if wanted.position.index <= self.on_line.index {
            return Ok(Some(AcceptOutcome::Replayed { position: wanted.position }));
        }
        if let Some(position) = self.taken.get(&wanted.position.index) {
            return Ok(Some(AcceptOutcome::Replayed { position: *position }));
        }
        let rewritten = wanted.ops.iter().any(|op| written.contains(op.key()));
        if let Some(position) = self.is_there(wanted)?.filter(|_| !rewritten) {
            return Ok(Some(AcceptOutcome::Replayed { position }));
        }
        if let Some(why) = self.unfit(wanted)? {
            return Ok(Some(AcceptOutcome::Refused { why }));
        }
        let (mut conflicts, mut kept) = (Vec::new(), None);
        for op in &wanted.ops {
            let before = conflicts.len();
            if blocked.contains(op.key()) {
                conflicts.push(self.conflict(op.key(), self.newest(op.key())?)?);
            } else if !written.contains(op.key())
                && let Some(by) = self.changed_since(op.key(), ours)?
            {
                conflicts.push(self.conflict(op.key(), by)?);
            }
            if conflicts.len() > before {
                kept = kept.or(self.keys.keeps_from_replay(op.key(), true));
            }
        }
        if let Some(why) = kept.filter(|_| wanted.overwrite) {
            return Ok(Some(AcceptOutcome::Refused { why: why.into() }));
        }
        let writes = conflicts.is_empty() || wanted.overwrite;
        Ok((!writes).then_some(AcceptOutcome::Conflict { conflicts }))
    }

    /// Where this very write is already: another region's ledger may hold it as well. Ciphertexts of two writes are never
    /// equal, not even of the same text.
    fn is_there(&self, wanted: &Wanted) -> Result<Option<Position>> {
        let mut position = None;
        for op in &wanted.ops {
            match (op, self.state.data(op.key())?) {
                (Op::Put { value, .. }, Some(stored)) if *value == stored.value => position = Some(stored.position),
                (Op::Delete { .. }, None) => {}
                _ => return Ok(None),
            }
        }
        Ok(position)
    }

    fn unfit(&self, wanted: &Wanted) -> Result<Option<String>> {
        for op in &wanted.ops {
            if let Err(refusal) = expect_stored(op.key()) {
                return Ok(Some(refusal.to_string()));
            }
            let deletes = matches!(op, Op::Delete { .. });
            if let Some(why) = self.keys.keeps_from_replay(op.key(), deletes) {
                return Ok(Some(why.into()));
            }
            if let Op::Put { key, value } = op
                && !self.keys.opens(key, value)?
            {
                return Ok(Some("it is encrypted with a key that this region does not hold".into()));
            }
        }
        Ok(None)
    }

    /// What changed a key since the fork, other than this ledger's entries: `Some(None)` if the log no longer tells.
    fn changed_since(&self, key: &Bytes, ours: &HashSet<Position>) -> Result<Option<Option<Position>>> {
        Ok(match (self.state.data(key)?, self.changed.get(key)) {
            (Some(stored), _) if stored.position.index <= self.shared.index => None,
            (Some(stored), _) if ours.contains(&stored.position) => None,
            (Some(stored), _) => Some(Some(stored.position)),
            (None, Some(position)) if ours.contains(position) => None,
            (None, Some(position)) => Some(Some(*position)),
            // It may have been deleted since.
            (None, None) if !self.log_tells => Some(None),
            (None, None) => None,
        })
    }

    /// The newest change of a key, as far as is known.
    fn newest(&self, key: &Bytes) -> Result<Option<Position>> {
        let stored = self.state.data(key)?.map(|stored| stored.position);
        Ok(stored.or_else(|| self.changed.get(key).copied()))
    }

    fn conflict(&self, key: &Bytes, position: Option<Position>) -> Result<AcceptConflict> {
        let entry = match position {
            Some(position) => self.state.wal(position.index, ScanLimit::entries(1))?.into_iter().next(),
            None => None,
        };
        let at = entry.filter(|entry| Some(entry.position) == position).map(|entry| entry.batch.at);
        Ok(AcceptConflict { key: wire::encode(key), position, at })
    }
}

/// The newest entry of the log behind `shared` that changed each wanted key.
fn changed(state: &State, wanted: &[Wanted], shared: Position) -> Result<HashMap<Bytes, Position>> {
    let keys: HashSet<&Bytes> = wanted.iter().flat_map(|entry| &entry.ops).map(Op::key).collect();
    let mut changed = HashMap::new();
    let mut from = shared.index + 1;
    loop {
        let entries = state.wal(from, LOG_READ)?;
        let Some(last) = entries.last() else { return Ok(changed) };
        from = last.position.index + 1;
        for entry in &entries {
            for op in entry.batch.ops.iter().filter(|op| keys.contains(op.key())) {
                changed.insert(op.key().clone(), entry.position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ledger::AcceptEntry;
    use crate::ids::{DatasetId, Epoch, RegionId};
    use crate::state::{Command, PathChange, RegionChange};
    use crate::storage::memory::Memory;
    use std::sync::Arc;

    fn put(key: &str, value: &str) -> Op {
        Op::Put { key: key.to_owned().into(), value: value.to_owned().into() }
    }

    /// A primary that wrote `k=1` to `k=3`, one after the other.
    fn primary() -> State {
        let state = State::open(Arc::new(Memory::new()), "default").expect("an empty store opens");
        let first = PathChange::Initialise { dataset: DatasetId([1; 16]) };
        let change = RegionChange { path: Some(first), ..RegionChange::default() };
        state.apply(1, &Command::Region(change), &[]).expect("applied");
        let batch = |value: &str| Batch { class: Class::KvWrite, at: UnixMs(0), ops: vec![put("k", value)] };
        let batches = ["1", "2", "3"].map(batch).to_vec();
        state.apply(1, &Command::Write { term: 1, epoch: Epoch::FIRST, batches }, &[]).expect("applied");
        state
    }

    fn entry(index: u64, op: Op, overwrite: bool) -> AcceptEntry {
        let position = Position::new(Epoch::FIRST, index);
        AcceptEntry { position, class: Class::KvWrite, ops: vec![wire::op(&op)], overwrite }
    }

    /// Of a ledger without entries.
    fn request(state: &State, fork: u64) -> AcceptRequest {
        AcceptRequest {
            region: RegionId([2; 16]),
            number: 1,
            line: state.path().history.clone(),
            fork: Position::new(Epoch::FIRST, fork),
            entries: Vec::new(),
        }
    }

    fn outcomes(state: &State, fork: u64, entries: &[(u64, Op)]) -> Vec<Option<AcceptOutcome>> {
        let path = state.path();
        let entries = entries.iter().map(|(index, op)| entry(*index, op.clone(), false)).collect();
        let request = AcceptRequest { entries, ..request(state, fork) };
        let look = Look::new(state, &EveryKey, &path, &request, UnixMs(1)).expect("a look");
        look.evaluate().expect("evaluated").0
    }

    /// The ledger was opened for a primary that had less of the line; the next one has these entries where they were.
    #[test]
    fn what_lies_on_this_line_is_not_written_again() {
        let state = primary();
        let entries = [(1, put("k", "1")), (2, put("k", "2")), (3, put("k", "3"))];
        for (at, outcome) in outcomes(&state, 0, &entries).into_iter().enumerate() {
            let position = Position::new(Epoch::FIRST, at as u64 + 1);
            assert_eq!(outcome, Some(AcceptOutcome::Replayed { position }));
        }
    }

    #[test]
    fn a_table_is_not_put_back_over_what_it_became() {
        let state = primary();
        let batch = Batch { class: Class::Mount, at: UnixMs(0), ops: vec![put("table", "new")] };
        state.apply(1, &Command::Write { term: 1, epoch: Epoch::FIRST, batches: vec![batch] }, &[]).expect("applied");
        let told = |overwrite, op| {
            let request = AcceptRequest { entries: vec![entry(9, op, overwrite)], ..request(&state, 3) };
            let look = Look::new(&state, &EveryKey, &state.path(), &request, UnixMs(1)).expect("a look");
            look.evaluate().expect("evaluated").0.remove(0)
        };
        assert!(matches!(told(false, put("table", "old")), Some(AcceptOutcome::Conflict { .. })));
        assert!(matches!(told(true, put("table", "old")), Some(AcceptOutcome::Refused { .. })));
        assert!(matches!(told(true, Op::Delete { key: "table".into() }), Some(AcceptOutcome::Refused { .. })));
        assert_eq!(told(true, put("k", "old")), None, "one secret may be");
        for key in [String::new(), "k".repeat(9000)] {
            assert!(matches!(told(true, put(&key, "x")), Some(AcceptOutcome::Refused { .. })));
        }
    }

    /// What an entry before it wrote is newer than what this one is equal to.
    #[test]
    fn an_entry_is_written_after_one_that_changes_the_same_key() {
        let state = primary();
        assert_eq!(outcomes(&state, 3, &[(4, put("k", "4")), (5, put("k", "3"))]), [None, None]);
        assert!(outcomes(&state, 3, &[(5, put("k", "3"))])[0].is_some(), "alone, it is there already");
    }
}
