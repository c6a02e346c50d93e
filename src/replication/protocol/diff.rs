//! Diff sync on the standby: walks down the Merkle tree to what differs, asks for that, and has its region agree on it.
//!
//! Why it converges, without a trace of what was deleted: while it lasts, the region's data tree changes by patches only.
//! A bucket whose nodes compared equal holds what the primary held there at the position of that comparison; a patch sets
//! keys to what the primary held under them at the position of its read. So when nothing differs any more, every key is in
//! the state that the primary gave it at some position between `start`, where the sync began, and `whole_at`, the newest of
//! all those positions. The log from `start` to `whole_at` then brings each key to its state at `whole_at`: its newest
//! write or delete there is in the log, and nothing older replaces what is there. As after a full copy, the region
//! is whole once it has applied `whole_at`. Patches may therefore come from different moments and overlap.
//!
//! What is known of the comparison is in the core's memory only and starts over with another leader: what was patched by
//! then compares equal, so that costs little. Durable is that the sync is under way, and how many patches it took; each
//! patch names that number, so that a proposal that is agreed on late can't undo what came after it.
//!
//! Buckets are asked for in batches, since both sides read their whole tree for one. When that would take too
//! many readings (`DiffBounds::scans`), a full sync begins instead.

use super::context::{Context, Mutation};
use super::interface::*;
use super::message::*;
use super::standby::want;
use crate::ids::{Position, SyncId};
use crate::state::diff::{Held, Named};
use crate::state::merkle::{self, FAN, LEAVES, Merkle, Nodes, Short};
use crate::state::{Command, Patch, Role, SyncKind, SyncState, Then};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that are asked for at once: their children's hashes come in one request.
pub(super) const PARENTS_MAX: usize = 1024;
/// What the entries of one batch may take in memory.
const HELD_BYTES_MAX: usize = 48 << 20;
/// Parts that wait for their turn at most, in bytes. What comes next in turn is always taken.
const BUFFERED_BYTES_MAX: usize = 32 << 20;

/// What is known of the diff sync that the region is in.
#[derive(Default)]
pub(super) struct Diff {
    walk: Option<Walk>,
    /// The sync that found too much to patch.
    given_up: Option<SyncId>,
}

struct Walk {
    sync: SyncId,
    /// What the region counts of patches. Another count means that the tree changed under the walk.
    patches: u64,
    /// The newest position that nodes were read at.
    read_at: Position,
    /// Nodes whose children are still to be compared.
    open: BTreeSet<u32>,
    /// Buckets that differ and belong to no batch yet.
    differing: BTreeSet<u16>,
    /// Whether the region agreed on how much differs.
    is_counted: bool,
    reading: Option<Reading>,
    batch: Option<Batch>,
    proposed: Option<Proposed>,
}

enum Reading {
    /// Own nodes, to compare with these.
    Nodes { read: ReadId, theirs: Vec<Nodes> },
    /// The entries of the buckets that differ.
    Held { read: ReadId },
}

/// Buckets that the primary was asked about.
struct Batch {
    id: u64,
    was_asked: bool,
    buckets: BTreeSet<u16>,
    /// By the hash that names them, the entries that this region held when the batch was made.
    held: BTreeMap<Short, Bytes>,
    /// The same by key, and whether the primary sent another in its place: then that it is gone says nothing.
    keys: BTreeMap<Bytes, Replaced>,
    /// The part that comes next in turn.
    next: u32,
    parts: BTreeMap<u32, PatchPart>,
    bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaced {
    No,
    Yes,
}

/// What the proposal under way leads to.
enum Proposed {
    Count,
    Part { batch: u64, last: bool },
    End,
}

/// What becomes of a request that came.
pub(super) enum Taken {
    /// It waits for what the walk wants next.
    Waits,
    /// It waits for this part.
    WaitsFor {
        batch: u64,
        part: u32,
    },
    Answer(Want),
}

impl Diff {
    /// Looks at new facts: the walk ends with the sync, and begins anew when the tree changed under it.
    pub fn settle(&mut self, ctx: &Context) {
        let Some(sync) = under_way(ctx) else {
            self.walk = None;
            return;
        };
        let Some(walk) = self.walk.as_mut().filter(|walk| walk.sync == sync.id) else {
            self.walk = None;
            return;
        };
        if sync.patches == walk.patches + 1 && walk.proposed.is_some() {
            walk.patches = sync.patches;
            walk.agreed();
        } else if sync.patches != walk.patches {
            self.walk = None;
        }
    }

