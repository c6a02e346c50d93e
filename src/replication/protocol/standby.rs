//! The answering side: puts what arrives into order, has the own region agree on it, and answers what is durable.
//!
//! Invariants:
//! * A request is answered as done only when the facts that come with an input show it.
//! * At most one proposal of the stream is under way, so that its order is the order of agreement.
//! * What is buffered belongs to the line that the path's record follows; when that changes, it is dropped.

use super::context::{Context, Mutation};
use super::diff::{Diff, Taken};
use super::epoch::followed;
use super::fork::{self, Told};
use super::interface::*;
use super::introduction::{Introduction, along, begin_sync, follow, introduce};
use super::message::*;
use super::moment::Moment;
use super::rate::Rate;
use super::reorder::{Offered, Reorder};
use super::report::{Applied, LagReport};
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Position, RegionId, SyncId};
use crate::state::diff::Held;
use crate::state::line::extends;
use crate::state::merkle::Nodes;
use crate::state::{Command, EpochStart, Role, SyncKind, SyncState, expect_stored};
use bytes::Bytes;
use std::collections::VecDeque;

/// Requests that wait for the region to agree. The sender of one too many is told to come again.
const WAITING_MAX: usize = 256;
/// A waiting request is answered after this part of its deadline at the latest, with where things stand.
const WAIT_PART: u64 = 2;
/// Own roots that are kept to compare with the primary's.
const ROOTS_MAX: usize = 16;
const FOUND_TO_DIFFER: &str = "a verification found that this region does not hold what the primary holds";
const TOO_MUCH_DIFFERS: &str = "so much differs that everything is sent";

#[derive(Default)]
pub(super) struct Standby {
    reorder: Reorder,
    waiting: Vec<Waiting>,
    /// The proposal under way.
    proposal: Option<ProposalId>,
    /// After a proposal that failed: not before.
    again_at: u64,
    heard: Option<Heard>,
    roots: VecDeque<Root>,
    /// The line that these are of.
    history: Vec<EpochStart>,
    compared: Option<RootsCompared>,
    /// Of what is agreed on here.
    progress: Rate,
    /// What the buffers belong to.
    line: Option<Line>,
    /// What to tell once the line changed as was proposed.
    announced: Option<Fact>,
    was_whole: bool,
    diff: Diff,
    pub moment: Moment,
    /// Which ledger was told of.
    told: Told,
}

/// What a stream belongs to: data set, start of the followed epoch, sync.
type Line = (DatasetId, Option<EpochStart>, Option<SyncId>);

struct Waiting {
    id: RequestId,
    until: Until,
    give_up_at: u64,
}

enum Until {
    /// The log is applied up to this index.
    Applied(u64),
    /// The sync's cursor passed this key.
    Copied { sync: SyncId, after: Bytes },
    /// What a diff sync wants next is known.
    Compared,
    /// This part of what differs is agreed on.
    Patched { batch: u64, part: u32 },
    /// A step of the path is agreed on; then the introduction is looked at anew.
    Introduced { from: RegionId, request: Box<Request> },
}

/// The primary as it was heard last.
pub(super) struct Heard {
    pub from: RegionId,
    pub identity: Option<Identity>,
    pub header: Header,
    pub at: UnixMs,
    pub steady_ms: u64,
    /// When this region first heard it.
    pub since: UnixMs,
    /// When this region last had all that it had heard of, or when it first heard the primary.
    pub caught_up_at: UnixMs,
    /// Of the primary's writes.
    pub writes: Rate,
}

/// What the newest comparison of roots came to.
#[derive(Clone, Copy)]
pub(super) struct RootsCompared {
    pub at: Position,
    pub equal: bool,
    pub when: UnixMs,
}

impl Standby {
    /// The primary that this region follows, if it was heard.
    pub fn heard(&self) -> Option<&Heard> {
        self.heard.as_ref()
    }

