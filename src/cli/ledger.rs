//! `replication ledger`, `rejoin`, `demote`: what a region holds that the new primary never got, and the way back.

use super::Context;
use super::args::{Demote, Discard, Ledger, OnPath, Rejoin, Replay};
use super::failure::{EXIT_LOCAL, Failure};
use super::output::{Output, bytes, grouped, json, table};
use crate::api::ledger::{
    ConflictInfo, DemoteRequest, DiscardRequest, LedgerEntryInfo, LedgerExport, LedgerPage, LedgerSummary,
    RejoinRequest, ReplayAnswer, ReplayRequest, ReviewInfo,
};
use crate::clock::UnixMs;

/// Paths of an entry that a table shows.
const PATHS_SHOWN: usize = 2;

pub async fn run(command: Ledger, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        Ledger::List(on) => list(on, context).await,
        Ledger::Export(on) => export(on, context).await,
        Ledger::Replay(replay) => run_replay(replay, context).await,
        Ledger::Discard(discard) => run_discard(discard, context).await,
    }
}

async fn list(on: OnPath, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&on.connection)?;
    let client = context.environment.client(&on.connection)?;
    let path = &on.path.replication_path;
    let mut all = client.ledger(path, None).await.map_err(Failure::asked)?;
    while let Some(next) = all.next.take() {
        let page = client.ledger(path, Some(&next)).await.map_err(Failure::asked)?;
        all.entries.extend(page.entries);
        all.next = page.next;
    }
    Ok(Output::of(format, &all, shown))
}

fn shown(page: &LedgerPage) -> String {
    let Some(ledger) = &page.ledger else {
        return "No ledger: this region holds nothing that a new primary never got.".to_owned();
    };
    let rows: Vec<[String; 6]> = page.entries.iter().map(row).collect();
    let entries = match rows.is_empty() {
        true => "No entries.".to_owned(),
        false => table(["Entry", "Class", "Written", "Size", "State", "Path"], &rows),
    };
    format!("{}\n\n{entries}", summary(ledger))
}

/// What a ledger comes to, in a sentence.
pub fn summary(ledger: &LedgerSummary) -> String {
    let classes: Vec<String> =
        ledger.by_class.iter().map(|(class, count)| format!("{} {}", grouped(*count), class.name())).collect();
    let mut text = format!(
        "ledger {}: {} writes ({}), {}, from behind {} up to {}; {} not reviewed",
        ledger.number,
        grouped(ledger.entries),
        classes.join(", "),
        bytes(ledger.bytes),
        ledger.fork,
        ledger.reached,
        grouped(ledger.unreviewed)
    );
    if ledger.missing > 0 {
        text.push_str(&format!("; {} more were not in the log any more and are lost", grouped(ledger.missing)));
    }
    if ledger.older_unreviewed > 0 {
        text.push_str(&format!("; {} of earlier ledgers not reviewed", grouped(ledger.older_unreviewed)));
    }
    if !ledger.kept {
        text.push_str("; it is still being kept");
    }
    text.push_str(match (ledger.left, ledger.may_rejoin) {
        (true, _) => "; this region follows another line by now",
        (false, true) => "; this region may rejoin, and waits for the primary",
        (false, false) => "",
    });
    text
}

