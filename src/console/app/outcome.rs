//! What became of what was asked for: done, failed, or unknown, and what to do then. The last ones are kept, so that a word
//! that was in a corner for six seconds can be read again.
//!
//! What is unknown is watched: `resolve` finds out by what its region says later.

use super::context::ContextId;
use super::model::Model;
use super::msg::{Change, Failure, FailureSort, Target};
use super::promotion::Standing;
use super::resolve::Traces;
use crate::api::replication::EventLevel;
use crate::clock::UnixMs;
use crate::ids::PromotionId;

/// The oldest go first.
pub const OUTCOMES_MAX: usize = 50;

/// What a region was asked for, as far as it matters for what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    Token,
    HandOver {
        standby: String,
    },
    Link {
        standby: String,
    },
    Revoke {
        accessor: String,
    },
    Pause,
    Resume,
    /// No entries: all that was undecided.
    Replay {
        entries: Vec<String>,
        overwrite: bool,
    },
    Discard {
        entries: Vec<String>,
    },
    /// `None`: the primary that it knows of.
    Rejoin {
        primary: Option<String>,
    },
    Fence,
    Verify,
    Promotion(PromotionId),
}

/// One of them, and what became of it so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    pub context: ContextId,
    pub region: String,
    pub asked: Asked,
    pub standing: Standing,
    /// What was said of it last.
    pub words: String,
    /// The same on the command line; empty where it is not known here.
    pub command: String,
    pub asked_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    /// Whether it was read since it is unknown.
    pub read: bool,
    /// What is remembered to find out by what the region says later.
    pub traces: Traces,
}

impl Asked {
    pub fn of(change: &Change) -> Asked {
        match change {
            Change::GenerateToken(_) => Asked::Token,
            Change::Connect { standby, .. } => Asked::HandOver { standby: standby.clone() },
            Change::Link { standby, .. } => Asked::Link { standby: standby.region.clone() },
            Change::RevokeToken { accessor } => Asked::Revoke { accessor: accessor.clone() },
            Change::Pause => Asked::Pause,
            Change::Resume => Asked::Resume,
            Change::ReplayLedger(request) => {
                Asked::Replay { entries: request.entries.clone(), overwrite: request.overwrite }
            }
            Change::DiscardLedger(request) => Asked::Discard { entries: request.entries.clone() },
            Change::Rejoin(request) => Asked::Rejoin { primary: request.primary.clone() },
            Change::Fence(_) => Asked::Fence,
            Change::Verify => Asked::Verify,
            Change::Promote(request) => Asked::Promotion(request.id),
            Change::CancelPromotion(id) => Asked::Promotion(*id),
        }
    }

    /// In the imperative: what is to become of `region`.
    pub fn title(&self, region: &str) -> String {
        match self {
            Asked::Token => format!("make a token on {region}"),
            Asked::HandOver { standby } => format!("hand the token of {standby} to {region}"),
            Asked::Link { standby } => format!("link {standby} to {region}"),
            Asked::Revoke { accessor } => format!("revoke the token {accessor} of {region}"),
            Asked::Pause => format!("pause the link of {region}"),
            Asked::Resume => format!("resume the link of {region}"),
            Asked::Replay { .. } => format!("replay from the ledger of {region}"),
            Asked::Discard { .. } => format!("discard from the ledger of {region}"),
            Asked::Rejoin { primary: None } => format!("bring {region} back as a standby"),
            Asked::Rejoin { primary: Some(primary) } => format!("have {region} follow {primary}"),
            Asked::Fence => format!("fence {region}"),
            Asked::Verify => format!("verify the standbys of {region}"),
            Asked::Promotion(_) => format!("promote {region}"),
        }
    }

    /// What there is to say when it was done.
    pub fn done(&self, region: &str) -> String {
        match self {
            Asked::Token => format!("{region} made a token"),
            Asked::HandOver { standby } | Asked::Link { standby } => {
                format!("{region} took a token of {standby} and dials it")
            }
            Asked::Revoke { accessor } => format!("the token {accessor} of {region} is revoked"),
            Asked::Pause => format!("{region} paused the link"),
            Asked::Resume => format!("{region} carries on with the link"),
            Asked::Replay { .. } | Asked::Discard { .. } => format!("{region} took the decision"),
            Asked::Rejoin { primary: None } => format!("{region} rejoins as a standby"),
            Asked::Rejoin { primary: Some(primary) } => format!("{region} leaves its primary and follows {primary}"),
            Asked::Fence => format!("{region} gave way and takes no more writes"),
            Asked::Verify => format!("the standbys of {region} were verified"),
            Asked::Promotion(_) => format!("{region} is primary"),
        }
    }