    pub fn roots_compared(&self) -> Option<RootsCompared> {
        self.compared
    }

    /// Whether nothing of the stream is being agreed on.
    pub fn is_settled(&self) -> bool {
        self.proposal.is_none()
    }

    /// Handles a request whose epoch is the region's own, or that speaks of another data set.
    pub fn request(&mut self, ctx: &mut Context, id: RequestId, from: RegionId, request: Request, frozen: bool) {
        let same_line = request.header.dataset == ctx.path.dataset;
        match (&request.ask, ctx.path.role) {
            (Ask::Hello(_), _) => self.hello(ctx, id, from, request, frozen),
            (_, Role::Fenced) if same_line => ctx.reply(id, Want::Refused(fork::fenced(&ctx.path))),
            (_, Role::Primary) if same_line => self.two_primaries(ctx, id, from),
            (_, Role::Standby) if same_line && self.follows(ctx, from) => {
                self.hear(ctx, from, &request);
                match request.ask {
                    _ if frozen => ctx.reply(id, Want::Refused(Refused::Frozen)),
                    Ask::Append { entries } => self.append(ctx, id, entries),
                    Ask::Copy(chunk) => self.copy(ctx, id, chunk),
                    Ask::Compare { sync, nodes, read_at } => {
                        self.answer_compared(ctx);
                        let taken = self.diff.compare(ctx, sync, nodes, read_at);
                        self.answer_taken(ctx, id, taken);
                    }
                    Ask::Verify { moment, step } => self.moment.ask(ctx, id, moment, step),
                    Ask::Patch(part) => {
                        let taken = self.diff.patch(ctx, part);
                        self.answer_taken(ctx, id, taken);
                    }
                    Ask::Heartbeat { root } => {
                        self.compare_roots(ctx, from, root);
                        let want = want(ctx);
                        ctx.reply(id, want);
                    }
                    Ask::Hello(_) => unreachable!("an introduction has its own arm"),
                }
            }
            _ => ctx.reply(id, Want::Hello),
        }
    }

    /// Looks at new facts: answers what is done, drops what is of no use. Returns introductions to look at anew.
    pub fn settle(&mut self, ctx: &mut Context) -> Vec<(RequestId, RegionId, Request)> {
        // With who opened the epoch: two regions may have opened one, each on a line of its own.
        let start = ctx.path.history.last().copied();
        let line = (ctx.path.dataset, start, ctx.path.sync.as_ref().map(|sync| sync.id));
        let whole = ctx.path.is_whole();
        let finished = self.line.is_some_and(|(dataset, ..)| dataset == line.0) && whole && !self.was_whole;
        let same_stream = self.line.is_none_or(|old| (old.0, old.1) == (line.0, line.1) && (old.2 == line.2 || whole));
        if self.history != ctx.path.history {
            // Another line's root at the same position is of another state.
            self.roots.retain(|root| extends(&ctx.path.history, &self.history, root.at));
            self.history.clone_from(&ctx.path.history);
        }
        if !same_stream || ctx.path.role != Role::Standby {
            self.reorder.clear();
        }
        if finished && ctx.path.role == Role::Standby {
            ctx.report(Fact::Whole { applied: ctx.path.applied });
        }
        if !same_stream && let Some(fact) = self.announced.take() {
            ctx.report(fact);
        }
        self.told.settle(ctx);
        self.line = Some(line);
        self.was_whole = whole;
        if self.heard.as_ref().is_some_and(|heard| !self.follows(ctx, heard.from)) {
            self.heard = None;
        }
        if let Some(heard) = self.heard.as_mut().filter(|heard| heard.header.head <= ctx.path.applied) {
            heard.caught_up_at = ctx.now.wall;
        }
        self.reorder.prune(&ctx.path);
        self.diff.settle(ctx);
        self.moment.settle(ctx);
        let (entries, bytes) = match &ctx.path.sync {
            Some(sync) if sync.cursor.is_some() => (sync.entries_done, sync.bytes_done),
            _ => (ctx.path.totals.entries(), ctx.path.totals.bytes),
        };
        self.progress.note(ctx.now.steady_ms, entries, bytes);
        let again = self.take_introductions(ctx);
        self.answer_done(ctx);
        again
    }

