//! The credential of a link is renewed while the link is in use, and either side can be promoted at any moment of it.

use super::region::{Region, Wire, until, until_in_step};
use super::{linked, promote};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use twinkeep::clock::UnixMs;
use twinkeep::consensus::Consensus;
use twinkeep::replication::credential::Credential;
use twinkeep::replication::crypto::Secret;
use twinkeep::replication::link_record::{self, LinkRecord};
use twinkeep::state::{Command, Outcome};

fn link(region: &Region) -> LinkRecord {
    link_record::list(&region.state).expect("links").pop().expect("a link")
}

fn secrets(region: &Region) -> Vec<Secret> {
    link(region).credential.expect("an activated link").accepted().cloned().collect()
}

/// As if the link had been made long ago.
async fn age(region: &Region) -> Secret {
    let before = link(region);
    let secret = before.credential.clone().expect("an activated link").current().clone();
    let next = LinkRecord { credential: Some(Credential::new(secret.clone(), UnixMs(0))), ..before.clone() };
    let change = link_record::replacement(Some(&before), &next).expect("a change");
    assert_eq!(region.consensus.propose(Command::Region(change)).await.expect("applied"), Outcome::Changed);
    secret
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_renewed_while_the_link_is_in_use() {
    let (primary, standby) = linked().await;
    let old = age(&primary).await;
    let new = until(async || secrets(&primary).first().filter(|secret| **secret != old).cloned()).await;
    primary.fill(50, 100).await;
    until_in_step(&primary, &standby).await;
    until(async || (secrets(&standby).first() == Some(&new)).then_some(())).await;
    for region in [&primary, &standby] {
        until(async || region.face().events(0).iter().any(|event| event.text.contains("credential")).then_some(()))
            .await;
        assert_eq!(secrets(region), [new.clone(), old.clone()], "what is on its way is still understood");
    }
    // The other way round, with what was renewed.
    promote(&standby, true).await;
    standby.write("key/000001", "changed").await.expect("the promoted region takes writes");
    until_in_step(&standby, &primary).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_promoted_amid_a_renewal_is_understood() {
    let (primary, standby) = linked().await;
    // The standby agrees on what it is offered, and no answer comes back.
    let lost = Arc::new(AtomicBool::new(true));
    let wire_lost = lost.clone();
    standby.wire(move |kind| match kind == "news" && wire_lost.load(Ordering::Relaxed) {
        true => Wire::LoseAnswer,
        false => Wire::Pass,
    });
    let old = age(&primary).await;
    let offered = until(async || secrets(&standby).get(1).cloned()).await;
    assert_eq!(secrets(&primary), [old, offered.clone()]);
    promote(&standby, true).await;
    lost.store(false, Ordering::Relaxed);
    // The new primary finds a renewal begun, and ends it.
    for region in [&standby, &primary] {
        until(async || (secrets(region).first() == Some(&offered)).then_some(())).await;
    }
    standby.write("key/000001", "changed").await.expect("the promoted region takes writes");
    until_in_step(&standby, &primary).await;
}
