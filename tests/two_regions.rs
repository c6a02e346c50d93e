//! Two regions of real processes on loopback, started from configuration files: the seed's story from the first init
//! to the fence, and the loss of leaders on either side while secrets are written.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use support::writer::{Writer, fields, preload};
use support::{BINARY, Node, PATH, Region, connect, free_port, init, promote, wait_for, wait_until_in_step};
use twinkeep::api::replication::{LinkState, PathStatus};
use twinkeep::api::seal::UnsealRequest;
use twinkeep::ids::Epoch;
use twinkeep::state::Role;

/// One of the seed's files, with free ports and a directory of the test's.
fn seed_node(folder: &Path, name: &str, ports: [u16; 2]) -> Node {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/seed").join(format!("{name}.hcl"));
    let text = fs::read_to_string(&fixture).expect("the seed's file");
    let text = text
        .replace("127.0.0.1:8200", &format!("127.0.0.1:{}", ports[0]))
        .replace("127.0.0.2:8200", &format!("127.0.0.2:{}", ports[1]))
        .replace("/vault/data", &folder.join(name).display().to_string());
    let file = folder.join(format!("{name}.hcl"));
    fs::write(&file, text).expect("a configuration file");
    let address = if name == "primary" { format!("127.0.0.1:{}", ports[0]) } else { format!("127.0.0.2:{}", ports[1]) };
    Node::new(name, &format!("http://{address}"), file)
}

/// Runs `twinkeep` against a node.
fn twinkeep(node: &Node, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).env("VAULT_ADDR", &node.address).env("VAULT_TOKEN", token);
    command.output().expect("the built binary starts")
}

fn succeeds(node: &Node, token: &str, arguments: &[&str]) -> String {
    let out = twinkeep(node, token, arguments);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{arguments:?}: {}\n{text}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    text
}

