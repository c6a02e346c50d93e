//! What each action does.

use super::actions::Action;
use super::confirm::{Confirm, Focus, harmless};
use super::context::WriteRight;
use super::dialog::Dialog;
use super::form::TokenForm;
use super::history::MARK;
use super::list::Rest;
use super::model::{Model, Mouse, Screen};
use super::msg::{Change, Effect, ExportFormat, Query, Target};
use super::palette::Palette;
use super::promoting;
use super::promotion::{PromotionDesk, Stage};
use super::targets::{self, target};
use crate::api::ledger::{DiscardRequest, RejoinRequest, ReplayRequest};
use crate::api::replication::{EventLevel, PromoteMode, Role};
use crate::clock::UnixMs;
use crate::console::domain::RegionView;
use crate::console::domain::units::{bytes, duration, entries};
use crate::ids::PromotionId;
use crate::sensitive::SensitiveString;
use std::time::Duration;

/// Does it, if it can be done now; else says why not.
pub(super) fn perform(model: &mut Model, action: Action, argument: Option<String>) -> Vec<Effect> {
    if let Some(why) = (action.info().disabled)(model) {
        model.hint(EventLevel::Warn, format!("{}: {why}", action.info().id));
        return Vec::new();
    }
    match action {
        Action::Show(screen) => {
            model.screen = screen;
            ask_for_ledger(model)
        }
        Action::NextScreen => turn(model, 1),
        Action::PreviousScreen => turn(model, Screen::ALL.len() - 1),
        Action::NextRegion => select(model, 1),
        Action::PreviousRegion => select(model, model.here.world.regions().len() - 1),
        Action::List(step) => {
            let (rows, rest) = rows(model);
            model.list_mut().go(step, rows, rest);
            Vec::new()
        }
        Action::Filter => {
            model.list_mut().typing = true;
            Vec::new()
        }
        Action::Palette => {
            model.dialogs.push(Dialog::Palette(Palette::default()));
            Vec::new()
        }
        Action::Back => {
            back(model);
            Vec::new()
        }
        Action::TokenGenerate => generate_token(model),
        Action::Link => {
            link(model);
            Vec::new()
        }
        Action::TokenCopy => copy_token(model),
        Action::TokenSave => save_token(model),
        Action::Context => {
            go_to_context(model, argument);
            Vec::new()
        }
        Action::LedgerReplay => {
            replay(model);
            Vec::new()
        }
        Action::LedgerDiscard => {
            discard(model, argument);
            Vec::new()
        }
        Action::Rejoin => {
            rejoin(model, argument);
            Vec::new()
        }
        Action::Past(look) => vec![Effect::Past(look)],
        Action::Mark => {
            let marks = model.here.log.entries().filter(|entry| entry.subject == MARK).count() + 1;
            let words = format!("mark {marks}");
            let now = model.now;
            model.here.log.note(now, EventLevel::Info, MARK, words.clone());
            model.hint(EventLevel::Info, format!("{words} was set"));
            vec![Effect::Mark(words)]
        }
        Action::Export => match argument.as_deref().map(ExportFormat::parse) {
            Some(Some(format)) => vec![Effect::Export(format)],
            _ => {
                model.hint(EventLevel::Info, "export: text, ansi, svg, json or csv");
                Vec::new()
            }
        },
        Action::Bundle => vec![Effect::Bundle],
        Action::Faults => {
            model.dialogs.push(Dialog::Faults);
            Vec::new()
        }
        Action::Arm => {
            arm(model, argument);
            Vec::new()
        }
        Action::Disarm => {
            model.here.write = WriteRight::ReadOnly;
            model.toast(EventLevel::Info, "read-only again");
            Vec::new()
        }
        Action::Copy => copy_row(model),
        Action::Mouse => {
            model.mouse = if model.mouse == Mouse::Taken { Mouse::Left } else { Mouse::Taken };
            let words = match model.mouse {
                Mouse::Taken => "the mouse works here: m gives it back to the terminal",
                Mouse::Left => "the mouse selects text again",
            };
            model.hint(EventLevel::Info, words);
            vec![Effect::Mouse(model.mouse)]
        }
        Action::TokenHandOver => hand_over(model),
        Action::TokenReveal => {
            let now = model.now;
            if let Some(held) = model.here.desk.held_mut() {
                held.toggle_reveal(now);
            }
            Vec::new()
        }
        Action::TokenRevoke => revoke(model),
        Action::Promote => promote(model),
        Action::FindPromotion => find_promotion(model, argument),
        Action::PauseResume => pause_or_resume(model),
        Action::Retry => {
            model.hint(EventLevel::Info, "calling again");
            vec![Effect::RetryNow]
        }
        Action::Theme => {
            use_theme(model, argument);
            Vec::new()
        }
        Action::Redraw => vec![Effect::Redraw],
        Action::Quit => vec![Effect::Quit],
    }
}

