//! Verification on the primary: does each standby hold, on its disk, what this region holds at the same position?
//!
//! One standby after the other, over its link, while writes go on:
//!
//! ```text
//!   Freeze ─► Reach ─► Walk ─► equal
//!     ▲                 └────► Name ─► Repair ─┐
//!     └────────────────────────────────────────┘  and once more, to see that it is equal now
//! ```
//!
//! First the own disk is read and held against the tree in memory. Then, for each standby:
//!
//! * *Freeze*: nothing that is newer than now is sent on the link, and this moment is kept: position P, the Merkle tree,
//!   a snapshot of the disk.
//! * *Reach*: the standby gets the log up to P and not beyond. There it keeps its own moment, and the log goes on. Before it
//!   answers anything else it reads all its data from the disk, and takes what is there for what it holds.
//! * *Walk*: down both trees to the buckets that differ. *Name*: the keys in them whose entries differ.
//! * *Repair*: the standby begins a diff sync, which moves those buckets; while that lasts it serves nothing.
//!
//! When this region's own disk is not what it applied, that is an alarm, and no standby is made like it. What a
//! verification does not see: the disks of a region's other nodes, which each hold their own copy (only the leaders read
//! theirs); a value of this region that changed before its leader's node started, since the tree in memory was
//! made from it: then the standby's is taken for the wrong one; and the log, which is not data yet.

use super::context::Context;
use super::interface::*;
use super::message::*;
use super::progress::{FlightKind, Link, Progress};
use super::report::{Outcome, OwnDisk, StandbyVerified, Verified};
use crate::ids::{Position, RegionId};
use crate::state::Role;
use crate::state::diff::Held;
use crate::state::merkle::{FAN, LEAVES, Nodes, Short};
use crate::state::scrub::Correction;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Nodes, and buckets, that a standby is asked for at once.
const PARENTS_MAX: usize = 256;
/// Buckets whose entries are compared one by one; that more differ is counted only.
const BUCKETS_MAX: usize = 512;
/// Keys that are kept to be shown.
const KEYS_MAX: usize = 256;
/// What the entries of those buckets may take in memory.
const HELD_BYTES_MAX: usize = 4 << 20;
/// Comparisons of one standby, repairs in between.
const ROUNDS_MAX: u32 = 4;
/// A standby that needs longer to take the log up to P is left alone, since it takes no more of it meanwhile.
const REACH_MS: u64 = 15_000;
/// Without any answer that helps for so long, the standby is left unchecked.
const STEP_MS: u64 = 120_000;
/// A repair that lasts longer goes on by itself, and is not waited for.
const REPAIR_MS: u64 = 600_000;
/// Between two questions to a standby that is not ready to answer.
const AGAIN_MS: u64 = 200;
/// The name of the moment at which the own disk is read. Those of the comparisons are drawn.
const OWN_MOMENT: u64 = 0;

#[derive(Default)]
pub(super) struct Verify {
    running: Option<Running>,
    report: Option<Verified>,
}

struct Running {
    own: Own,
    waiting: VecDeque<RegionId>,
    check: Option<Check>,
}

/// The reading of the own disk, before any standby is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Freezing(ReadId),
    Scrubbing(ReadId),
    Done,
}

struct Check {
    peer: RegionId,
    /// Names the frozen moments of both sides.
    moment: u64,
    round: u32,
    step: Step,
    give_up_at: u64,
    again_at: u64,
}

enum Step {
    /// The read, and the head when it was asked for: nothing newer is sent.
    Freeze {
        read: Option<(ReadId, u64)>,
    },
    Reach {
        at: Position,
    },
    Walk(Walk),
    Name {
        buckets: Vec<u16>,
        theirs: Option<Held>,
        read: Option<ReadId>,
    },
    Repair {
        asked: Asked,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    No,
    Yes,
}

struct Walk {
    open: BTreeSet<u32>,
    differing: BTreeSet<u16>,
    /// Own nodes being read, to compare with the standby's.
    reading: Option<(ReadId, Vec<Nodes>)>,
}

impl Verify {
    pub fn report(&self) -> Option<&Verified> {
        self.report.as_ref()
    }

