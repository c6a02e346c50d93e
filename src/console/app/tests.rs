//! Stories of keys: what they open, what they ask for, and what they can't do by accident.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::desk::TokenDesk;
use super::msg::{Failure, FailureSort};
use super::promotion::{Stage, Standing};
use super::*;
use crate::api::replication::{
    EventLevel, FenceProof, PromoteMode, Promotion, PromotionOutcome, TokenCreated, Verdict,
};
use crate::clock::UnixMs;
use crate::console::domain::World;
use crate::console::domain::fixtures::{self, NOW};
use crate::ids::{Epoch, PromotionId};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeSet;

/// A secret that must never be seen but where it was asked for.
pub const CANARY: &str = "s.CANARY-7f3a9c1e77d20b64-never-to-be-seen-unasked";

/// An answer as it comes through the queue.
pub fn told(answer: Answer) -> Msg {
    Msg::Answer(ContextId(0), Box::new(answer))
}

pub fn model(world: World) -> Model {
    models([("demo", world)])
}

/// A console on several contexts, in this order.
pub fn models<const N: usize>(worlds: [(&str, World); N]) -> Model {
    let contexts = worlds.iter().map(|(name, _)| ContextOptions {
        name: (*name).into(),
        path: "default".into(),
        banner: None,
        theme: None,
        addresses: Vec::new(),
        write: WriteRight::Write,
    });
    let mut model = Model::new(ModelOptions {
        now: NOW,
        contexts: contexts.collect(),
        theme: "dark".into(),
        themes: ["terminal", "dark", "light", "mono"].map(String::from).to_vec(),
        keymap: Keymap::default(),
    });
    for (at, (_, world)) in worlds.into_iter().enumerate() {
        model.context_mut(ContextId(at)).unwrap().world = world;
    }
    model
}

/// Types keys as their names are written, each at its own time.
pub fn keys(model: &mut Model, names: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for name in names.split_whitespace() {
        let later = UnixMs(model.now.0 + 300);
        update(model, Msg::Tick(later));
        effects.extend(update(model, Msg::Key(event(name))));
    }
    effects
}

fn event(name: &str) -> KeyEvent {
    let named = |code| KeyEvent::from(code);
    match name {
        "esc" => named(KeyCode::Esc),
        "enter" => named(KeyCode::Enter),
        "tab" => named(KeyCode::Tab),
        "up" => named(KeyCode::Up),
        "down" => named(KeyCode::Down),
        "left" => named(KeyCode::Left),
        "right" => named(KeyCode::Right),
        other => match other.strip_prefix("ctrl-") {
            Some(character) => KeyEvent::new(KeyCode::Char(character.chars().next().unwrap()), KeyModifiers::CONTROL),
            None => named(KeyCode::Char(other.chars().next().unwrap())),
        },
    }
}

pub fn type_text(model: &mut Model, text: &str) {
    let spaced: String = text.chars().flat_map(|character| [character, ' ']).collect();
    keys(model, &spaced);
}

/// What the effects come to, in a word each.
fn words(effects: &[Effect]) -> Vec<String> {
    let word = |effect: &Effect| match effect {
        Effect::Ask(target, query) => format!("ask {} {query:?}", target.region),
        Effect::Do(_, target, change) => format!("do {} {change:?}", target.region),
        other => format!("{other:?}"),
    };
    effects.iter().map(word).collect()
}

pub fn give_token(model: &mut Model) {
    let effects = keys(model, "g enter");
    let [Effect::Do(_, target, Change::GenerateToken(_))] = effects.as_slice() else {
        panic!("g asks for a token: {effects:?}");
    };
    let created =
        TokenCreated { token: CANARY.into(), accessor: "9bTz07pw".into(), expires_at: UnixMs(model.now.0 + 1_800_000) };
    update(model, told(Answer::Token(target.clone(), Ok(created))));
}

pub fn open_plan(model: &mut Model) {
    let effects = keys(model, "p");
    let [Effect::Ask(target, Query::Plan(_))] = effects.as_slice() else {
        panic!("p asks for a plan: {effects:?}");
    };
    let answer = Answer::Plan(target.clone(), Ok((fixtures::plan(), PromotionId([7; 16]))));
    update(model, told(answer));
}

