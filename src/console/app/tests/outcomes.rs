//! What became of what was asked for, rows that are held on to, and which primary a region shall follow.

use super::*;
use crate::api::replication::{LinkState, Role};
use crate::console::app::outcome::Outcome;
use crate::console::domain::{AnyAge, Observed};
use std::time::Duration;

fn last(model: &Model) -> &Outcome {
    model.outcomes.back().unwrap()
}

fn lost() -> Failure {
    Failure { words: "no answer: it took too long".into(), sort: FailureSort::Unknown }
}

/// What us-east-1 says a moment later.
fn says(model: &mut Model, change: impl FnOnce(&mut crate::api::replication::PathStatus)) {
    let later = UnixMs(model.now.0 + 1_000);
    update(model, Msg::Tick(later));
    let mut us = fixtures::status(fixtures::US, Role::Primary, Duration::ZERO);
    change(&mut us);
    let mut report = fixtures::up(us.clone(), Duration::ZERO);
    report.status = Some(Observed::new(us, later, "us-east-1a"));
    update(model, Msg::Reports(vec![(ContextId(0), report)]));
}

#[test]
fn an_unknown_outcome_stays_in_view_until_it_is_read_and_is_done_once_it_is_seen() {
    let mut model = model(fixtures::streaming());
    let effects = keys(&mut model, "s y");
    let [Effect::Do(_, target, Change::Pause)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(last(&model).standing, Standing::Running);
    assert!(last(&model).command.starts_with("twinkeep replication pause"), "{}", last(&model).command);
    update(&mut model, told(Answer::Ended(target.clone(), Asked::Pause, Err(lost()))));
    assert!(model.toast_in_view().unwrap().text.contains("OUTCOME UNKNOWN"), "{:?}", model.toasts);
    let later = UnixMs(model.now.0 + 60_000);
    update(&mut model, Msg::Tick(later));
    assert!(model.toast_in_view().is_none() && model.unknown_outcome().is_some());
    keys(&mut model, "o");
    assert!(matches!(model.dialogs.last(), Some(Dialog::Outcomes { .. })));
    assert!(model.unknown_outcome().is_none(), "it was read");
    assert!(last(&model).advice().contains("safe"));
    says(&mut model, |_| {});
    assert_eq!(last(&model).standing, Standing::Unknown, "not seen yet");
    says(&mut model, |us| us.links[0].state = LinkState::Paused);
    assert_eq!((model.outcomes.len(), last(&model).standing), (1, Standing::Done));
    assert!(model.toast_in_view().unwrap().text.contains("as it says by now"), "{:?}", model.toasts);
}

/// Time passes, a second at a time; what the console asks meanwhile, in words.
fn wait(model: &mut Model, seconds: u64) -> Vec<String> {
    let mut asked = Vec::new();
    for _ in 0..seconds {
        let later = UnixMs(model.now.0 + 1_000);
        asked.extend(words(&update(model, Msg::Tick(later))));
    }
    asked
}

#[test]
fn a_decision_whose_answer_was_lost_is_looked_up_in_the_ledger() {
    use crate::api::ledger::ReviewInfo;
    let replay = |change: fn(&mut ReviewInfo)| {
        let mut model = model(fixtures::left_behind());
        keys(&mut model, "6");
        let target = Target { context: ContextId(0), region: "us-east-1".into(), addresses: Vec::new() };
        update(&mut model, told(Answer::Ledger(target.clone(), Ok(fixtures::ledger()))));
        keys(&mut model, "R y 1");
        let asked = last(&model).asked.clone();
        update(&mut model, told(Answer::Ended(target.clone(), asked, Err(lost()))));
        assert_eq!(last(&model).standing, Standing::Unknown);
        // Also where the ledger is not in view.
        assert!(wait(&mut model, 11).contains(&"ask us-east-1 Ledger".to_owned()));
        let mut page = fixtures::ledger();
        page.entries.iter_mut().for_each(|entry| change(&mut entry.review));
        for _ in 0..2 {
            update(&mut model, told(Answer::Ledger(target.clone(), Ok(page.clone()))));
            if last(&model).standing == Standing::Unknown {
                wait(&mut model, 101);
            }
        }
        (last(&model).standing, last(&model).words.clone())
    };
    let (standing, words) = replay(|review| {
        let position = crate::ids::Position::new(Epoch(4), 7);
        *review = ReviewInfo::Replayed { at: NOW, position };
    });
    assert_eq!(standing, Standing::Done, "{words}");
    assert_eq!(words, "the ledger of us-east-1 says by now: 3 writes replayed, 0 discarded, 0 met another change");
    let (standing, words) = replay(|review| *review = ReviewInfo::Unreviewed { conflicts: Vec::new() });
    assert_eq!(standing, Standing::Failed, "{words}");
    assert_eq!(words, "3 writes are still undecided in the ledger of us-east-1, and nothing moves");
}

#[test]
fn a_token_whose_answer_was_lost_is_looked_up_in_the_list() {
    use crate::api::replication::TokenState;
    let outcome = |shows: bool| {
        let mut model = model(fixtures::unlinked());
        let effects = keys(&mut model, "g y");
        let [Effect::Do(_, target, Change::GenerateToken(_))] = effects.as_slice() else { panic!("{effects:?}") };
        update(&mut model, told(Answer::Token(target.clone(), Err(lost()))));
        assert_eq!(last(&model).standing, Standing::Unknown);
        wait(&mut model, 110);
        let mut report = fixtures::up(fixtures::status(fixtures::EU, Role::Primary, Duration::ZERO), Duration::ZERO);
        let node = model.here.world.regions().into_iter().find(|region| region.name == target.region).unwrap();
        let mut status = node.status.unwrap().last().clone();
        status.observed_at = model.now;
        let mut tokens = node.tokens().map(|tokens| tokens.last().clone()).unwrap_or_default();
        if shows {
            let made = fixtures::token("nEwOnE77", TokenState::Issued);
            tokens.push(crate::api::replication::TokenInfo { created_at: model.now, ..made });
        }
        report.address = node.nodes[0].address.clone();
        report.status = Some(Observed::new(status, model.now, "a node"));
        report.tokens = Some(Observed::new(tokens, model.now, "a node"));
        update(&mut model, Msg::Reports(vec![(ContextId(0), report)]));
        (last(&model).standing, last(&model).words.clone())
    };
    let (standing, words) = outcome(true);
    assert_eq!(standing, Standing::Done, "{words}");
    assert!(words.contains("made the token nEwOnE77 since. Its answer was lost"), "{words}");
    let (standing, words) = outcome(false);
    assert_eq!(standing, Standing::Failed, "{words}");
    assert!(words.contains("lists no new token, 1m 50s later"), "{words}");
}

#[test]
fn what_failed_says_that_nothing_was_changed_and_a_second_try_has_a_line_of_its_own() {
    let mut model = model(fixtures::streaming());
    for _ in 0..2 {
        let effects = keys(&mut model, "s y");
        let [Effect::Do(_, target, _)] = effects.as_slice() else { panic!("{effects:?}") };
        let refused = Failure { words: "permission denied".into(), sort: FailureSort::Refused };
        update(&mut model, told(Answer::Ended(target.clone(), Asked::Pause, Err(refused))));
    }
    assert_eq!(model.outcomes.len(), 2);
    assert_eq!((last(&model).standing, last(&model).advice().as_str()), (Standing::Failed, "Nothing was changed."));
}

#[test]
fn to_carry_on_shows_its_command() {
    let mut model = model(fixtures::streaming());
    says(&mut model, |us| us.links[0].state = LinkState::Paused);
    assert_eq!(words(&keys(&mut model, "s")), ["do us-east-1 Resume"]);
    assert!(model.toast_in_view().unwrap().text.contains("twinkeep replication resume"), "{:?}", model.toasts);
    assert!(last(&model).command.starts_with("twinkeep replication resume"));
}

#[test]
fn with_a_filter_and_no_marks_a_decision_is_about_what_is_shown() {
    let mut model = model(fixtures::left_behind());
    keys(&mut model, "6");
    let target = Target { context: ContextId(0), region: "us-east-1".into(), addresses: Vec::new() };
    update(&mut model, told(Answer::Ledger(target, Ok(fixtures::ledger()))));
    keys(&mut model, "/ m a i l enter");
    let effects = keys(&mut model, "R y");
    let [Effect::Do(_, _, Change::ReplayLedger(request))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((request.all, request.entries.as_slice()), (false, &["1/3:48217".to_owned()][..]));
    keys(&mut model, "esc / n o s u c h enter R");
    assert!(model.dialogs.is_empty(), "nothing is shown, so nothing is decided on");
}

#[test]
fn rows_and_marks_are_of_one_regions_ledger() {
    let mut model = model(fixtures::left_behind());
    keys(&mut model, "6");
    let of = |region: &str| Target { context: ContextId(0), region: region.into(), addresses: Vec::new() };
    update(&mut model, told(Answer::Ledger(of("us-east-1"), Ok(fixtures::ledger()))));
    keys(&mut model, "t");
    assert_eq!((model.ledger_rows().len(), model.here.marked.len()), (3, 1));
    update(&mut model, told(Answer::Ledger(of("ap-south-1"), Ok(fixtures::ledger()))));
    assert!(model.here.marked.is_empty(), "another region's entries have numbers of their own");
    assert!(model.ledger_rows().is_empty(), "and are not what is shown as us-east-1's");
}

#[test]
fn the_cursor_stays_on_its_row_whatever_comes_above_it() {
    let mut model = models([("a", fixtures::streaming()), ("b", fixtures::streaming()), ("c", fixtures::streaming())]);
    keys(&mut model, "down down");
    let at = |model: &Model| {
        let row = model.list().row(model.context_rows().len(), list::Rest::First);
        model.context_rows()[row].0.name.clone()
    };
    assert_eq!(at(&model), "c");
    model.context_mut(ContextId(1)).unwrap().world = fixtures::dark_primary();
    let later = UnixMs(model.now.0 + 1_000);
    update(&mut model, Msg::Tick(later));
    assert_eq!(model.context_rows()[0].0.name, "b", "the worst is first by now");
    model.context_mut(ContextId(2)).unwrap().world = fixtures::split_brain();
    update(&mut model, Msg::Tick(UnixMs(later.0 + 100)));
    assert_eq!(model.context_rows()[0].0.name, "c", "two primaries are worse than a silent one");
    assert_eq!(at(&model), "c");
}

#[test]
fn a_standby_of_the_wrong_primary_is_asked_for_by_name_and_of_several_it_is_asked_which() {
    // us-east-1 does not answer any more; eu-west-1 was promoted; ap-south-1 still follows us-east-1.
    let dark = Duration::from_secs(41);
    let mut model = model(fixtures::three_regions());
    let mut us = fixtures::status(fixtures::US, Role::Primary, dark);
    us.links.clear();
    let mut eu = fixtures::status(fixtures::EU, Role::Primary, Duration::ZERO);
    eu.epoch = Epoch(4);
    let reports = [fixtures::gone(us.clone(), dark), fixtures::up(eu.clone(), Duration::ZERO)];
    update(&mut model, Msg::Reports(reports.into_iter().map(|report| (ContextId(0), report)).collect()));
    model.here.selected = Some("ap-south-1".into());
    keys(&mut model, "5 J");
    let Some(Dialog::Palette(palette)) = model.dialogs.last() else { panic!("{:?}", model.dialogs) };
    assert!(palette.wants_reason().unwrap().contains("it follows a primary already"), "{palette:?}");
    update(&mut model, Msg::Paste(" us-east-1 is gone".into()));
    keys(&mut model, "enter");
    let Some(Dialog::Confirm(confirm)) = model.dialogs.last() else { panic!("{:?}", model.dialogs) };
    let command = "rejoin -primary=eu-west-1 -reason=\"us-east-1 is gone\"";
    assert!(confirm.command.contains(command), "{}", confirm.command);
    type_text(&mut model, "ap-south-1");
    let effects = keys(&mut model, "enter");
    let [Effect::Do(_, target, Change::Rejoin(request))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((target.region.as_str(), request.primary.as_deref()), ("ap-south-1", Some("eu-west-1")));
    // Fenced, with two that it could follow.
    let ledger = fixtures::ledger().ledger.map(|ledger| crate::api::ledger::LedgerSummary { unreviewed: 0, ..ledger });
    let fenced = crate::api::replication::PathStatus { role: Role::Fenced, ledger, ..fixtures::asia(Duration::ZERO) };
    update(&mut model, Msg::Reports(vec![(ContextId(0), fixtures::up(fenced, Duration::ZERO))]));
    keys(&mut model, "J");
    let Some(Dialog::Choose(choose)) = model.dialogs.last() else { panic!("{:?}", model.dialogs) };
    let names: Vec<&str> = choose.primaries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["eu-west-1", "us-east-1"], "the one that answers first");
    keys(&mut model, "down up enter");
    let Some(Dialog::Confirm(confirm)) = model.dialogs.last() else { panic!("{:?}", model.dialogs) };
    assert!(confirm.command.contains("rejoin -primary=eu-west-1"), "{}", confirm.command);
}

#[test]
fn the_logs_filter_goes_with_it_and_the_helps_cursor_stays_on_what_is_shown() {
    let mut model = model(fixtures::streaming());
    keys(&mut model, ": l o g enter");
    assert_eq!((model.screen, model.list().is_filtered()), (Screen::Events, true));
    keys(&mut model, "1 7");
    assert!(!model.list().is_filtered(), "events are all events again");
    keys(&mut model, "? / p r o m o t enter");
    let rows = help_rows(&model).len();
    keys(&mut model, &"down ".repeat(rows + 5));
    assert_eq!(model.list().cursor, Some(rows - 1));
}

#[test]
fn a_toast_of_another_context_is_known_as_such() {
    let mut model = models([("prod", fixtures::streaming()), ("lab", fixtures::streaming())]);
    keys(&mut model, "enter");
    let mut us = fixtures::status(fixtures::US, Role::Fenced, Duration::ZERO);
    us.epoch = Epoch(4);
    let other = ContextId(1 - model.here.id.0);
    update(&mut model, Msg::Reports(vec![(other, fixtures::up(us, Duration::ZERO))]));
    assert_eq!(model.toast_in_view().unwrap().context, other);
}