    /// The operator promotes this region: everything that waits is turned away.
    pub fn freeze(&mut self, ctx: &mut Context) {
        self.reorder.clear();
        self.moment.freeze(ctx);
        for waiting in self.waiting.drain(..) {
            ctx.reply(waiting.id, Want::Refused(Refused::Frozen));
        }
    }

    pub fn proposed(&mut self, ctx: &mut Context, id: ProposalId, result: &Result<crate::state::Outcome, Failure>) {
        if self.proposal != Some(id) {
            return;
        }
        self.proposal = None;
        let refused = matches!(result, Ok(crate::state::Outcome::Refused(_)));
        if refused {
            // The stream does not fit what the region holds: what is missing comes again from there.
            self.reorder.clear();
            self.answer_all(ctx);
        }
        if refused || result.is_err() {
            self.diff.proposal_failed();
            self.again_at = ctx.after(ctx.options.timing.propose_again_ms);
        }
    }

    pub fn root(&mut self, root: Root) {
        if self.roots.len() == ROOTS_MAX {
            self.roots.pop_front();
        }
        self.roots.push_back(root);
    }

    pub fn nodes_read(&mut self, read: ReadId, result: &Result<(Position, Vec<Nodes>), Failure>) {
        self.diff.nodes_read(read, result.as_ref().map(|(_, nodes)| nodes.clone()).map_err(Clone::clone));
    }

    pub fn held_read(&mut self, ctx: &mut Context, read: ReadId, result: Result<Held, Failure>) {
        if result.is_err() {
            self.again_at = ctx.after(ctx.options.timing.propose_again_ms);
        }
        self.diff.held_read(ctx, read, result);
    }

    /// Has the region agree on what is next in turn.
    pub fn drive(&mut self, ctx: &mut Context, frozen: bool) {
        self.moment.drive(ctx);
        let steady_ms = ctx.now.steady_ms;
        let late: Vec<_> = self.waiting.extract_if(.., |waiting| steady_ms >= waiting.give_up_at).collect();
        for waiting in late {
            let want = match waiting.until {
                Until::Introduced { .. } => Want::Refused(Refused::Busy),
                _ => want(ctx),
            };
            ctx.reply(waiting.id, want);
        }
        if frozen || self.proposal.is_some() || !ctx.is_due(self.again_at) || ctx.path.role != Role::Standby {
            return;
        }
        let is_asked = self.waiting.iter().any(|waiting| matches!(waiting.until, Until::Compared));
        let command = match &ctx.path.sync {
            Some(SyncState { kind: SyncKind::Diff, cursor: Some(_), .. }) => self.diff.drive(ctx, is_asked),
            Some(SyncState { id, cursor: Some(cursor), .. }) => {
                self.reorder.next_chunk(*id, cursor).cloned().map(Command::Copy)
            }
            _ => Some(self.reorder.next_log(&ctx.path))
                .filter(|it| !it.is_empty())
                .map(|it| Command::Follow { entries: it }),
        };
        self.proposal = command.map(|command| ctx.propose(command));
        self.answer_done(ctx);
    }

    pub fn wakes_at(&self, ctx: &Context) -> Option<u64> {
        let answers = self.waiting.iter().map(|waiting| waiting.give_up_at).chain(self.moment.wakes_at());
        let again = Some(self.again_at).filter(|at| *at > ctx.now.steady_ms);
        answers.chain(again).min()
    }

    /// Entries and bytes a second that this region takes over.
    pub fn per_second(&self, ctx: &Context) -> (f64, f64) {
        self.progress.per_second(ctx.now.steady_ms).unwrap_or_default()
    }