    /// Begins to verify all links, unless that is under way.
    pub fn order(&mut self, ctx: &mut Context, id: u64, links: impl Iterator<Item = RegionId>) {
        if self.running.is_some() || ctx.path.role != Role::Primary {
            return;
        }
        let waiting: VecDeque<RegionId> = links.collect();
        let standbys = waiting.iter().map(|peer| (*peer, StandbyVerified::default())).collect();
        let began_at = ctx.now.wall;
        self.report = Some(Verified { id, began_at, ended_at: None, own: OwnDisk::NotRead, standbys });
        let read = ReadId(ctx.number());
        ctx.effects.push(Effect::Freeze { read, moment: OWN_MOMENT });
        self.running = Some(Running { own: Own::Freezing(read), waiting, check: None });
    }

    /// Up to which index a link may send the log.
    pub fn holds(&self, peer: RegionId) -> Option<u64> {
        let check = self.running.as_ref()?.check.as_ref().filter(|check| check.peer == peer)?;
        match check.step {
            Step::Freeze { read } => read.map(|(_, head)| head),
            Step::Reach { at } => Some(at.index),
            _ => None,
        }
    }

    /// Does what is next, one standby after the other.
    pub fn drive(&mut self, ctx: &mut Context, links: &mut BTreeMap<RegionId, Link>) {
        if self.running.is_some() && ctx.path.role != Role::Primary {
            return self.end(ctx, "this region is primary no longer");
        }
        while let (Some(running), Some(report)) = (&mut self.running, &mut self.report) {
            if running.own != Own::Done {
                return;
            }
            let Some(check) = &mut running.check else {
                let Some(peer) = running.waiting.pop_front() else {
                    return self.end(ctx, "it was forgotten");
                };
                running.check = Some(Check::new(ctx, peer));
                continue;
            };
            let standby = report.standbys.entry(check.peer).or_default();
            let Some(outcome) = check.drive(ctx, links.get_mut(&check.peer), standby, &report.own) else { return };
            standby.outcome = outcome;
            running.check = None;
        }
    }

    /// The standby answered a question.
    pub fn answered(&mut self, ctx: &mut Context, from: RegionId, moment: u64, found: Found) {
        let (Some(running), Some(report)) = (&mut self.running, &mut self.report) else { return };
        let Some(check) = running.check.as_mut().filter(|it| it.peer == from && it.moment == moment) else { return };
        let standby = report.standbys.entry(from).or_default();
        if let Some(outcome) = check.answered(ctx, standby, found) {
            standby.outcome = outcome;
            running.check = None;
        }
    }

    /// The standby begins anew, as it was asked to.
    pub fn repairs(&mut self, ctx: &Context, from: RegionId) {
        let check = self.running.as_mut().and_then(|running| running.check.as_mut());
        if let Some(check) = check.filter(|it| it.peer == from && matches!(it.step, Step::Repair { asked: Asked::No }))
        {
            check.go_on(ctx, Step::Repair { asked: Asked::Yes }, REPAIR_MS);
        }
    }

    pub fn frozen(&mut self, ctx: &mut Context, read: ReadId, result: Result<Position, Failure>) {
        let (Some(running), Some(report)) = (&mut self.running, &mut self.report) else { return };
        if running.own == Own::Freezing(read) {
            match result {
                Ok(_) => {
                    let read = ReadId(ctx.number());
                    ctx.effects.push(Effect::Scrub { read, moment: OWN_MOMENT, correction: Correction::Keep });
                    running.own = Own::Scrubbing(read);
                }
                Err(Failure::Retry(error) | Failure::Final(error)) => {
                    report.own = OwnDisk::Unreadable(error);
                    running.own = Own::Done;
                }
            }
            return;
        }
        let reads = |check: &&mut Check| matches!(check.step, Step::Freeze { read: Some((it, _)) } if it == read);
        let Some(check) = running.check.as_mut().filter(reads) else { return };
        let standby = report.standbys.entry(check.peer).or_default();
        match result {
            Ok(at) => {
                standby.at = Some(at);
                check.go_on(ctx, Step::Reach { at }, REACH_MS);
            }
            Err(Failure::Retry(error) | Failure::Final(error)) => {
                standby.outcome = Outcome::Unchecked(format!("this region can't be read: {error}"));
                running.check = None;
            }
        }
    }

