//! What was being decided on, as a recording keeps it: the plan that was read, what became of the promotion, a verification,
//! the ledger without the names of what was written. Written when it changes, so that the past shows what the operator saw.

use crate::api::ledger::LedgerPage;
use crate::api::replication::{Plan, PromoteMode, Promotion};
use crate::api::verification::Verification;
use crate::clock::UnixMs;
use crate::console::app::Context;
use crate::console::app::Target;
use crate::console::app::confirm::Consent;
use crate::console::app::failover::VerifyDesk;
use crate::console::app::promotion::{Deciding, PromotionDesk, Sent, Stage};
use crate::console::app::scroll::Scroll;
use crate::console::domain::{Evidence, Observed, ToldHead};
use crate::ids::PromotionId;
use serde::{Deserialize, Serialize};

/// Stands for every path of a ledger: a bundle is handed on, and names of secrets are nobody else's.
const PAINTED_OVER: &str = "(not recorded)";

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FlightDesk {
    /// `None`: nothing is decided on any more.
    Promotion(Option<Box<FlightPromotion>>),
    Verification {
        region: String,
        said: Box<Observed<Verification>>,
    },
    Ledger(Box<Observed<LedgerPage>>),
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct FlightPromotion {
    region: String,
    mode: PromoteMode,
    stage: FlightStage,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "it is written and forgotten, or boxed")]
enum FlightStage {
    Planning {
        notice: Option<String>,
    },
    NoPlan {
        why: String,
    },
    Deciding {
        plan: Observed<Plan>,
        id: PromotionId,
    },
    Sent {
        plan: Option<Plan>,
        id: PromotionId,
        sent_at: UnixMs,
        said: Option<Observed<Promotion>>,
        evidence: Vec<Evidence>,
        #[serde(default)]
        told: Option<ToldHead>,
        #[serde(default)]
        heard_at: Option<UnixMs>,
        doubt: Option<String>,
    },
}

/// What was written last of a context, so that only news are written.
#[derive(Default)]
pub(super) struct Written {
    promotion: String,
    verification: String,
    ledger_at: Option<UnixMs>,
    ledger: String,
}

impl Written {
    /// What is new since the last time.
    pub fn news(&mut self, context: &Context) -> Vec<FlightDesk> {
        let mut news = Vec::new();
        let promotion = context.promotion.as_ref().map(|desk| Box::new(FlightPromotion::of(desk)));
        let key = promotion.as_ref().map(|desk| text(&desk.timeless())).unwrap_or_default();
        if key != self.promotion {
            self.promotion = key;
            news.push(FlightDesk::Promotion(promotion));
        }
        if let Some((region, said)) =
            context.verify.as_ref().and_then(|desk| Some((desk.target.region.clone(), desk.said.as_ref()?)))
        {
            let mut said = said.clone();
            said.amend(|said| said.standbys.iter_mut().for_each(|standby| standby.prefixes.clear()));
            let key = format!("{region} {}", text(said.read(said.at()).value));
            if key != self.verification {
                self.verification = key;
                news.push(FlightDesk::Verification { region, said: Box::new(said) });
            }
        }
        if let Some(page) = context.ledger.as_ref().filter(|page| Some(page.at()) != self.ledger_at) {
            self.ledger_at = Some(page.at());
            let mut page = page.clone();
            page.amend(paint_over);
            let key = text(page.read(page.at()).value);
            if key != self.ledger {
                self.ledger = key;
                news.push(FlightDesk::Ledger(Box::new(page)));
            }
        }
        news
    }
}

impl FlightDesk {
    /// Puts it back where it was.
    pub fn restore(self, context: &mut Context, at: UnixMs) {
        let target = |context: &Context, region: &str| {
            let (context, region) = (context.id, region.to_owned());
            Target { context, region, addresses: Vec::new() }
        };
        match self {
            FlightDesk::Promotion(desk) => {
                context.promotion = desk.map(|desk| desk.restore(target(context, &desk.region), at));
            }
            FlightDesk::Verification { region, said } => {
                let target = target(context, &region);
                context.verify =
                    Some(VerifyDesk { target, said: Some(*said), doubt: None, asked_at: at, asking: false });
            }
            FlightDesk::Ledger(page) => context.ledger = Some(*page),
        }
    }
}

impl FlightPromotion {
    fn of(desk: &PromotionDesk) -> FlightPromotion {
        let stage = match &desk.stage {
            Stage::Planning { notice } => FlightStage::Planning { notice: notice.clone() },
            Stage::NoPlan { why } => FlightStage::NoPlan { why: why.clone() },
            Stage::Deciding(deciding) => FlightStage::Deciding { plan: deciding.plan.clone(), id: deciding.id },
            Stage::Sent(sent) => FlightStage::Sent {
                plan: sent.plan.clone(),
                id: sent.id,
                sent_at: sent.sent_at,
                said: sent.said.clone(),
                evidence: sent.evidence.clone(),
                told: sent.told.clone(),
                heard_at: sent.heard_at,
                doubt: sent.doubt.clone(),
            },
        };
        FlightPromotion { region: desk.target.region.clone(), mode: desk.mode, stage }
    }

    /// The same without the times at which it was heard: a status repeats it every second.
    fn timeless(&self) -> FlightPromotion {
        let mut same = self.clone();
        if let FlightStage::Sent { said: Some(said), .. } = &mut same.stage {
            *said = Observed::new(said.read(said.at()).value.clone(), UnixMs(0), said.source().to_owned());
        }
        same
    }

    fn restore(&self, target: Target, at: UnixMs) -> PromotionDesk {
        let stage = match self.stage.clone() {
            FlightStage::Planning { notice } => Stage::Planning { notice },
            FlightStage::NoPlan { why } => Stage::NoPlan { why },
            FlightStage::Deciding { plan, id } => {
                let consent = Consent::named("Promote", &target.region, at);
                Stage::Deciding(Deciding::new(plan, id, consent, None))
            }
            FlightStage::Sent { plan, id, sent_at, said, evidence, told, heard_at, doubt } => {
                let found = Sent::found(id, at);
                let sent = Sent { plan, sent_at, evidence, told, heard_at, asking: false, mode: self.mode, ..found };
                let mut sent = said.into_iter().fold(sent, Sent::told);
                sent.doubt = doubt;
                Stage::Sent(sent)
            }
        };
        PromotionDesk { target, scroll: Scroll::default(), mode: self.mode, stage }
    }
}

fn paint_over(page: &mut LedgerPage) {
    use crate::api::ledger::ReviewInfo;
    for entry in &mut page.entries {
        entry.paths.iter_mut().for_each(|path| *path = PAINTED_OVER.into());
        if let ReviewInfo::Unreviewed { conflicts } = &mut entry.review {
            conflicts.iter_mut().for_each(|conflict| conflict.path = PAINTED_OVER.into());
        }
    }
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the API's types have string keys only")
}
