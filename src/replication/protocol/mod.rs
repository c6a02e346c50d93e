//! The pure core of replication: values in, values out. No sockets, no storage, no clock, no chance.
//!
//! `Core::step` takes one input and returns effects. A core lives as long as its node leads its region: it is made
//! from durable facts after a read barrier, and dropped with the leadership; nothing it remembers is needed by the
//! next one. So a changed leader, a restart and a lost connection are one and the same case on either side.
//!
//! ```text
//!              Input ──► epochs compared (epoch) ──► standby: order, agree, answer
//!   facts ──►  step      held if higher,             primary: a link (progress) for each standby
//!              Effects ◄ refused if lower            failover: freeze, agree on the next epoch (plan)
//! ```
//!
//! Whatever is waited for ends in a change of the durable facts that come with each input; outcomes of proposals only
//! say when to look, or to try again.

mod batch_size;
mod comparing;
mod context;
mod diff;
pub mod epoch;
mod failover;
mod fork;
mod handover;
pub mod interface;
mod introduction;
pub mod message;
mod moment;
mod on_its_way;
mod opening;
mod pacing;
mod plan;
mod primary;
mod progress;
mod rate;
mod reorder;
pub mod report;
mod standby;
mod verify;

#[cfg(test)]
mod tests;

pub use interface::*;
pub use message::*;
pub use report::{LagReport, LinkReport, Outcome as VerifyOutcome, OwnDisk, StandbyVerified, Verified};

use crate::api::replication::{LinkState, Plan, PromoteMode, Step, StepName};
use crate::ids::{PromotionId, RegionId};
use crate::state::{PathState, Role, SyncKind};
use context::Context;
use epoch::{Compared, Gate};
use failover::Failover;
use handover::{Asking, Giving};
use opening::Opening;
use primary::Primary;
use standby::Standby;

/// The protocol's state in the leader of a region.
pub struct Core {
    ctx: Context,
    gate: Gate,
    primary: Primary,
    standby: Standby,
    failover: Failover,
    opening: Opening,
    /// The two halves of a switchover: of a primary, and of a standby.
    giving: Giving,
    asking: Asking,
    /// As the step before left it.
    was_fenced: bool,
}

impl Core {
    /// `path` as read after a read barrier. The first input after this is `Input::Peers`.
    pub fn new(options: Options, now: Now, path: PathState) -> Core {
        Core {
            was_fenced: path.fence.is_some(),
            opening: Opening::new(&path, options.open),
            ctx: Context::new(options, now, path),
            gate: Gate::default(),
            primary: Primary::default(),
            standby: Standby::default(),
            failover: Failover::default(),
            giving: Giving::default(),
            asking: Asking::default(),
        }
    }

    /// Takes one input at a moment, with the region's durable facts as they are then: `path` is never older than the
    /// one before, and never older than what the input speaks of.
    pub fn step(&mut self, now: Now, path: PathState, input: Input) -> Vec<Effect> {
        debug_assert!(path.dataset != self.ctx.path.dataset || path.epoch >= self.ctx.path.epoch, "facts went back");
        self.ctx.now = now;
        self.ctx.path = path;
        self.settle();
        self.input(input);
        self.settle();
        self.drive();
        std::mem::take(&mut self.ctx.effects)
    }

    /// When the next `Input::Tick` is due, by the steady clock, if nothing comes before.
    pub fn wakes_at(&self) -> Option<u64> {
        let (primary, standby) = (self.primary.wakes_at(&self.ctx), self.standby.wakes_at(&self.ctx));
        let handovers = [self.giving.wakes_at(&self.ctx), self.asking.wakes_at(&self.ctx)];
        let others = [self.gate.wakes_at(), primary, standby, self.failover.wakes_at()];
        others.into_iter().chain(handovers).flatten().min()
    }

    /// The links of a primary, or the one that a standby has from its primary, as they are `now`: silence is no input.
    pub fn links(&mut self, now: Now) -> Vec<LinkReport> {
        self.ctx.now = now;
        match self.ctx.path.role {
            Role::Primary | Role::Fenced => self.primary.reports(&self.ctx),
            Role::Standby => self.incoming().into_iter().collect(),
        }
    }

    /// The oldest index of the log that some standby still needs; `None` if no link needs any. Entries from here on
    /// are to be kept, up to the driver's bound in bytes.
    pub fn wal_floor(&self) -> Option<u64> {
        if self.ctx.path.keeps_log() {
            return Some(self.ctx.path.wal_first);
        }
        self.primary.wal_floor(&self.ctx)
    }