/// How many rows the list in view has, and where it rests.
pub(super) fn rows(model: &Model) -> (usize, Rest) {
    match model.screen {
        Screen::Events => (model.event_rows().len(), Rest::Last),
        Screen::Tokens => (model.token_rows().len(), Rest::First),
        Screen::Region => {
            let nodes = model.selected_region().map_or(0, |region| region.size());
            (nodes, Rest::First)
        }
        Screen::Ledger => (model.ledger_rows().len(), Rest::First),
        Screen::Index => (model.context_rows().len(), Rest::First),
        Screen::Help => (super::ACTIONS.len(), Rest::First),
        Screen::Overview | Screen::Replication => (0, Rest::First),
    }
}

fn turn(model: &mut Model, by: usize) -> Vec<Effect> {
    let at = Screen::ALL.iter().position(|screen| *screen == model.screen).unwrap_or(0);
    model.screen = Screen::ALL[(at + by) % Screen::ALL.len()];
    Vec::new()
}

fn select(model: &mut Model, by: usize) -> Vec<Effect> {
    let names: Vec<String> = model.here.world.regions().into_iter().map(|region| region.name).collect();
    let at = model.selected_index();
    model.here.selected = names.get((at + by) % names.len().max(1)).cloned();
    Vec::new()
}

/// One level at a time: what is typed, the filter, the screen.
fn back(model: &mut Model) {
    let list = model.list();
    if list.is_filtered() || list.typing || list.cursor.is_some() {
        model.list_mut().clear_filter();
    } else if model.screen != Screen::Overview {
        model.screen = Screen::Overview;
    } else if !model.toasts.is_empty() {
        model.toasts.clear();
    }
}

fn generate_token(model: &mut Model) -> Vec<Effect> {
    if model.here.desk.held().is_some() {
        // The one that is here was not used yet: a second one would only be a second secret.
        model.dialogs.push(Dialog::Token);
        return Vec::new();
    }
    let Ok(region) = targets::token_region(model) else { return Vec::new() };
    let form = token_form(model, &region, None);
    model.dialogs.push(Dialog::Form(form));
    Vec::new()
}

fn token_form(model: &Model, standby: &RegionView<'_>, primary: Option<&RegionView<'_>>) -> TokenForm {
    let mut form = TokenForm::new(target(model, standby), primary.map(|primary| target(model, primary)), model.now);
    let own =
        standby.read(model.now).filter(|reading| reading.value.role == Role::Primary && reading.value.entries > 0);
    form.holds = own.map(|reading| {
        let status = reading.value;
        format!("{}, {} ({} ago)", entries(status.entries), bytes(status.bytes), duration(reading.age))
    });
    let on = |region: &RegionView<'_>, what: &str| {
        let path = &model.here.path;
        format!("twinkeep replication {what} -address={} -replication-path={path}", region.api_address())
    };
    form.command = match primary {
        None => on(standby, "generate-token"),
        Some(primary) => format!("{}; {} TOKEN", on(standby, "generate-token"), on(primary, "connect")),
    };
    form
}

fn link(model: &mut Model) {
    let Ok(standby) = targets::token_region(model) else { return };
    let Ok(primary) = targets::primary_for(model, &standby.name) else { return };
    let form = token_form(model, &standby, Some(&primary));
    model.dialogs.push(Dialog::Form(form));
}

fn copy_token(model: &mut Model) -> Vec<Effect> {
    let Some(held) = model.here.desk.held_mut() else { return Vec::new() };
    held.notice = Some("sent to the terminal, which may or may not put it into its clipboard; w writes a file".into());
    vec![Effect::Copy(held.token.clone())]
}

fn save_token(model: &mut Model) -> Vec<Effect> {
    let Some(held) = model.here.desk.held() else { return Vec::new() };
    vec![Effect::Save { name: format!("activation-token-{}", held.accessor), text: held.token.clone() }]
}

/// What the row under the cursor is known by elsewhere.
fn copy_row(model: &mut Model) -> Vec<Effect> {
    let Some(text) = targets::selected_text(model) else { return Vec::new() };
    model.hint(EventLevel::Info, format!("sent to the terminal: {text}"));
    vec![Effect::Copy(SensitiveString::new(text))]
}

fn go_to_context(model: &mut Model, name: Option<String>) {
    let found = match &name {
        Some(name) => model.contexts().into_iter().find(|context| context.name == *name).map(|context| context.id),
        None => {
            let row = model.list().row(model.context_rows().len(), Rest::First);
            model.context_rows().get(row).map(|(context, _)| context.id)
        }
    };
    match found {
        Some(id) => {
            model.go_to(id);
            model.screen = Screen::Overview;
        }
        None => {
            let names: Vec<String> = model.contexts().into_iter().map(|context| context.name.clone()).collect();
            model.hint(EventLevel::Warn, format!("no such context: there are {}", names.join(", ")));
        }
    }
}

