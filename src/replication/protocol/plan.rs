//! The plan of a failover: what was checked, what would be lost, and a hash over the facts that matter. Pure: the same
//! facts make the same plan. Unknown is never good: a check that could not run has not passed.

use super::context::Context;
use super::interface::*;
use super::standby::{Heard, Standby};
use crate::api::replication::{Check, LossEstimate, Plan, PromoteMode, Verdict};
use crate::clock::UnixMs;
use crate::state::{Class, Role};

/// Clocks that differ by more make times of two regions hard to compare.
const SKEW_MS_MAX: i64 = 1_000;
/// While the primary still writes, the loss changes with each heartbeat; the plan's hash only tells whether it is more.
const LIVE_LOSS_MAX: u64 = 1_000;

/// Everything that a plan is made from.
struct Facts<'a> {
    ctx: &'a Context,
    heard: Option<&'a Heard>,
    outside: &'a Outside,
    /// How long ago the primary was heard.
    silent_ms: Option<u64>,
    /// Whether it was heard just now.
    live: bool,
}

pub(super) fn plan(ctx: &Context, standby: &Standby, outside: &Outside) -> Plan {
    let heard = standby.heard();
    let silent_ms = heard.map(|heard| ctx.now.steady_ms.saturating_sub(heard.steady_ms));
    let live = silent_ms.is_some_and(|ms| ms <= ctx.options.timing.silent_after_ms);
    let facts = Facts { ctx, heard, outside, silent_ms, live };
    let checks = facts.checks();
    let loss = facts.loss();
    let hash = facts.hash(&checks, &loss);
    let epoch_now = ctx.path.epoch;
    Plan {
        mode: PromoteMode::Forced,
        hash,
        made_at: ctx.now.wall,
        epoch_now,
        epoch_next: epoch_now.next(),
        checks,
        loss,
    }
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
    fn checks(&self) -> Vec<Check> {
        vec![
            self.role(),
            self.whole(),
            self.quorum(),
            self.sealed(),
            self.primary(),
            self.behind(),
            self.clock(),
            self.version(),
            self.credential(),
        ]
    }

    fn role(&self) -> Check {
        let path = &self.ctx.path;
        let fact = format!("this region is {} in epoch {}", path.role, path.epoch);
        match path.role {
            Role::Standby => self.own("standby", Verdict::Pass, fact, ""),
            Role::Primary => self.own("standby", Verdict::Block, fact, "there is nothing to promote"),
            Role::Fenced => {
                self.own("standby", Verdict::Block, fact, "rejoin it to the present primary first, or promote another")
            }
        }
    }

    fn whole(&self) -> Check {
        match &self.ctx.path.sync {
            None => {
                let fact = format!("all data as of {} is here", self.ctx.path.applied);
                self.own("whole", Verdict::Pass, fact, "")
            }
            Some(sync) => {
                let fact = format!(
                    "a sync is under way: {} of about {} entries copied",
                    sync.entries_done, sync.entries_total
                );
                self.own("whole", Verdict::Block, fact, "let the sync end: half a copy is no state to serve")
            }
        }
    }

    fn quorum(&self) -> Check {
        match self.outside.voters {
            Some((voters, reached)) if reached > voters / 2 => {
                self.own("quorum", Verdict::Pass, format!("{reached} of {voters} voters answer"), "")
            }
            Some((voters, reached)) => {
                let fact = format!("{reached} of {voters} voters answer");
                self.own("quorum", Verdict::Block, fact, "bring nodes of this region back: it can't agree on anything")
            }
            None => {
                self.own("quorum", Verdict::Unknown, "not known how many voters answer".into(), "look at the nodes")
            }
        }
    }

    fn sealed(&self) -> Check {
        match self.outside.sealed {
            Some(false) => self.own("unsealed", Verdict::Pass, "this node is unsealed".into(), ""),
            Some(true) => {
                let advice = "unseal it with `twinkeep operator unseal`: until then it serves nobody";
                self.own("unsealed", Verdict::Warn, "this node is sealed".into(), advice)
            }
            None => {
                self.own("unsealed", Verdict::Unknown, "not known whether it is sealed".into(), "look at the nodes")
            }
        }
    }

    fn primary(&self) -> Check {
        match self.silent_ms {
            None => {
                let fact = "the primary was not heard since this node leads".to_owned();
                self.heard_check("primary", Verdict::Unknown, fact, "ask it directly: it may still take writes")
            }
            Some(ms) if self.live => {
                let fact = format!("the primary was heard {} ago: it is alive", seconds(ms));
                let advice =
                    "both regions take writes until it hears of the new epoch: keep clients away from it first";
                self.heard_check("primary", Verdict::Warn, fact, advice)
            }
            Some(ms) => {
                let fact = format!("the primary was not heard for {}", seconds(ms));
                let advice = "it may be dead, or only cut off and taking writes: ask it directly";
                self.heard_check("primary", Verdict::Unknown, fact, advice)
            }
        }
    }

    fn behind(&self) -> Check {
        let Some(heard) = self.heard else {
            let fact = "the primary's head is not known".to_owned();
            return self.heard_check("behind", Verdict::Unknown, fact, "what would be lost can't be told");
        };
        let applied = self.ctx.path.applied;
        let head = heard.header.head;
        match head.index.saturating_sub(applied.index) {
            0 => self.heard_check("behind", Verdict::Pass, format!("all that was known of is applied ({applied})"), ""),
            behind => {
                let fact = format!("{behind} behind the newest known position {head}");
                self.heard_check("behind", Verdict::Warn, fact, "these writes will not be here")
            }
        }
    }

    fn clock(&self) -> Check {
        let Some(heard) = self.heard else {
            let fact = "the primary's clock is not known".to_owned();
            return self.heard_check("clock", Verdict::Unknown, fact, "times of the two regions may not compare");
        };
        let skew = heard.header.sent_at.0 as i64 - heard.at.0 as i64;
        let fact = format!("the primary's clock is within {} ms of ours, the way here included", skew.abs());
        match skew.abs() <= SKEW_MS_MAX {
            true => self.heard_check("clock", Verdict::Pass, fact, ""),
            false => self.heard_check("clock", Verdict::Warn, fact, "times of the two regions do not compare"),
        }
    }

    fn version(&self) -> Check {
        let ours = &self.ctx.options.identity.version;
        match self.heard.and_then(|heard| heard.identity.as_ref()) {
            Some(theirs) if theirs.version == *ours => {
                self.heard_check("version", Verdict::Pass, format!("both regions run {ours}"), "")
            }
            Some(theirs) => {
                let fact = format!("this region runs {ours}, the primary {}", theirs.version);
                self.heard_check("version", Verdict::Warn, fact, "look into the changelog for what differs")
            }
            None => {
                let fact = "the primary's version is not known".to_owned();
                self.heard_check("version", Verdict::Unknown, fact, "look at the primary's nodes")
            }
        }
    }

    fn credential(&self) -> Check {
        match self.outside.credential {
            Some(true) => {
                let fact = "the link credential to fence the old primary with is here".to_owned();
                self.own("credential", Verdict::Pass, fact, "")
            }
            Some(false) => {
                let fact = "there is no link credential to the old primary".to_owned();
                self.own("credential", Verdict::Warn, fact, "stop the old primary by other means")
            }
            None => {
                let fact = "not known whether the old primary can be fenced".to_owned();
                self.own("credential", Verdict::Unknown, fact, "look at the links")
            }
        }
    }

    /// What would be lost. Exact only if the primary is known to take no more writes, which a failover can't know
    /// before it meets the primary again.
    fn loss(&self) -> LossEstimate {
        let path = &self.ctx.path;
        let Some(heard) = self.heard else {
            return LossEstimate {
                entries: 0,
                bytes: 0,
                ms: 0,
                known: false,
                last_heard_at: None,
                likely_entries: None,
                by_class: Vec::new(),
                words: "unknown: the primary was not heard since this node leads".to_owned(),
            };
        };
        let silent_ms = self.silent_ms.unwrap_or_default();
        let entries = heard.header.head.index.saturating_sub(path.applied.index);
        let behind = heard.header.totals.since(&path.totals);
        let by_class: Vec<(Class, u64)> = if entries == 0 { Vec::new() } else { behind.by_class() };
        let age = heard.header.head_at.since(path.applied_at).as_millis() as u64;
        let likely = heard.writes.last_known().map(|(per_second, _)| {
            let unheard = per_second * silent_ms as f64 / 1000.0;
            entries + unheard.round() as u64
        });
        let mut words = format!("unknown: at least {entries}, last heard {} ago", seconds(silent_ms));
        if let Some(likely) = likely {
            words += &format!("; at the last rate about {likely}");
        }
        LossEstimate {
            entries,
            bytes: if entries == 0 { 0 } else { behind.bytes },
            ms: silent_ms + if entries == 0 { 0 } else { age },
            known: false,
            last_heard_at: Some(heard.at),
            likely_entries: likely,
            by_class,
            words,
        }
    }

    fn hash(&self, checks: &[Check], loss: &LossEstimate) -> String {
        let path = &self.ctx.path;
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{} {} {}", path.role, path.epoch, path.dataset).as_bytes());
        // How far behind it is counts with the loss below.
        for check in checks.iter().filter(|check| check.name != "behind") {
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
