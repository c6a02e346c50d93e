//! The named checks of a plan, each a fact with its source, its age and what to do about it.

use super::{Facts, seconds};
use crate::api::replication::{Check, PromoteMode, Verdict};
use crate::state::Role;

/// Clocks that differ by more make times of two regions hard to compare.
const SKEW_MS_MAX: i64 = 1_000;

impl Facts<'_> {
    pub(super) fn role(&self) -> Check {
        let path = &self.ctx.path;
        let fact = format!("this region is {} in epoch {}", path.role, path.epoch);
        if let Some(gave_up) = &path.handover.gave_up {
            let fact = format!("this region gave up to {} by switchover {}", gave_up.to.name, gave_up.id);
            let advice =
                "only if that region is gone: it may have opened the next epoch, which this one skips; ask it first";
            return match self.mode {
                PromoteMode::Planned => {
                    self.own("standby", Verdict::Block, fact, "the right comes back when that region declines")
                }
                PromoteMode::Forced => self.own("standby", Verdict::Warn, fact, advice),
            };
        }
        match path.role {
            Role::Standby => self.own("standby", Verdict::Pass, fact, ""),
            Role::Primary => self.own("standby", Verdict::Block, fact, "there is nothing to promote"),
            Role::Fenced if self.mode == PromoteMode::Forced => {
                let advice = "only if the present primary is gone for good: what it acknowledged since is not here; \
                              otherwise rejoin this region to it, or promote another";
                self.own("standby", Verdict::Warn, fact, advice)
            }
            Role::Fenced => {
                self.own("standby", Verdict::Block, fact, "rejoin it to the present primary first, or promote another")
            }
        }
    }

    pub(super) fn whole(&self) -> Check {
        match &self.ctx.path.sync {
            None => {
                let fact = format!("all data as of {} is here", self.ctx.path.applied);
                self.own("whole", Verdict::Pass, fact, "")
            }
            Some(sync) => {
                // More than there were when it began, while clients write.
                let total = sync.entries_total.max(sync.entries_done);
                let fact = format!("a sync is under way: {} of about {total} entries copied", sync.entries_done);
                self.own("whole", Verdict::Block, fact, "let the sync end: half a copy is no state to serve")
            }
        }
    }

    pub(super) fn quorum(&self) -> Check {
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

    pub(super) fn sealed(&self) -> Check {
        match self.outside.sealed {
            Some(false) => self.own("unsealed", Verdict::Pass, "this node is unsealed".into(), ""),
            Some(true) => {
                let advice = "unseal it with `twinkeep operator unseal`: until then it serves nobody";
                // While the primary serves, there is no hurry that would be worth an outage.
                let verdict = if self.mode == PromoteMode::Planned { Verdict::Block } else { Verdict::Warn };
                self.own("unsealed", verdict, "this node is sealed".into(), advice)
            }
            None => {
                self.own("unsealed", Verdict::Unknown, "not known whether it is sealed".into(), "look at the nodes")
            }
        }
    }

    pub(super) fn primary(&self) -> Check {
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

    pub(super) fn behind(&self) -> Check {
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

    pub(super) fn clock(&self) -> Check {
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

    pub(super) fn version(&self) -> Check {
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

    pub(super) fn credential(&self) -> Check {
        match self.outside.credential {
            Some(true) => {
                let used = match self.silent_ms {
                    Some(ms) => format!("the primary used it {} ago", seconds(ms)),
                    None => "the primary did not use it since this node leads".to_owned(),
                };
                let fact = format!("the link credential to fence the old primary with is here; {used}");
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

    /// A token is for a region that receives: what is left over when it becomes the primary is better gone.
    pub(super) fn tokens(&self) -> Check {
        match self.outside.tokens {
            Some(0) => {
                self.own("tokens", Verdict::Pass, "no activation token of this region can still be used".into(), "")
            }
            Some(usable) => {
                let tokens = if usable == 1 { "activation token" } else { "activation tokens" };
                let fact = format!("{usable} {tokens} of this region can still be used");
                self.own("tokens", Verdict::Warn, fact, "`twinkeep replication revoke-token` revokes them")
            }
            None => {
                let fact = "not known whether activation tokens of this region can still be used".to_owned();
                self.own("tokens", Verdict::Unknown, fact, "look at `twinkeep replication tokens`")
            }
        }
    }
}
