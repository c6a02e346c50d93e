//! Applying what concerns ledgers: keeping a diverged line, reviewing entries, accepting another region's.

use super::apply::Draft;
use super::batch::{Totals, WalEntry};
use super::command::{Outcome, Refusal};
use super::ledger::{
    ACCEPT_BEHIND_MAX, Accept, KEEP_LIMIT, KeepDiverged, LedgerEntry, LedgerHead, LedgerId, LedgerState, Review,
};
use super::line;
use super::path::Role;
use super::wal;
use crate::error::Result;
use crate::ids::Position;
use crate::storage::keys::Key;
use crate::storage::{ScanLimit, Tree};
use bytes::Bytes;
use std::collections::HashSet;

impl Draft<'_> {
    /// Copies the next stretch of the log behind the fork into the ledger. What is kept already stays as it is: a fork
    /// that turns out to lie deeper adds to the same ledger.
    pub(super) fn keep_diverged(&mut self, keep: &KeepDiverged) -> Result<Outcome> {
        let applied = self.path.applied;
        let diverged = keep.fork.index < applied.index && line::holds(&self.path.history, keep.fork);
        if self.path.role == Role::Primary || !self.path.is_whole() || !diverged {
            return Ok(Outcome::Refused(self.path.no_edge("keep in a ledger what is on the line that it follows")));
        }
        let mut ledger = match self.path.ledger.take() {
            Some(ledger) if !ledger.left && (ledger.fork, ledger.reached) == (keep.fork, applied) => ledger,
            earlier => self.open_ledger(earlier, keep)?,
        };
        let mut kept = wal::read(self.store.as_ref(), ledger.kept_through + 1, KEEP_LIMIT)?;
        kept.retain(|entry| entry.position.index <= applied.index);
        for WalEntry { position, batch } in kept {
            // What was trimmed since the last stretch is known by number only.
            ledger.missing += position.index - ledger.kept_through - 1;
            ledger.kept_through = position.index;
            let key = LedgerId { number: ledger.number, position }.key();
            if self.store.get(Tree::Region, &key.to_bytes())?.is_some() {
                continue;
            }
            ledger.totals.add(&batch);
            ledger.unreviewed += 1;
            let entry = LedgerEntry { position, batch, review: Review::Unreviewed { conflicts: Vec::new() } };
            self.batch.put(Tree::Region, key.to_bytes(), postcard::to_stdvec(&entry)?);
        }
        self.path.ledger = Some(ledger);
        // A standby still follows another: it takes this one for its primary when it leaves its line.
        if self.path.role == Role::Fenced {
            self.path.primary = Some(keep.primary.clone());
        }
        Ok(Outcome::Changed)
    }

    /// The ledger of this stay on the line: a new one, unless the fork moved.
    fn open_ledger(&mut self, earlier: Option<LedgerState>, keep: &KeepDiverged) -> Result<LedgerState> {
        let reached = self.path.applied;
        let same_stay = |ledger: &LedgerState| !ledger.left && ledger.reached == reached;
        let held_from = self.path.wal_first.max(keep.fork.index + 1);
        let fresh = LedgerState {
            number: 1,
            fork: keep.fork,
            reached,
            by_epoch: keep.by_epoch,
            kept_through: held_from - 1,
            totals: Totals::default(),
            unreviewed: 0,
            missing: held_from - 1 - keep.fork.index,
            older_unreviewed: 0,
            left: false,
        };
        let ledger = match earlier {
            None => fresh,
            Some(earlier) if same_stay(&earlier) => LedgerState {
                number: earlier.number,
                totals: earlier.totals,
                unreviewed: earlier.unreviewed,
                older_unreviewed: earlier.older_unreviewed,
                ..fresh
            },
            Some(earlier) => LedgerState {
                number: earlier.number + 1,
                older_unreviewed: earlier.older_unreviewed + earlier.unreviewed,
                ..fresh
            },
        };
        let head = LedgerHead {
            number: ledger.number,
            fork: keep.fork,
            reached,
            by_epoch: keep.by_epoch,
            line: self.path.history.clone(),
            missing: ledger.missing,
            at: keep.at,
        };
        self.batch.put(Tree::Region, Key::Ledger(ledger.number).to_bytes(), postcard::to_stdvec(&head)?);
        Ok(ledger)
    }

    pub(super) fn review(&mut self, reviews: &[(LedgerId, Review)]) -> Result<Outcome> {
        let Some(mut ledger) = self.path.ledger.clone() else { return Ok(Outcome::Changed) };
        let mut seen = HashSet::new();
        for (id, review) in reviews {
            let key = id.key().to_bytes();
            // Of two words on one entry in one command, the first counts.
            let Some(bytes) = self.store.get(Tree::Region, &key)?.filter(|_| seen.insert(*id)) else { continue };
            let entry: LedgerEntry = postcard::from_bytes(&bytes)?;
            if !entry.review.is_open() || entry.position != id.position {
                continue;
            }
            if !review.is_open() {
                let open =
                    if id.number == ledger.number { &mut ledger.unreviewed } else { &mut ledger.older_unreviewed };
                *open = open.saturating_sub(1);
            }
            let entry = LedgerEntry { review: review.clone(), ..entry };
            self.batch.put(Tree::Region, key, postcard::to_stdvec(&entry)?);
        }
        self.path.ledger = Some(ledger);
        Ok(Outcome::Changed)
    }

    pub(super) fn accept(&mut self, accept: &Accept) -> Result<Outcome> {
        if self.path.role != Role::Primary {
            return Ok(self.wrong_role());
        }
        if accept.epoch != self.path.epoch {
            return Ok(Outcome::Refused(Refusal::Epoch { expected: accept.epoch, actual: self.path.epoch }));
        }
        if self.is_overtaken(accept)? {
            return Ok(Outcome::Refused(Refusal::Overtaken));
        }
        let first = self.next_position();
        for (index, batch) in &accept.entries {
            let position = self.next_position();
            self.entry(position, batch)?;
            let key = Key::Accepted { origin: accept.origin, number: accept.number, index: *index };
            self.batch.put(Tree::Region, key.to_bytes(), postcard::to_stdvec(&position)?);
        }
        Ok(Outcome::Written { first, last: self.path.applied })
    }

    /// Whether something touched what the leader looked at.
    fn is_overtaken(&self, accept: &Accept) -> Result<bool> {
        let since = self.path.applied.index.saturating_sub(accept.as_of.index);
        let on_this_line = line::holds(&self.path.history, accept.as_of);
        if since > ACCEPT_BEHIND_MAX || self.path.wal_first > accept.as_of.index + 1 || !on_this_line {
            return Ok(true);
        }
        for (index, _) in &accept.entries {
            let key = Key::Accepted { origin: accept.origin, number: accept.number, index: *index };
            let taken = self.store.get(Tree::Region, &key.to_bytes())?;
            let taken: Option<Position> = taken.map(|bytes| postcard::from_bytes(&bytes)).transpose()?;
            if taken.is_some_and(|position| line::holds(&self.path.history, position)) {
                return Ok(true);
            }
        }
        let ops = accept.entries.iter().flat_map(|(_, batch)| &batch.ops);
        let keys: HashSet<&Bytes> = ops.map(|op| op.key()).collect();
        let newer = wal::read(self.store.as_ref(), accept.as_of.index + 1, ScanLimit::entries(since as usize))?;
        Ok(newer.iter().flat_map(|entry| &entry.batch.ops).any(|op| keys.contains(op.key())))
    }
}
