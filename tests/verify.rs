//! `replication verify` against real processes: a stored value of a standby changes on its disk while its node is down;
//! it is found, named and repaired while secrets are written.

mod support;

use std::path::Path;
use std::process::Command;
use support::writer::{Writer, preload};
use support::{BINARY, PATH, Region, connect, wait_for, wait_until_in_step};
use twinkeep::api::verification::{OwnDisk, Verification, VerifyOutcome};
use twinkeep::storage::{self, Engine, KeyRange, ScanLimit, Tree, WriteBatch};

/// Flips the last bit of one stored secret.
fn damage(directory: &Path) {
    let store = storage::open(directory, Engine::Fjall).expect("the node is down");
    // The records of KV versions: the largest kind.
    let pairs = store.scan(Tree::Data, &KeyRange::prefix(&[3]), ScanLimit::entries(8)).expect("read");
    let (key, value) = pairs.last().expect("secrets are stored").clone();
    let mut value = value.to_vec();
    *value.last_mut().expect("a value") ^= 1;
    let mut batch = WriteBatch::new();
    batch.put(Tree::Data, key, value);
    store.write(batch).expect("written");
    store.flush().expect("durable");
}

/// Until the standby was reached: on a busy machine it may be out of reach for so long that nothing is known of it.
async fn verified(region: &Region) -> (i32, Verification) {
    wait_for("a verification of the standby", || async {
        let said = verify(region, 0);
        (said.1.standbys[0].outcome != VerifyOutcome::Unchecked).then_some(said)
    })
    .await
}

fn verify(region: &Region, node: usize) -> (i32, Verification) {
    let mut command = Command::new(BINARY);
    command.args(["replication", "verify", "-replication-path=default", "-format=json"]);
    let node = &region.nodes[node];
    let out = command.env("VAULT_ADDR", &node.address).env("VAULT_TOKEN", &region.token).output().expect("it starts");
    let text = String::from_utf8_lossy(&out.stdout);
    let verification =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&out.stderr)));
    (out.status.code().expect("an exit code"), verification)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_changes_on_a_standbys_disk_is_found_named_and_repaired_while_secrets_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let primary = Region::start(folder.path(), "us-east-1", 1).await;
    let mut standby = Region::start(folder.path(), "eu-west-1", 1).await;
    preload(&primary, 200, 300).await;
    connect(&primary, &standby).await;
    wait_until_in_step(&primary, &standby).await;

    standby.nodes[0].signal("TERM");
    standby.nodes[0].wait();
    damage(&folder.path().join("eu-west-1/eu-west-1-0"));
    standby.nodes[0].start();
    standby.unseal(0).await;
    let writer = Writer::start(&primary);
    wait_for("the link to stream again", || async {
        let status = primary.status().await?;
        let link = status.links.first()?;
        (link.state.name() == "streaming" && link.received == link.applied).then_some(())
    })
    .await;
    let before = writer.acknowledged();
    let (exit, found) = verified(&primary).await;
    wait_for("writes to go on", || async { (writer.acknowledged() > before).then_some(()) }).await;
    let it = &found.standbys[0];
    assert_eq!((exit, it.outcome, it.name.as_str()), (0, VerifyOutcome::Repaired, "eu-west-1"), "{found:?}");
    assert_eq!((it.differing_buckets, it.differing_entries), (1, 1), "{found:?}");
    assert_eq!(it.prefixes.len(), 1, "{found:?}");
    assert!(it.prefixes[0].starts_with("secret/load/"), "{found:?}");
    assert_eq!(found.own_disk, OwnDisk::Sound);

    let (exit, again) = verified(&primary).await;
    assert_eq!((exit, again.standbys[0].outcome), (0, VerifyOutcome::Equal), "{again:?}");
    assert_ne!(again.id, found.id);
    writer.stop().await;
    wait_until_in_step(&primary, &standby).await;

    let refused = standby.client_as(&primary.token).await.verify(PATH).await.expect_err("a standby drives none");
    assert!(refused.to_string().contains("us-east-1"), "it names the primary: {refused}");
}
