//! What became of requests.

use super::desk::{HeldToken, TokenDesk};
use super::dialog::Dialog;
use super::failover;
use super::model::Model;
use super::msg::{Answer, Effect, Failure, FailureSort, Target};
use super::promoting::{planned, promoted};
use crate::api::replication::{EventLevel, TokenCreated};
use crate::console::domain::Observed;
use crate::sensitive::SensitiveString;

pub(super) fn take_answer(model: &mut Model, answer: Answer) -> Vec<Effect> {
    match answer {
        Answer::Token(target, result) => {
            token_made(model, target, result);
            Vec::new()
        }
        Answer::Connected { primary, standby, result } => {
            connected(model, primary, standby, result);
            Vec::new()
        }
        Answer::Linked { primary, standby, result } => {
            say(model, result, format!("{primary} took a token of {standby} and dials it"), "link");
            Vec::new()
        }
        Answer::Ledger(target, result) => {
            match result {
                Ok(page) => model.here.ledger = Some(Observed::new(page, model.now, target.region)),
                Err(failure) => {
                    model.hint(EventLevel::Warn, format!("the ledger of {}: {}", target.region, failure.words))
                }
            }
            Vec::new()
        }
        Answer::LedgerExport(target, result) => match result {
            Ok(export) => {
                let text = format!("{}\n", serde_json::to_string_pretty(&export).unwrap_or_default());
                vec![Effect::Save {
                    name: format!("ledger-{}-{}.json", target.region, model.now.0),
                    text: SensitiveString::new(text),
                }]
            }
            Err(failure) => {
                model.toast(EventLevel::Warn, format!("the ledger of {}: {}", target.region, failure.words));
                Vec::new()
            }
        },
        Answer::Verification(target, result) => {
            failover::verified(model, &target, result);
            Vec::new()
        }
        Answer::Decided(target, result) => {
            let (done, result) = match result {
                Ok(words) => (format!("{}: {words}", target.region), Ok(())),
                Err(failure) => (String::new(), Err(failure)),
            };
            // What was not decided stays marked: without marks the same key would mean all of it.
            if result.is_ok() {
                model.here.marked.clear();
            }
            say(model, result, done, &target.region);
            // What was decided shall be seen.
            model.here.ledger_asked_at = crate::clock::UnixMs(0);
            super::ledger::ask_for_ledger(model)
        }
        Answer::Saved(result) => {
            match result {
                Ok(file) => model.toast(EventLevel::Info, format!("written to {file}")),
                Err(why) => model.toast(EventLevel::Warn, format!("not written: {why}")),
            }
            Vec::new()
        }
        Answer::Revoked { region, accessor, result } => {
            if model.here.desk.held().is_some_and(|held| held.accessor == accessor) && result.is_ok() {
                model.here.desk = TokenDesk::Empty;
            }
            say(model, result, format!("the token {accessor} of {region} is revoked"), "revoke");
            Vec::new()
        }
        Answer::Paused(target, result) => {
            say(model, result, format!("{} paused the link", target.region), "pause");
            Vec::new()
        }
        Answer::Resumed(target, result) => {
            say(model, result, format!("{} carries on with the link", target.region), "resume");
            Vec::new()
        }
        Answer::Plan(target, result) => {
            planned(model, &target, result);
            Vec::new()
        }
        Answer::Promotion(id, result) => promoted(model, id, result),
    }
}

fn say(model: &mut Model, result: Result<(), Failure>, done: String, what: &str) {
    match result {
        Ok(()) => model.toast(EventLevel::Info, done),
        Err(failure) => {
            let unknown = if failure.sort == FailureSort::Unknown { "outcome unknown: " } else { "" };
            model.toast(EventLevel::Warn, format!("{what}: {unknown}{}", failure.words));
        }
    }
}

fn token_made(model: &mut Model, target: Target, result: Result<TokenCreated, Failure>) {
    let region = target.region.clone();
    match result {
        Ok(mut created) => {
            let token = SensitiveString::new(std::mem::take(&mut created.token));
            model.here.desk = TokenDesk::Held(HeldToken {
                region: region.clone(),
                accessor: created.accessor.clone(),
                expires_at: created.expires_at,
                token,
                revealed_until: None,
                warned: false,
                notice: None,
            });
            model.toast(EventLevel::Info, format!("{region} made the token {}", created.accessor));
        }
        Err(failure) => {
            model.toast(EventLevel::Warn, format!("{region} made no token: {}", failure.words));
            model.here.desk = TokenDesk::Failed { region, why: failure.words };
        }
    }
}

fn connected(model: &mut Model, primary: String, standby: String, result: Result<(), Failure>) {
    let TokenDesk::Handing { mut held, .. } = std::mem::take(&mut model.here.desk) else { return };
    match result {
        Ok(()) => {
            // Spent: the dialog goes, and the memory is wiped with the token.
            model.dialogs.retain(|dialog| !matches!(dialog, Dialog::Token));
            model.toast(EventLevel::Info, format!("{primary} took the token of {standby} and dials it"));
        }
        Err(failure) => {
            let unknown = if failure.sort == FailureSort::Unknown { "outcome unknown: " } else { "" };
            let words = format!("{primary}: {unknown}{}", failure.words);
            model.toast(EventLevel::Warn, words.clone());
            held.notice = Some(words);
            model.here.desk = TokenDesk::Held(held);
        }
    }
}
