//! Golden screens, and what must hold for all of them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::theme::Themes;
use super::*;
use crate::api::replication::{EventLevel, FenceProof, PromoteMode, Promotion, PromotionOutcome, Step, StepName};
use crate::clock::UnixMs;
use crate::console::app::msg::{Failure, FailureSort};
use crate::console::app::tests::{CANARY, give_token, keys, model, models, open_plan, told, type_text};
use crate::console::app::{Answer, ContextId, Msg, Screen, WriteRight, update};
use crate::console::domain::World;
use crate::console::domain::fixtures;
use crate::ids::{Epoch, PromotionId};
use std::fmt::Write;

const SIZES: [(u16, u16); 4] = [(200, 50), (120, 40), (80, 24), (40, 12)];

/// A model with some minutes behind it.
fn lived(world: World) -> Model {
    let mut model = model(world);
    let now = model.now;
    for second in 0..180_u64 {
        let wave = ((second % 37) * (second % 11)) * 3 + 40;
        model.here.samples.take(crate::console::app::history::Sample {
            at: UnixMs(now.0 - 180_000 + second * 1_000),
            entries: Some(wave / 20),
            ms: (!(60..64).contains(&second)).then_some(wave),
        });
    }
    let us = vec![
        fixtures::event(1, 900, EventLevel::Info, "seal", "us-east-1a was unsealed"),
        fixtures::event(2, 760, EventLevel::Info, "link", "activated eu-west-1 with token 4fQ2xk81"),
        fixtures::event(3, 754, EventLevel::Info, "link", "streaming to eu-west-1 from 3:12 402"),
        fixtures::event(4, 61, EventLevel::Warn, "leader", "us-east-1a leads in term 4, us-east-1c was lost"),
    ];
    let eu = vec![
        fixtures::event(1, 770, EventLevel::Info, "token", "token 4fQ2xk81 was made"),
        fixtures::event(2, 755, EventLevel::Info, "sync", "whole after 5.1s: 12 402 entries, equal roots"),
    ];
    update(&mut model, Msg::Events { context: ContextId(0), region: "us-east-1".into(), events: us });
    update(&mut model, Msg::Events { context: ContextId(0), region: "eu-west-1".into(), events: eu });
    model
}

fn on(screen: Screen, world: World) -> Model {
    let mut model = lived(world);
    model.screen = screen;
    model
}

fn with_token() -> Model {
    let mut model = lived(fixtures::unlinked());
    give_token(&mut model);
    model.toasts.clear();
    model
}

fn revealed() -> Model {
    let mut model = with_token();
    keys(&mut model, "v");
    model
}

fn handing_over() -> Model {
    let mut model = with_token();
    keys(&mut model, "h");
    model
}

fn deciding() -> Model {
    let mut model = lived(fixtures::dark_primary());
    open_plan(&mut model);
    type_text(&mut model, "eu-we");
    model
}

fn sent() -> Model {
    let mut model = lived(fixtures::dark_primary());
    open_plan(&mut model);
    type_text(&mut model, "eu-west-1");
    keys(&mut model, "enter");
    model
}

fn unknown_outcome() -> Model {
    let mut model = sent();
    let lost = Failure { words: "http://10.2.2.1:8200 can't be reached: no answer".into(), sort: FailureSort::Unknown };
    update(&mut model, told(Answer::Promotion(PromotionId([7; 16]), Err(lost))));
    let later = UnixMs(model.now.0 + 3_000);
    update(&mut model, Msg::Tick(later));
    model.toasts.clear();
    model
}

