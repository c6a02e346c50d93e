//! The ledger's screen: entries are marked, looked at, exported, and decided on after a yes.

use super::confirm::{Confirm, Consent};
use super::dialog::Dialog;
use super::model::{Model, Screen};
use super::msg::{Change, Effect, Query, Target};
use super::palette::Palette;
use super::targets::{self, target};
use crate::api::ledger::{DiscardRequest, RejoinRequest, ReplayRequest, ReviewInfo};
use crate::api::replication::EventLevel;
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use std::time::Duration;

/// Between two looks at a ledger that is in view.
const LEDGER_EVERY: Duration = Duration::from_secs(3);

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

/// What is written down whole, the values encrypted as they were.
pub(super) fn export(model: &mut Model) -> Vec<Effect> {
    let Ok(region) = targets::ledger_region(model) else { return Vec::new() };
    model.hint(EventLevel::Info, format!("asking {} for its whole ledger …", region.name.clone()));
    let Ok(region) = targets::ledger_region(model) else { return Vec::new() };
    vec![Effect::Ask(target(model, &region), Query::LedgerExport)]
}

/// Marks the entry under the cursor for a decision, or takes the mark away, and goes on to the next.
pub(super) fn mark(model: &mut Model) {
    let rows = model.ledger_rows();
    let at = model.list().row(rows.len(), super::list::Rest::First);
    let Some(entry) = rows.get(at).filter(|entry| is_open(&entry.review)).map(|entry| entry.entry.clone()) else {
        return model.hint(EventLevel::Info, "that one was decided on");
    };
    if !model.here.marked.remove(&entry) {
        model.here.marked.insert(entry);
    }
    let rows = model.ledger_rows().len();
    model.list_mut().go(super::list::Move::Down, rows, super::list::Rest::First);
}

/// Marks all that the filter shows and nobody decided on; if all of it is marked, takes the marks away.
pub(super) fn mark_all(model: &mut Model) {
    let open = model.ledger_rows().into_iter().filter(|entry| is_open(&entry.review));
    let open: Vec<String> = open.map(|entry| entry.entry.clone()).collect();
    if open.iter().all(|entry| model.here.marked.contains(entry)) {
        model.here.marked.clear();
    } else {
        model.here.marked.extend(open);
    }
}

fn is_open(review: &ReviewInfo) -> bool {
    matches!(review, ReviewInfo::Unreviewed { .. })
}

/// What a decision is about: the marked entries, or without any all that is undecided. In words, and on the command line.
fn chosen(model: &Model) -> (Vec<String>, String, String) {
    let marked: Vec<String> = model.here.marked.iter().cloned().collect();
    match marked.as_slice() {
        [] => (marked, "every write that nobody decided on".into(), "-all".into()),
        [one] => (marked.clone(), format!("the write {one}"), format!("-entries={one}")),
        many => {
            let flag = format!("-entries={}", many.join(","));
            (marked.clone(), format!("the {} marked writes", many.len()), flag)
        }
    }
}

/// A decision about what only one region has: what it is called, and on the command line.
struct Decide {
    title: String,
    words: String,
    consent: Consent,
    what: String,
    change: Change,
}

fn decide(model: &mut Model, target: Target, api: &str, decide: Decide) {
    let Decide { title, words, consent, what, change } = decide;
    let confirm = Confirm {
        title,
        lines: vec![words],
        consent,
        command: format!("twinkeep replication {what} -address={api} -replication-path={}", model.here.path),
        target,
        change,
    };
    model.dialogs.push(Dialog::Confirm(confirm));
}

pub(super) fn replay(model: &mut Model) {
    let Ok(region) = targets::ledger_region(model) else { return };
    let (to, api) = (target(model, &region), region.api_address());
    let (entries, which, flag) = chosen(model);
    let words = format!(
        "From the ledger of {} to the new primary, as new writes: {which}. Where the same thing was changed there since, \
         nothing is overwritten: those stay undecided, and say what they met.",
        to.region
    );
    let change = Change::ReplayLedger(ReplayRequest { all: entries.is_empty(), entries, overwrite: false });
    let title = format!("Replay the ledger of {}", to.region);
    let consent = Consent::yes("Replay", model.now);
    decide(model, to, &api, Decide { title, words, consent, what: format!("ledger replay {flag}"), change });
}

/// Only what is named is written over what the new primary has.
pub(super) fn overwrite(model: &mut Model) {
    let Ok(region) = targets::ledger_region(model) else { return };
    let (to, api) = (target(model, &region), region.api_address());
    let (entries, which, flag) = chosen(model);
    let told = region.status.and_then(|status| status.last().primary.as_ref()).map(|primary| primary.name.clone());
    let new_primary = told.unwrap_or_else(|| to.region.clone());
    let words = format!(
        "From the ledger of {} to {new_primary}, the new primary, although it changed the same since, and in place of what \
         is there: {which}.",
        to.region
    );
    let change = Change::ReplayLedger(ReplayRequest { all: false, entries, overwrite: true });
    let title = format!("Overwrite with the ledger of {}", to.region);
    let what = format!("ledger replay -overwrite {flag}");
    // What is lost by it is the new primary's.
    let consent = Consent::named("Overwrite", new_primary, model.now);
    decide(model, to, &api, Decide { title, words, consent, what, change });
}

pub(super) fn discard(model: &mut Model, reason: Option<String>) {
    let Some(reason) = reason else { return ask_why(model, "ledger-discard") };
    let Ok(region) = targets::ledger_region(model) else { return };
    let (to, api) = (target(model, &region), region.api_address());
    let (entries, which, flag) = chosen(model);
    let words = format!(
        "From the ledger of {}, {which} will never be on the new primary. The ledger keeps what is given up, with the reason: {reason}",
        to.region
    );
    let what = format!("ledger discard {flag} -reason={reason:?}");
    let change = Change::DiscardLedger(DiscardRequest { all: entries.is_empty(), entries, reason });
    let title = format!("Discard from the ledger of {}", to.region);
    let consent = Consent::named("Discard", &to.region, model.now);
    decide(model, to, &api, Decide { title, words, consent, what, change });
}

pub(super) fn rejoin(model: &mut Model, reason: Option<String>) {
    let Ok(region) = targets::rejoinable(model) else { return };
    let (to, api) = (target(model, &region), region.api_address());
    let mut words = format!(
        "{} leaves its own line and follows the new primary: what differs is synced. What only it has stays in its ledger.",
        to.region
    );
    let mut what = "rejoin".to_owned();
    if let Some(reason) = &reason {
        words += &format!(" Undecided writes are no hindrance: {reason}");
        what += &format!(" -reason={reason:?}");
    }
    let change = Change::Rejoin(RejoinRequest { reason, primary: None });
    let title = format!("Bring {} back as a standby", to.region);
    let consent = Consent::named("Rejoin", &to.region, model.now);
    decide(model, to, &api, Decide { title, words, consent, what, change });
}

/// The palette with the action's name: what is missing is typed behind it.
pub(super) fn ask_why(model: &mut Model, action: &str) {
    let input = tui_input::Input::new(format!("{action} "));
    model.dialogs.push(Dialog::Palette(Palette { input, cursor: 0 }));
    model.hint(EventLevel::Info, "type why: the reason is kept for good");
}