    /// The proposal came to nothing, or its outcome is unknown: it is made again.
    pub fn proposal_failed(&mut self) {
        if let Some(walk) = &mut self.walk {
            walk.proposed = None;
        }
    }

    /// The primary asks what is wanted next, or brings nodes that were.
    pub fn compare(&mut self, ctx: &mut Context, sync: SyncId, nodes: Vec<Nodes>, read_at: Position) -> Taken {
        let Some((patches, start)) = under_way(ctx).filter(|it| it.id == sync).map(|it| (it.patches, it.start)) else {
            return Taken::Answer(want(ctx));
        };
        if self.given_up == Some(sync) {
            return Taken::Answer(Want::Hello);
        }
        let walk = self.walk.get_or_insert_with(|| Walk::new(sync, patches));
        match nodes.is_empty() {
            true => walk.is_asked(ctx),
            false if read_at < start => return Taken::Answer(Want::Refused(Refused::Unsound)),
            false => walk.take_nodes(ctx, nodes, read_at),
        }
        Taken::Waits
    }

    /// The primary brings a part of what differs.
    pub fn patch(&mut self, ctx: &Context, part: PatchPart) -> Taken {
        let walk = self.walk.as_mut().filter(|walk| walk.sync == part.sync);
        let batch = walk.and_then(|walk| walk.batch.as_mut()).filter(|batch| batch.id == part.batch);
        let (Some(batch), Some(sync)) = (batch, under_way(ctx)) else { return Taken::Answer(want(ctx)) };
        if !batch.is_sound(&part) || part.read_at < sync.start {
            return Taken::Answer(Want::Refused(Refused::Unsound));
        }
        if part.part < batch.next {
            return Taken::Answer(want(ctx));
        }
        if part.part != batch.next && batch.bytes >= BUFFERED_BYTES_MAX {
            return Taken::Answer(Want::Refused(Refused::Busy));
        }
        let waits = Taken::WaitsFor { batch: batch.id, part: part.part };
        batch.bytes += part_bytes(&part);
        if let Some(same) = batch.parts.insert(part.part, part) {
            batch.bytes -= part_bytes(&same);
        }
        waits
    }

    /// Whether a part is agreed on, or of no use any more.
    pub fn is_patched(&self, batch: u64, part: u32) -> bool {
        let open = self.walk.as_ref().and_then(|walk| walk.batch.as_ref()).filter(|open| open.id == batch);
        open.is_none_or(|open| open.next > part)
    }

    /// Whether this sync found so much to patch that a full one is to take its place.
    pub fn gave_up(&self, ctx: &Context) -> bool {
        under_way(ctx).is_some_and(|sync| self.given_up == Some(sync.id))
    }

    /// What to answer to a request that waits for what is next; `None` while that is being found out.
    pub fn next(&mut self, ctx: &Context) -> Option<Want> {
        let Some(sync) = under_way(ctx).map(|sync| sync.id) else { return Some(want(ctx)) };
        if self.given_up == Some(sync) {
            return Some(Want::Hello);
        }
        let walk = self.walk.as_mut()?;
        if walk.reading.is_some() {
            return None;
        }
        if !walk.open.is_empty() {
            let parents = walk.open.iter().take(PARENTS_MAX).copied().collect();
            return Some(Want::Nodes { sync, parents });
        }
        let batch = walk.batch.as_mut().filter(|batch| !batch.was_asked)?;
        batch.was_asked = true;
        let mut buckets: BTreeMap<u16, Vec<Short>> = batch.buckets.iter().map(|bucket| (*bucket, Vec::new())).collect();
        for (name, key) in &batch.held {
            buckets.entry(Merkle::bucket(key) as u16).or_default().push(*name);
        }
        let buckets = buckets.into_iter().map(|(bucket, entries)| Named { bucket, entries }).collect();
        Some(Want::Diff { sync, batch: batch.id, buckets })
    }

