//! A promotion from the plan to its outcome: what its keys do and what its answers mean.

use super::afterwards;
use super::confirm::{self, Confirm, Consent, Decision};
use super::model::Model;
use super::msg::{Change, Effect, Failure, FailureSort, Query, SavedFile, Target};
use super::outcome::{self, Asked};
use super::promotion::{Deciding, PromotionDesk, Sent, Stage, Standing};
use super::scroll::Scroll;
use super::targets;
use crate::api::replication::{EventLevel, Plan, PromoteMode, PromoteRequest, Promotion, PromotionOutcome};
use crate::console::domain::AnyAge;
use crate::console::domain::{Observed, RegionView, evidence, told_head};
use crate::ids::PromotionId;
use crossterm::event::{KeyCode, KeyEvent};

pub(super) fn press_in_promotion(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let now = model.now;
    if key.code == KeyCode::Esc {
        leave(model);
        return Vec::new();
    }
    let is_past = model.here.write == super::context::WriteRight::Past;
    if is_past && !Scroll::moves(key.code) && key.code != KeyCode::Char('w') {
        return Vec::new();
    }
    let why_not = promotion_forbidden(model).or_else(|| outdated(model));
    if matches!(key.code, KeyCode::Char('s' | 'c')) && was_sent(model) {
        return again_or_off(model, key.code);
    }
    let Some(desk) = &mut model.here.promotion else { return Vec::new() };
    desk.scroll.key(key.code);
    let target = desk.target.clone();
    match &mut desk.stage {
        Stage::Planning { .. } => Vec::new(),
        Stage::NoPlan { .. } => match key.code {
            KeyCode::Char('r') | KeyCode::Enter => {
                desk.stage = Stage::Planning { notice: None };
                vec![Effect::Ask(target, Query::Plan(desk.mode))]
            }
            KeyCode::BackTab => other_mode(desk),
            _ => Vec::new(),
        },
        Stage::Deciding(deciding) => match key.code {
            KeyCode::Tab => vec![Effect::Ask(target, Query::Plan(desk.mode))],
            KeyCode::BackTab => other_mode(desk),
            code if Scroll::moves(code) => Vec::new(),
            _ => {
                deciding.notice = None;
                match (deciding.consent.key(key, now), why_not) {
                    (Decision::Open, _) => Vec::new(),
                    (Decision::Cancelled, _) => {
                        leave(model);
                        Vec::new()
                    }
                    (Decision::Confirmed(_), Some(why)) => {
                        deciding.notice = Some(why);
                        Vec::new()
                    }
                    (Decision::Confirmed(permit), None) => send(model, permit),
                }
            }
        },
        Stage::Sent(sent) => match key.code {
            KeyCode::Char('w') if sent.is_settled() => {
                let id = sent.id;
                let files = afterwards::files(model).into_iter();
                let files = files.map(|(end, text)| SavedFile::new(format!("promotion-{id}.{end}"), text));
                vec![Effect::Save(files.collect())]
            }
            _ => Vec::new(),
        },
    }
}

/// Closes the dialog. What has no outcome yet is found again.
fn leave(model: &mut Model) {
    model.dialogs.pop();
    // Of the past nothing is closed for good.
    if model.here.write == super::context::WriteRight::Past {
        return;
    }
    let settled = model.here.promotion.as_ref().is_none_or(|desk| match &desk.stage {
        // One that was asked for by its id and that nobody knows is none.
        Stage::Sent(sent) => sent.is_settled() || (sent.plan.is_none() && sent.said.is_none()),
        Stage::Planning { .. } | Stage::NoPlan { .. } | Stage::Deciding(_) => true,
    });
    if let Some(PromotionDesk { stage: Stage::Sent(sent), .. }) = model.here.promotion.take_if(|_| settled) {
        model.here.settled = Some(Box::new(sent));
    }
}

fn was_sent(model: &Model) -> bool {
    matches!(&model.here.promotion, Some(PromotionDesk { stage: Stage::Sent(_), .. }))
}

