//! A node that wants to join must hold the region's unseal key.

use super::*;
use crate::error::Error;
use crate::secrets::join::Joiner;
use crate::storage::keys::Key;

const ME: Joiner = Joiner { name: "vault-02", api_addr: "http://127.0.0.1:8202" };

#[tokio::test]
async fn who_has_the_shares_gets_the_raft_key() {
    let leader = Fixture::open().await;
    let (joiner, ..) = blank(SealKind::Shamir);
    let (challenge, nonce) = leader.vault.join_challenge().unwrap();
    assert!(matches!(joiner.join_answer(&challenge, ME), Err(Error::Sealed)));
    joiner.join_expect(&challenge).unwrap();
    for key in &leader.keys[1..4] {
        joiner.unseal(key).unwrap();
    }
    assert!(!joiner.is_sealed());
    let (answer, kept) = joiner.join_answer(&challenge, ME).unwrap();
    let reply = leader.vault.join_admit(nonce, ME, &answer).unwrap();
    let raft_key = joiner.join_raft_key(&kept, &reply).unwrap();
    let of_leader = leader.consensus.state().store().get(Key::RaftKey.tree(), &Key::RaftKey.to_bytes()).unwrap();
    assert_eq!(raft_key.as_slice(), of_leader.unwrap().as_ref());
}

#[tokio::test]
async fn an_answer_is_good_for_one_nonce_and_one_joiner() {
    let leader = Fixture::open().await;
    let answer_to = |challenge, joiner| leader.vault.join_answer(challenge, joiner).unwrap().0;
    let denied = |nonce, joiner, answer| {
        assert!(matches!(leader.vault.join_admit(nonce, joiner, answer), Err(Error::PermissionDenied)));
    };
    let (challenge, nonce) = leader.vault.join_challenge().unwrap();
    let answer = answer_to(&challenge, ME);
    denied(leader.vault.join_challenge().unwrap().1, ME, &answer);
    denied(nonce, Joiner { api_addr: "http://evil", ..ME }, &answer);
}

#[tokio::test]
async fn a_joiner_of_another_region_has_no_answer() {
    let (leader, stranger) = (Fixture::open().await, Fixture::open().await);
    let (challenge, _) = leader.vault.join_challenge().unwrap();
    assert!(matches!(stranger.vault.join_answer(&challenge, ME), Err(Error::Invalid(_))));
    let (joiner, ..) = blank(SealKind::File("unseal.key".into()));
    assert!(matches!(joiner.join_expect(&challenge), Err(Error::Invalid(_))), "its seal must be of the same kind");
}
