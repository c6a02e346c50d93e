//! Stories of keys: what they open, what they ask for, and what they can't do by accident. Here is what they are told with.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod failing_over;
mod others;
mod outcomes;
mod tokens;
mod ways;

use super::desk::TokenDesk;
use super::msg::{Failure, FailureSort};
use super::outcome::Asked;
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
        mistake: None,
    });
    let mut model = Model::new(ModelOptions {
        quiet: false,
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

pub(super) fn event(name: &str) -> KeyEvent {
    let named = |code| KeyEvent::from(code);
    match name {
        "esc" => named(KeyCode::Esc),
        "enter" => named(KeyCode::Enter),
        "tab" => named(KeyCode::Tab),
        "backspace" => named(KeyCode::Backspace),
        "space" => named(KeyCode::Char(' ')),
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
pub(super) fn words(effects: &[Effect]) -> Vec<String> {
    let word = |effect: &Effect| match effect {
        Effect::Ask(target, query) => format!("ask {} {query:?}", target.region),
        Effect::Do(_, target, change) => format!("do {} {change:?}", target.region),
        other => format!("{other:?}"),
    };
    effects.iter().map(word).collect()
}

pub fn give_token(model: &mut Model) {
    let effects = keys(model, "g y");
    let [Effect::Do(_, target, Change::GenerateToken(_))] = effects.as_slice() else {
        panic!("g asks for a token: {effects:?}");
    };
    let created =
        TokenCreated { token: CANARY.into(), accessor: "9bTz07pw".into(), expires_at: UnixMs(model.now.0 + 1_800_000) };
    update(model, told(Answer::Token(target.clone(), Ok(created))));
}

pub fn open_plan(model: &mut Model) {
    let effects = keys(model, "p");
    let [Effect::Ask(target, Query::Plan(mode))] = effects.as_slice() else {
        panic!("p asks for a plan: {effects:?}");
    };
    let answer = Answer::Plan(target.clone(), *mode, Ok((fixtures::plan(), PromotionId([7; 16]))));
    update(model, told(answer));
}

pub(super) fn promotion(outcome: PromotionOutcome) -> Promotion {
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

pub(super) fn standing(model: &Model) -> Standing {
    match &model.here.promotion.as_ref().unwrap().stage {
        Stage::Sent(sent) => sent.outcome(),
        other => panic!("not sent: {other:?}"),
    }
}