fn refused(node: &Node, token: &str, arguments: &[&str]) -> String {
    let out = twinkeep(node, token, arguments);
    assert!(!out.status.success(), "{arguments:?} was not refused: {}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// Initialises and unseals a node with two of three shares; its root token and the shares.
async fn open(node: &Node) -> (String, Vec<String>) {
    let made = init(node, 3, 2).await;
    unseal(node, &made.keys[..2]).await;
    (made.root_token, made.keys)
}

async fn unseal(node: &Node, shares: &[String]) {
    let client = node.client("");
    wait_for(&format!("{} to listen", node.name), || async { client.seal_status().await.ok() }).await;
    for share in shares {
        let request = UnsealRequest { key: Some(share.clone()), ..UnsealRequest::default() };
        client.unseal(&request).await.expect("a share of this region");
    }
    assert!(!client.seal_status().await.expect("a status").sealed);
}

async fn status(node: &Node) -> Option<PathStatus> {
    node.client("").path_status(PATH).await.ok()
}

async fn wait_until_writable(node: &Node) {
    wait_for(&format!("{} to take writes", node.name), || async { status(node).await?.writable.then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_files_and_commands_from_the_first_token_to_the_fence() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = [free_port(), free_port()];
    let (mut primary, mut standby) =
        (seed_node(folder.path(), "primary", ports), seed_node(folder.path(), "standby", ports));
    primary.start();
    standby.start();
    let (token, shares) = open(&primary).await;
    let (standby_token, standby_shares) = open(&standby).await;
    wait_until_writable(&primary).await;
    succeeds(&primary, &token, &["kv", "put", "secret/team/db", "password=s3cr3t"]);

    let on = "-replication-path=default";
    let made = succeeds(&standby, &standby_token, &["replication", "generate-token", on, "-format=json"]);
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    let activation = made["token"].as_str().expect("a token");
    let text = fs::read_to_string(&primary.config).expect("the primary's file");
    fs::write(&primary.config, text.replace("s.xxxxxxxxxxxxxxxxxxxxxxx", activation)).expect("its new token");
    primary.signal("HUP");
    wait_for("the standby to hold what the primary holds", || async {
        let (one, two) = (status(&primary).await?, status(&standby).await?);
        (two.role == Role::Standby && two.whole && one.applied == two.applied && one.merkle_root == two.merkle_root)
            .then_some(())
    })
    .await;
    // Written while it streams.
    succeeds(&primary, &token, &["kv", "put", "secret/team/db", "password=n3wer-s3cr3t"]);
    wait_for("the change to arrive", || async {
        let (one, two) = (status(&primary).await?, status(&standby).await?);
        (one.applied == two.applied && one.applied.index > 0).then_some(())
    })
    .await;
    let shown = succeeds(&standby, "", &["replication", "status", on, "-format=json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["role"], "standby");

    // A standby keeps clients' secrets to itself, and says where to go.
    let refusal = refused(&standby, &token, &["kv", "get", "secret/team/db"]);
    assert!(refusal.contains("vault-01") && refusal.contains(&primary.address), "{refusal}");

    // Where the plan's facts change before it is carried out, it refuses, and is asked again.
    wait_for("the seed's command to promote", || async {
        let out = twinkeep(&standby, &token, &["operator", "replicate-resume", on, "-accept-loss"]);
        (out.status.success() || status(&standby).await?.role == Role::Primary).then_some(())
    })
    .await;
    wait_until_writable(&standby).await;
    let read = succeeds(&standby, &token, &["kv", "get", "-field=password", "secret/team/db"]);
    assert_eq!(read.trim(), "n3wer-s3cr3t");
    succeeds(&standby, &token, &["kv", "put", "secret/team/db", "password=newest"]);

    // The old primary is alive: it hears of the new epoch, and follows, since nothing that it wrote is missing there.
    wait_for("the old primary to follow", || async { (status(&primary).await?.role == Role::Standby).then_some(()) })
        .await;
    let refusal = refused(&primary, &token, &["kv", "put", "secret/team/db", "password=late"]);
    assert!(refusal.contains("standby") && refusal.contains(&standby.address), "{refusal}");
    primary.signal("TERM");
    assert_eq!(primary.wait(), Some(0), "{}", primary.log_text());
    primary.start();
    unseal(&primary, &shares[..2]).await;
    let refusal = refused(&primary, &token, &["kv", "put", "secret/team/db", "password=late"]);
    assert!(refusal.contains("standby") && refusal.contains(&standby.address), "{refusal}");

    // The new primary keeps its own shares, and what it took over, across a restart.
    standby.kill();
    standby.start();
    unseal(&standby, &standby_shares[1..]).await;
    wait_until_writable(&standby).await;
    let read = succeeds(&standby, &token, &["kv", "get", "-field=password", "secret/team/db"]);
    assert_eq!(read.trim(), "newest");
    for node in [&primary, &standby] {
        let log = node.log_text();
        for secret in [activation, token.as_str(), standby_token.as_str(), "s3cr3t", "n3wer-s3cr3t"] {
            assert!(!log.contains(secret), "a secret is in the log of {}", node.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_was_dead_at_the_promotion_follows_when_it_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut primary, standby) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 1), Region::start(folder.path(), "eu-west-1", 1));
    connect(&primary, &standby).await;
    primary.client().await.kv_put("secret", "a", fields("1"), None).await.expect("a write");
    wait_until_in_step(&primary, &standby).await;
    primary.nodes[0].kill();
    // Nothing arrives any more, and that must show: what was known of the head ages, and the lag is unknown, not zero.
    wait_for("the standby to say that it does not hear its primary", || async {
        let status = standby.status().await?;
        let silent = status.links.iter().all(|link| link.state == LinkState::Connecting && link.lag.is_none());
        (silent && status.lag.is_none() && status.head.is_some()).then_some(())
    })
    .await;
    promote(&standby.client_as(&primary.token).await).await;
    primary.nodes[0].start();
    primary.unseal(0).await;
    wait_for("the old primary to follow the new one", || async {
        let status = primary.status().await?;
        (status.role == Role::Standby && status.epoch == Epoch(2)).then_some(())
    })
    .await;
    let late = primary.nodes[0].client(&primary.token).kv_put("secret", "a", fields("late"), None).await;
    let refusal = late.expect_err("a standby takes no writes").to_string();
    assert!(refusal.contains("eu-west-1"), "{refusal}");
}

/// No authority anywhere: nodes know each other by their region's key, regions by what the token carries.
#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_link_survives_the_loss_of_a_node_with_a_certificate_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let (primary, mut standby) = tokio::join!(
        Region::start_tls(folder.path(), "us-east-1", 1),
        Region::start_tls(folder.path(), "eu-west-1", 3)
    );
    connect(&primary, &standby).await;
    let client = primary.client().await;
    client.kv_put("secret", "a", fields("before"), None).await.expect("a write");
    wait_until_in_step(&primary, &standby).await;
    let leader = standby.leader().await;
    standby.nodes[leader].kill();
    client.kv_put("secret", "a", fields("after"), None).await.expect("a write");
    wait_until_in_step(&primary, &standby).await;
    let links = standby.status().await.expect("a status").links;
    assert!(links.iter().all(|link| link.tls), "{links:?}");
    // A follower forwards over TLS as well.
    promote(&standby.client_as(&primary.token).await).await;
    let left = (0..3).filter(|number| *number != leader);
    for number in left {
        let client = standby.nodes[number].client(&primary.token);
        let read = wait_for("a read", || async { client.kv_get("secret", "a", None).await.ok() }).await;
        assert_eq!(read.and_then(|read| read.data), Some(fields("after")));
    }
}

/// Which leader is lost.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Primary,
    Standby,
}

/// When it is lost.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    FullSync,
    Streaming,
}

/// Two regions of three nodes; one leader is killed at the worst moment, with a writer at work. Another takes over, the
/// sync goes on, and what was acknowledged is there: on the primary, and on the standby after its promotion.
async fn a_leader_is_lost(side: Side, moment: Moment) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut primary, mut standby) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 3), Region::start(folder.path(), "eu-west-1", 3));
    // Enough that a sync can be caught in the middle.
    let count = if moment == Moment::FullSync { 160 } else { 20 };
    preload(&primary, count, 128 << 10).await;
    let writer = Writer::start(&primary);
    connect(&primary, &standby).await;
    match moment {
        Moment::FullSync => {
            wait_for("a full sync that is under way", || async {
                let status = standby.status().await?;
                // Or one that went by between two looks.
                let over = status.role == Role::Standby && status.whole && status.entries > 0;
                (over || status.sync?.entries_done > 0).then_some(())
            })
            .await;
        }
        Moment::Streaming => {
            wait_for("the link to stream", || async {
                let whole = standby.status().await?.whole;
                let streams = primary.status().await?.links.iter().any(|link| link.state == LinkState::Streaming);
                (whole && streams).then_some(())
            })
            .await;
        }
    }
    let lost = match side {
        Side::Primary => &mut primary,
        Side::Standby => &mut standby,
    };
    let leader = lost.leader().await;
    lost.nodes[leader].kill();
    let acknowledged = writer.acknowledged();
    wait_for("another node to lead", || async {
        lost.status().await?.nodes.iter().any(|node| node.leader).then_some(())
    })
    .await;
    wait_for("writes to go on", || async { (writer.acknowledged() > acknowledged + 20).then_some(()) }).await;
    let written = writer.stop().await;
    wait_until_in_step(&primary, &standby).await;
    written.expect_all(&primary.client().await).await;

    let token = primary.token.clone();
    promote(&standby.client_as(&token).await).await;
    written.expect_all(&standby.client_as(&token).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primarys_leader_is_lost_during_a_full_sync() {
    a_leader_is_lost(Side::Primary, Moment::FullSync).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standbys_leader_is_lost_during_a_full_sync() {
    a_leader_is_lost(Side::Standby, Moment::FullSync).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primarys_leader_is_lost_while_it_streams() {
    a_leader_is_lost(Side::Primary, Moment::Streaming).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standbys_leader_is_lost_while_it_streams() {
    a_leader_is_lost(Side::Standby, Moment::Streaming).await;
}

/// Kills every node of a region.
fn kill_all(region: &mut Region) {
    region.nodes.iter_mut().for_each(Node::kill);
}

async fn start_all(region: &mut Region) {
    region.nodes.iter_mut().for_each(Node::start);
    for number in 0..region.nodes.len() {
        region.unseal(number).await;
    }
}

/// A region that just restarted may not know its links yet.
async fn wait_until_closed(region: &Region, words: &[&str]) {
    wait_for(&format!("{} to say that it is closed: {words:?}", region.name), || async {
        let closed = region.status().await?.closed?;
        words.iter().all(|word| closed.contains(word)).then_some(())
    })
    .await;
}

/// The old region comes back while the link is cut: it must not take a single write. Then they meet.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_region_that_restarts_takes_no_writes_before_it_knows_that_it_was_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut primary, mut standby) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 3), Region::start(folder.path(), "eu-west-1", 1));
    connect(&primary, &standby).await;
    primary.client().await.kv_put("secret", "a", fields("1"), None).await.expect("a write");
    wait_until_in_step(&primary, &standby).await;

    // With the standby up it opens by itself.
    kill_all(&mut primary);
    start_all(&mut primary).await;
    wait_for("the restarted region to open", || async { primary.status().await?.writable.then_some(()) }).await;
    wait_for("a write after the restart", || async {
        primary.client().await.kv_put("secret", "a", fields("2"), None).await.ok()
    })
    .await;
    wait_until_in_step(&primary, &standby).await;

    // Dead, and replaced; then the new primary is cut off (here: down), so that nobody tells the old one.
    kill_all(&mut primary);
    promote(&standby.client_as(&primary.token).await).await;
    standby.nodes[0].kill();
    start_all(&mut primary).await;
    wait_until_closed(&primary, &["eu-west-1", "replication open -reason"]).await;
    for _ in 0..3 {
        wait_for("the refusal of a write", || async {
            let late = primary.client().await.kv_put("secret", "a", fields("late"), None).await;
            let refusal = late.expect_err("nothing is acknowledged").to_string();
            (refusal.contains("503") && refusal.contains("takes no writes yet")).then_some(())
        })
        .await;
    }
    let client = primary.client().await;
    let read = wait_for("reads to go on", || async { client.kv_get("secret", "a", None).await.ok() }).await;
    assert_eq!(read.and_then(|read| read.data), Some(fields("2")));
    wait_for("the status to say who has not confirmed", || async {
        let shown = succeeds(&primary.nodes[0], "", &["replication", "status", "-replication-path=default"]);
        (shown.contains("takes no writes") && shown.contains("eu-west-1 has not confirmed")).then_some(())
    })
    .await;

    standby.nodes[0].start();
    standby.unseal(0).await;
    wait_for("the old region to follow", || async { (primary.status().await?.role == Role::Standby).then_some(()) })
        .await;
    // The new one restarted as well: the old one, which follows it, confirms it.
    wait_for("the new region to open", || async { standby.status().await?.writable.then_some(()) }).await;
}

/// Nodes restart one after the other, and the operator opens a region whose standby is gone.
#[tokio::test(flavor = "multi_thread")]
async fn restarting_nodes_one_by_one_closes_nothing_and_an_operator_can_open_a_closed_region() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut primary, mut standby) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 3), Region::start(folder.path(), "eu-west-1", 1));
    connect(&primary, &standby).await;
    wait_until_in_step(&primary, &standby).await;
    standby.nodes[0].kill();
    let writer = Writer::start(&primary);
    for number in 0..3 {
        let before = writer.acknowledged();
        wait_for("writes to go on", || async { (writer.acknowledged() > before + 5).then_some(()) }).await;
        primary.restart(number).await;
        primary.wait_for_voters(3).await;
        wait_for("every node to know that its region is open", || async {
            let nodes = primary.status().await?.nodes;
            nodes.iter().all(|node| node.saw_open == Some(true) && node.sealed == Some(false)).then_some(())
        })
        .await;
        assert_eq!(primary.status().await.expect("a status").closed, None);
    }
    let written = writer.stop().await;
    written.expect_all(&primary.client().await).await;

    kill_all(&mut primary);
    start_all(&mut primary).await;
    wait_until_closed(&primary, &["eu-west-1"]).await;
    let token = primary.token.clone();
    let refusal = refused(&primary.nodes[0], &token, &["replication", "open", "-reason= "]);
    assert!(refusal.contains("say why"), "{refusal}");
    succeeds(&primary.nodes[0], &token, &["replication", "open", "-reason=eu-west-1 burnt down"]);
    wait_for("a write", || async { primary.client().await.kv_put("secret", "a", fields("open"), None).await.ok() })
        .await;
    // Whoever led then tells of it.
    wait_for("the reason among the events", || async {
        for node in &primary.nodes {
            let events = node.client("").events(PATH, 0).await.unwrap_or_default();
            if events.iter().any(|event| event.text.contains("eu-west-1 burnt down")) {
                return Some(());
            }
        }
        None
    })
    .await;
}
