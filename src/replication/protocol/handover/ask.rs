//! The standby's half of a switchover: asks, takes what the primary reached, compares the roots, opens the next epoch;
//! or declines, which only it can, durably.

use super::super::context::{Context, Mutation};
use super::super::interface::*;
use super::super::message::{HandoverSaid, HandoverWord, Root};
use super::super::plan;
use super::super::standby::Standby;
use super::record::{declined, encode, put};
use crate::api::replication::{Plan, PromoteMode, Step, StepName, StepState};
use crate::clock::UnixMs;
use crate::ids::{Position, PromotionId, RegionId};
use crate::state::merkle::Hash;
use crate::state::{Command, HandoverAsk, HandoverChange, Outcome, PathChange, RegionChange, Role};
use crate::storage::keys::Key;

#[derive(Default)]
pub(in super::super) struct Asking {
    /// An order that is not agreed on yet.
    order: Option<SwitchoverOrder>,
    /// The ask under way.
    running: Option<Running>,
    proposal: Option<(ProposalId, Proposed)>,
    again_at: u64,
    /// What was opened, until the pause is on record.
    opened: Option<Opened>,
}

#[derive(Clone, Copy, PartialEq)]
enum Proposed {
    Step,
    Pause,
}

struct Running {
    ask: HandoverAsk,
    /// When this core first saw it.
    since: u64,
    waiting: Option<UnixMs>,
    gave_up: Option<Heard>,
    caught_up_at: Option<UnixMs>,
    equal_at: Option<UnixMs>,
    /// Of this region where the primary stopped.
    root: Option<Root>,
    root_asked_at: Option<u64>,
    /// Why it comes to nothing.
    reason: Option<String>,
    /// What was proposed to open the epoch with.
    opens: Option<PromotionRecord>,
}

/// The primary's word that it gave up.
struct Heard {
    reached: Position,
    root: Option<Hash>,
    /// When writes began to be refused, by our wall clock.
    at: UnixMs,
    /// How long ago that was when it was heard, and when it was heard by the steady clock.
    age_ms: u64,
    steady_ms: u64,
}

struct Opened {
    stored: PromotionRecord,
    record: PromotionRecord,
}

impl Asking {
    /// Where the primary stopped for what this region asks, if it said so.
    pub fn gave_up_at(&self, ctx: &Context) -> Option<Position> {
        let asked = ctx.path.handover.asks.as_ref().map(|ask| ask.id);
        let running = self.running.as_ref().filter(|running| asked == Some(running.ask.id))?;
        running.gave_up.as_ref().map(|heard| heard.reached)
    }

    pub fn order(&mut self, ctx: &mut Context, standby: &Standby, order: SwitchoverOrder, frozen: bool) {
        let id = order.id;
        let progress = if let Some(end) = &order.earlier {
            end.clone().into()
        } else if self.is_under_way(ctx, id) {
            PromotionProgress::Running(PromoteMode::Planned)
        } else if ctx.path.handover.ended == Some(id) {
            PromotionProgress::Refused {
                reason: "the switchover came to nothing: ask with another id".into(),
                plan: None,
            }
        } else {
            let plan = plan::plan(ctx, standby, self, &order.outside, PromoteMode::Planned);
            match self.refusal(ctx, &order, &plan, frozen) {
                Some(reason) => PromotionProgress::Refused { reason, plan: Some(Box::new(plan)) },
                None => {
                    self.order = Some(order);
                    PromotionProgress::Running(PromoteMode::Planned)
                }
            }
        };
        ctx.report(Fact::Promotion { id, progress });
    }

    /// The operator wants it no more. Without a switchover of this id under way nothing happens: its record says why.
    pub fn cancel(&mut self, id: PromotionId, reason: String) {
        if let Some(running) = self.running.as_mut().filter(|running| running.ask.id == id) {
            running.reason.get_or_insert(reason);
        }
    }

    /// Notes what the primary says of the ask. What it says last is never undone while this region asks.
    pub fn hear(&mut self, ctx: &Context, from: RegionId, said: &HandoverSaid) {
        let fits = |it: &&mut Running| it.ask.from == from && (it.ask.id, it.ask.number) == (said.id, said.number);
        let Some(running) = self.running.as_mut().filter(fits) else { return };
        match &said.word {
            HandoverWord::Waiting => drop(running.waiting.get_or_insert(ctx.now.wall)),
            HandoverWord::GaveUp { reached, root, age_ms } => {
                let heard = running.gave_up.get_or_insert_with(|| Heard {
                    reached: *reached,
                    root: None,
                    at: UnixMs(ctx.now.wall.0.saturating_sub(*age_ms)),
                    age_ms: *age_ms,
                    steady_ms: ctx.now.steady_ms,
                });
                heard.root = heard.root.or(*root);
            }
            HandoverWord::Refused(reason) => drop(running.reason.get_or_insert_with(|| reason.clone())),
        }
    }

