//! Switchovers between two regions of three real nodes, with writers at work in both: nothing that was acknowledged is
//! lost, and one of the two takes writes, whoever is killed in the middle.

mod support;

use std::process::Command;
use support::writer::Writer;
use support::{BINARY, PATH, Region, connect, wait_for, wait_until_in_step};
use tokio::task::JoinHandle;
use twinkeep::api::replication::{PromoteMode, PromoteRequest, Promotion, PromotionOutcome};
use twinkeep::client::ClientError;
use twinkeep::clock;
use twinkeep::ids::PromotionId;
use twinkeep::state::Role;

async fn pair(folder: &std::path::Path) -> (Region, Region) {
    let (primary, mut standby) =
        tokio::join!(Region::start(folder, "us-east-1", 3), Region::start(folder, "eu-west-1", 3));
    connect(&primary, &standby).await;
    // A standby's tokens are its primary's.
    standby.token.clone_from(&primary.token);
    wait_until_in_step(&primary, &standby).await;
    (primary, standby)
}

async fn role(region: &Region) -> Option<Role> {
    Some(region.status().await?.role)
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_by_the_same_command_and_the_same_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = pair(folder.path()).await;
    let writers = [Writer::start(&one), Writer::start(&other)];
    for (to, from, command) in [
        (&other, &one, ["replication", "promote", "-replication-path=default"]),
        (&one, &other, ["operator", "replicate-resume", "-replication-path=default"]),
    ] {
        let before = writers[0].acknowledged() + writers[1].acknowledged();
        // On a busy machine the primary may be silent for a moment: the command says so then, changes nothing, and is
        // given again.
        wait_for("the command to promote", || async {
            let (address, token) = (to.nodes[to.leader().await].address.clone(), to.token.clone());
            let out = tokio::task::spawn_blocking(move || {
                Command::new(BINARY).args(command).env("VAULT_ADDR", address).env("VAULT_TOKEN", token).output()
            });
            let out = out.await.expect("no panic").expect("the built binary starts");
            let said = String::from_utf8_lossy(&out.stdout);
            println!("{said}{}", String::from_utf8_lossy(&out.stderr));
            assert!(!out.status.success() || said.contains("Nothing was lost"), "{said}");
            (out.status.success() || role(to).await? == Role::Primary).then_some(())
        })
        .await;
        wait_for("the roles to be reversed", || async {
            (role(to).await? == Role::Primary && role(from).await? == Role::Standby).then_some(())
        })
        .await;
        let promotion = wait_for("the promotion's record", || async { to.status().await?.promotion }).await;
        assert_eq!(promotion.outcome, PromotionOutcome::Done);
        assert!(promotion.loss.is_some_and(|loss| loss.known && loss.entries == 0));
        let acknowledged = || writers[0].acknowledged() + writers[1].acknowledged();
        wait_for("writes to go on", || async { (acknowledged() > before + 50).then_some(()) }).await;
    }
    let [first, second] = writers;
    let written = [first.stop().await, second.stop().await];
    wait_until_in_step(&one, &other).await;
    for written in &written {
        written.expect_all(&one.client().await).await;
    }
}

/// Asks until the region knows how it ended.
async fn ended(region: &Region, request: &PromoteRequest) -> PromotionOutcome {
    wait_for("the outcome of a switchover", || async {
        for node in &region.nodes {
            let client = node.client(&region.token);
            let said = match client.promotion(PATH, request.id).await {
                Ok(None) => client.promote(PATH, request).await.ok(),
                said => said.ok().flatten(),
            };
            let outcome = said.map(|promotion| promotion.outcome);
            if matches!(outcome, Some(PromotionOutcome::Done | PromotionOutcome::Failed)) {
                return outcome;
            }
        }
        None
    })
    .await
}

type Asked = JoinHandle<Result<Promotion, ClientError>>;

/// Begins a switchover, and leaves the one who asked for it waiting. What is refused before it begins is asked for again:
/// on a busy machine a plan's facts may have changed by the time that it is acted on.
async fn begun(primary: &Region, standby: &Region) -> (PromoteRequest, Asked) {
    let mode = PromoteMode::Planned;
    wait_for("a switchover to begin", || async {
        let client = standby.client().await;
        let plan = client.plan(PATH, mode).await.ok()?.hash;
        let id = PromotionId(clock::random_bytes());
        let request = PromoteRequest { mode, plan, accept_loss: false, id, deadline: Some("15s".into()) };
        let asked = tokio::spawn({
            let request = request.clone();
            async move { client.promote(PATH, &request).await }
        });
        let has_begun = wait_for("its begin or its refusal", || async {
            let (ours, theirs) = (standby.status().await?, primary.status().await?);
            let begun = ours.handover.is_some() || theirs.handover.is_some() || ours.role == Role::Primary;
            (begun || asked.is_finished()).then_some(begun)
        });
        has_begun.await.then_some((request, asked))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_of_either_side_are_killed_in_the_middle() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut primary, mut standby) = pair(folder.path()).await;
    let mut written = Vec::new();
    for (round, kills_primary) in [true, false, true, false].into_iter().enumerate() {
        let writers = [Writer::start(&primary), Writer::start(&standby)];
        wait_for("writers at work", || async { (writers[0].acknowledged() > 20).then_some(()) }).await;
        let (request, asked) = begun(&primary, &standby).await;
        let hit = if kills_primary { &mut primary } else { &mut standby };
        let leader = hit.leader().await;
        hit.nodes[leader].kill();
        let outcome = ended(&standby, &request).await;
        println!("round {round}: {outcome:?}");
        drop(asked.await);
        let hit = if kills_primary { &mut primary } else { &mut standby };
        hit.nodes[leader].start();
        hit.unseal(leader).await;
        hit.wait_for_voters(3).await;
        if outcome == PromotionOutcome::Done {
            std::mem::swap(&mut primary, &mut standby);
        }
        let before = writers[0].acknowledged() + writers[1].acknowledged();
        wait_for("writes to go on", || async {
            let now = writers[0].acknowledged() + writers[1].acknowledged();
            (primary.status().await?.writable && now > before + 20).then_some(())
        })
        .await;
        for writer in writers {
            written.push(writer.stop().await);
        }
        wait_until_in_step(&primary, &standby).await;
        wait_for("the other to be a standby", || async { (role(&standby).await? == Role::Standby).then_some(()) })
            .await;
        for written in &written {
            written.expect_all(&primary.client().await).await;
        }
    }
}