/// Sends once more what has no outcome, or calls off a switchover that is not done: by whoever may change anything here.
fn again_or_off(model: &mut Model, key: KeyCode) -> Vec<Effect> {
    let now = model.now;
    let Some(PromotionDesk { target, stage: Stage::Sent(sent), .. }) = &model.here.promotion else { return Vec::new() };
    let change = match (key, &sent.plan) {
        // The same id again is the same promotion: it promotes once.
        (KeyCode::Char('s'), Some(plan)) if sent.outcome() == Standing::Unknown && !sent.asking => {
            Change::Promote(request(plan, sent.id))
        }
        (KeyCode::Char('c'), _) if sent.can_be_cancelled() => Change::CancelPromotion(sent.id),
        _ => return Vec::new(),
    };
    let target = target.clone();
    if let Err(why) = targets::still_allowed(model, &target, &change) {
        model.toast(EventLevel::Warn, why);
        return Vec::new();
    }
    if let Change::CancelPromotion(id) = change {
        call_off(model, target, id);
        return Vec::new();
    }
    if let (Change::Promote(_), Some(PromotionDesk { stage: Stage::Sent(sent), .. })) =
        (&change, &mut model.here.promotion)
    {
        (sent.asking, sent.asked_at) = (true, now);
    }
    vec![Effect::Do(confirm::harmless(), target, change)]
}

/// It may be a colleague's, and the key one that was meant for something else.
fn call_off(model: &mut Model, target: Target, id: PromotionId) {
    let region = model.here.world.regions().into_iter().find(|region| region.name == target.region);
    let address = region.map(|region| region.api_address()).unwrap_or_default();
    let confirm = Confirm {
        title: format!("Call the switchover to {} off", target.region),
        lines: vec![
            "The primary goes on as it was, or takes its right back once it hears of it. Nothing is lost.".into(),
        ],
        consent: Consent::yes("Call off", model.now),
        command: format!(
            "twinkeep replication promote -cancel={id} -address={address} -replication-path={}",
            model.here.path
        ),
        target,
        change: Change::CancelPromotion(id),
    };
    model.dialogs.push(super::Dialog::Confirm(confirm));
}

/// A switchover instead of a failover, or the other way round: another plan, and nothing typed yet.
fn other_mode(desk: &mut PromotionDesk) -> Vec<Effect> {
    desk.mode = match desk.mode {
        PromoteMode::Planned => PromoteMode::Forced,
        PromoteMode::Forced => PromoteMode::Planned,
    };
    desk.scroll = Scroll::default();
    desk.stage = Stage::Planning { notice: None };
    vec![Effect::Ask(desk.target.clone(), Query::Plan(desk.mode))]
}

/// That the plan in view is too old to be consented to.
fn outdated(model: &Model) -> Option<String> {
    match &model.here.promotion.as_ref()?.stage {
        Stage::Deciding(deciding) => deciding.outdated(model.now),
        _ => None,
    }
}

/// Why the plan in view can't be carried out from here.
pub fn promotion_forbidden(model: &Model) -> Option<String> {
    let desk = model.here.promotion.as_ref()?;
    let Stage::Deciding(deciding) = &desk.stage else { return None };
    if model.is_tiny() {
        return Some("too small to show what is lost: 40×12 at least".into());
    }
    let blocks = deciding.blocks();
    if !blocks.is_empty() {
        return Some(format!("blocked by: {}", blocks.join(", ")));
    }
    let region = model.here.world.regions().into_iter().find(|region| region.name == desk.target.region);
    match region {
        Some(region) => targets::writable(model, region).err(),
        None => Some(format!("{} is no longer in view", desk.target.region)),
    }
}

/// The plan in view on the command line.
pub fn promotion_command(model: &Model) -> Option<String> {
    let desk = model.here.promotion.as_ref()?;
    let Stage::Deciding(deciding) = &desk.stage else { return None };
    let region = model.here.world.regions().into_iter().find(|region| region.name == desk.target.region)?;
    let mode = match deciding.plan.last().mode {
        PromoteMode::Planned => "planned",
        PromoteMode::Forced => "forced",
    };
    let accept = if deciding.may_lose() { " -accept-loss" } else { "" };
    let (address, path) = (region.api_address(), &model.here.path);
    Some(format!("twinkeep replication promote -{mode}{accept} -address={address} -replication-path={path}"))
}

