//! Diff sync on the primary: brings a standby the nodes of the Merkle tree and the entries that it asks for.
//!
//! One question at a time (`Ask::Compare`): what is wanted next. The answer names nodes, whose children go with the next
//! question, or buckets with the entries that the standby holds there. For those the tree is read once, in stretches;
//! each stretch makes a part of the patch, and parts travel side by side.
//!
//! Invariants:
//! * Every part of the batch is agreed on by the standby, in flight, in `unsent`, or not read yet.
//! * `missing` are the named entries that no stretch of the batch had: at the end of the tree they are gone.

use super::context::Context;
use super::diff::PARENTS_MAX;
use super::interface::*;
use super::message::*;
use super::progress::{Flight, FlightKind, Link, Progress};
use crate::ids::{Position, SyncId};
use crate::state::diff::{Named, Unnamed};
use crate::state::merkle::{self, Nodes, Short};
use crate::storage::ScanLimit;
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// What one part carries, and how much of what is gone.
const PATCH_LIMIT: ScanLimit = ScanLimit { entries: 4096, bytes: 1 << 20 };
const GONE_MAX: usize = 8192;
/// Entries that one batch may name: far more than a standby's own bounds come to.
const NAMED_MAX: usize = 1 << 19;

pub(super) struct Comparing {
    pub sync: SyncId,
    step: Step,
    /// Parts that are read and not sent, or whose request failed.
    unsent: VecDeque<PatchPart>,
}

enum Step {
    /// The standby is asked what it wants next.
    Ask,
    /// Nodes that it wants are being read.
    Nodes { read: ReadId },
    /// What it wants to know of buckets is being read.
    Batch(Batch),
    /// All of the batch is read.
    Sent,
}

struct Batch {
    id: u64,
    named: Arc<Vec<Named>>,
    missing: BTreeSet<Short>,
    /// Where the next stretch begins.
    after: Bytes,
    read: Option<ReadId>,
    /// The number of the next part.
    part: u32,
}

impl Comparing {
    pub fn new(sync: SyncId) -> Comparing {
        Comparing { sync, step: Step::Ask, unsent: VecDeque::new() }
    }

    pub fn reads(&self, read: ReadId) -> bool {
        match &self.step {
            Step::Nodes { read: it } => *it == read,
            Step::Batch(batch) => batch.read == Some(read),
            Step::Ask | Step::Sent => false,
        }
    }

    pub fn put_back(&mut self, part: PatchPart) {
        self.unsent.push_back(part);
    }
}

impl Link {
    pub fn compare(&mut self, ctx: &mut Context) {
        while self.has_room() {
            let Progress::Comparing(comparing) = &mut self.progress else { return };
            let Some(part) = comparing.unsent.pop_front() else { break };
            self.send(ctx, Ask::Patch(part.clone()), FlightKind::Patch(part));
        }
        let has_room = self.has_room();
        let asks = self.in_flight(|kind| matches!(kind, FlightKind::Compare));
        let patches = self.data_in_flight() > 0;
        let Progress::Comparing(comparing) = &mut self.progress else { return };
        if matches!(comparing.step, Step::Sent) && !patches && comparing.unsent.is_empty() {
            comparing.step = Step::Ask;
        }
        match &mut comparing.step {
            Step::Ask if !asks => {
                let sync = comparing.sync;
                self.send(
                    ctx,
                    Ask::Compare { sync, nodes: Vec::new(), read_at: ctx.path.applied },
                    FlightKind::Compare,
                );
            }
            Step::Batch(batch) if batch.read.is_none() && has_room => {
                let read = ReadId(ctx.number());
                let (named, after) = (batch.named.clone(), batch.after.clone());
                ctx.effects.push(Effect::ReadUnnamed { read, named, after, limit: PATCH_LIMIT });
                batch.read = Some(read);
            }
            Step::Ask | Step::Nodes { .. } | Step::Batch(_) | Step::Sent => {}
        }
    }

    /// The standby is in this diff sync.
    pub fn wants_compare(&mut self, flight: Flight, sync: SyncId) {
        match &self.progress {
            Progress::Comparing(comparing) if comparing.sync == sync => drop(flight),
            _ => self.restart(Progress::Comparing(Comparing::new(sync))),
        }
    }

