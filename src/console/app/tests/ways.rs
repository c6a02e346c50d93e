//! Keys, screens, lists, contexts, rights.

use super::*;
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
    let readme = include_str!("../../../../README.md");
    let (_, rest) = readme.split_once("<!-- keys -->\n").expect("the README has the mark `<!-- keys -->`");
    let (table, _) = rest.split_once("<!-- /keys -->").expect("the README has the mark `<!-- /keys -->`");
    let wanted = actions::keys_markdown();
    assert!(table == wanted, "between the marks in README.md should stand:\n{wanted}");
}

#[test]
fn screens_turn_by_number_and_by_tab_and_esc_goes_back_one_level() {
    let mut model = model(fixtures::streaming());
    let visits = [("3", Screen::Replication), ("7", Screen::Events), ("tab", Screen::Help), ("1", Screen::Overview)];
    for (key, screen) in visits {
        keys(&mut model, key);
        assert_eq!(model.screen, screen, "{key}");
    }
    keys(&mut model, "7 / l i n k enter");
    assert_eq!(model.list().filter.value(), "link");
    keys(&mut model, "esc");
    assert!(!model.list().is_filtered());
    assert_eq!(model.screen, Screen::Events);
    keys(&mut model, "esc");
    assert_eq!(model.screen, Screen::Overview);
    assert_eq!(words(&keys(&mut model, "q")), ["Quit"]);
}

#[test]
fn esc_goes_back_the_way_one_came_and_ends_at_home() {
    let mut model = model(fixtures::left_behind());
    keys(&mut model, "5 6 ?");
    let mut way = Vec::new();
    for _ in 0..4 {
        keys(&mut model, "esc");
        way.push(model.screen);
    }
    assert_eq!(way, [Screen::Ledger, Screen::Failover, Screen::Overview, Screen::Overview]);
    // Between two screens one can go to and fro without a way that grows.
    keys(&mut model, "5 6 5 6 5 6 esc esc");
    assert_eq!(model.screen, Screen::Overview);
    let mut several = models([("prod", fixtures::streaming()), ("lab", fixtures::unlinked())]);
    keys(&mut several, "enter 3 esc");
    assert_eq!(several.screen, Screen::Overview);
    keys(&mut several, "esc");
    assert_eq!(several.screen, Screen::Index, "the context is a level as well");
}

#[test]
fn a_fenced_region_is_not_offered_what_would_be_refused() {
    let mut model = model(fixtures::left_behind());
    keys(&mut model, "g");
    assert!(model.dialogs.is_empty() && model.toast_in_view().unwrap().text.contains("rejoins without a token"));
    assert!((Action::Link.info().disabled)(&model).unwrap().contains("is fenced"));
}

#[test]
fn one_that_waits_for_its_link_is_not_offered_another_link() {
    let mut model = model(fixtures::fenced_behind_a_pause());
    assert!(targets::link_disabled(&model).unwrap().contains("rejoins without a token"));
    assert!(keys(&mut model, "g").is_empty() && model.dialogs.is_empty(), "a token would be of no use either");
}

#[test]
fn a_context_that_there_is_not_is_named_with_those_that_there_are() {
    let mut model = models([("prod", fixtures::streaming()), ("lab", fixtures::streaming())]);
    keys(&mut model, ":");
    type_text(&mut model, "ctx");
    update(&mut model, Msg::Paste(" nosuch".into()));
    keys(&mut model, "enter");
    assert_eq!(model.toast_in_view().unwrap().text, "no context `nosuch`: there are prod, lab");
}

#[test]
fn to_scroll_a_text_is_no_level_to_back_out_of() {
    let mut model = model(fixtures::streaming());
    keys(&mut model, "3 down down esc");
    assert_eq!(model.screen, Screen::Overview, "one esc leads back, whether all fits or not");
    keys(&mut model, "3");
    assert_eq!(model.list().cursor, None, "and its beginning is seen again");
}