    pub fn root(&mut self, ctx: &Context, root: Root) {
        let Some(running) = &mut self.running else { return };
        let stopped_at = running.gave_up.as_ref().map(|heard| heard.reached);
        if (Some(root.at), root.dataset) == (stopped_at, ctx.path.dataset) {
            running.root = Some(root);
        }
    }

    /// Looks at new facts: they alone say what became of an ask.
    pub fn settle(&mut self, ctx: &mut Context) {
        let asks = ctx.path.handover.asks.clone();
        let over = |running: &Running| asks.as_ref().is_none_or(|ask| ask.id != running.ask.id);
        if let Some(running) = self.running.take_if(|running| over(running)) {
            self.end(ctx, running);
        }
        if let (None, Some(ask)) = (&self.running, asks) {
            let id = ask.id;
            let ordered = self.order.take_if(|order| order.id == id).is_some();
            self.running = Some(Running::new(ask, ctx.now.steady_ms));
            // What an earlier leader began goes on here.
            if !ordered {
                ctx.report(Fact::Promotion { id, progress: PromotionProgress::Running(PromoteMode::Planned) });
            }
        }
        if let Some(running) = &mut self.running {
            running.look(ctx);
        }
        if let Some(order) = self.order.take_if(|_| ctx.path.role != Role::Standby) {
            let reason = format!("this region is {} in epoch {} meanwhile", ctx.path.role, ctx.path.epoch);
            let progress = PromotionProgress::Refused { reason, plan: None };
            ctx.report(Fact::Promotion { id: order.id, progress });
        }
        if self.opened.is_some() && ctx.path.role != Role::Primary {
            self.opened = None;
        }
    }

    pub fn proposed(&mut self, ctx: &mut Context, id: ProposalId, result: &Result<Outcome, Failure>) {
        let Some((_, proposed)) = self.proposal.take_if(|(proposal, _)| *proposal == id) else { return };
        if !matches!(result, Ok(Outcome::Changed)) {
            self.again_at = ctx.after(ctx.options.timing.propose_again_ms);
        }
        if proposed == Proposed::Pause {
            if result.is_ok() {
                self.opened = None;
            }
            return;
        }
        let promotion = self.running.as_ref().map(|it| it.ask.id).or(self.order.as_ref().map(|order| order.id));
        let Some(id) = promotion else { return };
        match result {
            Err(Failure::Retry(error) | Failure::Final(error)) => {
                ctx.report(Fact::Promotion { id, progress: PromotionProgress::Unknown(error.clone()) });
            }
            Ok(Outcome::Refused(refusal)) => {
                // An order that can't be agreed on changed nothing; a step of what is under way is looked at anew.
                if let Some(order) = self.order.take_if(|_| self.running.is_none()) {
                    let progress = PromotionProgress::Refused { reason: refusal.to_string(), plan: None };
                    ctx.report(Fact::Promotion { id: order.id, progress });
                }
            }
            Ok(_) => {}
        }
    }

    /// Takes the next step, unless a failover of this region stopped everything.
    pub fn drive(&mut self, ctx: &mut Context, frozen: bool) {
        if let Some(running) = &mut self.running {
            running.compute_root(ctx);
        }
        if frozen || self.proposal.is_some() || !ctx.is_due(self.again_at) {
            return;
        }
        let (change, proposed) = match (&self.order, &mut self.running, &self.opened) {
            (_, Some(running), _) => (running.next_step(ctx), Proposed::Step),
            (Some(order), None, _) => (ask(ctx, order), Proposed::Step),
            (None, None, Some(opened)) => (Some(opened.measured()), Proposed::Pause),
            (None, None, None) => return,
        };
        self.proposal = change.map(|change| (ctx.propose(Command::Region(change)), proposed));
    }

    pub fn wakes_at(&self, ctx: &Context) -> Option<u64> {
        let again = Some(self.again_at).filter(|at| *at > ctx.now.steady_ms);
        again.into_iter().chain(self.running.as_ref().map(|running| running.wakes_at(ctx))).min()
    }

    /// What happened so far, for people. `None` of an id that is not under way.
    pub fn steps(&self, ctx: &Context, id: PromotionId) -> Option<Vec<Step>> {
        self.running.as_ref().filter(|running| running.ask.id == id).map(|running| running.steps(ctx))
    }