fn row(entry: &LedgerEntryInfo) -> [String; 6] {
    let more = entry.paths.len().saturating_sub(PATHS_SHOWN);
    let mut paths = entry.paths.iter().take(PATHS_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 {
        paths.push_str(&format!(" and {more} more"));
    }
    [
        entry.entry.clone(),
        entry.class.name().to_owned(),
        entry.at.rfc3339(),
        bytes(entry.bytes),
        review(&entry.review),
        if paths.is_empty() { "-".to_owned() } else { paths },
    ]
}

fn review(review: &ReviewInfo) -> String {
    match review {
        ReviewInfo::Unreviewed { conflicts } if conflicts.is_empty() => "unreviewed".to_owned(),
        ReviewInfo::Unreviewed { conflicts } => format!("unreviewed, conflict with {}", newest(conflicts)),
        ReviewInfo::Replayed { position, .. } => format!("replayed as {position}"),
        ReviewInfo::Discarded { reason, .. } => format!("discarded: {reason}"),
    }
}

/// The newest position that stands in the way.
fn newest(conflicts: &[ConflictInfo]) -> String {
    let newest = conflicts.iter().filter_map(|conflict| conflict.position).max();
    newest.map_or_else(|| "what the log there no longer tells".to_owned(), |position| position.to_string())
}

async fn export(on: OnPath, context: &mut Context<'_>) -> Result<Output, Failure> {
    let client = context.environment.client(&on.connection)?;
    let path = &on.path.replication_path;
    let mut all: LedgerExport = client.export_ledger(path, None).await.map_err(Failure::asked)?;
    while let Some(next) = all.next.take() {
        let page = client.export_ledger(path, Some(&next)).await.map_err(Failure::asked)?;
        all.entries.extend(page.entries);
        all.next = page.next;
    }
    // Whatever the format: it is for programs.
    Ok(Output::text(json(&all)))
}

async fn run_replay(replay: Replay, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&replay.connection)?;
    let request = ReplayRequest { entries: replay.entries, all: replay.all, overwrite: replay.overwrite };
    let client = context.environment.client(&replay.connection)?;
    let answer = client.replay(&replay.path.replication_path, &request).await.map_err(Failure::changed)?;
    let done = answer.conflicts.is_empty() && answer.refused.is_empty();
    let output = Output::of(format, &answer, replayed);
    Ok(Output { exit: if done { 0 } else { EXIT_LOCAL }, ..output })
}

fn replayed(answer: &ReplayAnswer) -> String {
    let at = |at: Option<UnixMs>| at.map_or_else(|| "unknown".to_owned(), UnixMs::rfc3339);
    let mut rows: Vec<[String; 3]> = Vec::new();
    for replayed in &answer.replayed {
        rows.push([replayed.entry.clone(), "replayed".into(), format!("written as {}", replayed.position)]);
    }
    for conflicting in &answer.conflicts {
        for conflict in &conflicting.conflicts {
            let position = conflict.position.map_or_else(|| "unknown".to_owned(), |it| it.to_string());
            let fact = format!(
                "{}: written here {}, there {} at {position}",
                conflict.path,
                conflicting.at.rfc3339(),
                at(conflict.at)
            );
            rows.push([conflicting.entry.clone(), "conflict".into(), fact]);
        }
    }
    for refused in &answer.refused {
        rows.push([refused.entry.clone(), "refused".into(), refused.why.clone()]);
    }
    if rows.is_empty() {
        return "Nothing was to be replayed.".to_owned();
    }
    let mut text = table(["Entry", "Outcome", "Fact"], &rows);
    if !answer.conflicts.is_empty() {
        text.push_str(
            "\n\nA conflict was not written: the new primary changed the same thing since. To write an entry over it: \
             -overwrite -entries=ENTRY. To leave it: twinkeep replication ledger discard -entries=ENTRY -reason=TEXT",
        );
    }
    text
}

async fn run_discard(discard: Discard, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&discard.connection)?;
    let request = DiscardRequest { entries: discard.entries, all: discard.all, reason: discard.reason };
    let client = context.environment.client(&discard.connection)?;
    let answer = client.discard(&discard.path.replication_path, &request).await.map_err(Failure::changed)?;
    Ok(Output::of(format, &answer, |answer| {
        format!("Success! {} entries are discarded. They are kept, with the reason.", answer.discarded.len())
    }))
}

pub async fn run_rejoin(rejoin: Rejoin, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&rejoin.connection)?;
    let path = &rejoin.path.replication_path;
    let client = context.environment.client(&rejoin.connection)?;
    client
        .rejoin(path, &RejoinRequest { reason: rejoin.reason, primary: rejoin.primary })
        .await
        .map_err(Failure::changed)?;
    let sentence = format!(
        "Success! This region rejoins as soon as the primary introduces itself: twinkeep replication status \
         -replication-path={path}"
    );
    Ok(Output::said(format, sentence))
}

pub async fn run_demote(demote: Demote, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&demote.connection)?;
    let path = &demote.path.replication_path;
    let client = context.environment.client(&demote.connection)?;
    client.demote(path, &DemoteRequest { reason: demote.reason }).await.map_err(Failure::changed)?;
    let sentence = "Success! This region takes no more writes. Once another primary meets it, it keeps what only it \
                    holds in its ledger: twinkeep replication ledger list";
    Ok(Output::said(format, sentence))
}
