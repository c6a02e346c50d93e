//! How each message changes the model.

use super::actions::{Action, Place};
use super::confirm::{self, Decision};
use super::desk::{HeldToken, TokenDesk};
use super::dialog::Dialog;
use super::history::Sample;
use super::list;
use super::model::Model;
use super::msg::{Answer, Change, Effect, Failure, FailureSort, Msg, Query, Target};
use super::palette::{HISTORY_MAX, Palette};
use super::perform::perform;
use super::promotion::{Deciding, Sent, Stage, Standing};
use super::targets;
use crate::api::replication::Role;
use crate::api::replication::{
    EventLevel, Plan, PromoteMode, PromoteRequest, Promotion, PromotionOutcome, TokenCreated,
};
use crate::clock::UnixMs;
use crate::console::domain::{NodeReport, Observed};
use crate::ids::PromotionId;
use crate::sensitive::SensitiveString;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;

/// No plan is longer.
const SCROLL_MAX: usize = 200;

/// Takes a message in and says what shall be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Tick(now) => tick(model, now),
        Msg::Key(key) => press(model, key),
        Msg::Paste(text) => {
            paste(model, &text);
            Vec::new()
        }
        Msg::Reports(reports) => take_reports(model, reports),
        Msg::Events { region, events } => {
            for event in events {
                model.log.take(&region, event);
            }
            Vec::new()
        }
        Msg::Answer(answer) => take_answer(model, *answer),
        Msg::Notice(text) => {
            model.toast(EventLevel::Warn, text);
            Vec::new()
        }
    }
}

fn tick(model: &mut Model, now: UnixMs) -> Vec<Effect> {
    model.now = now;
    if let Some(pair) = model.pair() {
        let lag = pair.lag().filter(|lag| lag.age <= crate::console::domain::FRESH_FOR);
        let (entries, ms) = (lag.map(|lag| lag.lag.entries), lag.map(|lag| lag.lag.ms));
        model.samples.take(Sample { at: now, entries, ms });
    }
    let expired = model.desk.held().filter(|held| held.expires_at <= now).map(|held| held.region.clone());
    if let Some(region) = expired {
        model.desk = TokenDesk::Failed { region: region.clone(), why: "it expired unused".into() };
        model.toast(EventLevel::Warn, format!("the token of {region} expired unused"));
    }
    let Some(desk) = &mut model.promotion else { return Vec::new() };
    match &mut desk.stage {
        Stage::Sent(sent) if sent.wants_asking(now) => {
            sent.asking = true;
            sent.asked_at = now;
            vec![Effect::Ask(desk.target.clone(), Query::Promotion(sent.id))]
        }
        _ => Vec::new(),
    }
}

fn press(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    // Job control belongs to the shell: it works everywhere.
    if control && key.code == KeyCode::Char('z') {
        return vec![Effect::Suspend];
    }
    if !model.dialogs.is_empty() {
        return press_in_dialog(model, key);
    }
    if model.list().typing {
        match key.code {
            KeyCode::Enter => model.list_mut().typing = false,
            KeyCode::Esc => model.list_mut().clear_filter(),
            _ => {
                let list = model.list_mut();
                list::edit(&mut list.filter, key);
                list.cursor = None;
            }
        }
        return Vec::new();
    }
    if key.code == KeyCode::Enter && model.screen == super::Screen::Help {
        return run_from_help(model);
    }
    let action = model.keymap.actions(key).find(|action| action.works_on(model.screen));
    action.map_or_else(Vec::new, |action| perform(model, action, None))
}

/// Enter on a line of the help does what the line says.
fn run_from_help(model: &mut Model) -> Vec<Effect> {
    let rows = help_rows(model);
    let at = model.list().row(rows.len(), list::Rest::First);
    let Some(info) = rows.get(at) else { return Vec::new() };
    let runs = info.place != Place::TokenDialog && !matches!(info.action, Action::List(_));
    if runs { perform(model, info.action, None) } else { Vec::new() }
}