    /// Reads what is needed next, and returns what the region is to agree on. `is_asked`: a request waits for what is next.
    pub fn drive(&mut self, ctx: &mut Context, is_asked: bool) -> Option<Command> {
        let sync = under_way(ctx).map(|sync| sync.id)?;
        let walk = self.walk.as_mut().filter(|walk| walk.reading.is_none() && walk.proposed.is_none())?;
        if !walk.open.is_empty() || self.given_up == Some(sync) {
            return None;
        }
        let bounds = ctx.options.diff;
        if !walk.is_counted && walk.scans(ctx) > bounds.scans {
            self.given_up = Some(sync);
            return None;
        }
        if !walk.is_counted && !walk.differing.is_empty() {
            return Some(walk.propose(Proposed::Count, Vec::new(), Vec::new(), walk.read_at));
        }
        match &mut walk.batch {
            Some(batch) => {
                // It stays until it is agreed on: the proposal may come to nothing.
                let part = batch.parts.get(&batch.next)?.clone();
                let proposed = Proposed::Part { batch: batch.id, last: part.last };
                let mut deletes = batch.translate(&part);
                if ctx.mutated(Mutation::ForgetGone) {
                    deletes.clear();
                }
                Some(walk.propose(proposed, part.puts, deletes, part.read_at))
            }
            None if walk.differing.is_empty() => {
                Some(walk.propose(Proposed::End, Vec::new(), Vec::new(), walk.read_at))
            }
            None if is_asked => {
                let room = (bounds.batch_entries / usual_entries(ctx)).max(1);
                let buckets = walk.differing.iter().take(room).copied().collect();
                let read = ReadId(ctx.number());
                walk.reading = Some(Reading::Held { read });
                ctx.effects.push(Effect::ReadHeld { read, buckets, bytes_max: HELD_BYTES_MAX });
                None
            }
            None => None,
        }
    }

    pub fn nodes_read(&mut self, read: ReadId, ours: Result<Vec<Nodes>, Failure>) {
        let reads = |walk: &&mut Walk| matches!(walk.reading, Some(Reading::Nodes { read: it, .. }) if it == read);
        let Some(walk) = self.walk.as_mut().filter(reads) else { return };
        let Some(Reading::Nodes { theirs, .. }) = walk.reading.take() else { return };
        // What could not be read is still open, and is asked for again.
        for (ours, theirs) in ours.unwrap_or_default().iter().zip(&theirs) {
            walk.open.remove(&theirs.parent);
            let differs = |child: &usize| ours.below[*child] != theirs.below[*child];
            for child in (0..FAN).filter(differs).map(|child| theirs.parent as usize * FAN + child) {
                match child.checked_sub(LEAVES) {
                    Some(bucket) => drop(walk.differing.insert(bucket as u16)),
                    None => drop(walk.open.insert(child as u32)),
                }
            }
        }
    }

    pub fn held_read(&mut self, ctx: &mut Context, read: ReadId, held: Result<Held, Failure>) {
        let reads = |walk: &&mut Walk| matches!(walk.reading, Some(Reading::Held { read: it }) if it == read);
        let Some(walk) = self.walk.as_mut().filter(reads) else { return };
        walk.reading = None;
        let Ok(held) = held else { return };
        let mut batch = Batch {
            id: ctx.draw_u64(),
            was_asked: false,
            buckets: BTreeSet::new(),
            held: BTreeMap::new(),
            keys: BTreeMap::new(),
            next: 0,
            parts: BTreeMap::new(),
            bytes: 0,
        };
        for (bucket, entries) in held.buckets {
            walk.differing.remove(&bucket);
            batch.buckets.insert(bucket);
            for (name, key) in entries {
                batch.keys.insert(key.clone(), Replaced::No);
                batch.held.insert(name, key);
            }
        }
        walk.batch = Some(batch);
    }
}

impl Walk {
    fn new(sync: SyncId, patches: u64) -> Walk {
        Walk {
            sync,
            patches,
            read_at: Position::ZERO,
            open: BTreeSet::from([1]),
            differing: BTreeSet::new(),
            is_counted: false,
            reading: None,
            batch: None,
            proposed: None,
        }
    }

    /// The primary knows of no batch: what it was asked about before, it is asked again. What it sent of it
    /// meanwhile does no harm, since it set keys to what it held.
    fn is_asked(&mut self, ctx: &mut Context) {
        if let Some(batch) = self.batch.as_mut().filter(|batch| batch.was_asked) {
            batch.id = ctx.draw_u64();
            batch.was_asked = false;
            batch.next = 0;
            batch.parts.clear();
            batch.bytes = 0;
        }
    }

