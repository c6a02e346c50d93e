//! Promotions, from the plan to the outcome, and what is left of the old primary.

use super::*;
use crate::api::replication::PromoteMode;
use crate::console::domain::AnyAge;
use std::time::Duration;
#[test]
fn a_promotion_wants_the_regions_name_typed_and_refuses_a_paste() {
    let mut model = model(fixtures::dark_primary());
    open_plan(&mut model);
    update(&mut model, Msg::Paste("eu-west-1".into()));
    let Some(Stage::Deciding(deciding)) = model.here.promotion.as_ref().map(|desk| &desk.stage) else { panic!() };
    assert_eq!(deciding.consent.name(), Some(("eu-west-1", "")));
    assert!(deciding.consent.notice().unwrap().contains("pasting"));
    type_text(&mut model, "eu-west");
    assert_eq!(words(&keys(&mut model, "enter")), [""; 0]);
    type_text(&mut model, "-1");
    let effects = keys(&mut model, "enter");
    let [Effect::Do(_, target, Change::Promote(request))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(target.region, "eu-west-1");
    assert!(request.accept_loss, "the loss stands above the name that was typed");
    assert_eq!((request.plan.as_str(), request.id), ("b1946ac92492d2347c6235b4d2611184", PromotionId([7; 16])));
    assert_eq!(standing(&model), Standing::Running);
}

/// Opens a question, answers it with a mere yes, which does nothing, and then with the name.
fn confirm(model: &mut Model, opening: &str, name: &str) -> Vec<Effect> {
    assert!(keys(model, opening).is_empty(), "{opening} only asks");
    assert!(keys(model, "y enter backspace").is_empty(), "a yes is not the name of a region");
    type_text(model, name);
    keys(model, "enter")
}

#[test]
fn a_block_forbids_whatever_is_typed() {
    let mut model = model(fixtures::dark_primary());
    let mut plan = fixtures::plan();
    plan.checks[0].verdict = Verdict::Block;
    let effects = keys(&mut model, "p");
    let [Effect::Ask(target, Query::Plan(_))] = effects.as_slice() else { panic!("{effects:?}") };
    update(&mut model, told(Answer::Plan(target.clone(), PromoteMode::Forced, Ok((plan, PromotionId([7; 16]))))));
    type_text(&mut model, "eu-west-1");
    assert_eq!(words(&keys(&mut model, "enter")), [""; 0]);
    assert_eq!(promotion_forbidden(&model).unwrap(), "blocked by: whole");
}

fn sent() -> Model {
    let mut model = model(fixtures::dark_primary());
    open_plan(&mut model);
    type_text(&mut model, "eu-west-1");
    assert_eq!(keys(&mut model, "enter").len(), 1);
    model
}

#[test]
fn an_unknown_outcome_keeps_asking_until_it_is_known() {
    let mut model = sent();
    let id = PromotionId([7; 16]);
    let lost = || Failure { words: "no answer: it took too long".into(), sort: FailureSort::Unknown };
    update(&mut model, told(Answer::Promotion(id, Err(lost()))));
    assert_eq!(standing(&model), Standing::Unknown);
    for _ in 0..3 {
        let later = UnixMs(model.now.0 + 1_100);
        let asked = update(&mut model, Msg::Tick(later));
        assert_eq!(words(&asked), [format!("ask eu-west-1 Promotion({id:?})")]);
        assert!(update(&mut model, Msg::Tick(UnixMs(later.0 + 1_100))).is_empty(), "one question at a time");
        update(&mut model, told(Answer::Promotion(id, Err(lost()))));
    }
    keys(&mut model, "esc");
    assert!(model.here.promotion.is_some(), "leaving the dialog forgets nothing");
    update(&mut model, told(Answer::Promotion(id, Ok(Some(promotion(PromotionOutcome::Done))))));
    assert_eq!(standing(&model), Standing::Done);
    let later = UnixMs(model.now.0 + 2_000);
    assert_eq!(update(&mut model, Msg::Tick(later)).len(), 1, "is the old primary fenced by now?");
    let fence = FenceProof::Acknowledged { at: NOW, reached: crate::ids::Position::new(Epoch(3), 48_219) };
    let proven = Promotion { fence, ..promotion(PromotionOutcome::Done) };
    update(&mut model, told(Answer::Promotion(id, Ok(Some(proven)))));
    let later = UnixMs(model.now.0 + 5_000);
    assert!(update(&mut model, Msg::Tick(later)).is_empty(), "and is not asked about again");
}

#[test]
fn to_send_an_unknown_promotion_again_is_to_send_the_same() {
    let mut model = sent();
    let id = PromotionId([7; 16]);
    update(&mut model, told(Answer::Promotion(id, Ok(None))));
    assert_eq!(standing(&model), Standing::Unknown);
    let effects = keys(&mut model, "s");
    let [Effect::Do(_, _, Change::Promote(request))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(request.id, id);
}

#[test]
fn a_plan_that_is_read_is_made_anew_and_the_consent_stays_while_the_facts_do() {
    let mut model = model(fixtures::dark_primary());
    open_plan(&mut model);
    type_text(&mut model, "eu-west");
    let later = UnixMs(model.now.0 + 5_000);
    let asked = update(&mut model, Msg::Tick(later));
    let [Effect::Ask(target, Query::Plan(PromoteMode::Forced))] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(update(&mut model, Msg::Tick(UnixMs(later.0 + 1_000))).is_empty(), "one question at a time");
    let mut plan = fixtures::plan();
    plan.loss.likely_entries = Some(3_000);
    update(&mut model, told(Answer::Plan(target.clone(), PromoteMode::Forced, Ok((plan, PromotionId([9; 16]))))));
    let Stage::Deciding(deciding) = &model.here.promotion.as_ref().unwrap().stage else { panic!() };
    assert_eq!(deciding.plan.last().loss.likely_entries, Some(3_000), "the figure grows while one reads");
    assert_eq!((deciding.consent.name(), deciding.id), (Some(("eu-west-1", "eu-west")), PromotionId([7; 16])));
    let lost = Failure { words: "no answer".into(), sort: FailureSort::Unknown };
    update(&mut model, told(Answer::Plan(target.clone(), PromoteMode::Forced, Err(lost))));
    // Nobody answers any more: what was read is not what would be done.
    let late = UnixMs(model.now.0 + 13_000);
    update(&mut model, Msg::Tick(late));
    type_text(&mut model, "-1");
    assert_eq!(words(&keys(&mut model, "enter")), [""; 0]);
    let Stage::Deciding(deciding) = &model.here.promotion.as_ref().unwrap().stage else { panic!() };
    assert!(deciding.notice.as_ref().unwrap().contains("old: tab asks for a new one"), "{:?}", deciding.notice);
    assert_eq!(deciding.unanswered.as_deref(), Some("no answer"));
}

/// The link was paused long before the primary died, and the primary told this console how far it was meanwhile.
#[test]
fn an_old_primary_that_goes_on_is_said_to_and_what_it_writes_is_lost() {
    let mut model = sent();
    let loss = Some(fixtures::plan().loss);
    let done = Promotion { loss, ended_at: Some(NOW), ..promotion(PromotionOutcome::Done) };
    update(&mut model, told(Answer::Promotion(PromotionId([7; 16]), Ok(Some(done)))));
    let mut us = fixtures::status(fixtures::US, crate::api::replication::Role::Primary, Duration::ZERO);
    us.head = Some(crate::ids::Position::new(Epoch(3), 48_300));
    let mut eu = fixtures::status(fixtures::EU, crate::api::replication::Role::Primary, Duration::ZERO);
    (eu.epoch, eu.links) = (Epoch(4), Vec::new());
    let reports = [fixtures::up(us, Duration::ZERO), fixtures::up(eu, Duration::ZERO)];
    update(&mut model, Msg::Reports(reports.into_iter().map(|report| (ContextId(0), report)).collect()));
    let report = afterwards::files(&model).remove(0).1;
    assert!(report.contains("Not fenced: us-east-1 takes writes in epoch 3."), "{report}");
    assert!(report.contains("Lost: at least 89 writes by now, and more until us-east-1 is fenced"), "{report}");
    let worst = &model.alarms()[0].text;
    assert!(worst.ends_with("F fences the older"), "{worst}");
}

#[test]
fn after_a_failover_the_first_alarm_is_that_nothing_proves_the_fence() {
    let mut world = fixtures::dark_primary();
    let mut eu = fixtures::status(fixtures::EU, crate::api::replication::Role::Primary, Duration::ZERO);
    (eu.epoch, eu.links) = (Epoch(4), Vec::new());
    world.take_all([fixtures::up(eu, Duration::ZERO)]);
    let alarms: Vec<String> = world.alarms(NOW).into_iter().map(|alarm| alarm.text).collect();
    assert!(alarms[0].contains("nothing proves that it gave way to eu-west-1"), "{alarms:?}");
    assert!(alarms.iter().any(|text| text.starts_with("us-east-1 (was primary) does not answer")), "{alarms:?}");
}

#[test]
fn what_is_typed_stays_while_a_living_primarys_lag_swings_within_what_was_shown() {
    let mut model = model(fixtures::streaming());
    open_plan(&mut model);
    let renew = |model: &mut Model, entries: u64, change: fn(&mut crate::api::replication::Plan)| {
        let mut plan = fixtures::plan();
        // The hash tells whether it is more than a thousand.
        (plan.loss.entries, plan.hash) = (entries, format!("large={}", entries > 1_000));
        change(&mut plan);
        let mode = model.here.promotion.as_ref().unwrap().mode;
        let target = Target { context: ContextId(0), region: "eu-west-1".into(), addresses: Vec::new() };
        update(model, told(Answer::Plan(target, mode, Ok((plan, PromotionId([7; 16]))))));
        match &model.here.promotion.as_ref().unwrap().stage {
            Stage::Deciding(deciding) => deciding.consent.name().unwrap().1.to_owned(),
            other => panic!("{other:?}"),
        }
    };
    renew(&mut model, 1_500, |_| {});
    type_text(&mut model, "eu-w");
    assert_eq!(renew(&mut model, 900, |_| {}), "eu-w", "less is within what was shown");
    assert_eq!(renew(&mut model, 1_400, |_| {}), "eu-w");
    type_text(&mut model, "es");
    assert_eq!(renew(&mut model, 900, |_| {}), "eu-wes");
    let other = |plan: &mut crate::api::replication::Plan| {
        plan.hash = "another primary".into();
        plan.checks[0].verdict = Verdict::Unknown;
    };
    assert_eq!(renew(&mut model, 900, other), "", "another fact is another plan");
    type_text(&mut model, "eu");
    assert_eq!(renew(&mut model, 2_000, |_| {}), "", "and so is more than was shown");
}

#[test]
fn a_report_tells_what_this_console_knew_and_counts_from_the_last_word_that_anybody_heard() {
    let mut us = fixtures::status(fixtures::US, crate::api::replication::Role::Primary, Duration::from_secs(20));
    us.head = Some(crate::ids::Position::new(Epoch(3), 48_300));
    let mut world = fixtures::dark_primary();
    world.take_all([fixtures::gone(us, Duration::from_secs(20))]);
    let mut model = model(world);
    open_plan(&mut model);
    type_text(&mut model, "eu-west-1");
    assert_eq!(keys(&mut model, "enter").len(), 1);
    let opened_at = UnixMs(NOW.0 + 4_500);
    let steps = vec![crate::api::replication::Step::done(crate::api::replication::StepName::Opened, opened_at, "open")];
    let loss = Some(fixtures::plan().loss);
    let done = Promotion { steps, loss, ..promotion(PromotionOutcome::Done) };
    update(&mut model, told(Answer::Promotion(PromotionId([7; 16]), Ok(Some(done)))));
    let report = afterwards::files(&model).remove(0).1;
    assert!(report.contains("At least 89 writes: us-east-1 told this console of 3:48 300"), "{report}");
    assert!(report.contains("Open for writes 24s after"), "the link was silent for longer: {report}");
    assert!(report.contains("Fence unproven"), "{report}");
    // Its operator fenced it by hand, in an epoch of its own: it says itself where it stopped.
    let mut us = fixtures::status(fixtures::US, crate::api::replication::Role::Fenced, Duration::ZERO);
    us.fence = Some(crate::api::replication::FenceInfo {
        by_epoch: Epoch(3),
        at: us.observed_at,
        reached: crate::ids::Position::new(Epoch(3), 48_301),
        demoted: Some("it is down".into()),
    });
    let mut report = fixtures::up(us.clone(), Duration::ZERO);
    report.status = Some(crate::console::domain::Observed::new(us, model.now, "us-east-1a"));
    update(&mut model, Msg::Reports(vec![(ContextId(0), report)]));
    let report = afterwards::files(&model).remove(0).1;
    assert!(report.contains("says itself that it is fenced") && !report.contains("unproven"), "{report}");
    assert!(report.contains("Lost: 90 writes: applied 3:48 211 of 3:48 301"), "{report}");
}

#[test]
fn a_promotion_whose_facts_changed_shows_the_new_plan_and_wants_a_new_consent() {
    let mut model = sent();
    let refused = Promotion {
        error: Some("the plan changed".into()),
        plan: Some(Box::new(fixtures::plan())),
        ..promotion(PromotionOutcome::Failed)
    };
    let effects = update(&mut model, told(Answer::Promotion(PromotionId([7; 16]), Ok(Some(refused)))));
    assert_eq!(words(&effects), ["ask eu-west-1 Plan(Forced)"]);
    let target = Target { context: ContextId(0), region: "eu-west-1".into(), addresses: Vec::new() };
    let plan = (fixtures::plan(), PromotionId([8; 16]));
    update(&mut model, told(Answer::Plan(target, PromoteMode::Forced, Ok(plan))));
    match &model.here.promotion.as_ref().unwrap().stage {
        Stage::Deciding(deciding) => assert_eq!(
            (deciding.id, deciding.consent.name().unwrap().1, deciding.notice.as_deref()),
            (PromotionId([8; 16]), "", Some("not promoted, the facts changed: the plan changed"))
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_living_primary_is_switched_over_a_silent_one_is_failed_over_and_the_other_way_is_a_key_away() {
    let mut model = model(fixtures::streaming());
    assert_eq!(words(&keys(&mut model, "p")), ["ask eu-west-1 Plan(Planned)"]);
    let target = Target { context: ContextId(0), region: "eu-west-1".into(), addresses: Vec::new() };
    let late = Answer::Plan(target.clone(), PromoteMode::Forced, Ok((fixtures::plan(), PromotionId([6; 16]))));
    update(&mut model, told(late));
    let stage = |model: &Model| model.here.promotion.as_ref().map(|desk| desk.stage.clone());
    assert!(matches!(stage(&model), Some(Stage::Planning { .. })), "a plan of the other mode is no answer");
    let plan = crate::api::replication::Plan { mode: PromoteMode::Planned, ..fixtures::plan() };
    update(&mut model, told(Answer::Plan(target, PromoteMode::Planned, Ok((plan, PromotionId([7; 16]))))));
    let later = UnixMs(model.now.0 + 400);
    update(&mut model, Msg::Tick(later));
    let effects = update(&mut model, Msg::Key(KeyEvent::from(KeyCode::BackTab)));
    assert_eq!(words(&effects), ["ask eu-west-1 Plan(Forced)"]);
    let mut dark = self::model(fixtures::dark_primary());
    assert_eq!(words(&keys(&mut dark, "p")), ["ask eu-west-1 Plan(Forced)"]);
}

#[test]
fn a_promotion_is_found_again_by_its_id_and_its_report_is_written() {
    let mut model = model(fixtures::streaming());
    let id = PromotionId([7; 16]);
    keys(&mut model, ":");
    type_text(&mut model, "promotion");
    update(&mut model, Msg::Paste(format!(" {id}")));
    assert_eq!(words(&keys(&mut model, "enter")), [format!("ask eu-west-1 Promotion({id:?})")]);
    let steps = vec![crate::api::replication::Step::done(crate::api::replication::StepName::Opened, NOW, "took over")];
    let done = Promotion { steps, ..promotion(PromotionOutcome::Done) };
    update(&mut model, told(Answer::Promotion(id, Ok(Some(done)))));
    assert_eq!(standing(&model), Standing::Done);
    let effects = keys(&mut model, "w");
    let [Effect::Save(files)] = effects.as_slice() else { panic!("{effects:?}") };
    let [SavedFile { name, text }, SavedFile { text: json, .. }] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(*name, format!("promotion-{id}.md"));
    let saved = files.iter().map(|file| std::path::Path::new("/home/op/.local/state/twinkeep").join(&file.name));
    update(&mut model, told(Answer::Saved(Ok(saved.collect()))));
    let toast = &model.toast_in_view().unwrap().text;
    assert_eq!(*toast, format!("written: promotion-{id}.md and promotion-{id}.json in /home/op/.local/state/twinkeep"));
    assert!(text.expose().contains("| open for writes | done |"), "{}", text.expose());
    let object: serde_json::Value = serde_json::from_str(json.expose()).unwrap();
    assert_eq!(object["outcome"], "done");
}

#[test]
fn a_switchover_can_be_called_off_until_it_is_done() {
    let mut model = sent();
    assert_eq!(words(&keys(&mut model, "c")), [""; 0], "a failover is not taken back");
    let id = PromotionId([7; 16]);
    let running =
        Promotion { mode: crate::api::replication::PromoteMode::Planned, ..promotion(PromotionOutcome::Running) };
    update(&mut model, told(Answer::Promotion(id, Ok(Some(running)))));
    assert_eq!(words(&keys(&mut model, "c y")), [format!("do eu-west-1 CancelPromotion({id:?})")]);
}

#[test]
fn who_may_only_look_calls_nothing_off_and_sends_nothing_again() {
    let mut model = sent();
    let id = PromotionId([7; 16]);
    let lost = Failure { words: "no answer: it took too long".into(), sort: FailureSort::Unknown };
    model.here.write = WriteRight::ReadOnly;
    update(&mut model, told(Answer::Promotion(id, Err(lost))));
    assert_eq!(words(&keys(&mut model, "s")), [""; 0]);
    let running =
        Promotion { mode: crate::api::replication::PromoteMode::Planned, ..promotion(PromotionOutcome::Running) };
    update(&mut model, told(Answer::Promotion(id, Ok(Some(running)))));
    assert_eq!(words(&keys(&mut model, "c")), [""; 0]);
    assert!(model.toast_in_view().unwrap().text.contains("read-only"), "{:?}", model.toasts);
}

#[test]
fn the_ledger_is_asked_for_while_it_is_in_view_and_decided_on_after_a_yes() {
    let mut model = model(fixtures::left_behind());
    assert_eq!(words(&keys(&mut model, "6")), ["ask us-east-1 Ledger"]);
    let target = Target { context: ContextId(0), region: "us-east-1".into(), addresses: Vec::new() };
    update(&mut model, told(Answer::Ledger(target.clone(), Ok(fixtures::ledger()))));
    assert_eq!(model.ledger_rows().len(), 3);
    assert_eq!(words(&keys(&mut model, "R")), [""; 0]);
    let effects = keys(&mut model, "y");
    assert!(words(&effects)[0].starts_with("do us-east-1 ReplayLedger"), "{effects:?}");
    let asked = model.outcomes.back().unwrap().asked.clone();
    let again = update(&mut model, told(Answer::Ended(target, asked, Ok("2 writes replayed".into()))));
    assert_eq!(words(&again), ["ask us-east-1 Ledger"], "what was decided is looked at");
    // Two are undecided: without a reason the region would refuse it.
    keys(&mut model, "J");
    let Some(Dialog::Palette(palette)) = model.dialogs.last() else { panic!("{:?}", model.dialogs) };
    assert!(palette.wants_reason().unwrap().contains("2 writes in its ledger"), "{palette:?}");
    update(&mut model, Msg::Paste(" looked at it".into()));
    keys(&mut model, "enter");
    let Some(Dialog::Confirm(confirm)) = model.dialogs.last() else { panic!("{:?}", model.dialogs) };
    assert!(confirm.command.contains("rejoin -reason=\"looked at it\""), "{}", confirm.command);
    keys(&mut model, "esc");
    let decided = |model: &mut Model, ledger: Option<crate::api::ledger::LedgerSummary>| {
        let mut us = fixtures::status(fixtures::US, crate::api::replication::Role::Fenced, Duration::ZERO);
        us.ledger = ledger;
        model.here.world.take_all([fixtures::up(us, Duration::ZERO)]);
    };
    decided(&mut model, None);
    keys(&mut model, "J");
    let Some(Dialog::Palette(palette)) = model.dialogs.last() else { panic!("{:?}", model.dialogs) };
    assert!(palette.wants_reason().unwrap().contains("no primary has introduced itself"), "{palette:?}");
    keys(&mut model, "esc");
    let all = crate::api::ledger::LedgerSummary { unreviewed: 0, ..fixtures::ledger().ledger.unwrap() };
    decided(&mut model, Some(all));
    let effects = self::confirm(&mut model, "J", "us-east-1");
    assert!(words(&effects)[0].starts_with("do us-east-1 Rejoin"), "{effects:?}");
}

#[test]
fn marked_entries_are_decided_on_and_nothing_is_overwritten_unnamed() {
    let mut model = model(fixtures::left_behind());
    keys(&mut model, "6");
    let target = Target { context: ContextId(0), region: "us-east-1".into(), addresses: Vec::new() };
    update(&mut model, told(Answer::Ledger(target, Ok(fixtures::ledger()))));
    assert_eq!(words(&keys(&mut model, "O")), [""; 0]);
    assert!(model.dialogs.is_empty(), "nothing is marked");
    keys(&mut model, "down t");
    assert_eq!(model.here.marked.iter().collect::<Vec<_>>(), ["1/3:48218"]);
    let effects = confirm(&mut model, "O", "eu-west-1");
    let [Effect::Do(_, _, Change::ReplayLedger(request))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(
        (request.entries.as_slice(), request.all, request.overwrite),
        (&["1/3:48218".to_owned()][..], false, true)
    );
    keys(&mut model, "T");
    assert_eq!(model.here.marked.len(), 2, "what was replayed can't be marked");
    keys(&mut model, "x");
    type_text(&mut model, "tested");
    let effects = confirm(&mut model, "enter", "us-east-1");
    let [Effect::Do(_, _, Change::DiscardLedger(request))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((request.entries.len(), request.reason.as_str()), (2, "tested"));
    assert_eq!(words(&keys(&mut model, "e")), ["ask us-east-1 LedgerExport"]);
}

#[test]
fn in_a_split_brain_only_the_older_one_can_be_fenced() {
    let mut model = model(fixtures::split_brain());
    assert_eq!(words(&keys(&mut model, "s g")), [""; 0]);
    assert!(model.toast_in_view().unwrap().text.contains("only fencing"), "{:?}", model.toasts);
    keys(&mut model, "F");
    type_text(&mut model, "eu-has-the-clients");
    let effects = confirm(&mut model, "enter", "us-east-1");
    let [Effect::Do(_, target, Change::Fence(request))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((target.region.as_str(), request.reason.as_str()), ("us-east-1", "eu-has-the-clients"));
}

#[test]
fn two_primaries_lock_the_console_whichever_region_is_selected() {
    let mut asia = fixtures::status(fixtures::EU, crate::api::replication::Role::Standby, Duration::ZERO);
    asia.region.id = crate::ids::RegionId([3; 16]);
    asia.region.name = "ap-south-1".into();
    asia.region.api_addr = "http://10.3.3.1:8200".into();
    asia.nodes.truncate(1);
    asia.nodes[0].api_addr = asia.region.api_addr.clone();
    let mut world = fixtures::split_brain();
    world.take_all([fixtures::up(asia, Duration::ZERO)]);
    let mut model = model(world);
    model.here.selected = Some("ap-south-1".into());
    assert_eq!(model.here.world.regions().len(), 3);
    assert_eq!(words(&keys(&mut model, "g")), [""; 0]);
    assert!(model.toast_in_view().unwrap().text.contains("only fencing"), "{:?}", model.toasts);
    assert_eq!(targets::fenceable(&model).unwrap().name, "us-east-1");
}

#[test]
fn a_verification_is_begun_after_a_yes_and_asked_about_until_it_ended() {
    use crate::api::verification::{OwnDisk, Verification};
    let mut model = model(fixtures::streaming());
    let effects = keys(&mut model, "5 V y");
    let [Effect::Do(_, target, Change::Verify)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(target.region, "us-east-1");
    let said = |ended_at| Verification {
        id: "v1".into(),
        began_at: NOW,
        ended_at,
        own_disk: OwnDisk::Sound,
        standbys: Vec::new(),
    };
    update(&mut model, told(Answer::Verification(target.clone(), Ok(said(None)))));
    let later = UnixMs(model.now.0 + 2_100);
    assert_eq!(words(&update(&mut model, Msg::Tick(later))), ["ask us-east-1 Verification(\"v1\")"]);
    update(&mut model, told(Answer::Verification(target.clone(), Ok(said(Some(later))))));
    let later = UnixMs(model.now.0 + 5_000);
    assert!(update(&mut model, Msg::Tick(later)).is_empty());
}

#[test]
fn a_verification_begun_at_another_terminal_is_found_in_the_primarys_status() {
    use crate::api::verification::{OwnDisk, StandbyVerification, Verification, VerifyOutcome};
    let mut model = model(fixtures::streaming());
    let telling = |model: &mut Model, outcome, ended_at| {
        let mut us = fixtures::status(fixtures::US, crate::api::replication::Role::Primary, Duration::ZERO);
        let standby = StandbyVerification {
            region: fixtures::EU,
            name: "eu-west-1".into(),
            outcome,
            at: None,
            damaged_buckets: 0,
            differing_buckets: 0,
            differing_entries: 0,
            prefixes: Vec::new(),
            words: "its disk is read".into(),
        };
        us.verification = Some(Box::new(Verification {
            id: "v9".into(),
            began_at: NOW,
            ended_at,
            own_disk: OwnDisk::Sound,
            standbys: vec![standby],
        }));
        let mut report = fixtures::up(us.clone(), Duration::ZERO);
        report.status = Some(crate::console::domain::Observed::new(us, model.now, "us-east-1a"));
        update(model, Msg::Reports(vec![(ContextId(0), report)]))
    };
    telling(&mut model, VerifyOutcome::Running, None);
    assert!(model.toast_in_view().unwrap().text.contains("are being verified"), "{:?}", model.toasts);
    let later = UnixMs(model.now.0 + 1_500);
    assert!(update(&mut model, Msg::Tick(later)).is_empty(), "what its status says is not asked for");
    let told = model.toasts.len();
    telling(&mut model, VerifyOutcome::Running, None);
    assert_eq!(model.toasts.len(), told, "once");
    telling(&mut model, VerifyOutcome::Equal, Some(later));
    assert_eq!(model.toast_in_view().unwrap().text, "verified: eu-west-1 is equal");
    assert!(model.here.verify.as_ref().unwrap().said.as_ref().unwrap().last().ended_at.is_some());
}

#[test]
fn a_switchover_begun_at_another_terminal_is_found_by_what_the_regions_say() {
    let mut status = fixtures::status(fixtures::EU, crate::api::replication::Role::Standby, Duration::ZERO);
    let id = PromotionId([5; 16]);
    status.handover = Some(crate::api::replication::HandoverInfo {
        id,
        stage: crate::api::replication::HandoverStage::Asks,
        region: fixtures::US,
        name: "us-east-1".into(),
        since: NOW,
        deadline_at: None,
        reached: None,
    });
    let mut world = fixtures::streaming();
    world.take_all([fixtures::up(status, Duration::ZERO)]);
    let mut model = model(world);
    assert_eq!(words(&keys(&mut model, "p")), [format!("ask eu-west-1 Promotion({id:?})")]);
    assert_eq!(model.screen, Screen::Failover);
}

/// What eu-west-1 says of its promotion by id 5.
fn telling(model: &mut Model, outcome: PromotionOutcome) -> Vec<Effect> {
    let mut status = fixtures::status(fixtures::EU, crate::api::replication::Role::Standby, Duration::ZERO);
    status.promotion = Some(Box::new(Promotion { id: PromotionId([5; 16]), ..promotion(outcome) }));
    let at = model.now;
    let mut report = fixtures::up(status.clone(), Duration::ZERO);
    report.status = Some(crate::console::domain::Observed::new(status, at, "eu-west-1a"));
    update(model, Msg::Reports(vec![(ContextId(0), report)]))
}

#[test]
fn a_promotion_begun_at_another_terminal_is_found_by_itself_and_followed_without_a_token() {
    let mut model = model(fixtures::dark_primary());
    assert_eq!(words(&telling(&mut model, PromotionOutcome::Running)), ["Bell"]);
    assert_eq!(standing(&model), Standing::Running);
    assert!(model.toast_in_view().unwrap().text.contains("is being promoted"), "{:?}", model.toasts);
    let later = UnixMs(model.now.0 + 1_100);
    assert!(update(&mut model, Msg::Tick(later)).is_empty(), "what its status says every second is not asked for");
    assert_eq!(words(&telling(&mut model, PromotionOutcome::Done)), ["Bell"]);
    assert_eq!(standing(&model), Standing::Done);
    // The finished one stays in view, and p is free for the next.
    keys(&mut model, ":");
    type_text(&mut model, "promotion");
    keys(&mut model, "enter");
    assert_eq!(keys(&mut model, "w").len(), 1, "its report can be written here as well");
}

#[test]
fn what_is_decided_here_is_not_pushed_aside_by_an_older_promotion() {
    let mut model = model(fixtures::dark_primary());
    open_plan(&mut model);
    telling(&mut model, PromotionOutcome::Done);
    assert!(matches!(model.here.promotion.as_ref().unwrap().stage, Stage::Deciding(_)));
    keys(&mut model, "esc");
    telling(&mut model, PromotionOutcome::Done);
    assert_eq!(standing(&model), Standing::Done);
    assert!(model.dialogs.is_empty());
}

/// The old primary is fenced, and the new one is silent as well: what is left can be promoted, whichever is selected.
#[test]
fn a_fenced_region_is_what_is_promoted_when_the_new_primary_is_gone() {
    for selected in ["us-east-1", "eu-west-1"] {
        let mut model = model(fixtures::left_alone());
        model.here.selected = Some(selected.into());
        let effects = keys(&mut model, "p");
        let [Effect::Ask(target, Query::Plan(PromoteMode::Forced))] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(target.region, "us-east-1");
    }
}

/// What a colleague began is called off by a question that is answered, not by a key that was meant for something else.
#[test]
fn a_switchover_is_called_off_by_a_yes_and_its_end_leads_back_to_no_dialog() {
    let mut model = sent();
    let id = PromotionId([7; 16]);
    let running = Promotion { mode: PromoteMode::Planned, ..promotion(PromotionOutcome::Running) };
    update(&mut model, told(Answer::Promotion(id, Ok(Some(running)))));
    assert_eq!(words(&keys(&mut model, "c")), [""; 0]);
    let Some(Dialog::Confirm(confirm)) = model.dialogs.last() else { panic!("{:?}", model.dialogs) };
    assert!(confirm.command.contains("promote -cancel="), "{}", confirm.command);
    model.now = crate::clock::UnixMs(model.now.0 + 1_000);
    let effects = keys(&mut model, "y");
    assert!(matches!(effects.as_slice(), [Effect::Do(_, _, Change::CancelPromotion(_))]), "{effects:?}");
    let failed = Promotion { mode: PromoteMode::Planned, ..promotion(PromotionOutcome::Failed) };
    update(&mut model, told(Answer::Promotion(id, Ok(Some(failed)))));
    keys(&mut model, "esc");
    assert_eq!(model.here.settled.as_ref().map(|sent| sent.id), Some(id));
}
