//! What each action does.

use super::actions::Action;
use super::confirm::{Confirm, Consent, harmless};
use super::context::WriteRight;
use super::dialog::Dialog;
use super::history::MARK;
use super::list::Rest;
use super::model::{Model, Mouse, Screen};
use super::msg::{Change, Effect, ExportFormat};
use super::palette::Palette;
use super::targets::{self, target};
use super::{failover, ledger, tokens};
use crate::api::replication::EventLevel;
use crate::console::domain::units::duration;
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
            model.open(screen);
            ledger::ask_for_ledger(model)
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
        Action::Jump => {
            jump(model, argument);
            Vec::new()
        }
        Action::ZoomIn => zoom(model, 1),
        Action::ZoomOut => zoom(model, -1),
        Action::Palette => {
            model.dialogs.push(Dialog::Palette(Palette::default()));
            Vec::new()
        }
        Action::Alarms => {
            model.dialogs.push(Dialog::Alarms { scroll: super::scroll::Scroll::default() });
            Vec::new()
        }
        Action::Outcomes => {
            model.dialogs.push(Dialog::Outcomes { scroll: super::scroll::Scroll::default() });
            model.outcomes.iter_mut().for_each(|outcome| outcome.read = true);
            Vec::new()
        }
        Action::Back => {
            back(model);
            Vec::new()
        }
        Action::TokenGenerate => tokens::generate_token(model),
        Action::Link => {
            tokens::link(model);
            Vec::new()
        }
        Action::TokenCopy => tokens::copy_token(model),
        Action::TokenSave => tokens::save_token(model),
        Action::Context => {
            go_to_context(model, argument);
            Vec::new()
        }
        Action::LedgerMark => {
            ledger::mark(model);
            Vec::new()
        }
        Action::LedgerMarkAll => {
            ledger::mark_all(model);
            Vec::new()
        }
        Action::LedgerExport => ledger::export(model),
        Action::LedgerReplay => {
            ledger::replay(model);
            Vec::new()
        }
        Action::LedgerOverwrite => {
            ledger::overwrite(model);
            Vec::new()
        }
        Action::LedgerDiscard => {
            ledger::discard(model, argument);
            Vec::new()
        }
        Action::Rejoin => {
            ledger::rejoin(model, argument);
            Vec::new()
        }
        Action::Verify => {
            failover::verify(model);
            Vec::new()
        }
        Action::Fence => {
            failover::fence(model, argument);
            Vec::new()
        }
        Action::Log => {
            model.open(Screen::Events);
            let list = model.list_mut();
            list.clear_filter();
            (list.filter, list.borrowed) = (tui_input::Input::new(super::history::CONSOLE.into()), true);
            Vec::new()
        }
        Action::Quiet => {
            model.quiet = !model.quiet;
            let words = if model.quiet { "the bell is silent" } else { "the bell rings again" };
            model.hint(EventLevel::Info, words);
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
            model.dialogs.push(Dialog::Faults { scroll: super::scroll::Scroll::default() });
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
        Action::TokenHandOver => tokens::hand_over(model),
        Action::TokenReveal => {
            let now = model.now;
            if let Some(held) = model.here.desk.held_mut() {
                held.toggle_reveal(now);
            }
            Vec::new()
        }
        Action::TokenRevoke => tokens::revoke(model),
        Action::Promote => failover::promote(model),
        Action::FindPromotion => failover::find_promotion(model, argument),
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

/// Lines that a screen of text is scrolled by at most.
const SCROLLED_ROWS: usize = 40;

/// How many rows the list in view has, and where it rests.
pub(super) fn rows(model: &Model) -> (usize, Rest) {
    match model.screen {
        Screen::Events => (model.event_rows().len(), Rest::Last),
        Screen::Tokens => (model.token_rows().len(), Rest::First),
        Screen::Region => (model.node_rows().len(), Rest::First),
        Screen::Failover | Screen::Replication => (SCROLLED_ROWS, Rest::First),
        Screen::Ledger => (model.ledger_rows().len(), Rest::First),
        Screen::Index => (model.context_rows().len(), Rest::First),
        Screen::Help => (super::help_rows(model).len(), Rest::First),
        Screen::Overview => (0, Rest::First),
    }
}

fn turn(model: &mut Model, by: usize) -> Vec<Effect> {
    let at = Screen::ALL.iter().position(|screen| *screen == model.screen).unwrap_or(0);
    model.turn_to(Screen::ALL[(at + by) % Screen::ALL.len()]);
    Vec::new()
}

fn select(model: &mut Model, by: usize) -> Vec<Effect> {
    let names: Vec<String> = model.here.world.regions().into_iter().map(|region| region.name).collect();
    let at = model.selected_index();
    model.here.selected = names.get((at + by) % names.len().max(1)).cloned();
    Vec::new()
}

/// One level at a time: what is typed, the filter, then screen by screen the way that one came.
fn back(model: &mut Model) {
    if !model.points_at_a_row() {
        model.list_mut().cursor = None;
    }
    let list = model.list();
    if list.borrowed && list.cursor.is_none() {
        model.leave_screen();
    } else if list.is_filtered() || list.typing || model.points_at_a_row() {
        model.list_mut().clear_filter();
    } else if !model.leave_screen() {
        model.toasts.clear();
    }
}

/// What the row under the cursor is known by elsewhere.
fn copy_row(model: &mut Model) -> Vec<Effect> {
    let Some(text) = targets::selected_text(model) else { return Vec::new() };
    // Nobody knows whether the terminal takes it: there is always a file as the other way.
    model.hint(EventLevel::Info, format!("sent to the terminal: {text}; `:export csv` writes the list to a file"));
    vec![Effect::Copy(SensitiveString::new(text))]
}

/// Seconds that a column of the lag's chart stands for.
pub const ZOOMS: [usize; 4] = [1, 2, 5, 10];

fn zoom(model: &mut Model, step: isize) -> Vec<Effect> {
    let at = ZOOMS.iter().position(|zoom| *zoom == model.zoom).unwrap_or(0);
    let to = at.saturating_add_signed(-step).min(ZOOMS.len() - 1);
    model.zoom = ZOOMS[to];
    Vec::new()
}

/// To the first event that is known of at that time of day or later.
fn jump(model: &mut Model, time: Option<String>) {
    let Some(time) = time else {
        return model.hint(EventLevel::Info, "jump TIME: like 02:58 or 02:58:41, by the events' own clocks");
    };
    let Some(since) = crate::console::domain::units::last_time_of_day(&time, model.now) else {
        return model.hint(EventLevel::Warn, format!("`{time}` is no time of day: like 02:58 or 02:58:41"));
    };
    model.open(Screen::Events);
    let rows = model.event_rows();
    let at = rows.iter().position(|entry| entry.at >= since);
    let count = rows.len();
    match at {
        Some(at) if at < count => model.list_mut().cursor = Some(at),
        _ => model.hint(EventLevel::Info, format!("nothing happened at {time} or later")),
    }
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
            model.open(Screen::Index);
            model.open(Screen::Overview);
        }
        None => {
            let names: Vec<String> = model.contexts().into_iter().map(|context| context.name.clone()).collect();
            let which = name.map_or_else(|| "such context".into(), |name| format!("context `{name}`"));
            model.hint(EventLevel::Warn, format!("no {which}: there are {}", names.join(", ")));
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

fn pause_or_resume(model: &mut Model) -> Vec<Effect> {
    let Ok((primary, paused)) = targets::pausable(model) else { return Vec::new() };
    let to = target(model, &primary);
    let command = |what: &str| {
        let path = &model.here.path;
        format!("twinkeep replication {what} -address={} -replication-path={path}", primary.api_address())
    };
    if paused {
        let command = command("resume");
        super::outcome::begun(model, &to, &Change::Resume, command.clone());
        model.hint(EventLevel::Info, format!("asked {} to carry on, as does: {command}", to.region));
        return vec![Effect::Do(harmless(), to, Change::Resume)];
    }
    let confirm = Confirm {
        title: format!("Pause the link of {}", primary.name),
        lines: vec![
            "The standby falls behind until the link is resumed: what is written meanwhile would be lost in a \
             failover."
                .into(),
        ],
        consent: Consent::yes("Pause", model.now),
        command: command("pause"),
        target: to,
        change: Change::Pause,
    };
    model.dialogs.push(Dialog::Confirm(confirm));
    Vec::new()
}

fn use_theme(model: &mut Model, name: Option<String>) {
    match name {
        Some(name) if model.themes.contains(&name) => model.theme = name,
        Some(name) => model.hint(EventLevel::Warn, format!("no theme `{name}`: there are {}", model.themes.join(", "))),
        None => model.hint(EventLevel::Info, format!("themes: {}", model.themes.join(", "))),
    }
}
