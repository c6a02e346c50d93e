//! The ledger's screen: entries are marked, looked at, exported, and decided on after a yes.

use super::choose::Choose;
use super::confirm::{Confirm, Consent};
use super::dialog::Dialog;
use super::model::{Model, Screen};
use super::msg::{Change, Effect, Query, Target};
use super::palette::Palette;
use super::targets::{self, target};
use crate::api::ledger::{DiscardRequest, LedgerPage, RejoinRequest, ReplayRequest, ReviewInfo};
use crate::api::replication::{EventLevel, Role};
use crate::clock::UnixMs;
use crate::console::domain::units::{duration, plural};
use crate::console::domain::{AnyAge, Observed, RegionView};
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

/// Takes a region's ledger in. Marks are of one region's entries: another's have numbers of their own.
pub(super) fn take(model: &mut Model, page: LedgerPage, region: String) {
    let same = model.here.ledger.as_ref().is_some_and(|before| before.source() == region);
    let open = |entry: &String| page.entries.iter().any(|it| it.entry == *entry && is_open(&it.review));
    // What was decided on elsewhere meanwhile is not decided on again.
    model.here.marked.retain(|entry| same && open(entry));
    model.here.ledger = Some(Observed::new(page, model.now, region));
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

/// So many entries at most are named in the command that is shown: nobody reads hundreds of ids.
const NAMED_MAX: usize = 8;

pub(super) fn is_open(review: &ReviewInfo) -> bool {
    matches!(review, ReviewInfo::Unreviewed { .. })
}

/// What a decision is about: the marked entries; without any, those that the filter shows; without one, all that is
/// undecided. In words, and on the command line.
fn chosen(model: &Model, region: &RegionView<'_>) -> (Vec<String>, String, String) {
    let marked: Vec<String> = model.here.marked.iter().cloned().collect();
    let list = model.lists.get(&Screen::Ledger);
    let filter = list.filter(|list| list.is_filtered()).map(|list| list.filter.value().to_owned());
    let (entries, what) = match (marked.len(), filter) {
        (0, None) => {
            let ledger = region.status.and_then(|status| status.last().ledger.as_ref());
            let open = ledger.map_or(0, |ledger| ledger.unreviewed + ledger.older_unreviewed);
            let words = format!("every write that nobody decided on, {open} as it says now");
            return (Vec::new(), words, "-all".into());
        }
        (0, Some(filter)) => {
            let open = model.ledger_rows().into_iter().filter(|entry| is_open(&entry.review));
            let entries: Vec<String> = open.map(|entry| entry.entry.clone()).collect();
            (entries, format!("undecided writes that the filter `{filter}` shows"))
        }
        _ => (marked, "marked writes".into()),
    };
    let words = match entries.as_slice() {
        [one] => format!("the write {one} alone"),
        many => format!("the {} {what}, and nothing else", many.len()),
    };
    match entries.len() > NAMED_MAX {
        true => {
            (entries, format!("{words} (IDS stands for their ids, as an export names them)"), "-entries=IDS".into())
        }
        false => {
            let flag = format!("-entries={}", entries.join(","));
            (entries, words, flag)
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
    let (entries, which, flag) = chosen(model, &region);
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
    let (entries, which, flag) = chosen(model, &region);
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
    let Some(reason) = reason else { return ask_why(model, "ledger-discard", None) };
    let Ok(region) = targets::ledger_region(model) else { return };
    let (to, api) = (target(model, &region), region.api_address());
    let (entries, which, flag) = chosen(model, &region);
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

/// A region that was fenced, or one that follows the wrong primary. Where several could be meant, it is asked which.
pub(super) fn rejoin(model: &mut Model, reason: Option<String>) {
    let Ok((region, primaries)) = targets::rejoinable(model) else { return };
    // Before it is asked which primary: what was picked would be forgotten.
    if let Some(why) = needs_reason(&region).filter(|_| reason.is_none()) {
        let why = format!("{}: {why}", region.name);
        return ask_why(model, "rejoin", Some(why));
    }
    let follows = region.role() == Some(Role::Standby);
    match primaries.as_slice() {
        // There is one that it can be, and it knows it itself.
        [] | [_] if !follows => ask_to_rejoin(model, &region.name.clone(), None, reason),
        [primary] => ask_to_rejoin(model, &region.name.clone(), Some(primary.name.clone()), reason),
        several => {
            // The likeliest first: it answers, and its epoch is the newest.
            let epoch = |it: &&RegionView<'_>| it.status.map(|status| status.last().epoch);
            let mut several: Vec<&RegionView<'_>> = several.iter().collect();
            several.sort_by_key(|it| (it.is_dark(), std::cmp::Reverse(epoch(it))));
            let said = |primary: &&RegionView<'_>| {
                let epoch =
                    primary.status.map_or_else(String::new, |it| format!("primary in epoch {}", it.last().epoch));
                let heard = primary.heard_age(model.now).map_or_else(|| "never heard".into(), duration);
                let dark = if primary.is_dark() { "does not answer, " } else { "" };
                (primary.name.clone(), format!("{epoch}, {dark}heard {heard} ago"))
            };
            let choose = Choose {
                who: target(model, &region),
                primaries: several.iter().map(said).collect(),
                cursor: 0,
                reason,
            };
            model.dialogs.push(Dialog::Choose(choose));
        }
    }
}

/// Why a region leaves its line for a reason only, by the rule that it goes by itself.
fn needs_reason(region: &RegionView<'_>) -> Option<String> {
    let status = region.status?.last();
    match (status.role, &status.ledger) {
        (Role::Primary, _) => None,
        (Role::Standby, _) => Some("it follows a primary already".into()),
        (Role::Fenced, Some(ledger)) if !ledger.kept => {
            Some("its ledger does not hold all of its own writes yet".into())
        }
        (Role::Fenced, ledger) => match ledger {
            Some(ledger) => {
                let open = plural(ledger.unreviewed, "write", "writes");
                (ledger.unreviewed > 0).then(|| format!("{open} in its ledger that nobody decided on"))
            }
            None => {
                Some("no primary has introduced itself yet, so what only it holds is not known: heal the link".into())
            }
        },
    }
}

/// The question itself. `None`: the primary that it knows of.
pub(super) fn ask_to_rejoin(model: &mut Model, region: &str, primary: Option<String>, reason: Option<String>) {
    let Some(region) = model.here.world.regions().into_iter().find(|it| it.name == region) else { return };
    let (to, api) = (target(model, &region), region.api_address());
    let name = &to.region;
    let mut words = match (&primary, region.role()) {
        (Some(primary), Some(Role::Standby)) => {
            let before = region.status.and_then(|status| status.last().primary.as_ref()).map(|it| it.name.clone());
            let before = before.unwrap_or_else(|| "its primary".into());
            format!(
                "{name} leaves {before} and follows {primary}: what differs is synced, and it serves nothing meanwhile."
            )
        }
        (primary, _) => {
            let primary = primary.clone().unwrap_or_else(|| "the new primary".into());
            format!("{name} leaves its own line and follows {primary}: what differs is synced.")
        }
    };
    words += " What only it has stays in its ledger.";
    let mut what = "rejoin".to_owned();
    if let Some(primary) = &primary {
        what += &format!(" -primary={primary}");
    }
    if let Some(reason) = &reason {
        words += &format!(" Undecided writes are no hindrance: {reason}");
        what += &format!(" -reason={reason:?}");
    }
    let title = match &primary {
        Some(primary) => format!("Have {name} follow {primary}"),
        None => format!("Bring {name} back as a standby"),
    };
    let consent = Consent::named("Rejoin", name, model.now);
    let change = Change::Rejoin(RejoinRequest { reason, primary });
    decide(model, to, &api, Decide { title, words, consent, what, change });
}

/// The palette with the action's name: what is missing is typed behind it, and why it is wanted stands below.
pub(super) fn ask_why(model: &mut Model, action: &str, why: Option<String>) {
    let input = tui_input::Input::new(format!("{action} "));
    model.dialogs.push(Dialog::Palette(Palette { input, why, ..Palette::default() }));
}