    /// How far this region is behind what it heard of the primary.
    pub fn lag(&self, ctx: &Context) -> Option<LagReport> {
        let heard = self.heard.as_ref()?;
        let (position, at, totals) = (ctx.path.applied, ctx.path.applied_at, ctx.path.totals);
        let standby = Applied { position, at, totals, caught_up_at: heard.caught_up_at };
        Some(LagReport::between(&heard.header, &standby, heard.at))
    }

    fn follows(&self, ctx: &Context, from: RegionId) -> bool {
        let primary = ctx.path.primary.as_ref().map(|primary| primary.region);
        ctx.path.role == Role::Standby && primary == Some(from) && followed(&ctx.path) == ctx.path.epoch
    }

    fn two_primaries(&mut self, ctx: &mut Context, id: RequestId, from: RegionId) {
        let epoch = ctx.path.epoch;
        ctx.report(Fact::SameEpoch { peer: from, epoch });
        ctx.reply(id, Want::Refused(Refused::SameEpoch));
    }

    fn hello(&mut self, ctx: &mut Context, id: RequestId, from: RegionId, request: Request, frozen: bool) {
        let Ask::Hello(hello) = &request.ask else { return };
        let introduction = match introduce(ctx, from, &request.header, hello) {
            Introduction::Refuse(refused) => Introduction::Refuse(refused),
            _ if frozen => Introduction::Refuse(Refused::Frozen),
            Introduction::Welcome if self.moment.is_to_be_repaired() => Introduction::BeginSync(FOUND_TO_DIFFER),
            Introduction::Welcome if self.diff.gave_up(ctx) => Introduction::BeginSync(TOO_MUCH_DIFFERS),
            introduction => introduction,
        };
        let (command, announced) = match introduction {
            Introduction::Welcome => {
                self.hear(ctx, from, &request);
                let want = want(ctx);
                return ctx.reply(id, want);
            }
            Introduction::Refuse(Refused::SameEpoch) => return self.two_primaries(ctx, id, from),
            Introduction::Refuse(refused) => return ctx.reply(id, Want::Refused(refused)),
            Introduction::Follow => {
                let follows = Fact::Follows { primary: from, epoch: ctx.path.epoch };
                (along(follow(ctx, from, &request.header, hello)), Some(follows))
            }
            Introduction::BeginSync(reason) => {
                let kind = match request.header.dataset == ctx.path.dataset && ctx.path.entries > 0 {
                    true if !self.diff.gave_up(ctx) => SyncKind::Diff,
                    _ => SyncKind::Full,
                };
                let began = Fact::SyncBegan { from, kind, reason };
                (along(begin_sync(ctx, from, &request.header, hello, kind)), Some(began))
            }
            Introduction::Keep(keep) => (Command::KeepDiverged(keep), None),
        };
        if self.waiting.len() >= WAITING_MAX {
            return ctx.reply(id, Want::Refused(Refused::Busy));
        }
        self.wait(ctx, id, Until::Introduced { from, request: Box::new(request) });
        // One step at a time: with one under way, the introduction is looked at anew when that is done.
        if self.proposal.is_none() && ctx.is_due(self.again_at) {
            self.proposal = Some(ctx.propose(command));
            self.announced = announced;
        }
    }