fn promoted() -> Model {
    let mut model = sent();
    let promotion = Promotion {
        id: PromotionId([7; 16]),
        mode: PromoteMode::Forced,
        outcome: PromotionOutcome::Done,
        epoch: Epoch(4),
        began_at: model.now,
        ended_at: Some(UnixMs(model.now.0 + 412)),
        loss: Some(fixtures::plan().loss),
        error: None,
        plan: None,
        fence: FenceProof::Unproven,
        steps: vec![
            Step::done(StepName::StreamFrozen, model.now, "nothing more is taken from us-east-1"),
            Step::done(StepName::Opened, UnixMs(model.now.0 + 412), "epoch 4 is open"),
        ],
        pause_ms: None,
    };
    update(&mut model, told(Answer::Promotion(PromotionId([7; 16]), Ok(Some(promotion)))));
    model.toasts.clear();
    model
}

fn palette() -> Model {
    let mut model = lived(fixtures::streaming());
    keys(&mut model, ":");
    type_text(&mut model, "tok");
    model
}

fn never_heard() -> Model {
    let mut model = lived(World::of_addresses(["http://10.1.1.1:8200", "http://10.2.2.1:8200"]));
    model.here.write = WriteRight::ReadOnly;
    model
}

fn index() -> Model {
    let mut model = models([
        ("staging", fixtures::streaming()),
        ("prod-payments", fixtures::dark_primary()),
        ("prod-web", fixtures::split_brain()),
        ("lab", fixtures::unlinked()),
        ("migration", fixtures::syncing()),
    ]);
    model.toasts.clear();
    model
}

fn ledger() -> Model {
    let mut model = on(Screen::Ledger, fixtures::left_behind());
    let page = fixtures::ledger();
    model.here.ledger = Some(crate::console::domain::Observed::new(page, model.now, "us-east-1"));
    model
}

fn form(keys_pressed: &str) -> Model {
    let mut model = lived(fixtures::unlinked());
    keys(&mut model, keys_pressed);
    model
}

/// A pause that was refused, and one whose end nobody knows.
fn outcomes() -> Model {
    use crate::console::app::outcome::Asked;
    use crate::console::app::{Effect, Target};
    let mut model = lived(fixtures::streaming());
    let ends = [(FailureSort::Refused, "permission denied"), (FailureSort::Unknown, "no answer: it took too long")];
    for (sort, words) in ends {
        let effects = keys(&mut model, "s y");
        let asked: Vec<Target> =
            effects.into_iter().filter_map(|of| if let Effect::Do(_, to, _) = of { Some(to) } else { None }).collect();
        let failure = Failure { words: words.into(), sort };
        update(&mut model, told(Answer::Ended(asked[0].clone(), Asked::Pause, Err(failure))));
    }
    model.toasts.clear();
    keys(&mut model, "o");
    model
}

fn which_primary() -> Model {
    let mut model = lived(fixtures::three_regions());
    let dark = std::time::Duration::from_secs(41);
    let us = fixtures::status(fixtures::US, crate::api::replication::Role::Primary, dark);
    let mut eu = fixtures::status(fixtures::EU, crate::api::replication::Role::Primary, Default::default());
    eu.epoch = Epoch(4);
    let mut asia = fixtures::asia(Default::default());
    asia.role = crate::api::replication::Role::Fenced;
    let decided = |ledger| crate::api::ledger::LedgerSummary { unreviewed: 0, ..ledger };
    asia.ledger = fixtures::ledger().ledger.map(decided);
    let reports =
        [fixtures::gone(us, dark), fixtures::up(eu, Default::default()), fixtures::up(asia, Default::default())];
    update(&mut model, Msg::Reports(reports.into_iter().map(|report| (ContextId(0), report)).collect()));
    keys(&mut model, "5 J");
    model.toasts.clear();
    model
}

fn alarms() -> Model {
    let mut model = lived(fixtures::gave_up());
    keys(&mut model, "!");
    model
}

