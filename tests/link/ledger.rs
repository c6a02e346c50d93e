//! A region that left its line: what the new primary takes of its ledger and what not, and the way back without a link.

use super::region::{Region, Wire, until_in_step};
use super::{linked, promote};
use twinkeep::api::ledger::{AcceptEntry, AcceptOutcome, AcceptRequest, DiscardRequest, ExportedOp, RejoinRequest};
use twinkeep::api::replication::TokenRequest;
use twinkeep::clock::UnixMs;
use twinkeep::consensus::Consensus;
use twinkeep::ids::{Epoch, Position};
use twinkeep::state::{Class, Command, LedgerHead, PathChange, RegionChange, Role};

/// An old primary that wrote alone, and met the one that was promoted meanwhile.
async fn met_again() -> (Region, Region) {
    let (old, new) = linked().await;
    new.wire(|_| Wire::Lose);
    for key in ["one", "both", "gone"] {
        old.write(key, "theirs").await.expect("acknowledged, and never sent over");
    }
    promote(&new, true).await;
    new.wire(|_| Wire::Pass);
    old.until_path(|path| path.ledger.as_ref().is_some_and(|ledger| ledger.is_kept())).await;
    (old, new)
}

fn put(key: &str, value: &str) -> Vec<ExportedOp> {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    vec![ExportedOp::Put { key: encode(key), value: encode(value) }]
}

fn request(head: &LedgerHead, entries: &[(u64, &str, &str)]) -> AcceptRequest {
    let entry = |(number, key, value): &(u64, &str, &str)| AcceptEntry {
        position: Position::new(head.reached.epoch, head.fork.index + number),
        class: Class::KvWrite,
        ops: put(key, value),
        overwrite: false,
    };
    AcceptRequest {
        region: twinkeep::ids::RegionId([1; 16]),
        number: head.number,
        line: head.line.clone(),
        fork: head.fork,
        entries: entries.iter().map(entry).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_takes_what_nothing_newer_stands_against_and_takes_it_once() {
    let (old, new) = met_again().await;
    let head = old.state.ledger_head(1).expect("readable").expect("a ledger");
    new.write("both", "ours").await.expect("a write");
    let asked =
        request(&head, &[(1, "one", "theirs"), (2, "both", "theirs"), (3, "both", "later"), (4, "x", "unreadable")]);
    let answer = new.face().accept(asked.clone()).await.expect("an answer");
    let [AcceptOutcome::Replayed { position }, conflict, later, AcceptOutcome::Refused { why }] = &answer.outcomes[..]
    else {
        panic!("{answer:?}")
    };
    assert!(why.contains("a key that this region does not hold"), "{why}");
    for outcome in [conflict, later] {
        let AcceptOutcome::Conflict { conflicts } = outcome else { panic!("{answer:?}") };
        assert!(conflicts[0].position.is_some() && conflicts[0].at.is_some(), "{conflicts:?}");
    }
    assert_eq!(new.state.data(b"both").expect("readable").expect("there").value, "ours");

    // Again, after a lost answer: nothing is written. So it is if another region's ledger has the same write.
    let applied = new.state.path().applied;
    assert_eq!(new.face().accept(asked).await.expect("an answer"), answer);
    let other = AcceptRequest { number: 7, ..request(&head, &[(1, "one", "theirs")]) };
    let there = new.face().accept(other).await.expect("an answer");
    assert_eq!(there.outcomes, [AcceptOutcome::Replayed { position: *position }]);
    assert_eq!(new.state.path().applied, applied);

    // Once the log does not reach back to the fork, what is not there may have been deleted since.
    let below = applied.index + 1;
    new.consensus.propose(Command::TrimWal { below }).await.expect("trimmed");
    let answer = new.face().accept(request(&head, &[(5, "absent", "theirs")])).await.expect("an answer");
    let [AcceptOutcome::Conflict { conflicts }] = &answer.outcomes[..] else { panic!("{answer:?}") };
    assert_eq!(conflicts[0].position, None, "not known");
    let mut over = request(&head, &[(5, "absent", "theirs")]);
    over.entries[0].overwrite = true;
    let answer = new.face().accept(over).await.expect("an answer");
    assert!(matches!(answer.outcomes[..], [AcceptOutcome::Replayed { .. }]), "{answer:?}");
    let refused = old.face().accept(request(&head, &[(1, "one", "theirs")])).await;
    assert!(refused.is_err(), "a fenced region takes nothing");
}

/// A ledger that is still being written looked like an empty one: a replay of “all” right after the fence did nothing.
#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_ledger_is_not_reviewed_before_all_is_in_it() {
    let (old, new) = linked().await;
    new.wire(|_| Wire::Lose);
    old.write("one", "theirs").await.expect("acknowledged, and never sent over");
    let fence = PathChange::Fence { by_epoch: Epoch(2), at: UnixMs(1), primary: None };
    old.consensus
        .propose(Command::Region(RegionChange { path: Some(fence), ..RegionChange::default() }))
        .await
        .expect("fenced");
    let discard = DiscardRequest { all: true, reason: "of no use".into(), ..DiscardRequest::default() };
    let early = old.face().discard(discard).await.expect_err("nobody knows what only it holds").to_string();
    assert!(early.contains("does not hold all"), "{early}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_region_without_a_link_comes_back_by_a_token() {
    let (old, new) = met_again().await;
    let needless = old.face().generate_token(TokenRequest { force: true, ..TokenRequest::default() }).await;
    let needless = needless.expect_err("the new primary reaches it already").to_string();
    assert!(needless.contains("replication rejoin"), "{needless}");
    new.face().disconnect("us-east-1").await.expect("disconnected");
    old.face().disconnect("eu-west-1").await.expect("disconnected");
    let token = old.face().generate_token(TokenRequest::default()).await.expect("a token").token;
    new.connect(&token).await.expect("connected");

    // As with a link of old: its operator looks first.
    let refused = old.face().rejoin(RejoinRequest::default()).await.expect_err("nobody looked").to_string();
    assert!(refused.contains("nobody reviewed: 3"), "{refused}");
    let discard = DiscardRequest { all: true, reason: "of no use".into(), ..DiscardRequest::default() };
    assert_eq!(old.face().discard(discard).await.expect("discarded").discarded.len(), 3);
    old.face().rejoin(RejoinRequest::default()).await.expect("reviewed");
    old.until_path(|path| path.role == Role::Standby).await;
    until_in_step(&new, &old).await;
}
