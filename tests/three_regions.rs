//! A primary with two standbys, of real processes: each is shown and paused by itself, and when one is promoted the
//! other follows it without a token, since their primary introduced them.

mod support;

use std::time::{Duration, Instant};
use support::writer::{fields, preload};
use support::{PATH, Region, connect, promote, wait_for, wait_until_in_step};
use twinkeep::api::replication::{LinkState, PromoteMode, Verdict};
use twinkeep::ids::Epoch;
use twinkeep::state::Role;

/// Until a failover's plan says so of the primary's nodes, which are given a moment only to answer.
async fn wait_until_reachable(standby: &Region, token: &str, verdict: Verdict, word: &str) {
    wait_for(&format!("a plan to say {verdict:?}: {word}"), || async {
        let plan = standby.client_as(token).await.plan(PATH, PromoteMode::Forced).await.ok()?;
        let check = plan.checks.into_iter().find(|check| check.name == "reachable").expect("it is checked");
        assert!(check.source.contains("asked directly") && check.source.contains(&standby.nodes[0].name));
        (check.verdict == verdict && check.fact.contains(word)).then_some(())
    })
    .await;
}

/// Longer than from one telling of news to the next but one.
const NEWS_TWICE: Duration = Duration::from_secs(12);

/// Until the primary introduced this region to so many others.
async fn wait_until_introduced(region: &Region, others: &[&str]) {
    wait_for(&format!("{} to be introduced to {others:?}", region.name), || async {
        let client = region.nodes[0].client("");
        let events = client.events(PATH, 0).await.ok()?;
        let told =
            |name: &&str| events.iter().any(|event| event.text.contains("introduced") && event.text.contains(*name));
        others.iter().all(told).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_standby_follows_whichever_is_promoted_without_a_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut primary, one, other) = tokio::join!(
        Region::start_tls(folder.path(), "us-east-1", 1),
        Region::start_tls(folder.path(), "eu-west-1", 1),
        Region::start_tls(folder.path(), "ap-south-1", 1)
    );
    preload(&primary, 20, 1 << 10).await;
    connect(&primary, &one).await;
    connect(&primary, &other).await;
    wait_until_in_step(&primary, &one).await;
    wait_until_in_step(&primary, &other).await;

    // Each link by itself.
    let client = primary.client().await;
    client.pause(PATH, Some("eu-west-1")).await.expect("paused");
    wait_for("one of two links to pause", || async {
        let links = primary.status().await?.links;
        let state = |name: &str| links.iter().find(|link| link.name == name).map(|link| link.state);
        let states = (state("eu-west-1"), state("ap-south-1"));
        (states == (Some(LinkState::Paused), Some(LinkState::Streaming))).then_some(())
    })
    .await;
    client.kv_put("secret", "a", fields("1"), None).await.expect("a write");
    wait_until_in_step(&primary, &other).await;
    client.resume(PATH, Some("eu-west-1")).await.expect("resumed");
    wait_until_in_step(&primary, &one).await;

    wait_until_introduced(&one, &["ap-south-1"]).await;
    wait_until_introduced(&other, &["eu-west-1"]).await;
    // The plan says who answers, and as what.
    wait_until_reachable(&one, &primary.token, Verdict::Warn, "takes writes").await;
    primary.nodes[0].kill();
    wait_until_reachable(&one, &primary.token, Verdict::Unknown, &primary.nodes[0].address).await;
    promote(&one.client_as(&primary.token).await).await;
    wait_for("the other standby to follow", || async {
        let status = other.status().await?;
        let follows = status.primary.is_some_and(|primary| primary.name == "eu-west-1");
        (follows && status.epoch == Epoch(2) && status.role == Role::Standby).then_some(())
    })
    .await;
    let client = one.client_as(&primary.token).await;
    client.kv_put("secret", "a", fields("2"), None).await.expect("a write");
    wait_until_in_step(&one, &other).await;
    // It goes on following after its new primary has told it the news: twice, since the first may be under way.
    let until = Instant::now() + NEWS_TWICE;
    for number in 0.. {
        client.kv_put("secret", "a", fields(&number.to_string()), None).await.expect("a write");
        wait_until_in_step(&one, &other).await;
        if Instant::now() > until {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for region in [&one, &other] {
        let log = region.nodes[0].log_text();
        assert!(!log.contains(&primary.token), "a secret is in the log of {}", region.name);
    }
}
