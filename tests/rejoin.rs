//! Two regions of real processes that meet again: the old primary went on while it was cut off, and an operator reviews
//! what the new one never got before the old one comes back as a standby.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use support::proxy::Proxy;
use support::writer::fields;
use support::{BINARY, Node, PATH, Region, connect, promote, wait_for, wait_until_in_step};
use twinkeep::api::ledger::{DemoteRequest, DiscardRequest, LedgerPage, RejoinRequest, ReplayRequest, ReviewInfo};
use twinkeep::api::replication::{Class, FenceProof, LinkState};
use twinkeep::client::Client;
use twinkeep::state::Role;

/// A region of one node that other regions reach through a wire which can be cut.
async fn behind_a_wire(folder: &Path, name: &str) -> (Region, Proxy) {
    let wire = Proxy::start(u64::MAX).await;
    let region = Region::start_behind(folder, name, 1, &wire, "").await;
    (region, wire)
}

fn twinkeep(node: &Node, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).env("VAULT_ADDR", &node.address).env("VAULT_TOKEN", token);
    command.output().expect("the built binary starts")
}

async fn put(client: &Client, path: &str, value: &str) {
    client.kv_put("secret", path, fields(value), None).await.expect("a write");
}

async fn value(client: &Client, path: &str) -> Option<twinkeep::api::kv::Fields> {
    client.kv_get("secret", path, None).await.expect("a read").and_then(|read| read.data)
}

fn entry_of(page: &LedgerPage, path: &str) -> String {
    let path = format!("secret/{path}");
    let found = page.entries.iter().find(|entry| entry.paths == [path.clone()]);
    found.unwrap_or_else(|| panic!("no entry of {path} in {page:?}")).entry.clone()
}