/// The actions that the help shows, in its order.
pub fn help_rows(model: &Model) -> Vec<&'static super::ActionInfo> {
    let list = model.lists.get(&super::Screen::Help);
    let mut rows: Vec<_> = super::ACTIONS
        .iter()
        .filter(|info| {
            let keys: String = model.keymap.keys(info.action).map(|key| format!("{key} ")).collect();
            list.is_none_or(|list| list.shows(&format!("{keys} {} {} {}", info.id, info.title, info.group.title())))
        })
        .collect();
    rows.sort_by_key(|info| info.group);
    rows
}

fn press_in_dialog(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let key = if control && key.code == KeyCode::Char('c') { KeyEvent::from(KeyCode::Esc) } else { key };
    let now = model.now;
    match model.dialogs.last_mut() {
        None => Vec::new(),
        Some(Dialog::Palette(_)) => press_in_palette(model, key),
        Some(Dialog::Confirm(confirm)) => match confirm.key(key, now) {
            Decision::Open => Vec::new(),
            Decision::Cancelled => {
                model.dialogs.pop();
                Vec::new()
            }
            Decision::Confirmed(permit) => {
                let Some(Dialog::Confirm(confirm)) = model.dialogs.pop() else { return Vec::new() };
                begin(model, &confirm.target, &confirm.change);
                vec![Effect::Do(permit, confirm.target, confirm.change)]
            }
        },
        Some(Dialog::Token) => press_in_token_dialog(model, key),
        Some(Dialog::Promotion) => press_in_promotion(model, key),
    }
}

fn press_in_palette(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let Some(Dialog::Palette(palette)) = model.dialogs.last() else { return Vec::new() };
    let mut palette: Palette = palette.clone();
    let matches = palette.matches(model).len();
    match key.code {
        KeyCode::Esc => {
            model.dialogs.pop();
            return Vec::new();
        }
        KeyCode::Enter => {
            let chosen = palette.chosen(model);
            model.dialogs.pop();
            let Some(entry) = chosen else { return Vec::new() };
            model.palette_history.retain(|command| *command != entry.command);
            model.palette_history.push(entry.command.clone());
            if model.palette_history.len() > HISTORY_MAX {
                model.palette_history.remove(0);
            }
            return perform(model, entry.action, entry.argument);
        }
        KeyCode::Up => palette.cursor = palette.cursor.saturating_sub(1),
        KeyCode::Down => palette.cursor = (palette.cursor + 1).min(matches.saturating_sub(1)),
        KeyCode::Tab => {
            if let Some(entry) = palette.chosen(model) {
                palette.input = tui_input::Input::new(entry.command);
                palette.cursor = 0;
            }
        }
        _ => {
            list::edit(&mut palette.input, key);
            palette.cursor = 0;
        }
    }
    model.dialogs.pop();
    model.dialogs.push(Dialog::Palette(palette));
    Vec::new()
}

fn press_in_token_dialog(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    if matches!(key.code, KeyCode::Esc | KeyCode::Enter) {
        if let Some(held) = model.desk.held_mut() {
            held.revealed_until = None;
        }
        if matches!(model.desk, TokenDesk::Failed { .. }) {
            model.desk = TokenDesk::Empty;
        }
        model.dialogs.pop();
        return Vec::new();
    }
    let action = model.keymap.actions(key).find(|action| matches!(action, Action::TokenReveal | Action::TokenHandOver));
    action.map_or_else(Vec::new, |action| perform(model, action, None))
}

