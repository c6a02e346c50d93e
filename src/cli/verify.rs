//! `replication verify`: whether the standbys hold, on their disks, what the primary holds. Exit codes: 0 all do, or do
//! again; 2 one does not, or the primary's own disk is damaged; 3 one could not be checked, or the outcome is not known yet.

use super::Context;
use super::args::Verify;
use super::failure::{EXIT_SERVER, EXIT_UNKNOWN, Failure};
use super::output::{Output, grouped, table};
use crate::api::verification::{OwnDisk, StandbyVerification, Verification, VerifyOutcome};
use crate::client::Client;
use crate::clock;
use std::time::Duration;

/// Between two questions about the outcome.
const OUTCOME_POLL: Duration = Duration::from_millis(250);

pub async fn run(verify: Verify, context: &Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&verify.connection)?;
    let client = context.environment.client(&verify.connection)?;
    let wait = crate::duration::parse(&verify.timeout).map_err(|error| Failure::local(format!("-timeout: {error}")))?;
    let verification = outcome(&client, &verify.path.replication_path, wait).await?;
    let exit = exit(&verification);
    Ok(Output { exit, ..Output::of(format, &verification, shown) })
}

async fn outcome(client: &Client, path: &str, wait: Duration) -> Result<Verification, Failure> {
    let deadline = clock::steady() + wait;
    let mut last = client.verify(path).await.map_err(Failure::asked)?;
    while last.ended_at.is_none() && clock::steady() < deadline {
        tokio::time::sleep(OUTCOME_POLL).await;
        last = client.verification(path, &last.id).await.map_err(Failure::asked)?;
    }
    Ok(last)
}

fn exit(verification: &Verification) -> u8 {
    let any = |wanted: &[VerifyOutcome]| verification.standbys.iter().any(|it| wanted.contains(&it.outcome));
    let own_is_damaged = matches!(verification.own_disk, OwnDisk::Differs { .. } | OwnDisk::Unreadable { .. });
    if own_is_damaged || any(&[VerifyOutcome::Differs]) {
        EXIT_SERVER
    } else if verification.ended_at.is_none() || any(&[VerifyOutcome::Unchecked]) {
        EXIT_UNKNOWN
    } else {
        0
    }
}

fn shown(verification: &Verification) -> String {
    let mut parts = Vec::new();
    if verification.ended_at.is_none() {
        let id = &verification.id;
        parts.push(format!("Verification {id} is not done yet: ask again with the same command."));
    }
    match &verification.own_disk {
        OwnDisk::NotRead | OwnDisk::Sound => {}
        OwnDisk::Differs { buckets } => parts.push(format!(
            "ALARM: the disk of the primary's leader is not what was applied to it, in {buckets} of 65 536 buckets. \
             Nothing was repaired from it. Let another node lead (`sys/step-down`), then replace that node's disk."
        )),
        OwnDisk::Unreadable { error } => {
            parts.push(format!("ALARM: the data of the primary's leader can't be read: {error}"));
        }
    }
    match verification.standbys.is_empty() {
        true => parts.push("There is no standby to compare with.".to_owned()),
        false => parts.push(standbys(&verification.standbys)),
    }
    for standby in verification.standbys.iter().filter(|it| !it.prefixes.is_empty()) {
        parts.push(format!("Differed on {}:\n  {}", standby.name, standby.prefixes.join("\n  ")));
    }
    parts.join("\n\n")
}

fn standbys(standbys: &[StandbyVerification]) -> String {
    let row = |it: &StandbyVerification| {
        let outcome = match it.outcome {
            VerifyOutcome::Waiting | VerifyOutcome::Running => "under way",
            VerifyOutcome::Equal => "equal",
            VerifyOutcome::Repaired => "repaired",
            VerifyOutcome::Differs => "DIFFERS",
            VerifyOutcome::Unchecked => "not checked",
        };
        let at = it.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        [it.name.clone(), outcome.to_owned(), at, grouped(it.differing_entries), it.words.clone()]
    };
    table(
        ["Standby", "Outcome", "Position", "Entries that differed", ""],
        &standbys.iter().map(row).collect::<Vec<_>>(),
    )
}