/// Every screen worth a picture, by name.
fn scenes() -> Vec<(&'static str, Model)> {
    vec![
        ("streaming", lived(fixtures::streaming())),
        ("unlinked", lived(fixtures::unlinked())),
        ("full-sync", lived(fixtures::syncing())),
        ("index", index()),
        ("token-form", form("g")),
        ("link-form", form("l")),
        ("token-dialog", with_token()),
        ("hand-over", handing_over()),
        ("dark-standby", lived(fixtures::dark_standby())),
        ("dark-primary", lived(fixtures::dark_primary())),
        ("split-brain", lived(fixtures::split_brain())),
        ("never-heard", never_heard()),
        ("plan", deciding()),
        ("outcome-unknown", unknown_outcome()),
        ("promoted", promoted()),
        ("palette", palette()),
        ("replication", on(Screen::Replication, fixtures::streaming())),
        ("replication-sync", on(Screen::Replication, fixtures::syncing())),
        ("region", on(Screen::Region, fixtures::streaming())),
        ("region-dark", on(Screen::Region, fixtures::dark_standby())),
        ("tokens", on(Screen::Tokens, fixtures::streaming())),
        ("ledger", ledger()),
        ("failover", on(Screen::Failover, fixtures::streaming())),
        ("failover-dark", on(Screen::Failover, fixtures::dark_primary())),
        ("failover-left-behind", on(Screen::Failover, fixtures::left_behind())),
        ("three-regions", lived(fixtures::three_regions())),
        ("cut-link", lived(fixtures::cut_link())),
        ("gave-up", lived(fixtures::gave_up())),
        ("failover-gave-up", on(Screen::Failover, fixtures::gave_up())),
        ("failover-split-brain", on(Screen::Failover, fixtures::split_brain())),
        ("fenced-and-waiting", lived(fixtures::fenced_behind_a_pause())),
        ("failover-fenced-and-waiting", on(Screen::Failover, fixtures::fenced_behind_a_pause())),
        ("outcomes", outcomes()),
        ("which-primary", which_primary()),
        ("alarms", alarms()),
        ("openbao", lived(fixtures::openbao())),
        ("openbao-region", on(Screen::Region, fixtures::openbao())),
        ("events", on(Screen::Events, fixtures::streaming())),
        ("help", on(Screen::Help, fixtures::dark_standby())),
    ]
}

fn painted(model: &Model, theme: &str, glyphs: &Glyphs, size: (u16, u16)) -> Buffer {
    let themes = Themes::load(Vec::new(), ColourDepth::True);
    let paint = Paint { theme: themes.get(theme), glyphs, secrets: Secrets::Shown, hits: None };
    snapshot(model, paint, size.0, size.1)
}

/// The text of the screen, and below it each run of cells that does not look like plain text.
fn styled(buffer: &Buffer) -> String {
    let mut dump = export::text(buffer);
    dump.push_str("--- styles\n");
    let plain = |cell: &ratatui::buffer::Cell| {
        let modifier = if cell.modifier.is_empty() { String::new() } else { format!(" {:?}", cell.modifier) };
        format!("{}/{}{modifier}", cell.fg, cell.bg)
    };
    let width = usize::from(buffer.area.width);
    for (y, row) in buffer.content.chunks(width).enumerate() {
        let mut x = 0;
        let mut line = String::new();
        while x < width {
            let look = plain(&row[x]);
            let run = row[x..].iter().take_while(|cell| plain(cell) == look).count();
            let blank = row[x..x + run].iter().all(|cell| cell.symbol() == " ");
            if !blank {
                write!(line, " {x}+{run} {look};").unwrap();
            }
            x += run;
        }
        writeln!(dump, "{y}:{line}").unwrap();
    }
    dump
}

