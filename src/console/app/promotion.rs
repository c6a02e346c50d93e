//! A promotion from plan to outcome. It outlives its dialog: who leaves the dialog finds it again under the same key.

use super::confirm::Consent;
use super::msg::Target;
use super::scroll::Scroll;
use crate::api::replication::{FenceProof, Plan, PromoteMode, Promotion, PromotionOutcome, Verdict};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::console::domain::units::duration;
use crate::console::domain::{Evidence, Observed, ToldHead};
use crate::ids::{Epoch, PromotionId};
use std::time::Duration;

/// A promotion without an outcome is asked about this often.
pub const ASK_EVERY: Duration = Duration::from_secs(1);

/// A plan that is being read is made anew this often: what would be lost grows while one reads.
pub const PLAN_EVERY: Duration = Duration::from_secs(5);
/// No plan is sent that is older: its figures are what is consented to.
pub const PLAN_VALID_FOR: Duration = Duration::from_secs(12);

/// What was said so lately needs no question: a status comes every second.
pub(super) const TOLD_EVERY: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct PromotionDesk {
    pub target: Target,
    /// Where not all fits.
    pub scroll: Scroll,
    pub mode: PromoteMode,
    pub stage: Stage,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one desk at a time")]
pub enum Stage {
    /// The region is asked for a plan; the notice says why it is once more.
    Planning {
        notice: Option<String>,
    },
    NoPlan {
        why: String,
    },
    /// The operator reads the plan, and types the region's name.
    Deciding(Deciding),
    /// It was sent: nobody can take it back.
    Sent(Sent),
}

#[derive(Clone, Debug)]
pub struct Deciding {
    pub plan: Observed<Plan>,
    pub id: PromotionId,
    pub consent: Consent,
    /// Writes that were said to be lost at the least, the most of it since the name began to be typed.
    shown: u64,
    pub notice: Option<String>,
    /// When it was asked for anew, and why there was no answer, if there was none.
    pub asked_at: UnixMs,
    pub unanswered: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Sent {
    /// `None`: it was sent from somewhere else, and found by its id.
    pub plan: Option<Plan>,
    pub mode: PromoteMode,
    pub id: PromotionId,
    pub sent_at: UnixMs,
    /// The region's last word on it.
    pub said: Option<Observed<Promotion>>,
    /// What the evidence of a dead primary was when it was decided.
    pub evidence: Vec<Evidence>,
    /// What the old primary had told this console by then, beyond what the region knew.
    pub told: Option<ToldHead>,
    /// When the old primary was heard last by this console, on the clock of the region that is promoted.
    pub heard_at: Option<UnixMs>,
    /// Why its outcome is not known, since then.
    pub doubt: Option<String>,
    pub asked_at: UnixMs,
    pub asking: bool,
}

/// Of the three outcomes, or none yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    Running,
    Done,
    Failed,
    Unknown,
}

impl Sent {
    /// One that is known by its id alone: it is asked about at once.
    pub fn found(id: PromotionId, now: UnixMs) -> Sent {
        Sent {
            plan: None,
            mode: PromoteMode::Forced,
            id,
            sent_at: now,
            said: None,
            evidence: Vec::new(),
            told: None,
            heard_at: None,
            doubt: None,
            asked_at: now,
            asking: true,
        }
    }

    /// The same with what a region tells of it.
    pub fn told(mut self, said: Observed<Promotion>) -> Sent {
        self.hear(said);
        self
    }

    /// Takes in the region's newest word.
    pub fn hear(&mut self, said: Observed<Promotion>) {
        if self.said.as_ref().is_some_and(|before| before.at() > said.at()) {
            return;
        }
        self.mode = said.last().mode;
        self.said = Some(said);
        self.doubt = None;
    }

    /// The epoch that it opens, as far as anybody said.
    pub fn epoch(&self) -> Option<Epoch> {
        let said = self.said.as_ref().map(|said| said.last().epoch);
        said.or(self.plan.as_ref().map(|plan| plan.epoch_next))
    }

    /// Whether it can still be called off: a switchover before it is done.
    pub fn can_be_cancelled(&self) -> bool {
        self.mode == PromoteMode::Planned && !self.is_settled()
    }

    pub fn outcome(&self) -> Standing {
        let said = self.said.as_ref().map(|said| said.last().outcome);
        match said {
            Some(PromotionOutcome::Done) => Standing::Done,
            Some(PromotionOutcome::Failed) => Standing::Failed,
            Some(PromotionOutcome::Unknown) => Standing::Unknown,
            Some(PromotionOutcome::Running) | None if self.doubt.is_some() => Standing::Unknown,
            Some(PromotionOutcome::Running) | None => Standing::Running,
        }
    }

    pub fn is_settled(&self) -> bool {
        matches!(self.outcome(), Standing::Done | Standing::Failed)
    }

    /// Until the outcome is known, and after a success until the old primary is known to be fenced; but not while the
    /// region's status says it every second anyway.
    pub fn wants_asking(&self, now: UnixMs) -> bool {
        if self.said.as_ref().is_some_and(|said| now.since(said.at()) < TOLD_EVERY) && self.doubt.is_none() {
            return false;
        }
        let unproven = self.said.as_ref().is_some_and(|said| said.last().fence == FenceProof::Unproven);
        let open = !self.is_settled() || (self.outcome() == Standing::Done && unproven);
        open && !self.asking && now.since(self.asked_at) >= ASK_EVERY
    }
}

impl Deciding {
    pub fn new(plan: Observed<Plan>, id: PromotionId, consent: Consent, notice: Option<String>) -> Deciding {
        let shown = plan.last().loss.entries;
        Deciding { asked_at: plan.at(), plan, id, consent, shown, notice, unanswered: None }
    }

    /// Takes a plan that was made anew. What was typed under the one before counts, unless more is at stake than was shown.
    pub fn renew(&mut self, plan: Observed<Plan>, consent: Consent) {
        let new = plan.last();
        if new.hash != self.plan.last().hash && !self.covers(new) {
            self.consent = consent;
            self.notice = Some("the facts changed: this is a new plan".into());
        }
        let typed = self.consent.name().is_some_and(|(_, typed)| !typed.is_empty());
        self.shown = if typed { self.shown.max(new.loss.entries) } else { new.loss.entries };
        self.unanswered = None;
        self.plan = plan;
    }

    /// Whether only the figure of what may be lost moved, and stays within what was shown: while a primary is alive, its
    /// standby's lag swings.
    fn covers(&self, new: &Plan) -> bool {
        // How far behind it is counts with the loss; a token that expires meanwhile changes nothing.
        let verdicts = |plan: &Plan| -> Vec<(String, Verdict)> {
            let counts = plan.checks.iter().filter(|check| !matches!(check.name.as_str(), "behind" | "tokens"));
            counts.map(|check| (check.name.clone(), check.verdict)).collect()
        };
        let facts = |plan: &Plan| (plan.mode, plan.epoch_now, plan.epoch_next, plan.loss.known, verdicts(plan));
        facts(new) == facts(self.plan.last()) && new.loss.entries <= self.shown
    }

    pub fn wants_asking(&self, now: UnixMs) -> bool {
        now.since(self.asked_at) >= PLAN_EVERY
    }

    /// Why it is too old to be consented to.
    pub fn outdated(&self, now: UnixMs) -> Option<String> {
        let age = self.plan.read(now).age;
        (age > PLAN_VALID_FOR).then(|| format!("the plan is {} old: tab asks for a new one", duration(age)))
    }

    /// The checks that forbid it.
    pub fn blocks(&self) -> Vec<String> {
        let checks = self.plan.last().checks.iter();
        checks.filter(|check| check.verdict == Verdict::Block).map(|check| check.name.clone()).collect()
    }

    /// Whether anything may be lost: only what is known to be nothing is nothing.
    pub fn may_lose(&self) -> bool {
        let loss = &self.plan.last().loss;
        !(loss.known && loss.entries == 0)
    }
}