fn promotion(outcome: PromotionOutcome) -> Promotion {
    Promotion {
        id: PromotionId([7; 16]),
        mode: PromoteMode::Forced,
        outcome,
        epoch: Epoch(4),
        began_at: NOW,
        ended_at: None,
        loss: None,
        error: None,
        plan: None,
        fence: FenceProof::Unproven,
        steps: Vec::new(),
        pause_ms: None,
    }
}

fn standing(model: &Model) -> Standing {
    match &model.here.promotion.as_ref().unwrap().stage {
        Stage::Sent(sent) => sent.outcome(),
        other => panic!("not sent: {other:?}"),
    }
}

#[test]
fn the_table_has_every_action_once_and_no_two_actions_share_a_key_in_a_place() {
    let ids: BTreeSet<_> = ACTIONS.iter().map(|info| info.id).collect();
    assert_eq!(ids.len(), ACTIONS.len());
    let mut taken = BTreeSet::new();
    for info in ACTIONS {
        assert_eq!(info.action.info().id, info.id, "each action has one row");
        for key in info.keys {
            key.parse::<keymap::Key>().unwrap();
            assert!(
                !["ctrl-a", "ctrl-b", "ctrl-d", "ctrl-k", "ctrl-z"].contains(key),
                "{key} belongs to tmux or the shell"
            );
            for screen in Screen::ALL.iter().filter(|screen| info.action.works_on(**screen)) {
                assert!(taken.insert((*screen, *key)), "{key} twice on {}", screen.title());
            }
        }
    }
    for screen in Screen::ALL {
        assert!(ACTIONS.iter().any(|info| info.action == Action::Show(screen)), "{} has a key", screen.title());
    }
}

#[test]
fn the_readme_has_the_table_of_keys() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("<!-- keys -->\n").expect("the README has the mark `<!-- keys -->`");
    let (table, _) = rest.split_once("<!-- /keys -->").expect("the README has the mark `<!-- /keys -->`");
    let wanted = actions::keys_markdown();
    assert!(table == wanted, "between the marks in README.md should stand:\n{wanted}");
}

#[test]
fn screens_turn_by_number_and_by_tab_and_esc_goes_back_one_level() {
    let mut model = model(fixtures::streaming());
    let visits = [("3", Screen::Replication), ("6", Screen::Events), ("tab", Screen::Help), ("1", Screen::Overview)];
    for (key, screen) in visits {
        keys(&mut model, key);
        assert_eq!(model.screen, screen, "{key}");
    }
    keys(&mut model, "6 / l i n k enter");
    assert_eq!(model.list().filter.value(), "link");
    keys(&mut model, "esc");
    assert!(!model.list().is_filtered());
    assert_eq!(model.screen, Screen::Events);
    keys(&mut model, "esc");
    assert_eq!(model.screen, Screen::Overview);
    assert_eq!(words(&keys(&mut model, "q")), ["Quit"]);
}

#[test]
fn while_a_filter_is_typed_letters_are_letters() {
    let mut model = model(fixtures::streaming());
    assert_eq!(words(&keys(&mut model, "6 / q p g")), [""; 0]);
    assert_eq!(model.list().filter.value(), "qpg");
}

#[test]
fn a_token_is_made_on_the_standby_masked_revealed_on_a_key_and_hidden_again() {
    let mut model = model(fixtures::streaming());
    give_token(&mut model);
    let held = model.here.desk.held().unwrap();
    assert_eq!(held.region, "eu-west-1");
    assert!(!held.is_revealed(model.now));
    keys(&mut model, "v");
    assert!(model.here.desk.held().unwrap().is_revealed(model.now));
    let later = UnixMs(model.now.0 + 20_000);
    update(&mut model, Msg::Tick(later));
    assert!(!model.here.desk.held().unwrap().is_revealed(model.now), "it hides itself");
    assert!(!format!("{model:?}").contains("CANARY"), "not even in a debug dump");
}

