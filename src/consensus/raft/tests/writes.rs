//! Writes and reads of a region that is well.

use super::region::{Region, put};
use crate::consensus::Consensus;
use crate::error::Error;
use crate::ids::Position;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_starts_a_region_and_keeps_what_it_acknowledged_through_a_power_cut() {
    let mut region = Region::of(1).await;
    let position = region.write("key", "value").await;
    region.crash("a").await;
    region.start("a").await;
    let leader = region.leader().await;
    assert_eq!(leader.value("key").as_deref(), Some(b"value".as_slice()));
    assert_eq!(leader.raft.state().path().applied, position);
    assert!(matches!(leader.raft.initialise().await, Err(Error::Conflict(_))));
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_concurrent_writes_gets_its_own_position() {
    const WRITES: usize = 400;
    let region = Region::of(3).await;
    let leader = region.leader().await;
    let log_before = leader.raft.standing().borrow().last_log_index;
    let term = leader.raft.lead_term().expect("it leads");
    let writes = (0..WRITES).map(|at| leader.raft.write(term, put(&format!("key-{at}"), &at.to_string())));
    let positions = futures::future::try_join_all(writes).await.expect("all are acknowledged");
    let distinct: BTreeSet<Position> = positions.iter().copied().collect();
    assert_eq!(distinct.len(), WRITES);
    for (at, position) in positions.iter().enumerate() {
        let stored = leader.raft.state().data(format!("key-{at}").as_bytes()).expect("readable").expect("written");
        assert_eq!(stored.position, *position);
        assert_eq!(stored.value, at.to_string());
    }
    let entries = leader.raft.standing().borrow().last_log_index - log_before;
    assert!(entries < WRITES as u64 / 4, "{WRITES} concurrent writes took {entries} log entries");
    region.agree().await;
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_are_acknowledged_never_close_their_term() {
    let region = Region::of(1).await;
    let leader = region.leader().await;
    let writer = |writer: usize| {
        let raft = leader.raft.clone();
        tokio::spawn(async move {
            for at in 0..100 {
                let term = raft.lead_term().expect("no outcome is open");
                raft.write(term, put(&format!("{writer}-{at}"), "value")).await.expect("it is acknowledged");
            }
        })
    };
    futures::future::try_join_all((0..8).map(writer)).await.expect("no writer panics");
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_leader_writes_and_confirms_reads() {
    let region = Region::of(3).await;
    region.write("key", "value").await;
    let leader = region.leader().await;
    leader.raft.read_barrier().await.expect("a majority answers");
    for follower in region.nodes.values().filter(|node| node.name != leader.name) {
        assert!(matches!(follower.raft.lead_term(), Err(Error::Unavailable(_) | Error::NotLeader(_))));
        assert!(matches!(follower.raft.read_barrier().await, Err(Error::Unavailable(_) | Error::NotLeader(_))));
        assert!(matches!(
            follower.raft.write(1, put("key", "other")).await,
            Err(Error::Unavailable(_) | Error::NotLeader(_))
        ));
    }
    region.agree().await;
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_evaluated_in_an_earlier_term_is_not_made() {
    let region = Region::of(1).await;
    let leader = region.leader().await;
    let term = leader.raft.lead_term().expect("it leads");
    let refused = leader.raft.write(term - 1, put("key", "stale")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_) | Error::NotLeader(_))));
    assert_eq!(leader.value("key"), None);
    region.shutdown().await;
}
