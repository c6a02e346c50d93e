//! Nodes that join and leave while clients write.

use super::region::Region;
use crate::consensus::raft::Suffrage;
use crate::consensus::{Consensus, Member};
use crate::error::Error;
use crate::ids::NodeId;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_join_and_leave_under_load() {
    const WRITERS: usize = 8;
    let mut region = Region::of(3).await;
    for name in ["d", "e"] {
        region.start(name).await;
    }
    let done = AtomicBool::new(false);
    let written = AtomicUsize::new(0);
    let writer = |writer: usize| {
        let (region, done, written) = (&region, &done, &written);
        async move {
            let mut keys = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let key = format!("{writer}-{}", keys.len());
                region.write(&key, "value").await;
                keys.push(key);
                written.fetch_add(1, Ordering::Relaxed);
            }
            keys
        }
    };
    let changes = async {
        for _ in 0..3 {
            for name in ["d", "e"] {
                region.join(name).await;
                progress(&written).await;
            }
            for name in ["d", "e"] {
                region.leave(name).await;
                progress(&written).await;
            }
        }
        done.store(true, Ordering::Relaxed);
    };
    let (keys, ()) = futures::future::join(futures::future::join_all((0..WRITERS).map(writer)), changes).await;

    let members: Vec<String> = region.leader().await.raft.standing().borrow().members.values().map(name_of).collect();
    assert_eq!(members.len(), 3, "{members:?}");
    for name in ["d", "e"] {
        region.crash(name).await;
    }
    region.agree().await;
    for node in region.nodes.values() {
        assert!(keys.iter().flatten().all(|key| node.value(key).is_some()), "on {}", node.name);
    }
    region.shutdown().await;
}

fn name_of(member: &Member) -> String {
    member.name.clone()
}

/// Waits until the writers have come on.
async fn progress(written: &AtomicUsize) {
    let before = written.load(Ordering::Relaxed);
    while written.load(Ordering::Relaxed) < before + 16 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_hangs_can_be_removed_and_holds_nobody_up() {
    let region = Region::of(3).await;
    let leader = region.leader().await.name.clone();
    let hung = region.nodes.keys().find(|name| **name != leader).expect("there are three").clone();
    region.mesh.mute(&hung);
    region.write("hung", "value").await;
    region.leave(&hung).await;
    region.write("left", "value").await;
    assert_eq!(region.leader().await.raft.standing().borrow().members.len(), 2);
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_removed_is_followed_by_another() {
    let region = Region::of(3).await;
    region.write("before", "value").await;
    let old = region.leader().await.name.clone();
    region.leave(&old).await;
    region.write_among("after", "value", |name| name != old).await;
    let new = region.leader_among(|name| name != old).await;
    assert!(new.value("before").is_some() && new.value("after").is_some());
    assert_eq!(new.raft.standing().borrow().members.len(), 2);
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_moves_is_known_at_its_new_address() {
    let region = Region::of(3).await;
    let leader = region.leader().await;
    let moved = region.nodes.values().find(|node| node.name != leader.name).expect("there are three");
    let member = Member { name: moved.name.clone(), api_addr: "elsewhere".into(), ..Member::default() };
    leader.raft.add_node(moved.id(), member, Suffrage::Voter).await.expect("its address changes");
    let mut standing = leader.raft.standing();
    let known = standing.wait_for(|standing| standing.members[&moved.id()].api_addr == "elsewhere").await;
    assert!(known.expect("it runs").members[&moved.id()].voter);
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_catches_up_keeps_nobody_from_being_removed() {
    let region = Region::of(3).await;
    let leader = region.leader().await;
    let gone = region.nodes.values().find(|node| node.name != leader.name).expect("there are three").id();
    let lost = Member { name: "lost".into(), api_addr: "nowhere".into(), ..Member::default() };
    let mut joining = Box::pin(leader.raft.add_node(NodeId::of("lost"), lost, Suffrage::Voter));
    let mut standing = leader.raft.standing();
    let known = standing.wait_for(|standing| standing.members.contains_key(&NodeId::of("lost")));
    tokio::select! {
        _ = &mut joining => panic!("nobody is there to catch up"),
        known = known => drop(known.expect("it runs")),
    }
    tokio::select! {
        _ = &mut joining => panic!("nobody is there to catch up"),
        removed = leader.raft.remove_node(gone) => removed.expect("removed meanwhile"),
    }
    drop(joining);
    region.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_member_and_who_is_the_last_can_t_be_removed() {
    let region = Region::of(1).await;
    let only = region.leader().await;
    assert!(matches!(only.raft.remove_node(NodeId::of("nobody")).await, Err(Error::NotFound(_))));
    assert!(matches!(only.raft.remove_node(only.id()).await, Err(Error::Conflict(_))));
    region.shutdown().await;
}
