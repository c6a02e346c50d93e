//! Activation tokens: made, shown, handed over, forgotten.

use super::*;
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
    let (primary, asked) = (target.clone(), Asked::HandOver { standby: standby.clone() });
    update(&mut model, told(Answer::Ended(primary.clone(), asked.clone(), Err(refused))));
    assert!(model.here.desk.held().unwrap().notice.as_ref().unwrap().contains("expired"), "kept for another try");
    keys(&mut model, "h y");
    update(&mut model, told(Answer::Ended(primary, asked, Ok("taken".into()))));
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
fn a_token_is_asked_for_with_its_time_and_a_wrong_time_is_named() {
    let mut model = model(fixtures::streaming());
    keys(&mut model, "g");
    let form = |model: &Model| match model.dialogs.last() {
        Some(Dialog::Form(form)) => (form.ttl.value().to_owned(), form.notice.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(form(&model), ("30m".into(), None));
    keys(&mut model, "ctrl-u 3 x y");
    assert!(form(&model).1.unwrap().contains("no duration"));
    keys(&mut model, "ctrl-u 3 d y");
    assert!(form(&model).1.unwrap().contains("a day"));
    let effects = keys(&mut model, "ctrl-u 2 h tab enter");
    let [Effect::Do(_, target, Change::GenerateToken(request))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((target.region.as_str(), request.ttl.clone()), ("eu-west-1", Some(serde_json::json!(7_200))));
}

#[test]
fn two_regions_are_linked_in_one_step_and_the_token_is_never_here() {
    let mut model = model(fixtures::unlinked());
    let effects = keys(&mut model, "l y");
    let [Effect::Do(_, primary, Change::Link { standby, .. })] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((primary.region.as_str(), standby.region.as_str()), ("us-east-1", "eu-west-1"));
    assert!(matches!(model.here.desk, TokenDesk::Empty));
    let asked = Asked::Link { standby: standby.region.clone() };
    let words = asked.done(&primary.region);
    update(&mut model, told(Answer::Ended(primary.clone(), asked, Ok(words))));
    assert!(model.toast_in_view().unwrap().text.contains("us-east-1 took a token of eu-west-1"));
}

#[test]
fn cancel_has_the_focus_in_a_form_as_well() {
    let mut model = model(fixtures::unlinked());
    for opening in ["l", "g"] {
        assert_eq!(words(&keys(&mut model, opening)), [""; 0]);
        assert_eq!(words(&keys(&mut model, "enter")), [""; 0]);
        assert!(model.dialogs.is_empty());
    }
}

#[test]
fn to_replace_secrets_that_a_region_holds_wants_its_name() {
    let mut world = fixtures::unlinked();
    let mut eu = fixtures::status(fixtures::EU, crate::api::replication::Role::Primary, Default::default());
    (eu.dataset, eu.epoch) = (crate::ids::DatasetId([8; 16]), Epoch(1));
    eu.links.clear();
    world.take_all([fixtures::up(eu, Default::default())]);
    let mut model = model(world);
    assert_eq!(words(&keys(&mut model, "l space y")), [""; 0]);
    let Some(Dialog::Confirm(confirm)) = model.dialogs.last() else { panic!("{:?}", model.dialogs) };
    assert_eq!(confirm.consent.name(), Some(("eu-west-1", "")));
    assert!(confirm.command.contains(" -force") && confirm.lines[0].contains("31 405"), "{confirm:?}");
    update(&mut model, Msg::Paste("eu-west-1".into()));
    type_text(&mut model, "eu-west-1");
    let effects = keys(&mut model, "enter");
    let [Effect::Do(_, _, Change::Link { request, .. })] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(request.force);
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
    assert!(matches!(effects.as_slice(), [Effect::Save(files)] if files[0].name == "activation-token-9bTz07pw"));
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
