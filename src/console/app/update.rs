//! How each message changes the model.

use super::answer::take_answer;
use super::context::{ContextId, WriteRight};
use super::desk::TokenDesk;
use super::dialog::Dialog;
use super::failover::ask_verification;
use super::history::Sample;
use super::ledger::ask_for_ledger;
use super::list;
use super::model::Model;
use super::msg::{Effect, Msg, Query};
use super::press::{click, press, wheel};
use super::promotion::Stage;
use super::rehearsal::RehearsalNews;
use crate::api::replication::{EventLevel, Role};
use crate::clock::UnixMs;
use crate::console::domain::NodeReport;
use crate::console::domain::alarm::LAG_WARN_MS;
use crate::console::domain::units::{duration, lag_ms};
use crate::console::domain::{FRESH_FOR, RegionView};
use std::collections::BTreeMap;

/// Takes a message in and says what shall be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let by_hand = matches!(msg, Msg::Key(_) | Msg::Paste(_) | Msg::Click(_) | Msg::Wheel(_));
    let (context, screen) = (model.here.id, model.screen);
    let effects = take(model, msg);
    if by_hand && (context, screen) == (model.here.id, model.screen) {
        model.hold_row();
    } else {
        model.find_row();
    }
    effects
}

fn take(model: &mut Model, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Tick(now) => tick(model, now),
        Msg::Key(key) => press(model, key),
        Msg::Paste(text) => {
            paste(model, &text);
            Vec::new()
        }
        Msg::Reports(reports) => take_reports(model, reports),
        Msg::Events { context, region, events } => {
            if let Some(context) = model.context_mut(context) {
                for event in events {
                    context.log.take(&region, event);
                }
            }
            Vec::new()
        }
        Msg::Answer(context, answer) => in_context(model, context, |model| take_answer(model, *answer)),
        Msg::Rehearsal(RehearsalNews::Score(lines)) => {
            if let Some(desk) = &mut model.rehearsal {
                desk.score = lines;
            }
            Vec::new()
        }
        Msg::Rehearsal(RehearsalNews::Said(level, words)) => {
            model.toast(level, words);
            Vec::new()
        }
        Msg::Click(hit) => click(model, hit),
        Msg::Wheel(step) => wheel(model, step),
        Msg::Notice(text) => {
            model.toast(EventLevel::Warn, text);
            Vec::new()
        }
    }
}

fn tick(model: &mut Model, now: UnixMs) -> Vec<Effect> {
    model.now = now;
    let ids: Vec<ContextId> = model.contexts().into_iter().map(|context| context.id).collect();
    ids.into_iter().flat_map(|id| in_context(model, id, tick_context)).collect()
}

/// Does something as if that context were looked at: what was begun in one goes on while another is in view.
fn in_context(model: &mut Model, id: ContextId, act: impl FnOnce(&mut Model) -> Vec<Effect>) -> Vec<Effect> {
    let here = model.here.id;
    model.swap_to(id);
    let effects = act(model);
    model.swap_to(here);
    effects
}