    fn take_nodes(&mut self, ctx: &mut Context, mut theirs: Vec<Nodes>, read_at: Position) {
        theirs.retain(|nodes| self.open.contains(&nodes.parent));
        theirs.truncate(PARENTS_MAX);
        if theirs.is_empty() || self.reading.is_some() {
            return;
        }
        self.read_at = self.read_at.max(read_at);
        let read = ReadId(ctx.number());
        ctx.effects.push(Effect::ReadNodes { read, parents: theirs.iter().map(|nodes| nodes.parent).collect() });
        self.reading = Some(Reading::Nodes { read, theirs });
    }

    /// How often both sides would read their trees for all that differs.
    fn scans(&self, ctx: &Context) -> usize {
        (self.differing.len() * usual_entries(ctx)).div_ceil(ctx.options.diff.batch_entries)
    }

    fn propose(
        &mut self,
        proposed: Proposed,
        puts: Vec<(Bytes, crate::state::Stored)>,
        deletes: Vec<Bytes>,
        read_at: Position,
    ) -> Command {
        let then = if matches!(proposed, Proposed::End) { Then::Log } else { Then::Patches };
        let in_batch = match &proposed {
            Proposed::Part { last: true, .. } | Proposed::Count | Proposed::End => 0,
            Proposed::Part { .. } => self.batch.as_ref().map_or(0, |batch| batch.buckets.len()),
        };
        self.proposed = Some(proposed);
        Command::Patch(Patch {
            sync: self.sync,
            number: self.patches,
            puts,
            deletes,
            read_at,
            // In each bucket that differs one entry does, if there are many buckets.
            left: (self.differing.len() + in_batch) as u64,
            then,
        })
    }

    /// The region agreed on what was proposed.
    fn agreed(&mut self) {
        match self.proposed.take() {
            Some(Proposed::Count) => self.is_counted = true,
            Some(Proposed::Part { batch: id, last }) => {
                let Some(batch) = self.batch.as_mut().filter(|batch| batch.id == id) else { return };
                if let Some(part) = batch.parts.remove(&batch.next) {
                    batch.bytes -= part_bytes(&part);
                }
                batch.next += 1;
                if last {
                    self.batch = None;
                }
            }
            Some(Proposed::End) | None => {}
        }
    }
}

impl Batch {
    /// Whether a part speaks of nothing but what it was asked about.
    fn is_sound(&self, part: &PatchPart) -> bool {
        let keys = || part.puts.iter().map(|(key, _)| key);
        let ascends = keys().zip(keys().skip(1)).all(|(one, next)| one < next);
        let was_asked = |key: &Bytes| {
            (1..=crate::storage::KEY_BYTES_MAX).contains(&key.len())
                && self.buckets.contains(&(Merkle::bucket(key) as u16))
        };
        ascends && keys().all(was_asked) && part.gone.iter().all(|name| self.held.contains_key(name))
    }

    /// The keys that go with a part.
    fn translate(&mut self, part: &PatchPart) -> Vec<Bytes> {
        for (key, _) in &part.puts {
            if let Some(replaced) = self.keys.get_mut(key) {
                *replaced = Replaced::Yes;
            }
        }
        let goes = |name: &Short| self.held.get(name).filter(|key| self.keys.get(*key) == Some(&Replaced::No));
        part.gone.iter().filter_map(goes).cloned().collect()
    }
}

/// The diff sync that this region is in, unless all that differed is patched.
pub(super) fn under_way(ctx: &Context) -> Option<&SyncState> {
    let is_patching = |sync: &&SyncState| sync.kind == SyncKind::Diff && sync.cursor.is_some();
    ctx.path.sync.as_ref().filter(|_| ctx.path.role == Role::Standby).filter(is_patching)
}

/// Entries of a bucket, on the average.
fn usual_entries(ctx: &Context) -> usize {
    (ctx.path.entries as usize).div_ceil(merkle::LEAVES).max(1)
}

fn part_bytes(part: &PatchPart) -> usize {
    let puts = part.puts.iter().map(|(key, stored)| key.len() + stored.value.len()).sum::<usize>();
    puts + part.gone.len() * size_of::<Short>()
}