    pub fn scrubbed(&mut self, read: ReadId, result: Result<usize, Failure>) {
        let (Some(running), Some(report)) = (&mut self.running, &mut self.report) else { return };
        if running.own != Own::Scrubbing(read) {
            return;
        }
        running.own = Own::Done;
        report.own = match result {
            Ok(0) => OwnDisk::Sound,
            Ok(buckets) => OwnDisk::Differs(buckets),
            Err(Failure::Retry(error) | Failure::Final(error)) => OwnDisk::Unreadable(error),
        };
    }

    pub fn nodes_read(&mut self, ctx: &Context, read: ReadId, result: &Result<Vec<Nodes>, Failure>) {
        let Some(check) = self.running.as_mut().and_then(|running| running.check.as_mut()) else { return };
        let Step::Walk(walk) = &mut check.step else { return };
        let Some((_, theirs)) = walk.reading.take_if(|(it, _)| *it == read) else { return };
        // What could not be read is still open, and is asked for again.
        for (ours, theirs) in result.iter().flatten().zip(&theirs) {
            walk.open.remove(&theirs.parent);
            let differs = |child: &usize| ours.below[*child] != theirs.below[*child];
            for child in (0..FAN).filter(differs).map(|child| theirs.parent as usize * FAN + child) {
                match child.checked_sub(LEAVES) {
                    Some(bucket) => drop(walk.differing.insert(bucket as u16)),
                    None => drop(walk.open.insert(child as u32)),
                }
            }
        }
        check.give_up_at = ctx.after(STEP_MS);
    }

    pub fn held_read(&mut self, ctx: &Context, read: ReadId, result: &Result<Held, Failure>) {
        let (Some(running), Some(report)) = (&mut self.running, &mut self.report) else { return };
        let Some(check) = &mut running.check else { return };
        let Step::Name { theirs, read: reading, .. } = &mut check.step else { return };
        if reading.take_if(|it| *it == read).is_none() {
            return;
        }
        // Without ours, theirs is asked for again.
        let (Some(theirs), Ok(ours)) = (theirs.take(), result) else { return };
        let standby = report.standbys.entry(check.peer).or_default();
        name(standby, ours, &theirs);
        check.go_on(ctx, Step::Repair { asked: Asked::No }, STEP_MS);
    }

    fn end(&mut self, ctx: &mut Context, why: &str) {
        let (Some(_), Some(report)) = (self.running.take(), &mut self.report) else { return };
        report.ended_at = Some(ctx.now.wall);
        for standby in report.standbys.values_mut() {
            if matches!(standby.outcome, Outcome::Waiting | Outcome::Running(_)) {
                standby.outcome = Outcome::Unchecked(why.to_owned());
            }
        }
        ctx.effects.push(Effect::Thaw);
        ctx.report(Fact::Verified(Box::new(report.clone())));
    }
}

impl Check {
    fn new(ctx: &mut Context, peer: RegionId) -> Check {
        let give_up_at = ctx.after(STEP_MS);
        let moment = ctx.draw_u64();
        Check { peer, moment, round: 1, step: Step::Freeze { read: None }, give_up_at, again_at: ctx.now.steady_ms }
    }

    fn go_on(&mut self, ctx: &Context, step: Step, within_ms: u64) {
        self.step = step;
        self.again_at = ctx.now.steady_ms;
        self.give_up_at = ctx.after(within_ms);
    }

