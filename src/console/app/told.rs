//! The promotion that the regions themselves tell of: one that was begun at another terminal, or before this console was
//! started, is found by itself.

use super::model::Model;
use super::msg::{Effect, Target};
use super::promoting::outcome_moved;
use super::promotion::{PromotionDesk, Sent, Stage, Standing};
use super::scroll::Scroll;
use super::targets::target;
use crate::api::replication::{EventLevel, Promotion, PromotionOutcome};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::console::domain::Observed;

/// What a region said of its newest promotion.
struct Told {
    target: Target,
    promotion: Observed<Promotion>,
    /// By this console's clock.
    began_at: UnixMs,
}

/// Of all regions in view the promotion that matters: one without an outcome, else the newest.
fn told(model: &Model) -> Option<Told> {
    let of_region = |region: &crate::console::domain::RegionView<'_>| {
        let status = region.status?;
        let said = status.last();
        let promotion = said.promotion.as_deref()?.clone();
        let began_at =
            UnixMs(status.at().0.saturating_sub(said.observed_at.since(promotion.began_at).as_millis() as u64));
        let promotion = Observed::new(promotion, status.at(), region.name.clone());
        Some(Told { target: target(model, region), promotion, began_at })
    };
    let regions = model.here.world.regions();
    let told = regions.iter().filter_map(of_region);
    told.max_by_key(|told| (!settled(told.promotion.last().outcome), told.began_at))
}

fn settled(outcome: PromotionOutcome) -> bool {
    matches!(outcome, PromotionOutcome::Done | PromotionOutcome::Failed)
}

/// Takes in what the regions tell, unless something newer is being decided here.
pub(super) fn take(model: &mut Model) -> Vec<Effect> {
    let Some(Told { target, promotion, began_at }) = told(model) else { return Vec::new() };
    let id = promotion.last().id;
    let news = match &mut model.here.promotion {
        Some(PromotionDesk { stage: Stage::Sent(sent), .. }) if sent.id == id => {
            let before = sent.outcome();
            sent.hear(promotion);
            return outcome_moved(model, before);
        }
        Some(PromotionDesk { stage: Stage::Sent(sent), .. }) => sent.is_settled() && began_at > sent.sent_at,
        Some(_) => false,
        None => true,
    };
    if !news {
        return Vec::new();
    }
    let mode = promotion.last().mode;
    let sent = Sent { sent_at: began_at, mode, asking: false, ..super::promoting::found(model, id) }.told(promotion);
    let running = matches!(sent.outcome(), Standing::Running | Standing::Unknown);
    let region = target.region.clone();
    let stage = Stage::Sent(sent);
    model.here.promotion = Some(PromotionDesk { target, scroll: Scroll::default(), mode, stage });
    if !running {
        return Vec::new();
    }
    model.toast(EventLevel::Warn, format!("{region} is being promoted, by promotion {id}: p shows how far it is"));
    vec![Effect::Bell]
}