    fn append(&mut self, ctx: &mut Context, id: RequestId, entries: Vec<crate::state::WalEntry>) {
        let last = entries.last().map_or(0, |entry| entry.position.index);
        if entries.iter().flat_map(|entry| &entry.batch.ops).any(|op| expect_stored(op.key()).is_err()) {
            return ctx.reply(id, Want::Refused(Refused::Unsound));
        }
        if ctx.path.sync.as_ref().is_some_and(|sync| sync.cursor.is_some()) {
            let want = want(ctx);
            return ctx.reply(id, want);
        }
        if ctx.mutated(Mutation::ReplyBeforeApplied) {
            let mut standing = Standing::of(&ctx.options.identity, &ctx.path, ctx.now.wall);
            standing.applied = entries.last().map_or(standing.applied, |entry| entry.position.max(standing.applied));
            standing.received = standing.applied;
            let want = Want::Log { from: standing.applied.index + 1 };
            ctx.effects.push(Effect::Reply { id, answer: Answer { standing, want } });
            self.reorder.offer_log(&ctx.path, entries);
            return;
        }
        let offered = self.reorder.offer_log(&ctx.path, entries);
        self.answer_offer(ctx, id, offered, Until::Applied(last));
    }

    fn copy(&mut self, ctx: &mut Context, id: RequestId, chunk: crate::state::CopyChunk) {
        if !chunk.is_sound() {
            return ctx.reply(id, Want::Refused(Refused::Unsound));
        }
        let cursor = match &ctx.path.sync {
            Some(SyncState { id, cursor: Some(cursor), .. }) if *id == chunk.sync => cursor.clone(),
            _ => {
                let want = want(ctx);
                return ctx.reply(id, want);
            }
        };
        let until = Until::Copied { sync: chunk.sync, after: chunk.after.clone() };
        let offered = self.reorder.offer_chunk(&cursor, chunk);
        self.answer_offer(ctx, id, offered, until);
    }

    fn answer_offer(&mut self, ctx: &mut Context, id: RequestId, offered: Offered, until: Until) {
        match offered {
            Offered::Done => {
                let want = want(ctx);
                ctx.reply(id, want);
            }
            Offered::Taken if self.waiting.len() < WAITING_MAX => self.wait(ctx, id, until),
            Offered::Taken | Offered::Full => ctx.reply(id, Want::Refused(Refused::Busy)),
        }
    }

    fn wait(&mut self, ctx: &Context, id: RequestId, until: Until) {
        let give_up_at = ctx.after(ctx.options.timing.request_deadline_ms / WAIT_PART);
        self.waiting.push(Waiting { id, until, give_up_at });
    }

    /// Takes out the introductions that wait, once no proposal is under way.
    fn take_introductions(&mut self, ctx: &Context) -> Vec<(RequestId, RegionId, Request)> {
        if self.proposal.is_some() || !ctx.is_due(self.again_at) {
            return Vec::new();
        }
        let is_introduction = |waiting: &mut Waiting| matches!(waiting.until, Until::Introduced { .. });
        let taken = self.waiting.extract_if(.., is_introduction).filter_map(|waiting| match waiting.until {
            Until::Introduced { from, request } => Some((waiting.id, from, *request)),
            _ => None,
        });
        taken.collect()
    }

    fn answer_done(&mut self, ctx: &mut Context) {
        let is_done = |until: &Until| match (until, &ctx.path.sync) {
            (Until::Applied(index), Some(SyncState { cursor: Some(_), .. })) => *index <= ctx.path.applied.index,
            (Until::Applied(index), _) => *index <= ctx.path.applied.index || ctx.path.role != Role::Standby,
            (Until::Copied { sync, after }, Some(state)) => {
                state.id != *sync || state.cursor.as_ref().is_none_or(|cursor| cursor > after)
            }
            (Until::Copied { .. }, None) => true,
            (Until::Patched { batch, part }, _) => self.diff.is_patched(*batch, *part),
            (Until::Introduced { .. } | Until::Compared, _) => false,
        };
        let done: Vec<_> = self.waiting.extract_if(.., |waiting| is_done(&waiting.until)).collect();
        for waiting in done {
            let want = want(ctx);
            ctx.reply(waiting.id, want);
        }
        let compared = |waiting: &Waiting| matches!(waiting.until, Until::Compared);
        if let Some(at) = self.waiting.iter().position(compared)
            && let Some(want) = self.diff.next(ctx)
        {
            let waiting = self.waiting.remove(at);
            ctx.reply(waiting.id, want);
        }
    }