    /// Whether this region is a primary that may acknowledge writes (`opening`).
    pub fn is_open(&self) -> bool {
        self.opening.is_open(&self.ctx)
    }

    /// Of a primary that is closed: the regions that have not confirmed yet that nobody was promoted meanwhile.
    pub fn waits_for(&self) -> Vec<&Peer> {
        self.opening.waits_for(&self.ctx)
    }

    /// The newest verification of this leader, if there was one.
    pub fn verified(&self) -> Option<&Verified> {
        self.primary.verify.report()
    }

    /// What a promotion of this region would do now. Of a region that can't be promoted, the plan says why.
    pub fn plan(&mut self, now: Now, outside: &Outside, mode: PromoteMode) -> Plan {
        self.ctx.now = now;
        plan::plan(&self.ctx, &self.standby, &self.asking, outside, mode)
    }

    /// The steps of the promotion under way; none of an id that is not.
    pub fn steps(&self, id: PromotionId) -> Vec<Step> {
        let frozen = |at| vec![Step::done(StepName::StreamFrozen, at, "nothing more is taken from the primary")];
        self.asking.steps(&self.ctx, id).or_else(|| self.failover.began_at(id).map(frozen)).unwrap_or_default()
    }

    fn input(&mut self, input: Input) {
        let ctx = &mut self.ctx;
        match input {
            Input::Tick | Input::Applied => {}
            Input::Peers { peers, adopts, anew } => {
                self.primary.forget(&anew);
                ctx.peers = peers;
                ctx.adopts = adopts;
                self.opening.links_known();
            }
            Input::Activation { peer, result } => self.primary.activation(ctx, peer, result),
            Input::Request { id, from, request } => self.request(id, from, request),
            Input::Answer { call, from, answer } => self.answer(call, from, answer),
            Input::Failed { call, from, failure } => self.primary.failed(ctx, call, from, failure),
            Input::Proposed { id, result } => {
                self.gate.proposed(ctx, id);
                self.standby.proposed(ctx, id, &result);
                self.failover.proposed(ctx, id, &result);
                self.giving.proposed(ctx, id, &result);
                self.asking.proposed(ctx, id, &result);
            }
            Input::WalRead { read, result } => self.primary.wal_read(ctx, read, result),
            Input::RangeRead { read, result } => self.primary.range_read(ctx, read, result),
            Input::NodesRead { read, result } => {
                self.standby.nodes_read(read, &result);
                self.primary.nodes_read(ctx, read, result);
            }
            Input::HeldRead { read, result } => self.standby.held_read(ctx, read, result),
            Input::UnnamedRead { read, result } => self.primary.unnamed_read(ctx, read, result),
            Input::Frozen { read, result } => {
                self.standby.moment.frozen(ctx, read, &result);
                self.primary.verify.frozen(ctx, read, result);
            }
            Input::Scrubbed { read, result } => {
                self.standby.moment.scrubbed(read, &result);
                self.primary.verify.scrubbed(read, result);
            }
            Input::FrozenNodesRead { read, result } => {
                self.standby.moment.nodes_read(ctx, read, &result);
                self.primary.verify.nodes_read(ctx, read, &result);
            }
            Input::FrozenHeldRead { read, result } => {
                self.standby.moment.held_read(ctx, read, &result);
                self.primary.verify.held_read(ctx, read, &result);
            }
            Input::Verify { id } => self.primary.verify_all(ctx, id),
            Input::Root(root) => {
                self.primary.root(ctx, root);
                self.standby.root(root);
                self.giving.root(ctx, root);
                self.asking.root(ctx, root);
            }
            Input::Open { dataset, epoch, by } => self.opening.open(ctx, dataset, epoch, by),
            Input::Promote(order) => self.failover.order(ctx, &mut self.standby, &self.asking, order),
            Input::Switchover(order) => self.asking.order(ctx, &self.standby, order, self.failover.is_frozen()),
            Input::CancelSwitchover { id, reason } => self.asking.cancel(id, reason),
        }
    }

    /// The one place where a request's epoch is compared.
    fn request(&mut self, id: RequestId, from: RegionId, request: Request) {
        let ctx = &mut self.ctx;
        match self.gate.compare(ctx, request.header.dataset, request.header.epoch) {
            Compared::Higher => self.gate.hold(ctx, id, from, request),
            Compared::Lower => {
                let (epoch, primary) = (ctx.path.epoch, ctx.present_primary());
                ctx.reply(id, Want::Refused(Refused::Epoch { epoch, primary }));
            }
            Compared::Same | Compared::Elsewhere => {
                if let Some(said) = &request.header.handover {
                    self.asking.hear(ctx, from, said);
                }
                self.standby.request(ctx, id, from, request, self.failover.is_frozen());
            }
        }
    }