    pub fn wants_nodes(&mut self, ctx: &mut Context, flight: &Flight, sync: SyncId, parents: Vec<u32>) {
        let Some(comparing) = self.asked(flight, sync) else { return };
        let sound = parents.len() <= PARENTS_MAX && parents.iter().all(|parent| merkle::is_compared(*parent));
        if !sound || parents.is_empty() {
            return self.refused(ctx, "the other region asks for nodes that no Merkle tree has".into());
        }
        let read = ReadId(ctx.number());
        comparing.step = Step::Nodes { read };
        ctx.effects.push(Effect::ReadNodes { read, parents });
    }

    pub fn wants_diff(&mut self, ctx: &Context, flight: &Flight, sync: SyncId, batch: u64, named: Vec<Named>) {
        let Some(comparing) = self.asked(flight, sync) else { return };
        let ascends = named.iter().zip(named.iter().skip(1)).all(|(one, next)| one.bucket < next.bucket);
        let count: usize = named.iter().map(|named| named.entries.len()).sum();
        if named.is_empty() || !ascends || count > NAMED_MAX {
            return self.refused(ctx, "the other region asks for buckets out of order, or for too much".into());
        }
        let missing = named.iter().flat_map(|named| named.entries.iter().copied()).collect();
        let after = Bytes::new();
        comparing.step = Step::Batch(Batch { id: batch, named: Arc::new(named), missing, after, read: None, part: 0 });
    }

    /// The comparison that waits for this answer to its question.
    fn asked(&mut self, flight: &Flight, sync: SyncId) -> Option<&mut Comparing> {
        let Progress::Comparing(comparing) = &mut self.progress else { return None };
        let waits = matches!((&comparing.step, &flight.kind), (Step::Ask, FlightKind::Compare));
        (waits && comparing.sync == sync).then_some(comparing)
    }

    pub fn nodes_read(&mut self, ctx: &mut Context, result: Result<(Position, Vec<Nodes>), Failure>) {
        let Progress::Comparing(comparing) = &mut self.progress else { return };
        comparing.step = Step::Ask;
        match result {
            Ok((read_at, nodes)) => {
                let sync = comparing.sync;
                self.send(ctx, Ask::Compare { sync, nodes, read_at }, FlightKind::Compare);
            }
            Err(Failure::Retry(error) | Failure::Final(error)) => {
                self.failed(ctx, format!("reading the own Merkle tree failed: {error}"));
            }
        }
    }

    pub fn unnamed_read(&mut self, ctx: &mut Context, result: Result<Unnamed, Failure>) {
        let Progress::Comparing(comparing) = &mut self.progress else { return };
        let Step::Batch(batch) = &mut comparing.step else { return };
        batch.read = None;
        let unnamed = match result {
            Ok(unnamed) => unnamed,
            Err(Failure::Retry(error) | Failure::Final(error)) => {
                return self.failed(ctx, format!("reading the own data failed: {error}"));
            }
        };
        for name in &unnamed.found {
            batch.missing.remove(name);
        }
        let part = |batch: &mut Batch, puts, gone, last| {
            let part = batch.part;
            batch.part += 1;
            PatchPart { sync: comparing.sync, batch: batch.id, part, puts, gone, last, read_at: unnamed.read_at }
        };
        match unnamed.through {
            Some(through) => {
                batch.after = through;
                comparing.unsent.push_back(part(batch, unnamed.entries, Vec::new(), false));
            }
            None => {
                // What is gone comes behind all that is put: a key whose entry was replaced is not gone.
                let missing: Vec<Short> = std::mem::take(&mut batch.missing).into_iter().collect();
                let mut gone = missing.chunks(GONE_MAX).peekable();
                let first = gone.next().unwrap_or_default().to_vec();
                let is_all = gone.peek().is_none();
                comparing.unsent.push_back(part(batch, unnamed.entries, first, is_all));
                while let Some(more) = gone.next() {
                    let is_last = gone.peek().is_none();
                    comparing.unsent.push_back(part(batch, Vec::new(), more.to_vec(), is_last));
                }
                comparing.step = Step::Sent;
            }
        }
    }
}