    /// A new comparison at a newer position.
    fn begin_anew(&mut self, ctx: &mut Context) {
        self.round += 1;
        self.moment = ctx.draw_u64();
        self.go_on(ctx, Step::Freeze { read: None }, STEP_MS);
    }

    fn walk(&mut self, ctx: &Context) {
        let walk = Walk { open: BTreeSet::from([1]), differing: BTreeSet::new(), reading: None };
        self.go_on(ctx, Step::Walk(walk), STEP_MS);
    }

    /// Does what is next; `Some` is the end.
    fn drive(
        &mut self,
        ctx: &mut Context,
        link: Option<&mut Link>,
        standby: &mut StandbyVerified,
        own: &OwnDisk,
    ) -> Option<Outcome> {
        standby.outcome = Outcome::Running(self.stage());
        let Some(link) = link else { return Some(Outcome::Unchecked("the link was removed".into())) };
        if ctx.is_due(self.give_up_at) {
            return Some(Outcome::Unchecked(format!("it stopped while {}: {}", self.stage(), self.trouble(link))));
        }
        let streams = matches!(link.progress, Progress::Streaming(_))
            && link.heard.as_ref().is_some_and(|heard| heard.standing.sync.is_none());
        if !streams && self.round == 1 && matches!(self.step, Step::Freeze { .. }) {
            let why = format!("it is not streaming: {}", self.trouble(link));
            return Some(Outcome::Unchecked(why));
        }
        let asks = link.in_flight(|kind| matches!(kind, FlightKind::Verify));
        if !streams || asks || !ctx.is_due(self.again_at) || !ctx.is_due(link.retry_at) {
            return None;
        }
        let applied = link.heard.as_ref().map(|heard| heard.standing.applied);
        let step = match &mut self.step {
            Step::Freeze { read: read @ None } => {
                let id = ReadId(ctx.number());
                *read = Some((id, ctx.path.applied.index));
                ctx.effects.push(Effect::Freeze { read: id, moment: self.moment });
                return None;
            }
            Step::Reach { at } if applied == Some(*at) => VerifyStep::Freeze { at: *at },
            Step::Walk(walk) if walk.reading.is_none() && !walk.open.is_empty() => {
                VerifyStep::Nodes { parents: walk.open.iter().take(PARENTS_MAX).copied().collect() }
            }
            Step::Walk(walk) if walk.reading.is_none() => {
                let differing: Vec<u16> = std::mem::take(&mut walk.differing).into_iter().collect();
                let outcome = self.walked(ctx, standby, differing);
                return outcome.or_else(|| self.drive(ctx, Some(link), standby, own));
            }
            Step::Name { buckets, theirs: None, read: None } => VerifyStep::Entries { buckets: buckets.clone() },
            Step::Repair { asked: Asked::No } => match self.is_beyond_repair(own) {
                Some(why) => return Some(Outcome::Differs(why)),
                None => VerifyStep::Repair,
            },
            Step::Repair { asked: Asked::Yes } => {
                self.begin_anew(ctx);
                return self.drive(ctx, Some(link), standby, own);
            }
            Step::Freeze { .. } | Step::Reach { .. } | Step::Walk(_) | Step::Name { .. } => return None,
        };
        link.send(ctx, Ask::Verify { moment: self.moment, step }, FlightKind::Verify);
        None
    }

    /// All that differs is known.
    fn walked(&mut self, ctx: &Context, standby: &mut StandbyVerified, differing: Vec<u16>) -> Option<Outcome> {
        if differing.is_empty() {
            let repaired = standby.buckets > 0;
            return Some(if repaired { Outcome::Repaired } else { Outcome::Equal });
        }
        standby.buckets = standby.buckets.max(differing.len());
        let buckets = differing.into_iter().take(BUCKETS_MAX).collect();
        self.go_on(ctx, Step::Name { buckets, theirs: None, read: None }, STEP_MS);
        None
    }