fn named(entries: &[&String]) -> ReplayRequest {
    ReplayRequest { entries: entries.iter().map(|entry| (*entry).clone()).collect(), ..ReplayRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_primary_wrote_while_cut_off_is_reviewed_before_it_rejoins() {
    let folder = tempfile::tempdir().expect("a folder");
    let ((mut old, to_old), (new, to_new)) =
        tokio::join!(behind_a_wire(folder.path(), "us-east-1"), behind_a_wire(folder.path(), "eu-west-1"));
    connect(&old, &new).await;
    let on_old = old.client().await;
    for path in ["shared", "both", "gone"] {
        put(&on_old, path, "before").await;
    }
    wait_until_in_step(&old, &new).await;

    // The regions are cut off from each other. The old primary knows of nothing and acknowledges.
    to_old.cut();
    to_new.cut();
    let alone = ["one", "two", "two", "both", "gone", "junk"];
    for (number, path) in alone.iter().enumerate() {
        put(&on_old, path, &format!("theirs {number}")).await;
    }
    let on_new = new.client_as(&old.token).await;
    wait_for("the standby to say that it does not hear its primary", || async {
        let status = new.status().await?;
        status.links.iter().all(|link| link.state == LinkState::Connecting).then_some(())
    })
    .await;
    let promotion = promote(&on_new).await;
    assert_eq!(promotion.fence, FenceProof::Unproven);
    put(&on_new, "both", "ours").await;
    on_new.kv_delete_metadata("secret", "gone").await.expect("a secret that is there");
    put(&on_old, "late", "still acknowledged in its own epoch").await;

    // They meet. The old one fences itself, and keeps what the new one never got.
    to_old.mend();
    to_new.mend();
    wait_for("the old primary to keep its ledger", || async {
        let status = old.status().await?;
        (status.role == Role::Fenced && status.ledger.is_some_and(|ledger| ledger.kept)).then_some(())
    })
    .await;
    let page = on_old.ledger(PATH, None).await.expect("a ledger");
    let listed: Vec<String> = page.entries.iter().flat_map(|entry| entry.paths.clone()).collect();
    let written = alone.iter().chain(&["late"]).map(|path| format!("secret/{path}"));
    assert_eq!(listed, written.collect::<Vec<_>>(), "just what was acknowledged and is missing there, in order");
    let ledger = page.ledger.clone().expect("a summary");
    assert_eq!((ledger.entries, ledger.unreviewed, ledger.missing), (7, 7, 0));
    let proven = wait_for("the proof of the fence", || async {
        let promotion = on_new.promotion(PATH, promotion.id).await.ok()??;
        matches!(promotion.fence, FenceProof::Acknowledged { .. }).then_some(promotion)
    })
    .await;
    let loss = proven.loss.expect("a loss");
    assert_eq!((loss.known, loss.entries, loss.bytes), (true, 7, ledger.bytes));
    assert_eq!(loss.by_class, [(Class::KvWrite, 7)]);
    wait_for("the new primary to say what the old one waits for", || async {
        let errors = new.status().await?.links.into_iter().filter_map(|link| link.error);
        errors.into_iter().find(|error| error.contains("7 writes in its ledger"))
    })
    .await;

    // Nobody has looked: it may not rejoin.
    let refused = on_old.rejoin(PATH, &RejoinRequest::default()).await.expect_err("an unreviewed ledger").to_string();
    assert!(refused.contains("nobody reviewed: 7"), "{refused}");

    // One is replayed, and to ask again writes it no second time.
    let one = entry_of(&page, "one");
    let first = on_old.replay(PATH, &named(&[&one])).await.expect("an answer");
    assert_eq!((first.replayed.len(), first.conflicts.len(), first.refused.len()), (1, 0, 0), "{first:?}");
    assert_eq!(value(&on_new, "one").await, Some(fields("theirs 0")));
    let before = new.status().await.expect("a status").applied;
    assert_eq!(on_old.replay(PATH, &named(&[&one])).await.expect("an answer"), first);
    assert_eq!(new.status().await.expect("a status").applied, before);

    // The second write of a secret is nothing without the first.
    let twice: Vec<&String> = page.entries.iter().filter(|it| it.paths == ["secret/two"]).map(|it| &it.entry).collect();
    let alone = on_old.replay(PATH, &named(&twice[1..])).await.expect("an answer");
    assert!(alone.refused[0].why.contains(twice[0].as_str()), "{alone:?}");

    // What the new primary changed since is a conflict, with both sides' times; so is what it deleted.
    let (both, gone) = (entry_of(&page, "both"), entry_of(&page, "gone"));
    let met = on_old.replay(PATH, &named(&[&both, &gone])).await.expect("an answer");
    assert_eq!((met.replayed.len(), met.conflicts.len()), (0, 2), "{met:?}");
    for conflicting in &met.conflicts {
        let conflict = &conflicting.conflicts[0];
        assert!(conflict.position.is_some_and(|position| position.epoch.0 == 2), "{conflict:?}");
        assert!(conflict.at.is_some_and(|at| at >= conflicting.at), "{conflicting:?}");
    }
    assert_eq!(value(&on_new, "both").await, Some(fields("ours")));
    assert_eq!(value(&on_new, "gone").await, None);
    let overwrite = ReplayRequest { overwrite: true, ..named(&[&gone]) };
    let over = on_old.replay(PATH, &overwrite).await.expect("an answer");
    assert_eq!(over.replayed.len(), 1, "{over:?}");
    assert_eq!(value(&on_new, "gone").await, Some(fields("theirs 4")));

    // The rest by the command line.
    let (node, token) = (&old.nodes[0], old.token.as_str());
    let junk = entry_of(&page, "junk");
    let out = twinkeep(
        node,
        token,
        &["replication", "ledger", "discard", &format!("-entries={both},{junk}"), "-reason=ours is right"],
    );
    assert!(out.status.success(), "{out:?}");
    let out = twinkeep(node, token, &["replication", "ledger", "replay", "-all"]);
    assert!(out.status.success(), "{out:?}");
    assert_eq!(value(&on_new, "two").await, Some(fields("theirs 2")));
    assert_eq!(value(&on_new, "late").await, Some(fields("still acknowledged in its own epoch")));
    assert_eq!(value(&on_new, "junk").await, None);
    let shown = String::from_utf8(twinkeep(node, token, &["replication", "ledger", "list"]).stdout).expect("text");
    assert!(shown.contains("0 not reviewed") && shown.contains("discarded: ours is right"), "{shown}");
    let exported = String::from_utf8(twinkeep(node, token, &["replication", "ledger", "export"]).stdout).expect("text");
    assert!(exported.contains("\"value\"") && !exported.contains("theirs"), "values stay encrypted");

    // Now it rejoins, and is a standby like any other, across a restart as well.
    let out = twinkeep(node, token, &["replication", "rejoin"]);
    assert!(out.status.success(), "{out:?}");
    wait_for("the old primary to rejoin", || async { (old.status().await?.role == Role::Standby).then_some(()) }).await;
    wait_until_in_step(&new, &old).await;
    put(&on_new, "after", "both have it").await;
    wait_until_in_step(&new, &old).await;
    old.restart(0).await;
    put(&on_new, "after", "the restart").await;
    wait_until_in_step(&new, &old).await;
    let page = old.client().await.ledger(PATH, None).await.expect("the ledger outlives the rejoin");
    let reviews: BTreeSet<&str> = page
        .entries
        .iter()
        .map(|entry| match entry.review {
            ReviewInfo::Unreviewed { .. } => "unreviewed",
            ReviewInfo::Replayed { .. } => "replayed",
            ReviewInfo::Discarded { .. } => "discarded",
        })
        .collect();
    assert_eq!(reviews, BTreeSet::from(["discarded", "replayed"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_primary_rejoins_the_standby_that_was_promoted_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 1), Region::start(folder.path(), "eu-west-1", 1));
    let on_old = old.client().await;
    let demote = DemoteRequest { reason: "the other one is to be primary".into() };
    let refused = on_old.demote(PATH, &demote).await.expect_err("no other could take over").to_string();
    assert!(refused.contains("no link"), "{refused}");
    connect(&old, &new).await;
    put(&on_old, "shared", "before").await;
    wait_until_in_step(&old, &new).await;
    on_old.pause(PATH, None).await.expect("paused");
    put(&on_old, "alone", "never sent").await;

    let refused = on_old.demote(PATH, &DemoteRequest { reason: " ".into() }).await.expect_err("no reason").to_string();
    assert!(refused.contains("say why"), "{refused}");
    on_old.demote(PATH, &demote).await.expect("demoted");
    let status = old.status().await.expect("a status");
    assert_eq!((status.role, status.writable), (Role::Fenced, false));
    assert_eq!(status.fence.and_then(|fence| fence.demoted), Some(demote.reason));
    promote(&new.client_as(&old.token).await).await;
    wait_for("the demoted primary to keep its ledger", || async {
        old.status().await?.ledger.is_some_and(|ledger| ledger.kept).then_some(())
    })
    .await;
    let discard = DiscardRequest { all: true, reason: "known".into(), ..DiscardRequest::default() };
    assert_eq!(on_old.discard(PATH, &discard).await.expect("discarded").discarded.len(), 1);
    on_old.rejoin(PATH, &RejoinRequest::default()).await.expect("reviewed");
    wait_until_in_step(&new, &old).await;
    assert_eq!(old.status().await.expect("a status").role, Role::Standby);
}