    /// The one place where an answer's epoch is compared.
    fn answer(&mut self, call: CallId, from: RegionId, answer: Answer) {
        let ctx = &mut self.ctx;
        let standing = &answer.standing;
        match self.gate.compare(ctx, standing.dataset, standing.epoch) {
            Compared::Higher => {
                let primary = match standing.role {
                    Role::Primary => Some(ctx.known_primary(from, Some(&standing.identity))),
                    Role::Standby | Role::Fenced => standing.primary.clone(),
                };
                self.gate.learn(ctx, standing.epoch, from, primary);
            }
            Compared::Same | Compared::Lower | Compared::Elsewhere => {
                self.opening.heard(ctx, from, &answer);
                self.primary.answer(ctx, call, from, answer);
            }
        }
    }

    /// Draws the consequences of new facts.
    fn settle(&mut self) {
        let ctx = &mut self.ctx;
        if let Some(fence) = ctx.path.fence.as_ref().filter(|_| !self.was_fenced) {
            let by = self.gate.told_by().unwrap_or_default();
            let (by_epoch, reached) = (fence.by_epoch, fence.reached);
            let fact = match fence.demoted.clone() {
                Some(reason) => Fact::Demoted { epoch: by_epoch, reached, reason },
                None => Fact::Fenced { by_epoch, by, reached },
            };
            ctx.report(fact);
        }
        self.was_fenced = ctx.path.fence.is_some();
        self.opening.settle(ctx);
        self.primary.settle(ctx);
        self.failover.settle(ctx, &self.standby, &self.asking);
        self.giving.settle(ctx, &mut self.primary);
        self.asking.settle(ctx);
        let freed = self.gate.settle(ctx);
        let again = self.standby.settle(ctx);
        for (id, from, request) in freed.into_iter().chain(again) {
            self.request(id, from, request);
        }
    }

    fn drive(&mut self) {
        let ctx = &mut self.ctx;
        self.gate.drive(ctx);
        self.giving.drive(ctx, &self.primary, self.opening.is_open(ctx));
        self.primary.drive(ctx);
        self.failover.drive(ctx, &self.standby, &self.asking);
        self.asking.drive(ctx, self.failover.is_frozen());
        self.standby.drive(ctx, self.failover.is_frozen());
    }

    /// A standby's own view of the link from its primary.
    fn incoming(&self) -> Option<LinkReport> {
        let ctx = &self.ctx;
        let primary = ctx.path.primary.as_ref()?;
        let heard = self.standby.heard();
        let silent_ms = heard.map(|heard| ctx.now.steady_ms.saturating_sub(heard.steady_ms));
        let state = match silent_ms {
            Some(ms) if ms <= ctx.options.timing.silent_after_ms => {
                match ctx.path.sync.as_ref().map(|sync| sync.kind) {
                    None => LinkState::Streaming,
                    Some(SyncKind::Full) => LinkState::FullSync,
                    Some(SyncKind::Diff) => LinkState::DiffSync,
                }
            }
            _ => LinkState::Connecting,
        };
        let standing = Standing::of(&ctx.options.identity, &ctx.path, ctx.now.wall);
        let rate = self.standby.per_second(ctx);
        let version = heard.and_then(|heard| heard.identity.as_ref()).map(|identity| identity.version.clone());
        Some(LinkReport {
            peer: primary.region,
            name: primary.name.clone(),
            addresses: primary.addresses.clone(),
            version: version.unwrap_or_default(),
            outgoing: false,
            state,
            since: heard.map_or(ctx.now.wall, |heard| heard.since),
            last_heard_at: heard.map(|heard| heard.at),
            error: None,
            retry_at: None,
            peer_role: heard.map(|_| Role::Primary),
            received: standing.received,
            applied: standing.applied,
            lag: self.standby.lag(ctx),
            sync: standing.sync,
            in_flight: 0,
            max_parallel: ctx.peer(primary.region).map_or(0, |peer| peer.max_parallel),
            entries_per_s: rate.0,
            bytes_per_s: rate.1,
            round_trip_ms: None,
            clock_skew_ms: heard.map(|heard| heard.header.sent_at.0 as i64 - heard.at.0 as i64),
        })
    }
}