fn press_in_promotion(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let now = model.now;
    if key.code == KeyCode::Esc {
        model.dialogs.pop();
        let settled = model.promotion.as_ref().is_none_or(|desk| match &desk.stage {
            Stage::Sent(sent) => sent.is_settled(),
            Stage::Planning { .. } | Stage::NoPlan { .. } | Stage::Deciding(_) => true,
        });
        if settled {
            model.promotion = None;
        }
        return Vec::new();
    }
    let why_not = promotion_forbidden(model);
    let Some(desk) = &mut model.promotion else { return Vec::new() };
    match key.code {
        KeyCode::Up => desk.scroll = desk.scroll.saturating_sub(1),
        KeyCode::Down => desk.scroll = (desk.scroll + 1).min(SCROLL_MAX),
        _ => {}
    }
    let target = desk.target.clone();
    match &mut desk.stage {
        Stage::Planning { .. } => Vec::new(),
        Stage::NoPlan { .. } => match key.code {
            KeyCode::Char('r') | KeyCode::Enter => {
                desk.stage = Stage::Planning { notice: None };
                vec![Effect::Ask(target, Query::Plan)]
            }
            _ => Vec::new(),
        },
        Stage::Deciding(deciding) => match key.code {
            KeyCode::Tab => vec![Effect::Ask(target, Query::Plan)],
            _ if now.since(desk.opened_at) < confirm::TYPED_AHEAD => Vec::new(),
            KeyCode::Enter => {
                if let Some(why) = why_not {
                    deciding.notice = Some(why);
                    return Vec::new();
                }
                match confirm::typed(&target.region, deciding.typed.value()) {
                    Some(permit) => send(model, permit),
                    None => {
                        deciding.notice = Some(format!("type {} exactly as it is written", target.region));
                        Vec::new()
                    }
                }
            }
            KeyCode::Up | KeyCode::Down => Vec::new(),
            _ => {
                deciding.notice = None;
                list::edit(&mut deciding.typed, key);
                Vec::new()
            }
        },
        Stage::Sent(sent) => match key.code {
            // The same id again is the same promotion: it promotes once.
            KeyCode::Char('s') if sent.outcome() == Standing::Unknown && !sent.asking => {
                sent.asking = true;
                sent.asked_at = now;
                let request = request(&sent.plan, sent.id);
                vec![Effect::Do(confirm::harmless(), target, Change::Promote(request))]
            }
            _ => Vec::new(),
        },
    }
}

/// Why the plan in view can't be carried out from here.
pub fn promotion_forbidden(model: &Model) -> Option<String> {
    let desk = model.promotion.as_ref()?;
    let Stage::Deciding(deciding) = &desk.stage else { return None };
    let blocks = deciding.blocks();
    if !blocks.is_empty() {
        return Some(format!("blocked by: {}", blocks.join(", ")));
    }
    let region = model.world.regions().into_iter().find(|region| region.name == desk.target.region);
    match region {
        Some(region) => targets::writable(model, region).err(),
        None => Some(format!("{} is no longer in view", desk.target.region)),
    }
}

fn request(plan: &Plan, id: PromotionId) -> PromoteRequest {
    let loss = &plan.loss;
    PromoteRequest {
        mode: PromoteMode::Forced,
        plan: plan.hash.clone(),
        accept_loss: !(loss.known && loss.entries == 0),
        id,
    }
}

fn send(model: &mut Model, permit: confirm::Permit) -> Vec<Effect> {
    let now = model.now;
    let Some(desk) = &mut model.promotion else { return Vec::new() };
    let Stage::Deciding(deciding) = &desk.stage else { return Vec::new() };
    let (plan, id) = (deciding.plan.last().clone(), deciding.id);
    let request = request(&plan, id);
    let target = desk.target.clone();
    // Asking is on until the answer to the promotion itself is here.
    let sent = Sent { plan, id, sent_at: now, said: None, doubt: None, asked_at: now, asking: true };
    desk.stage = Stage::Sent(sent);
    model.log.note(now, EventLevel::Warn, "promotion", format!("asked {} to become primary", target.region));
    vec![Effect::Do(permit, target, Change::Promote(request))]
}