fn tick_context(model: &mut Model) -> Vec<Effect> {
    let now = model.now;
    if let Some(pair) = model.pair() {
        let lag = pair.lag().filter(|lag| lag.age <= FRESH_FOR);
        let (entries, ms) = (lag.map(|lag| lag.lag.entries), lag.map(|lag| lag.lag.ms));
        model.here.samples.take(Sample { at: now, entries, ms });
    }
    if let WriteRight::Armed { until } = model.here.write
        && until <= now
    {
        model.here.write = WriteRight::ReadOnly;
        model.toast(EventLevel::Info, "read-only again: the time is over");
    }
    if let Some(left) = model.here.desk.held_mut().and_then(|held| held.expiry_to_tell(now)) {
        model.toast(
            EventLevel::Warn,
            format!("the new token expires in {}: hand it over or make another", duration(left)),
        );
    }
    let expired = model.here.desk.held().filter(|held| held.expires_at <= now).map(|held| held.region.clone());
    if let Some(region) = expired {
        model.here.desk = TokenDesk::Failed { region: region.clone(), why: "it expired unused".into() };
        model.toast(EventLevel::Warn, format!("the token of {region} expired unused"));
    }
    let mut effects = ask_for_ledger(model);
    effects.extend(ask_verification(model));
    effects.extend(super::resolve::ask(model));
    let Some(desk) = &mut model.here.promotion else { return effects };
    match &mut desk.stage {
        Stage::Sent(sent) if sent.wants_asking(now) => {
            sent.asking = true;
            sent.asked_at = now;
            effects.push(Effect::Ask(desk.target.clone(), Query::Promotion(sent.id)));
        }
        // Of the past nobody is asked.
        Stage::Deciding(deciding) if deciding.wants_asking(now) && model.here.write != WriteRight::Past => {
            deciding.asked_at = now;
            effects.push(Effect::Ask(desk.target.clone(), Query::Plan(desk.mode)));
        }
        _ => {}
    }
    effects
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
            if let Some(Stage::Deciding(deciding)) = model.here.promotion.as_mut().map(|desk| &mut desk.stage) {
                deciding.consent.refuse_paste();
            }
        }
        Some(Dialog::Form(form)) => list::paste(&mut form.ttl, text),
        Some(Dialog::Confirm(confirm)) => confirm.consent.refuse_paste(),
        Some(
            Dialog::Alarms { .. } | Dialog::Outcomes { .. } | Dialog::Choose(_) | Dialog::Token | Dialog::Faults { .. },
        )
        | None => {}
    }
}

fn take_reports(model: &mut Model, reports: Vec<(ContextId, NodeReport)>) -> Vec<Effect> {
    let mut sorted: BTreeMap<ContextId, Vec<NodeReport>> = BTreeMap::new();
    for (context, report) in reports {
        sorted.entry(context).or_default().push(report);
    }
    let take = |(id, reports)| in_context(model, id, |model| take_context_reports(model, reports));
    let mut effects: Vec<Effect> = sorted.into_iter().flat_map(take).collect();
    effects.truncate(if model.quiet { 0 } else { 1 });
    effects
}

/// One bell for all that changed at once.
fn take_context_reports(model: &mut Model, reports: Vec<NodeReport>) -> Vec<Effect> {
    let before = standing(model);
    let lagged = lags(model);
    model.here.world.take_all(reports);
    let mut effects = Vec::new();
    let mut changes = Vec::new();
    if let (None, Some(words)) = (lagged, lags(model)) {
        changes.push((EventLevel::Warn, words));
        effects.push(Effect::Bell);
    }
    for (name, now) in standing(model) {
        let then = before.get(&name);
        if now.plain && !then.is_some_and(|then| then.plain) {
            // Its card and its screen say so all the time.
            let words = format!("{name} is called without TLS: whoever is on the way reads tokens and secrets");
            model.here.log.note(model.now, EventLevel::Warn, "tls", words);
        }
        let Some(then) = then else { continue };
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
    effects.extend(super::told::take(model));
    super::failover::take_told(model);
    super::resolve::watch(model);
    effects
}

struct Noticed {
    role: Option<Role>,
    dark: bool,
    /// It was heard, and has no TLS.
    plain: bool,
}

/// That the standby is further behind than is well, in words.
fn lags(model: &Model) -> Option<String> {
    let pair = model.pair()?;
    let lag = pair.lag().filter(|lag| lag.age <= FRESH_FOR && lag.lag.ms >= LAG_WARN_MS)?;
    Some(format!("{} is {} behind", pair.standby()?.name, lag_ms(lag.lag.ms)))
}

fn standing(model: &Model) -> BTreeMap<String, Noticed> {
    let regions = model.here.world.regions().into_iter();
    let noticed = |region: RegionView<'_>| {
        let plain = region.status.is_some() && region.speaks_plainly();
        (region.name.clone(), Noticed { role: region.role(), dark: region.is_dark(), plain })
    };
    regions.map(noticed).collect()
}
