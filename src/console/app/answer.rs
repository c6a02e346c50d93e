//! What became of requests.

use super::desk::{HeldToken, TokenDesk};
use super::dialog::Dialog;
use super::failover;
use super::model::Model;
use super::msg::{Answer, Effect, Failure, FailureSort, SavedFile, Target};
use super::outcome::{self, Asked};
use super::promoting::{planned, promoted};
use crate::api::replication::{EventLevel, TokenCreated};
use crate::sensitive::SensitiveString;
use std::path::PathBuf;

pub(super) fn take_answer(model: &mut Model, answer: Answer) -> Vec<Effect> {
    match answer {
        Answer::Token(target, result) => {
            token_made(model, target, result);
            Vec::new()
        }
        Answer::Ended(target, asked, result) => {
            if let Asked::HandOver { standby } = &asked {
                handed_over(model, standby, &target, &result);
            }
            if let (Asked::Revoke { accessor }, Ok(_)) = (&asked, &result)
                && model.here.desk.held().is_some_and(|held| held.accessor == *accessor)
            {
                model.here.desk = TokenDesk::Empty;
            }
            let decided = matches!(asked, Asked::Replay { .. } | Asked::Discard { .. } | Asked::Rejoin { .. });
            // What was not decided stays marked: without marks the same key would mean all of it.
            let of_ledger = model.here.ledger.as_ref().is_some_and(|page| page.source() == target.region);
            if decided && of_ledger && result.is_ok() {
                model.here.marked.clear();
            }
            outcome::ended(model, &target, asked, result);
            if !decided {
                return Vec::new();
            }
            // What was decided shall be seen.
            model.here.ledger_asked_at = crate::clock::UnixMs(0);
            super::ledger::ask_for_ledger(model)
        }
        Answer::Ledger(target, result) => {
            match result {
                Ok(page) => {
                    let asked_for = super::resolve::look_into(model, &target, &page);
                    let other_in_view = super::targets::ledger_region(model).is_ok_and(|it| it.name != target.region);
                    // What an outcome is found out by takes no marks from another region's ledger.
                    if !(asked_for && other_in_view) {
                        super::ledger::take(model, page, target.region);
                    }
                }
                Err(failure) => {
                    model.hint(EventLevel::Warn, format!("the ledger of {}: {}", target.region, failure.words))
                }
            }
            Vec::new()
        }
        Answer::LedgerExport(target, result) => match result {
            Ok(export) => {
                let text = format!("{}\n", serde_json::to_string_pretty(&export).unwrap_or_default());
                let name = format!("ledger-{}-{}.json", target.region, model.now.0);
                vec![Effect::Save(vec![SavedFile::new(name, text)])]
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
        Answer::Saved(result) => {
            match result {
                Ok(files) => model.toast(EventLevel::Info, written(&files)),
                Err(why) => model.toast(EventLevel::Warn, format!("not written: {why}")),
            }
            Vec::new()
        }
        Answer::Plan(target, mode, result) => {
            planned(model, &target, mode, result);
            Vec::new()
        }
        Answer::Promotion(id, result) => promoted(model, id, result),
    }
}

/// Names before their folder, words apart: a line that ends breaks none of them.
fn written(files: &[PathBuf]) -> String {
    let name = |file: &PathBuf| file.file_name().map(|name| name.to_string_lossy().into_owned());
    let names: Vec<String> = files.iter().filter_map(name).collect();
    let folder = files.first().and_then(|file| file.parent()).map(|folder| folder.display().to_string());
    format!("written: {} in {}", names.join(" and "), folder.unwrap_or_default())
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
            let words = format!("{region} made the token {}", created.accessor);
            outcome::ended(model, &target, Asked::Token, Ok(words));
        }
        Err(failure) => {
            model.here.desk = TokenDesk::Failed { region, why: failure.words.clone() };
            outcome::ended(model, &target, Asked::Token, Err(failure));
        }
    }
}

/// The token that was made here was given to a primary: it is spent, or can be tried again.
fn handed_over(model: &mut Model, standby: &str, primary: &Target, result: &Result<String, Failure>) {
    let TokenDesk::Handing { mut held, .. } = std::mem::take(&mut model.here.desk) else { return };
    match result {
        // Spent: the dialog goes, and the memory is wiped with the token.
        Ok(_) => model.dialogs.retain(|dialog| !matches!(dialog, Dialog::Token)),
        Err(failure) => {
            let unknown = if failure.sort == FailureSort::Unknown { "outcome unknown: " } else { "" };
            held.notice =
                Some(format!("{}, handed the token of {standby}: {unknown}{}", primary.region, failure.words));
            model.here.desk = TokenDesk::Held(held);
        }
    }
}
