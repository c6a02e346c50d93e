//! Leaders that die, stall or are cut off.

use super::region::{Region, put};
use crate::consensus::Consensus;
use crate::consensus::raft::Timing;
use crate::error::Error;
use crate::ids::NodeId;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_a_leader_loses_no_acknowledged_write() {
    let mut region = Region::of(3).await;
    for round in 0..3 {
        for at in 0..20 {
            region.write(&format!("{round}-{at}"), "value").await;
        }
        let leader = region.leader().await.name.clone();
        region.crash(&leader).await;
        region.write(&format!("{round}-after"), "value").await;
        region.start(&leader).await;
    }
    region.agree().await;
    for node in region.nodes.values() {
        for round in 0..3 {
            for at in 0..20 {
                assert!(node.value(&format!("{round}-{at}")).is_some(), "{round}-{at} on {}", node.name);
            }
            assert!(node.value(&format!("{round}-after")).is_some());
        }
    }
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_loses_power_keeps_what_it_acknowledged() {
    let mut region = Region::of(3).await;
    for at in 0..20 {
        region.write(&at.to_string(), "value").await;
    }
    for name in ["a", "b", "c"] {
        region.crash(name).await;
    }
    for name in ["a", "b", "c"] {
        region.start(name).await;
    }
    region.agree().await;
    for node in region.nodes.values() {
        assert!((0..20).all(|at| node.value(&at.to_string()).is_some()), "on {}", node.name);
    }
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_acknowledges_nothing_and_catches_up_when_it_is_back() {
    let mut timing = Timing::fast();
    timing.deadline = Duration::from_secs(2);
    let region = Region::with(3, timing).await;
    region.write("before", "value").await;
    let old = region.leader().await;
    let old_term = old.raft.lead_term().expect("it leads");
    region.mesh.isolate(&old.name);

    let lost = old.raft.write(old_term, put("lost", "value")).await;
    assert!(matches!(lost, Err(Error::Unknown(_))), "{lost:?}");
    assert!(matches!(old.raft.read_barrier().await, Err(Error::Unavailable(_) | Error::NotLeader(_))));
    region.write_among("during", "value", |name| name != old.name).await;

    region.mesh.heal();
    region.agree().await;
    for node in region.nodes.values() {
        assert!(node.value("before").is_some() && node.value("during").is_some());
        assert_eq!(node.value("lost"), None, "the majority never had it");
    }
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_log_gives_waiting_writes_an_error_at_their_deadline() {
    let mut timing = Timing::fast();
    timing.deadline = Duration::from_millis(500);
    let region = Region::with(1, timing).await;
    let node = region.leader().await;
    let term = node.raft.lead_term().expect("it leads");
    node.store.stall();

    let writes: Vec<String> = (0..20).map(|at| at.to_string()).collect();
    let waiting = writes.iter().map(|key| node.raft.write(term, put(key, "value")));
    for outcome in futures::future::join_all(waiting).await {
        assert!(matches!(outcome, Err(Error::Unknown(_) | Error::Unavailable(_) | Error::NotLeader(_))), "{outcome:?}");
    }
    assert!(
        matches!(node.raft.lead_term(), Err(Error::Unavailable(_) | Error::NotLeader(_))),
        "a write's outcome is open"
    );

    node.store.release();
    region.write("after", "value").await;
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_log_stalls_is_replaced() {
    let region = Region::of(3).await;
    let stalled = region.leader().await;
    let term = stalled.raft.lead_term().expect("it leads");
    stalled.store.stall();
    // The core of openraft notices with the next entry.
    let raft = stalled.raft.clone();
    let waiting = tokio::spawn(async move { raft.write(term, put("waiting", "value")).await });
    region.write_among("during", "value", |name| name != stalled.name).await;
    stalled.store.release();
    region.agree().await;
    assert!(region.nodes.values().all(|node| node.value("during").is_some()));
    let outcome = waiting.await.expect("it does not panic");
    let made = region.leader().await.value("waiting").is_some();
    assert!(!matches!(outcome, Err(Error::Unavailable(_) | Error::NotLeader(_))) || !made, "{outcome:?}, made: {made}");
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_given_up_closes_its_term_until_its_outcome_is_known() {
    let region = Region::of(1).await;
    let node = region.leader().await;
    let term = node.raft.lead_term().expect("it leads");
    node.store.stall();
    {
        // Its request is dropped while it waits for the disk.
        let write = node.raft.write(term, put("dropped", "value"));
        let mut write = std::pin::pin!(write);
        while !node.store.is_waited_for() {
            assert!(futures::poll!(&mut write).is_pending());
            tokio::task::yield_now().await;
        }
    }
    assert!(matches!(node.raft.lead_term(), Err(Error::Unavailable(_) | Error::NotLeader(_))));
    node.store.release();
    region.write("next", "value").await;
    assert!(node.value("dropped").is_some(), "it was applied before the next was evaluated");
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_steps_down_is_followed_by_another() {
    let region = Region::of(3).await;
    region.write("before", "value").await;
    let old = region.leader().await;
    old.raft.step_down().await.expect("another takes over");
    assert!(matches!(old.raft.lead_term(), Err(Error::Unavailable(_) | Error::NotLeader(_))));
    let new = region.leader_among(|name| name != old.name).await;
    assert!(new.value("before").is_some());
    region.write("after", "value").await;
    region.agree().await;
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_hands_over_to_the_node_it_is_told_and_back_again() {
    let region = Region::of(3).await;
    for name in ["b", "c", "a"] {
        region.write(name, "value").await;
        let successor = &region.nodes[name];
        // Another may win the election if the machine is busy; then it is asked in turn.
        while region.leader().await.name != name {
            let handed_over = region.leader().await.raft.hand_over(successor.id()).await;
            assert!(
                matches!(handed_over, Ok(()) | Err(Error::Unavailable(_) | Error::NotLeader(_))),
                "{handed_over:?}"
            );
        }
        assert!(successor.value(name).is_some());
    }
    let stranger = region.leader().await.raft.hand_over(NodeId::of("stranger")).await;
    assert!(matches!(stranger, Err(Error::Invalid(_))));
    region.agree().await;
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_successor_does_not_answer_is_followed_by_a_third() {
    let region = Region::of(3).await;
    region.write("key", "value").await;
    let old = region.leader().await;
    let mute = region.nodes.values().find(|node| node.name != old.name).expect("there are three");
    region.mesh.mute(&mute.name);
    // What is asked for meanwhile is not turned away: it waits until there is another leader to send it to.
    let asked_meanwhile = async {
        old.raft.stepping_down.subscribe().wait_for(|leaving| *leaving).await.expect("it runs");
        let refusal = old.raft.read_barrier().await.expect_err("it leads no more");
        assert!(old.raft.standing.borrow().leader.is_some_and(|leader| leader != old.id()), "{refusal}");
    };
    let (handed_over, ()) = tokio::join!(old.raft.hand_over(mute.id()), asked_meanwhile);
    handed_over.expect("the third takes over");
    region.leader_among(|name| name != old.name).await;
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_voter_does_not_step_down() {
    let region = Region::of(1).await;
    assert!(matches!(region.leader().await.raft.step_down().await, Err(Error::Conflict(_))));
    region.write("key", "value").await;
    region.shutdown().await;
}