    /// What to do while nobody knows whether it was done.
    fn when_unknown(&self, region: &str) -> String {
        match self {
            Asked::Token => {
                "A token may have been made: look for it on screen 4, and revoke one that nobody holds.".into()
            }
            Asked::HandOver { standby } | Asked::Link { standby } => format!(
                "The token of {standby} may be spent. If a link shows up, it was taken; if none does, make another one."
            ),
            Asked::Revoke { .. } => "Screen 4 says whether it is revoked; to revoke it again is safe.".into(),
            Asked::Pause | Asked::Resume => {
                "The overview shows whether the link is paused; to ask for it again is safe.".into()
            }
            Asked::Replay { .. } | Asked::Discard { .. } => {
                "The ledger says of each write what was decided. What is still undecided there can be decided on again."
                    .into()
            }
            Asked::Rejoin { .. } => format!("To ask {region} again is safe. It shows as standby once it follows."),
            Asked::Fence => format!(
                "{region} may still take writes: keep clients away from it until it says that it is fenced. To ask again is \
                 safe."
            ),
            Asked::Verify => "Screen 5 shows a verification that runs; to begin another one harms nothing.".into(),
            Asked::Promotion(_) => {
                "Send nothing else to either region until this is known; p leads back to it, and asks.".into()
            }
        }
    }

    /// What to do after it failed, where that is not plain from why.
    fn when_failed(&self) -> &'static str {
        match self {
            Asked::Promotion(_) => "p shows a new plan.",
            Asked::HandOver { .. } => "The token is still here: g shows it.",
            Asked::Link { .. } => {
                "The standby may have made a token for it: screen 4 lists it; revoke it if nobody uses it."
            }
            Asked::Replay { .. } | Asked::Discard { .. } => "Its ledger says of each write what was decided.",
            _ => "Nothing was changed.",
        }
    }
}

impl Outcome {
    /// What there is to do about it.
    pub fn advice(&self) -> String {
        match self.standing {
            Standing::Running | Standing::Done => String::new(),
            Standing::Failed => self.asked.when_failed().into(),
            Standing::Unknown => self.asked.when_unknown(&self.region),
        }
    }
}

/// Notes that it is on its way.
pub(super) fn begun(model: &mut Model, target: &Target, change: &Change, command: String) {
    let outcome = Outcome {
        context: target.context,
        region: target.region.clone(),
        asked: Asked::of(change),
        standing: Standing::Running,
        words: String::new(),
        command,
        asked_at: model.now,
        ended_at: None,
        read: false,
        traces: Traces::before(model, target, change),
    };
    push(model, outcome);
}

fn push(model: &mut Model, outcome: Outcome) {
    model.outcomes.push_back(outcome);
    if model.outcomes.len() > OUTCOMES_MAX {
        model.outcomes.pop_front();
    }
}

/// Takes in what became of it, and says so.
pub(super) fn ended(model: &mut Model, target: &Target, asked: Asked, result: Result<String, Failure>) {
    let region = &target.region;
    let (standing, words) = match result {
        Ok(words) => (Standing::Done, words),
        Err(failure) if failure.sort == FailureSort::Unknown => (Standing::Unknown, failure.words),
        Err(failure) => (Standing::Failed, failure.words),
    };
    let title = asked.title(region);
    let (level, text) = match standing {
        Standing::Done | Standing::Running => (EventLevel::Info, words.clone()),
        Standing::Failed => (EventLevel::Warn, format!("FAILED to {title}: {words}")),
        Standing::Unknown => (EventLevel::Alarm, format!("OUTCOME UNKNOWN, to {title}: {words}")),
    };
    settle(model, target, asked, standing, words);
    model.toast(level, text);
}

/// Notes what became of it, without a word.
pub(super) fn settle(model: &mut Model, target: &Target, asked: Asked, standing: Standing, words: String) {
    let now = model.now;
    let open = model.outcomes.iter_mut().rev().find(|of| {
        let open = matches!(of.standing, Standing::Running | Standing::Unknown);
        open && of.context == target.context && of.region == target.region && of.asked == asked
    });
    // What failed and was asked for again has a line of its own.
    let ended_at = (standing != Standing::Running).then_some(now);
    match open {
        Some(outcome) => {
            outcome.read &= outcome.standing == standing;
            (outcome.standing, outcome.words, outcome.ended_at) = (standing, words, ended_at);
        }
        None => {
            let (context, region) = (target.context, target.region.clone());
            let command = String::new();
            let asked_at = now;
            let (read, traces) = (false, Traces::default());
            push(model, Outcome { context, region, asked, standing, words, command, asked_at, ended_at, read, traces });
        }
    }
}