#[test]
fn while_a_filter_is_typed_letters_are_letters() {
    let mut model = model(fixtures::streaming());
    assert_eq!(words(&keys(&mut model, "7 / q p g")), [""; 0]);
    assert_eq!(model.list().filter.value(), "qpg");
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
fn a_right_that_ends_while_a_question_is_open_is_none() {
    let mut model = model(fixtures::streaming());
    keys(&mut model, "s");
    assert!(matches!(model.dialogs.last(), Some(Dialog::Confirm(_))), "{:?}", model.dialogs);
    model.here.write = WriteRight::ReadOnly;
    assert_eq!(words(&keys(&mut model, "y")), [""; 0]);
    assert!(model.toast_in_view().unwrap().text.contains("not done: read-only"), "{:?}", model.toasts);
    model.here.write = WriteRight::Write;
    keys(&mut model, "g");
    model.here.write = WriteRight::ReadOnly;
    assert_eq!(words(&keys(&mut model, "y")), [""; 0]);
}

#[test]
fn what_the_table_calls_dangerous_wants_a_name_and_nothing_else_does() {
    let worlds: [fn() -> World; 4] =
        [fixtures::streaming, fixtures::unlinked, fixtures::left_behind, fixtures::split_brain];
    let mut asked = BTreeSet::new();
    for info in ACTIONS.iter().filter(|info| matches!(info.danger, Danger::Asks | Danger::Typed)) {
        for world in worlds {
            let mut model = model(world());
            if info.action == Action::TokenHandOver && (Action::TokenGenerate.info().disabled)(&model).is_none() {
                give_token(&mut model);
                model.dialogs.clear();
            }
            model.screen = Screen::Ledger;
            model.here.ledger = Some(crate::console::domain::Observed::new(fixtures::ledger(), NOW, "us-east-1"));
            model.here.marked.insert("1/3:48218".into());
            perform::perform(&mut model, info.action, Some("because".into()));
            let wants_name = match model.dialogs.last() {
                Some(Dialog::Confirm(confirm)) => confirm.consent.name().is_some(),
                Some(Dialog::Form(form)) => form.consent.name().is_some(),
                Some(Dialog::Promotion) => true,
                _ => continue,
            };
            asked.insert(info.id);
            assert_eq!(wants_name, info.danger == Danger::Typed, "{}", info.id);
        }
    }
    let dangerous = ACTIONS.iter().filter(|info| matches!(info.danger, Danger::Asks | Danger::Typed));
    // The fixture's tokens are on a screen of their own.
    let missing: Vec<&str> =
        dangerous.map(|info| info.id).filter(|id| !asked.contains(id) && *id != "token-revoke").collect();
    assert!(missing.is_empty(), "never asked in any of the worlds: {missing:?}");
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
    keys(&mut model, "7 q");
    assert_eq!(model.screen, Screen::Failover);
    keys(&mut model, "ctrl-c");
    assert!(model.dialogs.is_empty());
}

#[test]
fn faults_are_thrown_by_their_keys_in_a_rehearsal_and_nowhere_else() {
    let mut model = model(fixtures::streaming());
    keys(&mut model, "f");
    assert!(model.dialogs.is_empty() && model.toast_in_view().unwrap().text.contains("only `twinkeep demo`"));
    let cut = rehearsal::FaultKey { key: 'c', command: "cut".into(), title: "Cut the link".into() };
    model.rehearsal = Some(rehearsal::RehearsalDesk { faults: vec![cut], ..Default::default() });
    assert_eq!(words(&keys(&mut model, "f c q")), ["Throw(\"cut\")"]);
    update(&mut model, Msg::Rehearsal(rehearsal::RehearsalNews::Score(vec!["fault cut".into()])));
    assert_eq!(model.rehearsal.as_ref().unwrap().score, ["fault cut"]);
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
    assert_eq!(model.screen, Screen::Failover);
}

#[test]
fn a_regions_nodes_are_filtered_by_name_address_and_what_they_are() {
    let mut model = model(fixtures::streaming());
    keys(&mut model, "2");
    let all = model.node_rows().len();
    assert!(all > 1);
    keys(&mut model, "/");
    type_text(&mut model, "leader");
    keys(&mut model, "enter");
    let names: Vec<String> = model.node_rows().iter().map(|row| row.name().to_owned()).collect();
    assert_eq!(names, ["eu-west-1a"]);
    let copied = keys(&mut model, "y");
    let [Effect::Copy(text)] = copied.as_slice() else { panic!("{copied:?}") };
    assert_eq!(text.expose(), "http://10.2.2.1:8200", "the line that is in view");
    keys(&mut model, "esc");
    assert_eq!((model.node_rows().len(), model.screen), (all, Screen::Region));
}

#[test]
fn the_palette_runs_nothing_in_place_of_what_was_named() {
    let mut model = model(fixtures::left_behind());
    let input = |model: &Model| match model.dialogs.last() {
        Some(Dialog::Palette(palette)) => palette.input.value().to_owned(),
        other => panic!("{other:?}"),
    };
    for (wrong, words_of_it) in [
        ("mark hello", "no action fits `mark hello`"),
        ("xyzzy", "no action fits `xyzzy`"),
        ("theme no-such-one", "no theme `no-such-one`: there are"),
    ] {
        keys(&mut model, ":");
        update(&mut model, Msg::Paste(wrong.into()));
        assert_eq!(words(&keys(&mut model, "enter")), [""; 0], "{wrong}");
        assert_eq!(input(&model), wrong, "it can be corrected");
        let said = model.toast_in_view().unwrap().text.clone();
        assert!(said.contains(words_of_it), "{said}");
        keys(&mut model, "esc");
    }
    // Found by its title: it is named first.
    keys(&mut model, ":");
    update(&mut model, Msg::Paste("what this console".into()));
    assert_eq!(words(&keys(&mut model, "enter")), [""; 0]);
    assert_eq!((input(&model).as_str(), model.screen), ("log", Screen::Overview));
    keys(&mut model, "enter");
    assert_eq!(model.screen, Screen::Events);
}
