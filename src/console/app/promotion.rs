//! A promotion from plan to outcome. It outlives its dialog: who leaves the dialog finds it again under the same key.

use super::msg::Target;
use crate::api::replication::{FenceProof, Plan, Promotion, PromotionOutcome, Verdict};
use crate::clock::UnixMs;
use crate::console::domain::Observed;
use crate::ids::PromotionId;
use std::time::Duration;
use tui_input::Input;

/// A promotion without an outcome is asked about this often.
pub const ASK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct PromotionDesk {
    pub target: Target,
    pub opened_at: UnixMs,
    /// Lines that were scrolled past, where not all fit.
    pub scroll: usize,
    pub stage: Stage,
}

#[derive(Debug)]
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

#[derive(Debug)]
pub struct Deciding {
    pub plan: Observed<Plan>,
    pub id: PromotionId,
    pub typed: Input,
    pub notice: Option<String>,
}

#[derive(Debug)]
pub struct Sent {
    pub plan: Plan,
    pub id: PromotionId,
    pub sent_at: UnixMs,
    /// The region's last word on it.
    pub said: Option<Observed<Promotion>>,
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

    /// Until the outcome is known, and after a success until the old primary is known to be fenced.
    pub fn wants_asking(&self, now: UnixMs) -> bool {
        let unproven = self.said.as_ref().is_some_and(|said| said.last().fence == FenceProof::Unproven);
        let open = !self.is_settled() || (self.outcome() == Standing::Done && unproven);
        open && !self.asking && now.since(self.asked_at) >= ASK_EVERY
    }
}

impl Deciding {
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