/// What `:arm` allows at most: who needs longer starts with `--write`.
const ARM_MAX: Duration = Duration::from_secs(8 * 3_600);

fn arm(model: &mut Model, argument: Option<String>) {
    let asked = argument.unwrap_or_else(|| "15m".into());
    match crate::duration::parse(&asked) {
        Ok(span) if !span.is_zero() && span <= ARM_MAX => {
            model.here.write = WriteRight::Armed { until: model.now.plus(span) };
            model.toast(EventLevel::Warn, format!("changes are allowed for {}", duration(span)));
        }
        Ok(_) => model.hint(EventLevel::Warn, "arm: between a second and 8 hours"),
        Err(error) => model.hint(EventLevel::Warn, format!("arm: {error}")),
    }
}

fn hand_over(model: &mut Model) -> Vec<Effect> {
    let Some(held) = model.here.desk.held() else { return Vec::new() };
    let Ok(primary) = targets::primary_for(model, &held.region) else { return Vec::new() };
    let standby = model.here.world.regions().into_iter().find(|region| region.name == held.region);
    let mut lines =
        vec![format!("{} copies everything to {} and then keeps it up to date.", primary.name, held.region)];
    if let Some(reading) = standby.as_ref().and_then(|standby| standby.read(model.now)) {
        let status = reading.value;
        lines.push(if status.entries == 0 {
            format!("{} holds nothing ({} ago).", held.region, duration(reading.age))
        } else {
            format!(
                "What {} holds is replaced: {}, {} ({} ago).",
                held.region,
                entries(status.entries),
                bytes(status.bytes),
                duration(reading.age)
            )
        });
    }
    let confirm = Confirm {
        title: format!("Hand the token of {} to {}", held.region, primary.name),
        lines,
        verb: "Hand over".into(),
        command: format!(
            "twinkeep replication connect -address={} -replication-path={} TOKEN",
            primary.api_address(),
            model.here.path,
        ),
        focus: Focus::Cancel,
        target: target(model, &primary),
        change: Change::Connect { standby: held.region.clone(), token: held.token.clone() },
        opened_at: model.now,
    };
    model.dialogs.push(Dialog::Confirm(confirm));
    Vec::new()
}

fn revoke(model: &mut Model) -> Vec<Effect> {
    let Ok((region, token)) = targets::selected_token(model) else { return Vec::new() };
    let confirm = Confirm {
        title: format!("Revoke the token {} of {}", token.accessor, region.name),
        lines: vec!["Nobody can activate a link with it any more. A link that is already active stays.".into()],
        verb: "Revoke".into(),
        command: format!(
            "twinkeep replication revoke-token -address={} -replication-path={} {}",
            region.api_address(),
            model.here.path,
            token.accessor
        ),
        focus: Focus::Cancel,
        target: target(model, &region),
        change: Change::RevokeToken { accessor: token.accessor },
        opened_at: model.now,
    };
    model.dialogs.push(Dialog::Confirm(confirm));
    Vec::new()
}

fn pause_or_resume(model: &mut Model) -> Vec<Effect> {
    let Ok((primary, paused)) = targets::pausable(model) else { return Vec::new() };
    let to = target(model, &primary);
    if paused {
        return vec![Effect::Do(harmless(), to, Change::Resume)];
    }
    let confirm = Confirm {
        title: format!("Pause the link of {}", primary.name),
        lines: vec![
            "The standby falls behind until the link is resumed: what is written meanwhile would be lost in a \
             failover."
                .into(),
        ],
        verb: "Pause".into(),
        command: format!(
            "twinkeep replication pause -address={} -replication-path={}",
            primary.api_address(),
            model.here.path
        ),
        focus: Focus::Cancel,
        target: to,
        change: Change::Pause,
        opened_at: model.now,
    };
    model.dialogs.push(Dialog::Confirm(confirm));
    Vec::new()
}

fn promote(model: &mut Model) -> Vec<Effect> {
    let unsettled = model.here.promotion.as_ref().is_some_and(|desk| match &desk.stage {
        Stage::Sent(sent) => !sent.is_settled(),
        _ => false,
    });
    if unsettled {
        model.dialogs.push(Dialog::Promotion);
        return Vec::new();
    }
    let Ok(region) = targets::promotable(model) else {
        // A finished one can still be looked at.
        model.dialogs.push(Dialog::Promotion);
        return Vec::new();
    };
    let target: Target = target(model, &region);
    // A primary that answers is switched over; one that does not is failed over. The other way is a key away.
    let alive = model.pair().as_ref().and_then(|pair| pair.primary()).is_some_and(|primary| !primary.is_dark());
    let mode = if alive { PromoteMode::Planned } else { PromoteMode::Forced };
    model.here.promotion = Some(PromotionDesk {
        target: target.clone(),
        opened_at: model.now,
        scroll: 0,
        mode,
        stage: Stage::Planning { notice: None },
    });
    model.dialogs.push(Dialog::Promotion);
    vec![Effect::Ask(target, Query::Plan(mode))]
}