#[test]
fn the_token_goes_to_the_primary_only_after_a_yes() {
    let mut model = model(fixtures::unlinked());
    give_token(&mut model);
    assert_eq!(words(&keys(&mut model, "h")), [""; 0]);
    assert_eq!(words(&keys(&mut model, "enter")), [""; 0], "Cancel has the focus");
    let effects = keys(&mut model, "h y");
    let [Effect::Do(_, target, Change::Connect { standby, token })] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!((target.region.as_str(), standby.as_str()), ("us-east-1", "eu-west-1"));
    assert_eq!(token.expose(), CANARY);
    let refused = Failure { words: "expired".into(), sort: FailureSort::Refused };
    let (primary, standby) = ("us-east-1".to_owned(), "eu-west-1".to_owned());
    let answer = Answer::Connected { primary: primary.clone(), standby: standby.clone(), result: Err(refused) };
    update(&mut model, told(answer));
    assert!(model.here.desk.held().unwrap().notice.as_ref().unwrap().contains("expired"), "kept for another try");
    keys(&mut model, "h y");
    update(&mut model, told(Answer::Connected { primary, standby, result: Ok(()) }));
    assert!(matches!(model.here.desk, TokenDesk::Empty));
    assert!(model.dialogs.is_empty());
}

#[test]
fn keys_typed_ahead_confirm_nothing() {
    let mut model = model(fixtures::unlinked());
    give_token(&mut model);
    update(&mut model, Msg::Key(event("h")));
    assert!(update(&mut model, Msg::Key(event("y"))).is_empty());
    assert_eq!(words(&keys(&mut model, "y")).len(), 1);
}

#[test]
fn read_only_says_why_and_sends_nothing() {
    let mut model = model(fixtures::streaming());
    model.here.write = WriteRight::ReadOnly;
    assert_eq!(words(&keys(&mut model, "g s")), [""; 0]);
    assert!(model.toast_in_view().unwrap().text.contains("read-only"), "{:?}", model.toasts);
    open_plan(&mut model);
    type_text(&mut model, "eu-west-1");
    assert_eq!(words(&keys(&mut model, "enter")), [""; 0], "the plan can be read, not carried out");
    assert!(promotion_forbidden(&model).unwrap().contains("read-only"));
}

#[test]
fn a_promotion_wants_the_regions_name_typed_and_refuses_a_paste() {
    let mut model = model(fixtures::dark_primary());
    open_plan(&mut model);
    update(&mut model, Msg::Paste("eu-west-1".into()));
    assert_eq!(words(&keys(&mut model, "enter")), [""; 0]);
    type_text(&mut model, "eu-west");
    assert_eq!(words(&keys(&mut model, "enter")), [""; 0]);
    type_text(&mut model, "-1");
    let effects = keys(&mut model, "enter");
    let [Effect::Save { .. }, Effect::Do(_, target, Change::Promote(request))] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(target.region, "eu-west-1");
    assert!(request.accept_loss, "the loss stands above the name that was typed");
    assert_eq!((request.plan.as_str(), request.id), ("b1946ac92492d2347c6235b4d2611184", PromotionId([7; 16])));
    assert_eq!(standing(&model), Standing::Running);
}

#[test]
fn a_block_forbids_whatever_is_typed() {
    let mut model = model(fixtures::dark_primary());
    let mut plan = fixtures::plan();
    plan.checks[0].verdict = Verdict::Block;
    let effects = keys(&mut model, "p");
    let [Effect::Ask(target, Query::Plan(_))] = effects.as_slice() else { panic!("{effects:?}") };
    update(&mut model, told(Answer::Plan(target.clone(), Ok((plan, PromotionId([7; 16]))))));
    type_text(&mut model, "eu-west-1");
    assert_eq!(words(&keys(&mut model, "enter")), [""; 0]);
    assert_eq!(promotion_forbidden(&model).unwrap(), "blocked by: whole");
}