/// What sends once more what has no outcome: the same promotion by its id, which the command line makes anew each time.
pub fn again_command(model: &Model) -> Option<String> {
    let desk = model.here.promotion.as_ref()?;
    let Stage::Sent(sent) = &desk.stage else { return None };
    let request = serde_json::to_string(&request(sent.plan.as_ref()?, sent.id)).ok()?;
    let region = model.here.world.regions().into_iter().find(|region| region.name == desk.target.region)?;
    let (address, path) = (region.api_address(), &model.here.path);
    let url = format!("{address}/v1/sys/replication/path/{path}/promote");
    Some(format!("curl -H \"X-Vault-Token: $VAULT_TOKEN\" -d '{request}' {url}"))
}

fn request(plan: &Plan, id: PromotionId) -> PromoteRequest {
    let loss = &plan.loss;
    PromoteRequest {
        mode: plan.mode,
        plan: plan.hash.clone(),
        accept_loss: !(loss.known && loss.entries == 0),
        id,
        deadline: None,
    }
}

fn send(model: &mut Model, permit: confirm::Permit) -> Vec<Effect> {
    let now = model.now;
    let evidence = model.pair().map(|pair| evidence(&model.here.world, &pair, now)).unwrap_or_default();
    let command = promotion_command(model).unwrap_or_default();
    let heard_at = heard_at(model);
    let Some(desk) = &mut model.here.promotion else { return Vec::new() };
    let Stage::Deciding(deciding) = &desk.stage else { return Vec::new() };
    let (plan, id, mode) = (deciding.plan.last().clone(), deciding.id, desk.mode);
    let told = told_head(&model.here.world, &desk.target.region, &plan, now).filter(|_| !plan.loss.known);
    let request = request(&plan, id);
    let target = desk.target.clone();
    let plan = Some(plan);
    // Asking is on until the answer to the promotion itself is here.
    let found = Sent::found(id, now);
    let sent = Sent { plan, mode, evidence, told, heard_at, ..found };
    desk.stage = Stage::Sent(sent);
    let words = format!("asked {} to become primary, promotion {id}", target.region);
    model.here.log.note(now, EventLevel::Warn, "promotion", words);
    let change = Change::Promote(request);
    outcome::begun(model, &target, &change, command);
    vec![Effect::Do(permit, target, change)]
}

/// When this console heard the primary of the pair last, on the standby's clock, by which the steps are told.
fn heard_at(model: &Model) -> Option<crate::clock::UnixMs> {
    let pair = model.pair()?;
    let heard = pair.primary()?.status?.at();
    let skew_ms = pair.standby().and_then(RegionView::clock_skew_ms).unwrap_or_default();
    Some(crate::clock::UnixMs(heard.0.saturating_add_signed(skew_ms)))
}

/// Looks after a promotion that was sent from somewhere else, by its id.
pub(super) fn find(model: &mut Model, id: PromotionId) -> Vec<Effect> {
    let Ok(region) = targets::promoted_or_promotable(model) else { return Vec::new() };
    let target = targets::target(model, &region);
    look_after(model, target, id)
}

/// One that is known by its id, with what was known of it when it was closed here.
pub(super) fn found(model: &Model, id: PromotionId) -> Sent {
    let (now, closed) = (model.now, model.here.settled.as_deref().filter(|closed| closed.id == id));
    closed.map_or_else(|| Sent::found(id, now), |closed| Sent { asked_at: now, asking: true, ..closed.clone() })
}

/// The same, of the region that is known to carry it out.
pub(super) fn look_after(model: &mut Model, target: Target, id: PromotionId) -> Vec<Effect> {
    let sent = found(model, id);
    let mode = sent.mode;
    model.here.promotion =
        Some(PromotionDesk { target: target.clone(), scroll: Scroll::default(), mode, stage: Stage::Sent(sent) });
    model.dialogs.push(super::Dialog::Promotion);
    vec![Effect::Ask(target, Query::Promotion(id))]
}

/// What a promotion takes: the name of the region that becomes primary, typed under the plan that was read.
fn consent(region: &str, now: crate::clock::UnixMs) -> Consent {
    Consent::named("Promote", region, now)
}