    /// The steps of an ask that is replaced.
    pub fn steps_so_far(&self, ctx: &Context) -> Vec<Step> {
        self.running.as_ref().map(|running| running.steps(ctx)).unwrap_or_default()
    }

    fn is_under_way(&self, ctx: &Context, id: PromotionId) -> bool {
        let ordered = self.order.as_ref().is_some_and(|order| order.id == id);
        ordered || ctx.path.handover.asks.as_ref().is_some_and(|ask| ask.id == id)
    }

    fn refusal(&self, ctx: &Context, order: &SwitchoverOrder, plan: &Plan, frozen: bool) -> Option<String> {
        let other = self.order.as_ref().map(|order| order.id).or(ctx.path.handover.asks.as_ref().map(|ask| ask.id));
        if let Some(other) = other {
            return Some(format!("switchover {other} is under way: cancel it first"));
        }
        if frozen {
            return Some("a failover of this region is under way".into());
        }
        plan::blocked(plan).or_else(|| {
            let changed = "the facts changed since that plan was made: look at the plan again";
            (plan.hash != order.plan).then(|| changed.to_owned())
        })
    }

    /// The region does not ask any more: it opened, or the ask came to nothing.
    fn end(&mut self, ctx: &mut Context, running: Running) {
        let id = running.ask.id;
        let steps = running.steps(ctx);
        let opened = running.opens.filter(|record| {
            ctx.path.role == Role::Primary && ctx.path.epoch == record.epoch && ctx.path.handover.ended != Some(id)
        });
        let progress = match opened {
            Some(stored) => {
                let since_heard =
                    |heard: &Heard| heard.age_ms.saturating_add(ctx.now.steady_ms.saturating_sub(heard.steady_ms));
                let pause_ms = running.gave_up.as_ref().map(since_heard);
                let mut record = PromotionRecord { pause_ms, at: ctx.now.wall, steps, ..stored.clone() };
                record.steps.push(Step::done(StepName::Opened, ctx.now.wall, format!("epoch {}", record.epoch)));
                self.again_at = ctx.now.steady_ms;
                self.opened = Some(Opened { stored, record: record.clone() });
                PromotionProgress::Done(Box::new(record))
            }
            None => {
                let overtaken = || format!("this region is {} in epoch {} meanwhile", ctx.path.role, ctx.path.epoch);
                PromotionProgress::Refused { reason: running.reason.unwrap_or_else(overtaken), plan: None }
            }
        };
        ctx.report(Fact::Promotion { id, progress });
    }
}

impl Running {
    fn new(ask: HandoverAsk, since: u64) -> Running {
        Running {
            ask,
            since,
            waiting: None,
            gave_up: None,
            caught_up_at: None,
            equal_at: None,
            root: None,
            root_asked_at: None,
            reason: None,
            opens: None,
        }
    }

    /// Draws what the facts say: caught up, equal, too late.
    fn look(&mut self, ctx: &Context) {
        if self.is_late(ctx) {
            let stage = match self.gave_up {
                None => "before the primary said that it gave up",
                Some(_) => "before this region had all that the primary reached",
            };
            let late = || format!("its deadline of {} s passed {stage}", self.ask.deadline_ms.div_ceil(1000));
            self.reason.get_or_insert_with(late);
        }
        let Some(heard) = &self.gave_up else { return };
        if ctx.path.applied == heard.reached {
            self.caught_up_at.get_or_insert(ctx.now.wall);
        }
        if let (Some(ours), Some(theirs)) = (&self.root, &heard.root) {
            if ours.hash == *theirs {
                self.equal_at.get_or_insert(ctx.now.wall);
            } else {
                let differ = || format!("the regions differ at {}: run `twinkeep replication verify`", ours.at);
                self.reason.get_or_insert_with(differ);
            }
        }
    }

    /// Whether the deadline passed: by the wall clock, which other leaders of this region share, or by the steady one,
    /// which does not jump.
    fn is_late(&self, ctx: &Context) -> bool {
        ctx.now.wall >= self.late_at() || ctx.is_due(self.since + self.ask.deadline_ms)
    }

    /// The deadline by the wall clock.
    fn late_at(&self) -> UnixMs {
        UnixMs(self.ask.begun_at.0.saturating_add(self.ask.deadline_ms))
    }