/// Notes that a change is on its way.
fn begin(model: &mut Model, target: &Target, change: &Change) {
    if let Change::Connect { .. } = change
        && let TokenDesk::Held(held) = std::mem::take(&mut model.desk)
    {
        model.desk = TokenDesk::Handing { held, primary: target.region.clone() };
        if !matches!(model.dialogs.last(), Some(Dialog::Token)) {
            model.dialogs.push(Dialog::Token);
        }
    }
}

fn paste(model: &mut Model, text: &str) {
    if model.dialogs.is_empty() && model.list().typing {
        list::paste(&mut model.list_mut().filter, text);
        return;
    }
    match model.dialogs.last_mut() {
        Some(Dialog::Palette(palette)) => {
            list::paste(&mut palette.input, text);
            palette.cursor = 0;
        }
        Some(Dialog::Promotion) => {
            if let Some(Stage::Deciding(deciding)) = model.promotion.as_mut().map(|desk| &mut desk.stage) {
                deciding.notice = Some("pasting is refused here: type the name".into());
            }
        }
        Some(Dialog::Confirm(_) | Dialog::Token) | None => {}
    }
}

fn take_reports(model: &mut Model, reports: Vec<NodeReport>) -> Vec<Effect> {
    let before = standing(model);
    for report in reports {
        model.world.take(report);
    }
    let mut effects = Vec::new();
    let mut changes = Vec::new();
    for (name, now) in standing(model) {
        let Some(then) = before.get(&name) else { continue };
        if then.role != now.role
            && let (Some(from), Some(to)) = (then.role, now.role)
        {
            changes.push((EventLevel::Warn, format!("{name} was {from}, now is {to}")));
            effects.push(Effect::Bell);
        }
        match (then.dark, now.dark) {
            (false, true) => {
                changes.push((EventLevel::Alarm, format!("{name} does not answer any more")));
                effects.push(Effect::Bell);
            }
            (true, false) if now.role.is_some() && then.role.is_some() => {
                changes.push((EventLevel::Info, format!("{name} answers again")));
            }
            _ => {}
        }
    }
    for (level, text) in changes {
        model.toast(level, text);
    }
    effects.truncate(1);
    effects
}

struct Noticed {
    role: Option<Role>,
    dark: bool,
}

fn standing(model: &Model) -> BTreeMap<String, Noticed> {
    let regions = model.world.regions().into_iter();
    regions.map(|region| (region.name.clone(), Noticed { role: region.role(), dark: region.is_dark() })).collect()
}

fn take_answer(model: &mut Model, answer: Answer) -> Vec<Effect> {
    match answer {
        Answer::Token(target, result) => {
            token_made(model, target, result);
            Vec::new()
        }
        Answer::Connected { primary, standby, result } => {
            connected(model, primary, standby, result);
            Vec::new()
        }
        Answer::Revoked { region, accessor, result } => {
            if model.desk.held().is_some_and(|held| held.accessor == accessor) && result.is_ok() {
                model.desk = TokenDesk::Empty;
            }
            say(model, result, format!("the token {accessor} of {region} is revoked"), "revoke");
            Vec::new()
        }
        Answer::Paused(target, result) => {
            say(model, result, format!("{} paused the link", target.region), "pause");
            Vec::new()
        }
        Answer::Resumed(target, result) => {
            say(model, result, format!("{} carries on with the link", target.region), "resume");
            Vec::new()
        }
        Answer::Plan(target, result) => {
            planned(model, &target, result);
            Vec::new()
        }
        Answer::Promotion(id, result) => promoted(model, id, result),
    }
}

fn say(model: &mut Model, result: Result<(), Failure>, done: String, what: &str) {
    match result {
        Ok(()) => model.toast(EventLevel::Info, done),
        Err(failure) => {
            let unknown = if failure.sort == FailureSort::Unknown { "outcome unknown: " } else { "" };
            model.toast(EventLevel::Warn, format!("{what}: {unknown}{}", failure.words));
        }
    }
}