    /// Of requests that ask what a diff sync wants next, the newest is answered with that: those before it are overtaken.
    fn answer_compared(&mut self, ctx: &mut Context) {
        let compared = |waiting: &mut Waiting| matches!(waiting.until, Until::Compared);
        let overtaken: Vec<_> = self.waiting.extract_if(.., compared).collect();
        for waiting in overtaken {
            let want = want(ctx);
            ctx.reply(waiting.id, want);
        }
    }

    fn answer_taken(&mut self, ctx: &mut Context, id: RequestId, taken: Taken) {
        let until = match taken {
            Taken::Answer(want) => return ctx.reply(id, want),
            Taken::Waits => Until::Compared,
            Taken::WaitsFor { batch, part } => Until::Patched { batch, part },
        };
        match self.waiting.len() < WAITING_MAX {
            true => self.wait(ctx, id, until),
            false => ctx.reply(id, Want::Refused(Refused::Busy)),
        }
    }

    /// Answers everything but introductions with where things stand.
    fn answer_all(&mut self, ctx: &mut Context) {
        let is_stream = |waiting: &mut Waiting| !matches!(waiting.until, Until::Introduced { .. });
        let all: Vec<_> = self.waiting.extract_if(.., is_stream).collect();
        for waiting in all {
            let want = want(ctx);
            ctx.reply(waiting.id, want);
        }
    }

    fn hear(&mut self, ctx: &Context, from: RegionId, request: &Request) {
        let (steady_ms, at) = (ctx.now.steady_ms, ctx.now.wall);
        let same = |heard: &Heard| heard.from == from && heard.header.dataset == request.header.dataset;
        let mut heard = self.heard.take().filter(|heard| same(heard)).unwrap_or_else(|| Heard {
            from,
            identity: None,
            header: request.header.clone(),
            at,
            steady_ms,
            since: at,
            caught_up_at: at,
            writes: Rate::default(),
        });
        if let Ask::Hello(hello) = &request.ask {
            heard.identity = Some(hello.identity.clone());
        }
        // A request that was overtaken says nothing new.
        if request.header.head >= heard.header.head {
            heard.header = request.header.clone();
            heard.at = at;
            heard.steady_ms = steady_ms;
            heard.writes.note(steady_ms, heard.header.totals.entries(), heard.header.totals.bytes);
        }
        self.heard = Some(heard);
    }

    fn compare_roots(&mut self, ctx: &mut Context, peer: RegionId, root: Option<Root>) {
        let Some(theirs) = root.filter(|_| ctx.path.is_whole()) else { return };
        if let Some(at) = self.roots.iter().position(|ours| (ours.dataset, ours.at) == (theirs.dataset, theirs.at)) {
            let equal = self.roots.remove(at).is_some_and(|ours| ours.hash == theirs.hash);
            self.compared = Some(RootsCompared { at: theirs.at, equal, when: ctx.now.wall });
            ctx.report(Fact::Roots { peer, at: theirs.at, equal });
        }
    }
}

/// What this region wants next.
pub(super) fn want(ctx: &Context) -> Want {
    match (&ctx.path.sync, ctx.path.role) {
        (_, Role::Fenced) => Want::Refused(fork::fenced(&ctx.path)),
        (_, Role::Primary) => Want::Refused(Refused::Epoch { epoch: ctx.path.epoch, primary: ctx.present_primary() }),
        (Some(SyncState { id, kind: SyncKind::Diff, cursor: Some(_), .. }), Role::Standby) => {
            Want::Compare { sync: *id }
        }
        (Some(SyncState { id, cursor: Some(cursor), .. }), Role::Standby) => {
            Want::Copy { sync: *id, after: cursor.clone() }
        }
        (_, Role::Standby) => Want::Log { from: ctx.path.applied.index + 1 },
    }
}