fn find_promotion(model: &mut Model, argument: Option<String>) -> Vec<Effect> {
    match argument.as_deref().map(str::parse::<PromotionId>) {
        Some(Ok(id)) => promoting::find(model, id),
        Some(Err(_)) => {
            model.hint(EventLevel::Warn, "promotion: an id has 32 hexadecimal digits, as the cockpit shows it");
            Vec::new()
        }
        None => {
            model.hint(EventLevel::Info, "promotion ID: the cockpit shows it, and the file last-promotion has it");
            Vec::new()
        }
    }
}

/// The ledger is asked for when it is looked at, and again now and then while it is.
pub(super) fn ask_for_ledger(model: &mut Model) -> Vec<Effect> {
    let due = model.here.ledger_asked_at == UnixMs(0) || model.now.since(model.here.ledger_asked_at) >= LEDGER_EVERY;
    if model.screen != Screen::Ledger || !due {
        return Vec::new();
    }
    let Ok(region) = targets::ledger_region(model) else { return Vec::new() };
    let target = target(model, &region);
    model.here.ledger_asked_at = model.now;
    vec![Effect::Ask(target, Query::Ledger)]
}

/// Between two looks at a ledger that is in view.
const LEDGER_EVERY: Duration = Duration::from_secs(3);

/// A decision about what only one region has: what it is called, and on the command line.
struct Decide {
    title: String,
    words: String,
    verb: &'static str,
    what: &'static str,
    change: Change,
}

fn decide(model: &mut Model, target: Target, api: &str, decide: Decide) {
    let Decide { title, words, verb, what, change } = decide;
    let confirm = Confirm {
        title,
        lines: vec![words],
        verb: verb.into(),
        command: format!("twinkeep replication {what} -address={api} -replication-path={}", model.here.path),
        focus: Focus::Cancel,
        target,
        change,
        opened_at: model.now,
    };
    model.dialogs.push(Dialog::Confirm(confirm));
}

fn replay(model: &mut Model) {
    let Ok(region) = targets::ledger_region(model) else { return };
    let (to, api) = (target(model, &region), region.api_address());
    let words = "Every write that nobody decided on becomes a new write on the new primary. Where the same thing was changed there \
         since, nothing is overwritten: those stay undecided, and say what they met."
        .into();
    let change = Change::ReplayLedger(ReplayRequest { all: true, ..ReplayRequest::default() });
    let title = format!("Replay the ledger of {}", to.region);
    decide(model, to, &api, Decide { title, words, verb: "Replay", what: "ledger replay -all", change });
}

fn discard(model: &mut Model, reason: Option<String>) {
    let Some(reason) = reason else {
        model.hint(EventLevel::Info, "ledger-discard REASON: what is given up is written down with why");
        return;
    };
    let Ok(region) = targets::ledger_region(model) else { return };
    let (to, api) = (target(model, &region), region.api_address());
    let words = format!(
        "What nobody decided on will never be on the new primary. The ledger keeps it, with the reason: {reason}"
    );
    let change = Change::DiscardLedger(DiscardRequest { all: true, reason, ..DiscardRequest::default() });
    let title = format!("Discard what is undecided in {}", to.region);
    decide(model, to, &api, Decide { title, words, verb: "Discard", what: "ledger discard -all", change });
}

fn rejoin(model: &mut Model, reason: Option<String>) {
    let regions = model.here.world.regions();
    let Some(region) = regions.into_iter().find(|region| region.role() == Some(Role::Fenced)) else { return };
    let (to, api) = (target(model, &region), region.api_address());
    let words = format!(
        "{} leaves its own line and follows the new primary: what differs is synced. What only it has stays in its ledger.",
        to.region
    );
    let change = Change::Rejoin(RejoinRequest { reason });
    let title = format!("Bring {} back as a standby", to.region);
    decide(model, to, &api, Decide { title, words, verb: "Rejoin", what: "rejoin", change });
}

fn use_theme(model: &mut Model, name: Option<String>) {
    match name {
        Some(name) if model.themes.contains(&name) => model.theme = name,
        Some(name) => model.hint(EventLevel::Warn, format!("no theme `{name}`: there are {}", model.themes.join(", "))),
        None => model.hint(EventLevel::Info, format!("themes: {}", model.themes.join(", "))),
    }
}