fn token_made(model: &mut Model, target: Target, result: Result<TokenCreated, Failure>) {
    let region = target.region.clone();
    match result {
        Ok(mut created) => {
            let token = SensitiveString::new(std::mem::take(&mut created.token));
            model.desk = TokenDesk::Held(HeldToken {
                region: region.clone(),
                accessor: created.accessor.clone(),
                expires_at: created.expires_at,
                token,
                revealed_until: None,
                notice: None,
            });
            model.toast(EventLevel::Info, format!("{region} made the token {}", created.accessor));
        }
        Err(failure) => {
            model.toast(EventLevel::Warn, format!("{region} made no token: {}", failure.words));
            model.desk = TokenDesk::Failed { region, why: failure.words };
        }
    }
}

fn connected(model: &mut Model, primary: String, standby: String, result: Result<(), Failure>) {
    let TokenDesk::Handing { mut held, .. } = std::mem::take(&mut model.desk) else { return };
    match result {
        Ok(()) => {
            // Spent: the dialog goes, and the memory is wiped with the token.
            model.dialogs.retain(|dialog| !matches!(dialog, Dialog::Token));
            model.toast(EventLevel::Info, format!("{primary} took the token of {standby} and dials it"));
        }
        Err(failure) => {
            let unknown = if failure.sort == FailureSort::Unknown { "outcome unknown: " } else { "" };
            let words = format!("{primary}: {unknown}{}", failure.words);
            model.toast(EventLevel::Warn, words.clone());
            held.notice = Some(words);
            model.desk = TokenDesk::Held(held);
        }
    }
}

fn planned(model: &mut Model, target: &Target, result: Result<(Plan, PromotionId), Failure>) {
    let now = model.now;
    let Some(desk) = model.promotion.as_mut().filter(|desk| desk.target.region == target.region) else { return };
    match (&mut desk.stage, result) {
        (Stage::Sent(_), _) => {}
        (Stage::Deciding(deciding), Ok((plan, _))) => {
            if plan.hash != deciding.plan.last().hash {
                deciding.typed.reset();
                deciding.notice = Some("the facts changed: this is a new plan".into());
            }
            deciding.plan = Observed::new(plan, now, target.region.clone());
        }
        (Stage::Deciding(deciding), Err(failure)) => deciding.notice = Some(failure.words),
        (stage, Ok((plan, id))) => {
            let notice = match stage {
                Stage::Planning { notice } => notice.take(),
                _ => None,
            };
            let plan = Observed::new(plan, now, target.region.clone());
            *stage = Stage::Deciding(Deciding { plan, id, typed: tui_input::Input::default(), notice });
        }
        (_, Err(failure)) => desk.stage = Stage::NoPlan { why: failure.words },
    }
}

fn promoted(model: &mut Model, id: PromotionId, result: Result<Option<Promotion>, Failure>) -> Vec<Effect> {
    let now = model.now;
    let Some(desk) = &mut model.promotion else { return Vec::new() };
    let target = desk.target.clone();
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
            model.toast(EventLevel::Warn, notice);
            return vec![Effect::Ask(target, Query::Plan)];
        }
        Ok(Some(promotion)) => {
            sent.said = Some(Observed::new(promotion, now, target.region.clone()));
            sent.doubt = None;
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
            model.toast(EventLevel::Alarm, format!("{} was not promoted", target.region));
            return Vec::new();
        }
    }
    let after = sent.outcome();
    if before == after {
        return Vec::new();
    }
    let epoch = sent.plan.epoch_next;
    let (level, text) = match after {
        Standing::Done => (EventLevel::Warn, format!("{} is primary in epoch {epoch}", target.region)),
        Standing::Failed => (EventLevel::Alarm, format!("the promotion of {} failed", target.region)),
        Standing::Unknown => {
            (EventLevel::Alarm, format!("the promotion of {}: outcome unknown, asking", target.region))
        }
        Standing::Running => (EventLevel::Info, format!("{} is promoting itself", target.region)),
    };
    model.toast(level, text);
    vec![Effect::Bell]
}