pub(super) fn planned(
    model: &mut Model,
    target: &Target,
    mode: PromoteMode,
    result: Result<(Plan, PromotionId), Failure>,
) {
    let now = model.now;
    // An answer to what was asked before the other mode was chosen is none to this.
    let wanted = |desk: &&mut PromotionDesk| desk.target.region == target.region && desk.mode == mode;
    let Some(desk) = model.here.promotion.as_mut().filter(wanted) else { return };
    match (&mut desk.stage, result) {
        (Stage::Sent(_), _) => {}
        (Stage::Deciding(deciding), Ok((plan, _))) => {
            deciding.renew(Observed::new(plan, now, target.region.clone()), consent(&target.region, now));
        }
        (Stage::Deciding(deciding), Err(failure)) => deciding.unanswered = Some(failure.words),
        (stage, Ok((plan, id))) => {
            let notice = match stage {
                Stage::Planning { notice } => notice.take(),
                _ => None,
            };
            let plan = Observed::new(plan, now, target.region.clone());
            *stage = Stage::Deciding(Deciding::new(plan, id, consent(&target.region, now), notice));
        }
        (_, Err(failure)) => desk.stage = Stage::NoPlan { why: failure.words },
    }
}

pub(super) fn promoted(model: &mut Model, id: PromotionId, result: Result<Option<Promotion>, Failure>) -> Vec<Effect> {
    let now = model.now;
    let Some(desk) = &mut model.here.promotion else { return Vec::new() };
    let target = desk.target.clone();
    let mode = desk.mode;
    let Stage::Sent(sent) = &mut desk.stage else { return Vec::new() };
    if sent.id != id {
        return Vec::new();
    }
    sent.asking = false;
    let before = sent.outcome();
    match result {
        Ok(Some(promotion)) if promotion.plan.is_some() && promotion.outcome == PromotionOutcome::Failed => {
            // Nothing was done: the new plan is shown, and wants its own consent and its own id.
            let why = promotion.error.unwrap_or_else(|| "the plan is another now".into());
            let notice = format!("not promoted, the facts changed: {why}");
            desk.stage = Stage::Planning { notice: Some(notice.clone()) };
            outcome::settle(model, &target, Asked::Promotion(id), Standing::Failed, notice.clone());
            model.toast(EventLevel::Warn, notice);
            return vec![Effect::Ask(target, Query::Plan(mode))];
        }
        Ok(Some(promotion)) => {
            sent.hear(Observed::new(promotion, now, target.region.clone()));
        }
        Ok(None) if sent.is_settled() => return Vec::new(),
        Ok(None) => sent.doubt = Some(format!("{} does not know this promotion (yet)", target.region)),
        // What is known stays known, whoever does not answer now.
        Err(_) if sent.is_settled() => return Vec::new(),
        Err(failure) if failure.sort == FailureSort::Unknown || sent.said.is_some() || sent.doubt.is_some() => {
            sent.doubt = Some(failure.words);
        }
        Err(failure) => {
            desk.stage = Stage::NoPlan { why: format!("not promoted: {}", failure.words) };
            outcome::settle(model, &target, Asked::Promotion(id), Standing::Failed, failure.words);
            model.toast(EventLevel::Alarm, format!("{} was not promoted", target.region));
            return Vec::new();
        }
    }
    outcome_moved(model, before)
}

/// Says what became of the promotion in view, if that is news.
pub(super) fn outcome_moved(model: &mut Model, before: Standing) -> Vec<Effect> {
    let Some(PromotionDesk { target, stage: Stage::Sent(sent), .. }) = &model.here.promotion else { return Vec::new() };
    let (target, after, id) = (target.clone(), sent.outcome(), sent.id);
    let said = sent.said.as_ref().and_then(|said| said.last().error.clone()).or_else(|| sent.doubt.clone());
    if before == after {
        return Vec::new();
    }
    let epoch = sent.epoch().map_or_else(|| "unknown".into(), |epoch| epoch.to_string());
    let (level, text) = match after {
        Standing::Done => (EventLevel::Warn, format!("{} is primary in epoch {epoch}", target.region)),
        Standing::Failed => (EventLevel::Alarm, format!("the promotion of {} failed", target.region)),
        Standing::Unknown => {
            (EventLevel::Alarm, format!("the promotion of {}: outcome unknown, asking", target.region))
        }
        Standing::Running => (EventLevel::Info, format!("{} is promoting itself", target.region)),
    };
    let words = said.filter(|_| after != Standing::Done).unwrap_or_else(|| text.clone());
    outcome::settle(model, &target, Asked::Promotion(id), after, words);
    model.toast(level, text);
    vec![Effect::Bell]
}