fn sent() -> Model {
    let mut model = model(fixtures::dark_primary());
    open_plan(&mut model);
    type_text(&mut model, "eu-west-1");
    assert_eq!(keys(&mut model, "enter").len(), 2, "the promotion, and its id into a file");
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
    update(&mut model, told(Answer::Plan(target, Ok(plan))));
    match &model.here.promotion.as_ref().unwrap().stage {
        Stage::Deciding(deciding) => assert_eq!(
            (deciding.id, deciding.typed.value(), deciding.notice.as_deref()),
            (PromotionId([8; 16]), "", Some("not promoted, the facts changed: the plan changed"))
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_palette_finds_by_a_few_letters_and_remembers() {
    let mut model = model(fixtures::streaming());
    keys(&mut model, ":");
    type_text(&mut model, "thdark");
    assert_eq!(model.theme_in_view(), "dark");
    keys(&mut model, "enter");
    assert_eq!(model.theme, "dark");
    keys(&mut model, ":");
    type_text(&mut model, "theme_light".replace('_', "").as_str());
    assert_eq!(model.theme_in_view(), "light", "shown before it is chosen");
    keys(&mut model, "esc");
    assert_eq!(model.theme_in_view(), "dark");
    keys(&mut model, ": enter");
    assert_eq!(model.palette_history, ["theme dark"], "with nothing typed the last one comes first");
    assert_eq!(words(&keys(&mut model, ": q u i t enter")), ["Quit"]);
}

#[test]
fn a_change_of_role_and_a_silence_are_told_and_kept() {
    let mut model = model(fixtures::streaming());
    let mut us = fixtures::status(fixtures::US, crate::api::replication::Role::Fenced, Default::default());
    us.epoch = Epoch(4);
    let reports = vec![fixtures::up(us.clone(), Default::default())];
    let effects = update(&mut model, Msg::Reports(reports.into_iter().map(|report| (ContextId(0), report)).collect()));
    assert_eq!(words(&effects), ["Bell"]);
    assert_eq!(model.toast_in_view().unwrap().text, "us-east-1 was primary, now is fenced");
    let told = model.here.log.entries().next_back().unwrap();
    assert_eq!((told.region.as_str(), told.level), ("console", EventLevel::Warn));
}

#[test]
fn events_of_several_nodes_are_one_list_without_repetitions() {
    let mut model = model(fixtures::streaming());
    let told = || {
        vec![
            fixtures::event(1, 90, EventLevel::Info, "link", "streaming"),
            fixtures::event(2, 30, EventLevel::Warn, "leader", "b leads"),
        ]
    };
    for _ in 0..2 {
        update(&mut model, Msg::Events { context: ContextId(0), region: "us-east-1".into(), events: told() });
    }
    let eu = vec![fixtures::event(1, 60, EventLevel::Info, "sync", "whole")];
    update(&mut model, Msg::Events { context: ContextId(0), region: "eu-west-1".into(), events: eu });
    let texts: Vec<_> = model.here.log.entries().map(|entry| entry.text.as_str()).collect();
    assert_eq!(texts, ["streaming", "whole", "b leads"]);
}

#[test]
fn ctrl_z_suspends_even_over_a_dialog_and_dialogs_swallow_all_else() {
    let mut model = model(fixtures::streaming());
    open_plan(&mut model);
    assert_eq!(words(&keys(&mut model, "ctrl-z")), ["Suspend"]);
    keys(&mut model, "6 q");
    assert_eq!(model.screen, Screen::Overview);
    keys(&mut model, "ctrl-c");
    assert!(model.dialogs.is_empty());
}

#[test]
fn a_token_is_asked_for_with_its_time_and_a_wrong_time_is_named() {
    let mut model = model(fixtures::streaming());
    keys(&mut model, "g");
    let form = |model: &Model| match model.dialogs.last() {
        Some(Dialog::Form(form)) => (form.ttl.value().to_owned(), form.notice.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(form(&model), ("30m".into(), None));
    keys(&mut model, "ctrl-u 3 x enter");
    assert!(form(&model).1.unwrap().contains("no duration"));
    keys(&mut model, "ctrl-u 3 d enter");
    assert!(form(&model).1.unwrap().contains("a day"));
    let effects = keys(&mut model, "ctrl-u 2 h enter");
    let [Effect::Do(_, target, Change::GenerateToken(request))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((target.region.as_str(), request.ttl.clone()), ("eu-west-1", Some(serde_json::json!(7_200))));
}

#[test]
fn faults_are_thrown_by_their_keys_in_a_rehearsal_and_nowhere_else() {
    let mut model = model(fixtures::streaming());
    keys(&mut model, "f");
    assert!(model.dialogs.is_empty() && model.toast_in_view().unwrap().text.contains("only `twinkeep demo`"));
    let cut = rehearsal::FaultKey { key: 'c', command: "cut".into(), title: "Cut the link".into() };
    model.rehearsal = Some(rehearsal::RehearsalDesk { faults: vec![cut], score: Vec::new() });
    assert_eq!(words(&keys(&mut model, "f c q")), ["Throw(\"cut\")"]);
    update(&mut model, Msg::Rehearsal(rehearsal::RehearsalNews::Score(vec!["fault cut".into()])));
    assert_eq!(model.rehearsal.as_ref().unwrap().score, ["fault cut"]);
}

#[test]
fn two_regions_are_linked_in_one_step_and_the_token_is_never_here() {
    let mut model = model(fixtures::unlinked());
    let effects = keys(&mut model, "l enter");
    let [Effect::Do(_, primary, Change::Link { standby, .. })] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((primary.region.as_str(), standby.region.as_str()), ("us-east-1", "eu-west-1"));
    assert!(matches!(model.here.desk, TokenDesk::Empty));
    let (primary, standby) = ("us-east-1".to_owned(), "eu-west-1".to_owned());
    update(&mut model, told(Answer::Linked { primary, standby, result: Ok(()) }));
    assert!(model.toast_in_view().unwrap().text.contains("us-east-1 took a token of eu-west-1"));
}

#[test]
fn a_token_goes_to_the_clipboard_only_on_its_key_and_nobody_says_copied() {
    let mut model = model(fixtures::streaming());
    give_token(&mut model);
    let effects = keys(&mut model, "c");
    let [Effect::Copy(text)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(text.expose(), CANARY);
    assert!(model.here.desk.held().unwrap().notice.as_ref().unwrap().starts_with("sent to the terminal"));
    let effects = keys(&mut model, "w");
    assert!(matches!(effects.as_slice(), [Effect::Save { name, .. }] if name == "activation-token-9bTz07pw"));
}

#[test]
fn a_held_token_warns_once_before_it_expires() {
    let mut model = model(fixtures::streaming());
    give_token(&mut model);
    model.toasts.clear();
    let expires = model.here.desk.held().unwrap().expires_at;
    update(&mut model, Msg::Tick(UnixMs(expires.0 - 240_000)));
    assert!(model.toast_in_view().unwrap().text.contains("expires in 4m 00s"));
    let told = model.toasts.len();
    update(&mut model, Msg::Tick(UnixMs(expires.0 - 200_000)));
    assert_eq!(model.toasts.len(), told);
}

#[test]
fn arming_allows_changes_for_a_while_and_a_locked_context_is_never_armed() {
    let mut model = model(fixtures::streaming());
    model.here.write = WriteRight::ReadOnly;
    keys(&mut model, ":");
    type_text(&mut model, "arm");
    keys(&mut model, "enter");
    assert!(matches!(model.here.write, WriteRight::Armed { .. }), "{:?}", model.here.write);
    assert!(targets::writable(&model, model.selected_region().unwrap()).is_ok());
    let later = UnixMs(model.now.0 + 16 * 60_000);
    update(&mut model, Msg::Tick(later));
    assert_eq!(model.here.write, WriteRight::ReadOnly);
    keys(&mut model, ":");
    type_text(&mut model, "arm");
    update(&mut model, Msg::Paste(" 90s".into()));
    keys(&mut model, "enter");
    assert_eq!(model.here.write, WriteRight::Armed { until: model.now.plus(std::time::Duration::from_secs(90)) });
    model.here.write = WriteRight::Locked;
    keys(&mut model, ":");
    type_text(&mut model, "arm");
    keys(&mut model, "enter");
    assert_eq!(model.here.write, WriteRight::Locked);
}

#[test]
fn the_index_has_the_worst_first_and_opens_what_is_selected() {
    let mut model =
        models([("staging", fixtures::streaming()), ("prod", fixtures::split_brain()), ("lab", fixtures::unlinked())]);
    assert_eq!(model.screen, Screen::Index);
    let order: Vec<String> = model.context_rows().iter().map(|(context, _)| context.name.clone()).collect();
    assert_eq!(order, ["prod", "lab", "staging"]);
    keys(&mut model, "down enter");
    assert_eq!((model.here.name.as_str(), model.screen), ("lab", Screen::Overview));
    keys(&mut model, ":");
    type_text(&mut model, "ctxstag");
    keys(&mut model, "enter");
    assert_eq!(model.here.name, "staging");
    let reports = vec![(
        ContextId(1),
        fixtures::up(
            fixtures::status(fixtures::US, crate::api::replication::Role::Fenced, Default::default()),
            Default::default(),
        ),
    )];
    update(&mut model, Msg::Reports(reports));
    assert_eq!(model.here.name, "staging", "news of another context do not change what is looked at");
    assert!(
        model.contexts()[1]
            .world
            .regions()
            .iter()
            .any(|region| region.role() == Some(crate::api::replication::Role::Fenced))
    );
}

#[test]
fn the_mouse_presses_what_is_painted_but_nothing_under_a_dialog() {
    let mut model = model(fixtures::streaming());
    assert_eq!(words(&keys(&mut model, "m")), ["Mouse(Taken)"]);
    update(&mut model, Msg::Click(Hit::Screen(Screen::Tokens)));
    update(&mut model, Msg::Click(Hit::Row(1)));
    assert_eq!((model.screen, model.token_row()), (Screen::Tokens, 1));
    update(&mut model, Msg::Wheel(list::Move::Up));
    assert_eq!(model.token_row(), 0);
    open_plan(&mut model);
    update(&mut model, Msg::Click(Hit::Screen(Screen::Help)));
    assert_eq!(model.screen, Screen::Tokens);
}

#[test]
fn a_living_primary_is_switched_over_a_silent_one_is_failed_over_and_the_other_way_is_a_key_away() {
    let mut model = model(fixtures::streaming());
    assert_eq!(words(&keys(&mut model, "p")), ["ask eu-west-1 Plan(Planned)"]);
    let target = Target { context: ContextId(0), region: "eu-west-1".into(), addresses: Vec::new() };
    update(&mut model, told(Answer::Plan(target, Ok((fixtures::plan(), PromotionId([7; 16]))))));
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
    let [Effect::Save { name, text }, Effect::Save { text: json, .. }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(*name, format!("promotion-{id}.md"));
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
    assert_eq!(words(&keys(&mut model, "c")), [format!("do eu-west-1 CancelPromotion({id:?})")]);
}

#[test]
fn the_ledger_is_asked_for_while_it_is_in_view_and_decided_on_after_a_yes() {
    let mut model = model(fixtures::left_behind());
    assert_eq!(words(&keys(&mut model, "5")), ["ask us-east-1 Ledger"]);
    let target = Target { context: ContextId(0), region: "us-east-1".into(), addresses: Vec::new() };
    update(&mut model, told(Answer::Ledger(target.clone(), Ok(fixtures::ledger()))));
    assert_eq!(model.ledger_rows().len(), 3);
    assert_eq!(words(&keys(&mut model, "R")), [""; 0]);
    let effects = keys(&mut model, "y");
    assert!(words(&effects)[0].starts_with("do us-east-1 ReplayLedger"), "{effects:?}");
    let again = update(&mut model, told(Answer::Decided(target, Ok("2 writes replayed".into()))));
    assert_eq!(words(&again), ["ask us-east-1 Ledger"], "what was decided is looked at");
    let effects = keys(&mut model, "J y");
    assert!(words(&effects)[0].starts_with("do us-east-1 Rejoin"), "{effects:?}");
}
