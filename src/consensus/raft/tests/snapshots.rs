//! Nodes that need a snapshot, since the log they miss is gone.

use super::region::Region;
use crate::consensus::Consensus;
use crate::consensus::raft::{Stretch, Timing};

/// A log so short that a node that misses a few dozen writes needs a snapshot.
fn short_log() -> Timing {
    let mut timing = Timing::fast();
    timing.log = Stretch { entries: 10, bytes: 1 << 20 };
    timing
}

/// Writes one by one until the leader has purged its log beyond where it stood.
async fn write_until_purged(region: &Region) {
    let began = region.leader().await.raft.standing().borrow().last_log_index;
    let mut at = 0;
    while region.leader().await.raft.purged_index() < began {
        region.write(&format!("filler-{at}"), &"x".repeat(10_000)).await;
        at += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joins_late_gets_a_snapshot() {
    let mut region = Region::with(1, short_log()).await;
    region.write("early", "value").await;
    write_until_purged(&region).await;
    region.start("b").await;
    region.join("b").await;
    region.agree().await;
    let joined = &region.nodes["b"];
    assert!(joined.value("early").is_some());
    assert!(joined.raft.purged_index() > 0, "the log before it never came");
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lags_far_behind_gets_a_snapshot_and_keeps_it_through_a_power_cut() {
    let mut region = Region::with(3, short_log()).await;
    region.write("early", "value").await;
    region.agree().await;
    let leader = region.leader().await.name.clone();
    let lagging = region.nodes.keys().find(|name| **name != leader).expect("there are three").clone();
    region.crash(&lagging).await;
    region.write("missed", "value").await;
    write_until_purged(&region).await;
    write_until_purged(&region).await;

    region.start(&lagging).await;
    region.agree().await;
    assert!(region.nodes[&lagging].value("missed").is_some());
    region.crash(&lagging).await;
    region.start(&lagging).await;
    region.agree().await;
    assert!(region.nodes[&lagging].value("missed").is_some());
    region.shutdown().await;
}