    fn next_step(&mut self, ctx: &Context) -> Option<RegionChange> {
        if let Some(reason) = &self.reason {
            let end = declined(&self.ask, ctx.now.wall, reason.clone(), self.steps(ctx));
            return Some(RegionChange {
                puts: vec![put(self.ask.id, &end)],
                path: Some(PathChange::Handover(HandoverChange::Decline { id: self.ask.id })),
                ..RegionChange::default()
            });
        }
        let hasty = ctx.mutated(Mutation::OpenUnheard) && self.waiting.is_some();
        let reached = match &self.gave_up {
            Some(heard) if self.equal_at.is_some() => heard.reached,
            _ if hasty => ctx.path.applied,
            _ => return None,
        };
        let (id, epoch) = (self.ask.id, self.ask.epoch.next());
        let record = PromotionRecord {
            id,
            mode: PromoteMode::Planned,
            epoch,
            began_at: self.ask.begun_at,
            at: ctx.now.wall,
            fork: reached,
            totals: ctx.path.totals,
            loss: plan::nothing_lost(Some(ctx.now.wall)),
            old_primary: ctx.path.primary.clone(),
            pause_ms: None,
            steps: self.steps(ctx),
        };
        let change = RegionChange {
            expect: vec![(Key::Promotion(id.0).to_bytes(), None)],
            puts: vec![put(id, &PromotionEnd::Done(record.clone()))],
            path: Some(PathChange::Handover(HandoverChange::Open {
                id,
                epoch,
                reached,
                by: ctx.options.identity.region,
            })),
        };
        self.opens = Some(record);
        Some(change)
    }

    fn compute_root(&mut self, ctx: &mut Context) {
        let again = |at: u64| ctx.is_due(at + ctx.options.timing.propose_again_ms);
        if self.caught_up_at.is_some() && self.root.is_none() && self.root_asked_at.is_none_or(again) {
            self.root_asked_at = Some(ctx.now.steady_ms);
            ctx.effects.push(Effect::ReadRoot);
        }
    }

    fn wakes_at(&self, ctx: &Context) -> u64 {
        let by_wall = self.late_at().since(ctx.now.wall);
        let late = (self.since + self.ask.deadline_ms).min(ctx.after(by_wall.as_millis() as u64));
        let root = self.root_asked_at.filter(|_| self.root.is_none());
        root.map_or(late, |at| late.min(at + ctx.options.timing.propose_again_ms))
    }

    fn steps(&self, ctx: &Context) -> Vec<Step> {
        let heard = self.gave_up.as_ref();
        let reached = heard.map(|heard| heard.reached).unwrap_or_default();
        let stages = [
            (StepName::Asked, Some(self.ask.begun_at), format!("of the primary of epoch {}", self.ask.epoch)),
            (StepName::GaveUp, heard.map(|heard| heard.at), format!("the primary stopped at {reached}")),
            (StepName::CaughtUp, self.caught_up_at, format!("this region has applied {}", ctx.path.applied)),
            (StepName::RootsEqual, self.equal_at, format!("both regions hold the same at {reached}")),
        ];
        let mut steps = Vec::new();
        for (name, at, detail) in stages {
            let Some(at) = at else {
                let state = if self.reason.is_some() { StepState::Failed } else { StepState::Running };
                let detail = self.reason.clone().unwrap_or_else(|| self.waits_for(ctx, name));
                steps.push(Step { name, state, at: None, detail });
                break;
            };
            steps.push(Step::done(name, at, detail));
        }
        steps
    }

    /// What the step that is not done yet waits for.
    fn waits_for(&self, ctx: &Context, name: StepName) -> String {
        match name {
            StepName::GaveUp if self.waiting.is_some() => {
                "the primary takes writes until this region has nearly all of them".into()
            }
            StepName::GaveUp => "waiting to be heard by the primary".into(),
            StepName::CaughtUp => format!("this region has applied {}", ctx.path.applied),
            _ => "the Merkle roots are being computed".into(),
        }
    }
}

impl Opened {
    /// Puts the pause, which ended with the opening, on record.
    fn measured(&self) -> RegionChange {
        let key = Key::Promotion(self.record.id.0).to_bytes();
        let stored = PromotionEnd::Done(self.stored.clone());
        RegionChange {
            expect: vec![(key, Some(encode(&stored)))],
            puts: vec![put(self.record.id, &PromotionEnd::Done(self.record.clone()))],
            path: None,
        }
    }
}

fn ask(ctx: &Context, order: &SwitchoverOrder) -> Option<RegionChange> {
    let from = ctx.path.primary.as_ref()?.region;
    let step = HandoverChange::Ask {
        id: order.id,
        from,
        epoch: ctx.path.epoch,
        at: ctx.now.wall,
        deadline_ms: order.deadline_ms,
    };
    Some(RegionChange {
        // An id that came to its end is never asked for again.
        expect: vec![(Key::Promotion(order.id.0).to_bytes(), None)],
        path: Some(PathChange::Handover(step)),
        ..RegionChange::default()
    })
}