#[test]
fn golden_screens_as_text() {
    for (name, model) in scenes() {
        let mut text = String::new();
        for size in SIZES {
            writeln!(text, "=== {name} {}x{}", size.0, size.1).unwrap();
            text += &export::text(&painted(&model, "dark", &glyphs::UTF8, size));
        }
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn golden_screens_in_colour() {
    for name in ["streaming", "full-sync", "dark-standby", "split-brain", "plan"] {
        let (_, model) = scenes().into_iter().find(|(scene, _)| *scene == name).unwrap();
        let dump = styled(&painted(&model, "dark", &glyphs::UTF8, (80, 24)));
        insta::assert_snapshot!(format!("{name}-dark"), dump);
    }
}

#[test]
fn golden_screens_without_colour_and_in_ascii() {
    for name in ["streaming", "full-sync", "token-dialog", "dark-standby", "split-brain", "plan", "outcome-unknown"] {
        let (_, model) = scenes().into_iter().find(|(scene, _)| *scene == name).unwrap();
        let screen = painted(&model, "mono", &glyphs::ASCII, (80, 24));
        assert!(screen.content.iter().all(|cell| cell.symbol().is_ascii()), "{name}");
        insta::assert_snapshot!(format!("{name}-mono-ascii"), styled(&screen));
    }
}

#[test]
fn every_size_of_every_scene_is_painted_without_a_panic() {
    let themes = Themes::load(Vec::new(), ColourDepth::Sixteen);
    let paint = Paint { theme: themes.get("terminal"), glyphs: &glyphs::UTF8, secrets: Secrets::Shown, hits: None };
    // Every size there is, each with one of the scenes; and the sizes where layouts change with all of them.
    let scenes = scenes();
    for width in 1..=200_u16 {
        for height in 1..=60_u16 {
            let (_, model) = &scenes[usize::from(width * 61 + height * 7) % scenes.len()];
            snapshot(model, paint, width, height);
        }
    }
    for (_, model) in scenes {
        for width in [1, 2, 3, 4, 7, 12, 21, 35, 36, 40, 77, 78, 119, 120, 200] {
            for height in [1, 2, 3, 5, 9, 10, 12, 19, 20, 29, 30, 60] {
                snapshot(&model, paint, width, height);
            }
        }
    }
}

#[test]
fn a_token_is_on_the_screen_only_while_it_is_revealed_and_never_in_an_export() {
    let themes = Themes::load(Vec::new(), ColourDepth::True);
    let all_text = |model: &Model, secrets| {
        let paint = Paint { theme: themes.get("dark"), glyphs: &glyphs::UTF8, secrets, hits: None };
        let mut text = String::new();
        for (width, height) in SIZES.into_iter().chain([(30, 9), (200, 60)]) {
            let buffer = snapshot(model, paint, width, height);
            // Wrapped over several rows it is still the secret.
            text +=
                &buffer.content.iter().map(|cell| cell.symbol()).filter(|symbol| *symbol != " ").collect::<String>();
        }
        text
    };
    let part = &CANARY[2..16];
    for (name, model) in scenes() {
        assert!(!all_text(&model, Secrets::Shown).contains(part), "{name}");
    }
    for screen in Screen::ALL {
        let mut model = with_token();
        model.dialogs.clear();
        model.screen = screen;
        assert!(!all_text(&model, Secrets::Shown).contains(part), "{}", screen.title());
    }
    let mut model = revealed();
    assert!(all_text(&model, Secrets::Shown).contains(part), "the operator asked for it");
    assert!(!all_text(&model, Secrets::PaintedOver).contains(part));
    let later = UnixMs(model.now.0 + 20_000);
    update(&mut model, Msg::Tick(later));
    assert!(!all_text(&model, Secrets::Shown).contains(part), "it hides itself");
}

#[test]
fn what_is_unknown_is_never_shown_as_zero_and_what_is_old_says_so() {
    let text = export::text(&painted(&never_heard(), "mono", &glyphs::UTF8, (80, 24)));
    assert!(text.contains("never heard") && text.contains("unknown"), "{text}");
    assert!(!text.contains("0 entries"), "{text}");
    for (name, model) in [("standby", lived(fixtures::dark_standby())), ("primary", lived(fixtures::dark_primary()))] {
        for size in SIZES {
            let text = export::text(&painted(&model, "mono", &glyphs::UTF8, size));
            assert!(text.contains("41s old"), "{name}: {text}");
        }
    }
}

#[test]
fn states_differ_without_colour() {
    let themes = Themes::load(Vec::new(), ColourDepth::None);
    for glyphs in [&glyphs::UTF8, &glyphs::ASCII] {
        let paint = Paint { theme: themes.get("mono"), glyphs, secrets: Secrets::Shown, hits: None };
        use crate::api::replication::Verdict;
        let verdicts =
            [Verdict::Pass, Verdict::Warn, Verdict::Unknown, Verdict::Block].map(|verdict| paint.verdict(verdict).1);
        let roles = [
            Some(crate::api::replication::Role::Primary),
            Some(crate::api::replication::Role::Standby),
            Some(crate::api::replication::Role::Fenced),
            None,
        ]
        .map(|role| paint.role(role).1);
        let levels = [EventLevel::Info, EventLevel::Warn, EventLevel::Alarm].map(|level| paint.level(level).1);
        for signs in [&verdicts[..], &roles[..], &levels[..]] {
            let distinct: std::collections::BTreeSet<_> = signs.iter().collect();
            assert_eq!(distinct.len(), signs.len(), "{signs:?}");
        }
    }
}

#[test]
fn the_footer_shows_only_keys_that_do_something_here() {
    let mut model = lived(fixtures::streaming());
    let footer = |model: &Model| {
        let text = export::text(&painted(model, "dark", &glyphs::UTF8, (80, 24)));
        text.lines().last().unwrap().to_owned()
    };
    assert!(footer(&model).contains("g token") && footer(&model).contains("p promote"), "{}", footer(&model));
    assert!(!footer(&model).contains("hand over"), "there is no token to hand over");
    model.here.write = WriteRight::ReadOnly;
    assert!(!footer(&model).contains("g token") && footer(&model).contains("q quit"));
}

fn shown(model: &Model, size: (u16, u16)) -> String {
    export::text(&painted(model, "dark", &glyphs::UTF8, size))
}

/// The words of a screen, whatever the lines that they stand in.
fn words(model: &Model, size: (u16, u16)) -> String {
    shown(model, size).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_pause_names_its_way_out() {
    let mut model = lived(fixtures::streaming());
    assert!(!shown(&model, (80, 24)).lines().last().unwrap().contains("resume"), "to pause is no next step");
    let mut us = fixtures::status(fixtures::US, crate::api::replication::Role::Primary, Default::default());
    us.links[0].state = crate::api::replication::LinkState::Paused;
    update(&mut model, Msg::Reports(vec![(ContextId(0), fixtures::up(us, Default::default()))]));
    model.toasts.clear();
    let footer = shown(&model, (80, 24)).lines().last().unwrap().to_owned();
    assert!(footer.contains("s resume"), "{footer}");
    let text = words(&model, (80, 24));
    assert!(text.contains("eu-west-1 falls behind; s, or `twinkeep replication resume`, carries on"), "{text}");
}

#[test]
fn a_rehearsals_faults_are_scrolled_where_not_all_fit() {
    use crate::console::app::rehearsal::{FaultKey, RehearsalDesk};
    let mut model = lived(fixtures::streaming());
    let fault = |key: char| FaultKey { key, title: format!("fault {key}"), command: format!("throw {key}") };
    model.rehearsal = Some(RehearsalDesk {
        faults: ('a'..='n').map(fault).collect(),
        score: vec!["promoted after 4.2s".into(), "writes lost: 0".into()],
        elsewhere: "twinkeep attach".into(),
    });
    keys(&mut model, "f");
    for size in [(40, 12), (30, 6)] {
        let top = shown(&model, size);
        assert!(top.contains("fault a") && top.contains("more lines: down"), "{top}");
    }
    for _ in 0..20 {
        keys(&mut model, "down");
    }
    for size in [(40, 12), (30, 6)] {
        let end = shown(&model, size);
        assert!(end.contains("lines above: up") && !end.contains("fault a"), "{end}");
    }
    assert!(shown(&model, (40, 12)).contains("writes lost: 0"));
}

#[test]
fn an_alarms_last_words_are_not_cut_off() {
    let mut model = lived(fixtures::left_alone());
    model.toasts.clear();
    for size in [(80, 24), (120, 40)] {
        let text = words(&model, size);
        for alarm in model.alarms().iter().take(2) {
            assert!(text.contains(&alarm.text), "{}: {text}", alarm.text);
        }
    }
}

#[test]
fn a_broken_context_says_where_and_how_to_get_back() {
    let mut model = models([("lab", World::default()), ("prod", fixtures::streaming())]);
    model.here.mistake = Some("the variable NONE is not set (in [lab] of /etc/contexts.toml)".into());
    model.screen = Screen::Overview;
    let text = words(&model, (80, 24));
    assert!(text.contains("/etc/contexts.toml") && text.contains("0 or esc leads back"), "{text}");
    assert!(text.contains("0 the other contexts"), "{text}");
}

#[test]
fn what_can_not_be_done_here_is_no_hint() {
    let mut model = lived(fixtures::unlinked());
    assert!(words(&model, (80, 24)).contains("l makes a token"));
    model.here.write = WriteRight::ReadOnly;
    let text = words(&model, (80, 24));
    assert!(!text.contains("l makes a token") && text.contains("read-only: `:arm 15m`"), "{text}");
}

#[test]
fn a_silence_has_one_age_and_it_is_todays() {
    let mut model = lived(fixtures::dark_primary());
    open_plan(&mut model);
    let Some(crate::console::app::promotion::PromotionDesk {
        stage: crate::console::app::promotion::Stage::Deciding(deciding),
        ..
    }) = &mut model.here.promotion
    else {
        panic!("no plan")
    };
    deciding.plan.amend(|plan| {
        let check = plan.checks.iter_mut().find(|check| check.name == "primary").unwrap();
        check.fact = "the primary was not heard for 7.3 s".into();
        check.at = UnixMs(plan.made_at.0 - 7_300);
    });
    let later = UnixMs(model.now.0 + 4_000);
    update(&mut model, Msg::Tick(later));
    let text = words(&model, (120, 60));
    assert!(!text.contains("7.3 s"), "{text}");
    let said = text.split("the primary was not heard for ").nth(1).unwrap();
    assert!(said.starts_with("11s link ") || said.starts_with("12s link "), "{said}");
}

#[test]
fn a_switchover_that_failed_fences_nobody_and_says_what_is_next() {
    let mut model = sent();
    let failed = Promotion {
        mode: PromoteMode::Planned,
        outcome: PromotionOutcome::Failed,
        ended_at: Some(UnixMs(model.now.0 + 30_000)),
        error: Some("us-east-1 did not give up in time".into()),
        ..promoted_said(&promoted())
    };
    update(&mut model, told(Answer::Promotion(PromotionId([7; 16]), Ok(Some(failed)))));
    model.toasts.clear();
    let text = words(&model, (120, 60));
    assert!(!text.contains("Fence unproven"), "{text}");
    assert!(text.contains("p for a failover") && text.contains("took 30s"), "{text}");
}

fn promoted_said(model: &Model) -> Promotion {
    match &model.here.promotion.as_ref().unwrap().stage {
        crate::console::app::promotion::Stage::Sent(sent) => sent.said.as_ref().unwrap().read(model.now).value.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn where_a_loss_can_not_be_read_nobody_consents_to_it() {
    let mut model = lived(fixtures::dark_primary());
    open_plan(&mut model);
    model.size = (30, 6);
    type_text(&mut model, "eu-west-1");
    assert!(keys(&mut model, "enter").is_empty());
    assert!(words(&model, (30, 6)).contains("too small to show"), "{}", shown(&model, (30, 6)));
    model.size = (40, 12);
    assert_eq!(keys(&mut model, "enter").len(), 1, "it is read now");
}

#[test]
fn which_context_the_past_is_of_is_said() {
    let mut model = lived(fixtures::streaming());
    (model.here.name, model.here.write) = ("prod".into(), WriteRight::Past);
    model.past = Some("HELD at 22:12:18Z, 10s ago; esc = now".into());
    for size in [(120, 40), (80, 24)] {
        let top = first_line(&model, size);
        assert!(top.contains(" prod ") && top.contains("HELD at"), "{top}");
    }
}

#[test]
fn the_smallest_screen_has_ages_and_the_index_its_worst() {
    let text = shown(&lived(fixtures::dark_primary()), (30, 6));
    assert!(text.contains("dark 41s") && text.contains("degraded 0.4s 8 behind"), "{text}");
    let text = shown(&index(), (30, 6));
    assert!(text.lines().next().unwrap().contains("prod-web ALARM"), "{text}");
    assert_eq!(text.lines().filter(|line| !line.trim().is_empty()).count(), 5, "{text}");
}

#[test]
fn a_reason_that_is_wanted_is_asked_for_below_the_input() {
    let mut model = lived(fixtures::left_behind());
    keys(&mut model, "5 J");
    let text = words(&model, (80, 24));
    assert!(text.contains("type why behind `rejoin`, then enter"), "{text}");
}

#[test]
fn the_picture_is_an_svg_of_the_same_text() {
    let themes = Themes::load(Vec::new(), ColourDepth::True);
    let buffer = painted(&lived(fixtures::streaming()), "dark", &glyphs::UTF8, (80, 24));
    let svg = export::svg(&buffer, themes.get("dark"));
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains("us-east-1") && svg.contains("#56d4dd"));
    assert_eq!(svg.matches("<text ").count(), svg.matches("</text>").count());
}

/// The README's pictures are screens of this program. `TWINKEEP_PICTURES=write cargo test --lib picture` paints them anew.
#[test]
fn the_readmes_pictures_are_what_the_console_paints() {
    let themes = Themes::load(Vec::new(), ColourDepth::True);
    let pictures = [
        ("overview", lived(fixtures::streaming()), (100, 26)),
        ("promotion", deciding(), (100, 30)),
        ("index", index(), (100, 12)),
        ("replication", on(Screen::Replication, fixtures::streaming()), (100, 26)),
        ("ledger", ledger(), (100, 16)),
        ("failover", on(Screen::Failover, fixtures::left_behind()), (100, 24)),
        ("openbao", on(Screen::Region, fixtures::openbao()), (100, 16)),
        ("sync", lived(fixtures::syncing()), (100, 26)),
    ];
    for (name, model, size) in pictures {
        let svg = export::svg(&painted(&model, "dark", &glyphs::UTF8, size), themes.get("dark"));
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/pictures/{name}.svg"));
        if std::env::var("TWINKEEP_PICTURES").is_ok_and(|what| what == "write") {
            std::fs::write(&file, &svg).unwrap();
        }
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(there == svg, "{} is old: TWINKEEP_PICTURES=write cargo test --lib picture", file.display());
    }
}

#[test]
fn which_context_is_in_view_is_said_on_every_screen_and_nothing_is_glued_together() {
    let worlds = [("prod", fixtures::streaming()), ("staging", fixtures::streaming()), ("lab", fixtures::unlinked())];
    let mut model = models(worlds);
    for (write, right) in [
        (WriteRight::Write, "02:58:41Z"),
        (WriteRight::ReadOnly, "r"),
        (WriteRight::Armed { until: UnixMs(fixtures::NOW.0 + 900_000) }, "armed 15m"),
    ] {
        model.here.write = write;
        for screen in Screen::ALL.into_iter().filter(|screen| *screen != Screen::Index) {
            model.screen = screen;
            for (width, height) in [(120, 40), (80, 24)] {
                let top = first_line(&model, (width, height));
                assert!(top.contains(" prod "), "{top}");
                assert!(top.contains(&format!(" {right}")), "{top}");
            }
        }
    }
}

fn first_line(model: &Model, size: (u16, u16)) -> String {
    let buffer = painted(model, "dark", &glyphs::UTF8, size);
    (0..size.0).map(|x| buffer[(x, 0)].symbol()).collect()
}
