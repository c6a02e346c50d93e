//! What keys do: to the dialog on top if there is one, else to the screen.

use super::actions::{Action, Place};
use super::choose::Chosen;
use super::confirm::{Confirm, Consent, Decision, Permit};
use super::desk::TokenDesk;
use super::dialog::Dialog;
use super::form::{Filled, TokenForm};
use super::list;
use super::model::{Model, Screen};
use super::msg::{Change, Effect, Hit, Target};
use super::outcome;
use super::palette::{HISTORY_MAX, Palette};
use super::perform::perform;
use super::promoting::press_in_promotion;
use crate::api::replication::{EventLevel, TokenRequest};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What keys do in the dialog of a new token.
const TOKEN_KEYS: [Action; 4] = [Action::TokenReveal, Action::TokenHandOver, Action::TokenCopy, Action::TokenSave];

pub(super) fn press(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
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
                (list.cursor, list.borrowed) = (None, false);
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

/// What the mouse pressed. A dialog is for the keyboard alone.
pub(super) fn click(model: &mut Model, hit: Hit) -> Vec<Effect> {
    if !model.dialogs.is_empty() {
        return Vec::new();
    }
    match hit {
        Hit::Screen(screen) => perform(model, Action::Show(screen), None),
        Hit::Action(action) => perform(model, action, None),
        Hit::Region(name) => {
            model.here.selected = Some(name);
            Vec::new()
        }
        Hit::Row(row) => {
            // A second press on the row that is selected already opens it.
            let again = model.list().cursor == Some(row) && model.screen == Screen::Index;
            model.list_mut().cursor = Some(row);
            if again { perform(model, Action::Context, None) } else { Vec::new() }
        }
    }
}

pub(super) fn wheel(model: &mut Model, step: list::Move) -> Vec<Effect> {
    let works = model.dialogs.is_empty() && Action::List(step).works_on(model.screen);
    if works { perform(model, Action::List(step), None) } else { Vec::new() }
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
        Some(Dialog::Confirm(confirm)) => match confirm.consent.key(key, now) {
            Decision::Open => Vec::new(),
            Decision::Cancelled => {
                model.dialogs.pop();
                Vec::new()
            }
            Decision::Confirmed(permit) => {
                let Some(Dialog::Confirm(confirm)) = model.dialogs.pop() else { return Vec::new() };
                send(model, permit, confirm.command, (confirm.target, confirm.change))
            }
        },
        Some(Dialog::Choose(choose)) => match choose.key(key) {
            Chosen::Open => Vec::new(),
            Chosen::Cancelled => {
                model.dialogs.pop();
                Vec::new()
            }
            Chosen::Primary(primary) => {
                let Some(Dialog::Choose(choose)) = model.dialogs.pop() else { return Vec::new() };
                super::ledger::ask_to_rejoin(model, &choose.who.region, Some(primary), choose.reason);
                Vec::new()
            }
        },
        Some(Dialog::Outcomes { scroll }) => {
            match key.code {
                KeyCode::Esc | KeyCode::Enter | KeyCode::Char('o' | 'q') => drop(model.dialogs.pop()),
                KeyCode::Char('k') => drop(scroll.key(KeyCode::Up)),
                KeyCode::Char('j') => drop(scroll.key(KeyCode::Down)),
                code => drop(scroll.key(code)),
            }
            Vec::new()
        }
        Some(Dialog::Alarms { scroll }) => {
            match key.code {
                KeyCode::Esc | KeyCode::Enter | KeyCode::Char('!' | 'q') => drop(model.dialogs.pop()),
                KeyCode::Char('k') => drop(scroll.key(KeyCode::Up)),
                KeyCode::Char('j') => drop(scroll.key(KeyCode::Down)),
                code => drop(scroll.key(code)),
            }
            Vec::new()
        }
        Some(Dialog::Faults { .. }) => press_in_faults(model, key),
        Some(Dialog::Form(form)) => match form.key(key, now) {
            Filled::Open => Vec::new(),
            Filled::Cancelled => {
                model.dialogs.pop();
                Vec::new()
            }
            Filled::Asked(permit, request) => {
                let Some(Dialog::Form(form)) = model.dialogs.pop() else { return Vec::new() };
                ask_for_token(model, permit, form, request)
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
            let typed = palette.input.value().trim().to_owned();
            let Some(entry) = palette.chosen(model) else {
                if let Some((action, argument)) = palette.unknown_argument() {
                    // It names those that there are.
                    return perform(model, action, Some(argument));
                }
                let words = format!("no action fits `{typed}`: ? lists all, and what they take");
                model.hint(EventLevel::Warn, words);
                return Vec::new();
            };
            model.dialogs.pop();
            if entry.by_title && typed.contains(' ') {
                // Words that happen to be in a title are nobody's command.
                model.hint(EventLevel::Info, format!("is `{}` meant? enter again does it", entry.command));
                let input = tui_input::Input::new(entry.command);
                model.dialogs.push(Dialog::Palette(Palette { input, ..Palette::default() }));
                return Vec::new();
            }
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

/// A fault a key; the dialog stays, so that several can be thrown while the score is watched.
fn press_in_faults(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let KeyCode::Char(pressed) = key.code else {
        match (key.code, model.dialogs.last_mut()) {
            (KeyCode::Esc | KeyCode::Enter, _) => drop(model.dialogs.pop()),
            (code, Some(Dialog::Faults { scroll })) => drop(scroll.key(code)),
            _ => {}
        }
        return Vec::new();
    };
    let faults = model.rehearsal.as_ref().map(|desk| desk.faults.as_slice()).unwrap_or_default();
    let fault = faults.iter().find(|fault| fault.key == pressed);
    fault.map(|fault| Effect::Throw(fault.command.clone())).into_iter().collect()
}

/// The form says what will be done, and to whom; where secrets would be replaced, its yes leads to the question that wants
/// the name.
fn ask_for_token(model: &mut Model, permit: Permit, form: TokenForm, request: TokenRequest) -> Vec<Effect> {
    let Some(holds) = form.holds.clone().filter(|_| form.replace) else {
        let command = form.whole_command();
        return send(model, permit, command, form.change(request));
    };
    let region = form.standby.region.clone();
    let confirm = |model: &Model, (target, change): (Target, Change), command: String| Confirm {
        title: format!("Replace what {region} holds"),
        lines: vec![
            format!("{region} holds {holds}. The sync that follows replaces all of it with the primary's."),
            "Nothing brings it back but a snapshot: `twinkeep operator raft snapshot save`.".into(),
        ],
        consent: Consent::named("Replace", &region, model.now),
        command,
        target,
        change,
    };
    let command = form.whole_command();
    let confirm = confirm(model, form.change(request), command);
    model.dialogs.push(Dialog::Confirm(confirm));
    Vec::new()
}

/// Sends what was consented to, if it may still be done.
fn send(model: &mut Model, permit: Permit, command: String, (target, change): (Target, Change)) -> Vec<Effect> {
    if is_too_late(model, &target, &change) {
        return Vec::new();
    }
    // What became of it, the promotion says that it calls off.
    if !matches!(change, Change::CancelPromotion(_)) {
        outcome::begun(model, &target, &change, command);
    }
    begin(model, &target, &change);
    vec![Effect::Do(permit, target, change)]
}

/// What was allowed when the question was asked may not be when it is answered: the time of `:arm` is over, or two regions
/// claim to be primary since.
fn is_too_late(model: &mut Model, target: &Target, change: &Change) -> bool {
    let Err(why) = super::targets::still_allowed(model, target, change) else { return false };
    model.toast(EventLevel::Warn, format!("not done: {why}"));
    true
}

fn press_in_token_dialog(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    if matches!(key.code, KeyCode::Esc | KeyCode::Enter) {
        if let Some(held) = model.here.desk.held_mut() {
            held.revealed_until = None;
        }
        if matches!(model.here.desk, TokenDesk::Failed { .. }) {
            model.here.desk = TokenDesk::Empty;
        }
        model.dialogs.pop();
        return Vec::new();
    }
    let action = model.keymap.actions(key).find(|action| TOKEN_KEYS.contains(action));
    action.map_or_else(Vec::new, |action| perform(model, action, None))
}

/// Notes that a change is on its way.
fn begin(model: &mut Model, target: &Target, change: &Change) {
    match change {
        Change::Verify => super::failover::verifying(model, target),
        Change::GenerateToken(_) => {
            model.here.desk = TokenDesk::Asked { region: target.region.clone() };
            model.dialogs.push(Dialog::Token);
        }
        Change::Link { standby, .. } => {
            model.toast(EventLevel::Info, format!("linking {} to {} …", standby.region, target.region));
        }
        Change::Connect { .. } => {
            if let TokenDesk::Held(held) = std::mem::take(&mut model.here.desk) {
                model.here.desk = TokenDesk::Handing { held, primary: target.region.clone() };
                if !matches!(model.dialogs.last(), Some(Dialog::Token)) {
                    model.dialogs.push(Dialog::Token);
                }
            }
        }
        _ => {}
    }
}
