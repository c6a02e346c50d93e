//! The plan of a promotion: what was checked, what would be lost, and a hash over the facts that matter. Pure: the same
//! facts make the same plan. Unknown is never good: a check that could not run has not passed.
//!
//! A switchover's plan asks whether the primary can hand over, a failover's what is lost without its consent.

mod checks;
mod loss;
mod reach;
mod switchover;

#[cfg(test)]
mod tests;

pub(super) use loss::nothing_lost;

use super::context::Context;
use super::handover::Asking;
use super::interface::*;
use super::standby::{Heard, RootsCompared, Standby};
use crate::api::replication::{Check, LossEstimate, Plan, PromoteMode, Verdict};
use crate::clock::UnixMs;
use crate::ids::Position;
use crate::state::Role;

/// While the primary still writes, the loss changes with each heartbeat; the plan's hash only tells whether it is more.
const LIVE_LOSS_MAX: u64 = 1_000;

/// Everything that a plan is made from.
struct Facts<'a> {
    ctx: &'a Context,
    heard: Option<&'a Heard>,
    outside: &'a Outside,
    mode: PromoteMode,
    /// Where the primary stopped for what this region asks of it.
    stopped_at: Option<Position>,
    roots: Option<RootsCompared>,
    /// How long ago the primary was heard.
    silent_ms: Option<u64>,
    /// Whether it was heard just now.
    live: bool,
}

pub(super) fn plan(ctx: &Context, standby: &Standby, asking: &Asking, outside: &Outside, mode: PromoteMode) -> Plan {
    let heard = standby.heard();
    let silent_ms = heard.map(|heard| ctx.now.steady_ms.saturating_sub(heard.steady_ms));
    let live = silent_ms.is_some_and(|ms| ms <= ctx.options.timing.silent_after_ms);
    let (stopped_at, roots) = (asking.gave_up_at(ctx), standby.roots_compared());
    let facts = Facts { ctx, heard, outside, mode, stopped_at, roots, silent_ms, live };
    let (checks, loss) = match mode {
        PromoteMode::Planned if ctx.path.role != Role::Standby => (facts.of_switchover(), facts.no_statement()),
        PromoteMode::Planned => (facts.of_switchover(), nothing_lost(heard.map(|heard| heard.at))),
        PromoteMode::Forced => (facts.of_failover(), facts.loss()),
    };
    let hash = match mode {
        PromoteMode::Planned => facts.hash_of_switchover(),
        PromoteMode::Forced => facts.hash_of_failover(&checks, &loss),
    };
    let epoch_now = ctx.path.epoch;
    Plan { mode, hash, made_at: ctx.now.wall, epoch_now, epoch_next: ctx.path.next_epoch(), checks, loss }
}

/// Why the plan can't be carried out, in words; `None` if it can.
pub(super) fn blocked(plan: &Plan) -> Option<String> {
    let block = plan.checks.iter().find(|check| check.verdict == Verdict::Block)?;
    Some(format!("{}: {}", block.name, [block.fact.as_str(), block.advice.as_str()].join("; ")))
}

/// Whether somebody has to consent to a loss.
pub(super) fn needs_consent(plan: &Plan) -> bool {
    !plan.loss.known || plan.loss.entries > 0
}

impl Facts<'_> {
    fn of_failover(&self) -> Vec<Check> {
        vec![
            self.role(),
            self.whole(),
            self.quorum(),
            self.sealed(),
            self.primary(),
            self.reachable(),
            self.behind(),
            self.clock(),
            self.version(),
            self.credential(),
            self.tokens(),
        ]
    }

    fn hash_of_failover(&self, checks: &[Check], loss: &LossEstimate) -> String {
        let path = &self.ctx.path;
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{} {} {}", path.role, path.epoch, path.dataset).as_bytes());
        // How far behind it is counts with the loss below; a token that expires meanwhile changes nothing.
        for check in checks.iter().filter(|check| !matches!(check.name.as_str(), "behind" | "tokens")) {
            hasher.update(format!(" {}={:?}", check.name, check.verdict).as_bytes());
        }
        let entries = if self.live { u64::from(loss.entries > LIVE_LOSS_MAX) } else { loss.entries };
        hasher.update(format!(" loss={entries} live={} known={}", self.live, loss.known).as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// A check of what this region knows of itself.
    fn own(&self, name: &str, verdict: Verdict, fact: String, advice: &str) -> Check {
        self.check(name, verdict, fact, advice, "this region", self.ctx.now.wall)
    }

    /// A check of what the primary said.
    fn heard_check(&self, name: &str, verdict: Verdict, fact: String, advice: &str) -> Check {
        let at = self.heard.map_or(self.ctx.now.wall, |heard| heard.at);
        self.check(name, verdict, fact, advice, "the link from the primary", at)
    }

    fn check(&self, name: &str, verdict: Verdict, fact: String, advice: &str, source: &str, at: UnixMs) -> Check {
        let (name, source, advice) = (name.to_owned(), source.to_owned(), advice.to_owned());
        Check { name, verdict, fact, source, at, advice }
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}