    fn answered(&mut self, ctx: &mut Context, standby: &mut StandbyVerified, found: Found) -> Option<Outcome> {
        match (found, &mut self.step) {
            (Found::Frozen, Step::Reach { .. }) => self.walk(ctx),
            (Found::Nodes { nodes, scrubbed }, Step::Walk(walk)) if walk.reading.is_none() => {
                standby.scrubbed = standby.scrubbed.max(scrubbed as usize);
                let theirs: Vec<Nodes> = nodes.into_iter().filter(|it| walk.open.contains(&it.parent)).collect();
                let parents = theirs.iter().map(|nodes| nodes.parent).collect();
                let read = ReadId(ctx.number());
                walk.reading = Some((read, theirs));
                ctx.effects.push(Effect::ReadFrozenNodes { read, moment: self.moment, parents });
            }
            (Found::Entries(held), Step::Name { buckets, theirs, read }) if read.is_none() => {
                let named: Vec<u16> = held.buckets.iter().map(|(bucket, _)| *bucket).collect();
                if named.is_empty() || !buckets.starts_with(&named) {
                    return Some(Outcome::Unchecked("the standby answered what it was not asked".into()));
                }
                let id = ReadId(ctx.number());
                (*theirs, *read) = (Some(held), Some(id));
                let (moment, bytes_max) = (self.moment, HELD_BYTES_MAX);
                ctx.effects.push(Effect::ReadFrozenHeld { read: id, moment, buckets: named, bytes_max });
            }
            (Found::Busy | Found::Elsewhere, _) => self.again_at = ctx.after(AGAIN_MS),
            (Found::Unreadable(why), _) => {
                return Some(Outcome::Unchecked(format!("the standby can't read its data: {why}")));
            }
            (Found::Gone, _) if self.round >= ROUNDS_MAX => {
                return Some(Outcome::Unchecked("the standby's leader changed again and again".into()));
            }
            (Found::Gone, _) => self.begin_anew(ctx),
            _ => {}
        }
        None
    }

    fn is_beyond_repair(&self, own: &OwnDisk) -> Option<String> {
        match own {
            OwnDisk::Differs(_) | OwnDisk::Unreadable(_) => {
                Some("it was not repaired, since this region's own disk is not to be trusted".into())
            }
            OwnDisk::NotRead | OwnDisk::Sound => {
                let still = "it differs again after each repair: look at the disks of that region's nodes";
                (self.round >= ROUNDS_MAX).then(|| still.to_owned())
            }
        }
    }

    fn stage(&self) -> &'static str {
        match self.step {
            Step::Freeze { .. } | Step::Reach { .. } => "coming to one position",
            Step::Walk(_) => "comparing",
            Step::Name { .. } => "finding out what differs",
            Step::Repair { .. } => "being repaired",
        }
    }

    fn trouble(&self, link: &Link) -> String {
        link.error.clone().unwrap_or_else(|| format!("the link is {}", link.state().name()))
    }
}

/// Notes the keys under which the two sides hold different entries, in the buckets that both had room for.
fn name(standby: &mut StandbyVerified, ours: &Held, theirs: &Held) {
    let buckets = ours.buckets.len().min(theirs.buckets.len());
    let entries = |held: &Held| -> BTreeSet<(Bytes, Short)> {
        let entries = held.buckets.iter().take(buckets).flat_map(|(_, entries)| entries);
        entries.map(|(name, key)| (key.clone(), *name)).collect()
    };
    let (ours, theirs) = (entries(ours), entries(theirs));
    let keys: BTreeSet<&Bytes> = ours.symmetric_difference(&theirs).map(|(key, _)| key).collect();
    standby.entries = standby.entries.max(keys.len());
    if standby.keys.is_empty() {
        standby.keys = keys.into_iter().take(KEYS_MAX).cloned().collect();
    }
}
