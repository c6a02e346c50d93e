//! Two regions in one process with a real link between them: activation, full sync, streaming, faults, failover.

mod credential;
mod ledger;
mod region;
mod switchover;

use region::{Region, Speaks, Wire, until, until_in_step, within};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use twinkeep::api::replication::{
    FenceProof, LinkRequest, LinkState, LinkStatus, PromoteMode, PromoteRequest, Promotion, PromotionOutcome,
    TokenRequest, TokenState,
};
use twinkeep::consensus::Consensus;
use twinkeep::error::Error;
use twinkeep::ids::{Epoch, PromotionId};
use twinkeep::replication::link_record;
use twinkeep::replication::token::ActivationToken;
use twinkeep::state::{Command, Role};
use twinkeep::storage::keys::Key;
use twinkeep::storage::{KeyRange, ScanLimit, Tree};

/// A primary with some entries, and a region that is to become its standby.
async fn pair() -> (Region, Region) {
    let (primary, standby) = (Region::new(1, "us-east-1").await, Region::new(2, "eu-west-1").await);
    primary.fill(50, 100).await;
    (primary, standby)
}

/// The same, linked and in step.
async fn linked() -> (Region, Region) {
    let (primary, standby) = pair().await;
    primary.connect(&standby.token().await).await.expect("connected");
    until_in_step(&primary, &standby).await;
    // A request is counted when it was answered, and a region may be whole a moment before that.
    standby.until_counted("copy", 1, 0).await;
    (primary, standby)
}

/// All that a region agreed on, but for its data.
fn records(region: &Region) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let pairs = region.state.store().scan(Tree::Region, &KeyRange::all(), ScanLimit::NONE).expect("read");
    pairs.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// Asks by the plan as it is now; anew, where the facts changed between the plan and the promotion.
async fn promote_as_planned(
    region: &Region,
    mode: PromoteMode,
    request: impl Fn(String) -> PromoteRequest,
) -> Promotion {
    until(async || {
        let plan = region.face().plan(mode).await.expect("a plan");
        let promotion = region.face().promote(request(plan.hash.clone())).await.expect("an answer");
        let overtaken = promotion.plan.as_ref().is_some_and(|now| now.hash != plan.hash);
        (!overtaken).then_some(promotion)
    })
    .await
}

async fn promote(region: &Region, accept_loss: bool) -> Promotion {
    promote_as_planned(region, PromoteMode::Forced, |plan| PromoteRequest {
        mode: PromoteMode::Forced,
        plan,
        accept_loss,
        id: PromotionId([7; 16]),
        deadline: None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_leads_to_a_full_sync_then_to_streaming_and_no_lag() {
    let (primary, standby) = pair().await;
    let token = standby.token().await;
    primary.connect(&token).await.expect("connected");
    until_in_step(&primary, &standby).await;
    primary.write("later", "streamed").await.expect("written");
    until_in_step(&primary, &standby).await;

    let known = |link: &LinkStatus| link.lag.is_some_and(|lag| lag.entries == 0) && link.round_trip_ms.is_some();
    let streams = |link: &LinkStatus| link.state == LinkState::Streaming && known(link);
    let status = primary.until_status(|status| streams(&status.links[0])).await;
    let link = &status.links[0];
    assert_eq!((link.state, link.name.as_str(), link.outgoing), (LinkState::Streaming, "eu-west-1", true));
    let lag = link.lag.expect("known");
    assert_eq!((lag.bytes, lag.ms), (0, 0));
    assert!(link.clock_skew_ms.is_some() && link.last_heard_at.is_some());

    let status = standby.until_status(|status| status.lag.is_some_and(|lag| lag.entries == 0)).await;
    assert_eq!((status.role, status.whole, status.writable), (Role::Standby, true, false));
    assert_eq!(status.head, Some(primary.state.path().applied));
    assert_eq!(status.primary.expect("known").name, "us-east-1");
    assert_eq!(status.merkle_root, primary.status().await.merkle_root);
    assert_eq!(status.tokens.used, 1);
    let keyring = |region: &Region| region.state.region(&Key::Keyring).expect("read");
    assert_eq!(keyring(&standby), keyring(&primary), "the keyring came over");

    let tokens = standby.face().tokens().await.expect("tokens");
    assert_eq!(tokens[0].state, TokenState::Used);
    assert_eq!(tokens[0].used_by.as_ref().expect("somebody").name, "us-east-1");
    let secret = ActivationToken::decode(&token).expect("a token").secret;
    for (_, value) in records(&primary).into_iter().chain(records(&standby)) {
        assert!(!value.windows(32).any(|window| window == secret.expose()), "the token's secret is still stored");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_the_token_is_all_that_needs_to_be_set_up() {
    let primary = Region::with(1, "us-east-1", Speaks::Tls).await;
    let standby = Region::with(2, "eu-west-1", Speaks::Tls).await;
    primary.fill(20, 100).await;
    let token = standby.token().await;
    let impostor = Region::with(2, "eu-west-1", Speaks::Tls).await;
    let alone = encoded(&ActivationToken { addresses: Vec::new(), ..decoded(&token) });
    let there = LinkRequest { address: Some(impostor.address.clone()), token: alone, max_parallel: None };
    primary.face().configure(vec![there]).await;
    let tried = primary.until_status(|status| status.links.iter().any(|link| link.error.is_some())).await;
    assert!(tried.links[0].tls && tried.links[0].last_heard_at.is_none(), "another certificate is not trusted");
    primary.face().configure(Vec::new()).await;
    primary.face().disconnect("eu-west-1").await.expect("disconnected");
    assert_eq!(impostor.counted("start"), (0, 0), "it has seen nothing");

    primary.connect(&token).await.expect("connected");
    until_in_step(&primary, &standby).await;
    promote(&standby, true).await;
    // Fenced, and a standby as soon as it hears that nothing of it was lost: nobody may see it in between.
    primary.until_path(|path| path.epoch == Epoch(2) && path.role != Role::Primary).await;
}

/// The primary writes while nobody listens, and drops the log of it.
async fn leaves_behind(primary: &Region, write: impl Future<Output = ()>) {
    // Nothing that was read of the log may still be on its way.
    primary.stop().await;
    write.await;
    let below = primary.state.path().applied.index;
    primary.consensus.propose(Command::TrimWal { below }).await.expect("trimmed");
    primary.start();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_the_log_has_left_behind_is_brought_what_differs() {
    let (primary, standby) = linked().await;
    let copied = standby.counted("copy");
    leaves_behind(&primary, primary.fill(30, 120)).await;
    until_in_step(&primary, &standby).await;
    assert_eq!(standby.counted("copy"), copied, "nothing is copied again");
    assert!(standby.counted("patch").0 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_a_diff_sync_grow_with_the_difference() {
    const ENTRIES: u32 = 20_000;
    const DIFFERING: u32 = 200;
    const BYTES: usize = 300;
    let (primary, standby) = (Region::new(1, "us-east-1").await, Region::new(2, "eu-west-1").await);
    primary.fill(ENTRIES, BYTES).await;
    primary.connect(&standby.token().await).await.expect("connected");
    until_in_step(&primary, &standby).await;
    let before = standby.carried();
    leaves_behind(&primary, primary.fill(DIFFERING, BYTES + 6)).await;
    until_in_step(&primary, &standby).await;
    let (carried, differs) = (standby.carried() - before, u64::from(DIFFERING) * BYTES as u64);
    // Beside the entries themselves, nodes of the Merkle tree: those above the buckets that differ.
    assert!(carried < 3 * differs + (256 << 10), "{carried} bytes for {differs} that differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming_goes_on_under_other_leaders() {
    let (primary, standby) = linked().await;
    let copied = standby.counted("copy");
    for round in 0..5 {
        primary.write(&format!("round/{round}"), "x").await.expect("written");
        standby.consensus.next_term();
        primary.write(&format!("round/{round}/again"), "x").await.expect("written");
        primary.consensus.next_term();
    }
    until_in_step(&primary, &standby).await;
    assert_eq!(standby.counted("copy"), copied, "nothing was copied again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_is_dialled_again_and_goes_on_where_it_was() {
    let (primary, standby) = linked().await;
    let copied = standby.counted("copy");
    standby.wire(|_| Wire::Lose);
    for number in 0..20 {
        primary.write(&format!("during/{number}"), "the cut").await.expect("the primary goes on");
    }
    let status = primary.until_status(|status| status.links[0].state == LinkState::Connecting).await;
    assert!(status.links[0].error.is_some());
    standby.wire(|_| Wire::Pass);
    until_in_step(&primary, &standby).await;
    assert_eq!(standby.counted("copy"), copied, "nothing was copied again");
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_truncated_and_repeated_bodies_change_nothing_and_stop_nothing() {
    for fault in [Wire::Change, Wire::Truncate, Wire::Twice, Wire::ChangeAnswer] {
        let (primary, standby) = linked().await;
        let refused = standby.counted("append").1;
        let hurt = Arc::new(AtomicU64::new(0));
        let count = hurt.clone();
        standby.wire(move |kind| match kind {
            "append" if count.fetch_add(1, Ordering::Relaxed) < 3 => fault,
            _ => Wire::Pass,
        });
        for number in 0..10 {
            primary.write(&format!("hurt/{number}"), "x").await.expect("written");
        }
        until_in_step(&primary, &standby).await;
        if fault != Wire::ChangeAnswer {
            within(standby.until_counted("append", 0, refused + 1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_no_good_is_refused_with_the_reason_and_nothing_changes() {
    let (primary, standby) = pair().await;
    let third = Region::new(3, "ap-south-1").await;
    let good = standby.token().await;
    let wrong = ActivationToken { secret: twinkeep::replication::crypto::Secret::new([1; 32]), ..decoded(&good) };
    let elsewhere = ActivationToken { addresses: vec![third.address.clone()], ..decoded(&good) };
    let other_path = ActivationToken { path: "other".into(), ..decoded(&good) };
    let revoked = standby.token().await;
    standby.face().revoke_token(&decoded(&revoked).accessor).await.expect("revoked");
    let cases = [
        (encoded(&wrong), "wrong"),
        (encoded(&elsewhere), "another region"),
        (encoded(&other_path), "the path \"other\""),
        (revoked, "revoked at"),
        (primary.token().await, "made in this region"),
        ("s.garbage".into(), "no activation token"),
        (good[..good.len() - 3].to_owned(), "cut or changed"),
    ];
    for (token, reason) in cases {
        let before = (records(&primary), records(&standby));
        let error = primary.connect(&token).await.expect_err("refused");
        assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains(reason), "{reason}: {error}");
        assert_eq!((records(&primary), records(&standby)), before, "{reason}");
    }
    primary.connect(&good).await.expect("the good one still works");
    until_in_step(&primary, &standby).await;

    let error = third.connect(&good).await.expect_err("spent");
    assert!(error.to_string().contains("used already, by us-east-1"), "{error}");
    third.until_status(|status| status.links.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refused() {
    let (primary, standby) = pair().await;
    let request = TokenRequest { ttl: Some(serde_json::json!("1s")), force: false };
    let token = standby.face().generate_token(request).await.expect("a token");
    standby.until_status(|status| status.tokens.expired == 1).await;
    let error = primary.connect(&token.token).await.expect_err("expired");
    assert!(error.to_string().contains("expired at"), "{error}");
    assert_eq!(standby.face().token(&token.accessor).await.expect("known").state, TokenState::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finish_whose_answer_is_lost_is_repeated_and_spends_the_token_once() {
    let (primary, standby) = pair().await;
    let lost = AtomicBool::new(false);
    standby.wire(move |kind| match kind {
        "finish" if !lost.swap(true, Ordering::Relaxed) => Wire::LoseAnswer,
        _ => Wire::Pass,
    });
    primary.connect(&standby.token().await).await.expect("connected");
    until_in_step(&primary, &standby).await;
    let (answered, refused) = standby.counted("finish");
    assert!(answered >= 2 && refused == 0, "{answered}, {refused}");
    assert_eq!(standby.status().await.tokens.used, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_primary_in_the_middle_of_the_activation_repeats_the_same_finish() {
    let (primary, standby) = pair().await;
    let token = standby.token().await;
    standby.wire(|kind| if kind == "finish" { Wire::LoseAnswer } else { Wire::Pass });
    let face = primary.face();
    let request = LinkRequest { address: None, token, max_parallel: None };
    let connecting = tokio::spawn(async move { face.connect(request).await });
    standby.until_counted("finish", 1, 0).await;
    primary.stop().await;
    connecting.abort();
    standby.wire(|_| Wire::Pass);
    primary.start();
    until_in_step(&primary, &standby).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_goes_on_at_its_cursor_after_a_restart_of_either_side() {
    let (primary, standby) = pair().await;
    // Enough for several stretches.
    primary.fill(60, 200_000).await;
    let token = standby.token().await;
    // Once the first stretch is agreed on, no further one gets through.
    let (state, stuck) = (standby.state.clone(), Arc::new(AtomicBool::new(true)));
    let gate = stuck.clone();
    standby.wire(move |kind| {
        let copied = state.path().sync.is_some_and(|sync| sync.entries_done > 0);
        if kind == "copy" && copied && gate.load(Ordering::Relaxed) { Wire::Lose } else { Wire::Pass }
    });
    let request = LinkRequest { address: None, token, max_parallel: Some(2) };
    primary.face().connect(request).await.expect("connected");
    let begun = standby.until_path(|path| path.sync.as_ref().is_some_and(|sync| sync.entries_done > 0)).await;
    let begun = begun.sync.expect("a sync");
    standby.stop().await;
    primary.stop().await;
    let stopped = standby.state.path().sync.expect("still under way");
    assert!(stopped.id == begun.id && stopped.cursor.is_some(), "the copy is not done");
    assert!(!standby.state.path().is_whole());
    stuck.store(false, Ordering::Relaxed);
    primary.start();
    standby.start();
    until_in_step(&primary, &standby).await;
    let total = primary.state.path().entries;
    let began = standby.face().events(0).into_iter().filter(|event| event.text.contains("full sync")).count();
    assert_eq!(began, 0, "no other sync began: {total} entries in the one that had");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_fences_the_old_primary_that_dials_it() {
    let (primary, standby) = linked().await;
    // The way back does not exist: only the old primary's own requests can tell it.
    primary.wire(|_| Wire::Lose);
    let promotion = promote(&standby, true).await;
    assert_eq!((promotion.outcome, promotion.epoch), (PromotionOutcome::Done, Epoch(2)), "{promotion:?}");
    let path = primary.until_path(|path| path.role == Role::Fenced).await;
    assert_eq!((path.epoch, path.primary.expect("known").name.as_str()), (Epoch(2), "eu-west-1"));
    assert!(matches!(primary.write("late", "x").await, Err(Error::WrongRole(_))));
    standby.write("first", "of the new epoch").await.expect("the new primary writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_fences_the_old_primary_by_dialling_it() {
    let (primary, standby) = linked().await;
    standby.wire(|_| Wire::Lose);
    primary.write("lost", "x").await.expect("written, but never sent over");
    let refused = promote(&standby, false).await;
    assert_eq!(refused.outcome, PromotionOutcome::Failed);
    assert!(refused.error.expect("a reason").contains("-accept-loss"));
    assert_eq!(standby.state.path().role, Role::Standby, "nothing was changed");
    let promotion = promote(&standby, true).await;
    assert_eq!(promotion.outcome, PromotionOutcome::Done, "{promotion:?}");
    let path = primary.until_path(|path| path.role == Role::Fenced).await;
    assert_eq!(path.fence.expect("fenced").reached, path.applied);
    let again = within(async {
        loop {
            let promotion = standby.face().promotion(promotion.id).await.expect("known");
            if promotion.fence != FenceProof::Unproven {
                return promotion;
            }
            tokio::task::yield_now().await;
        }
    });
    let FenceProof::Acknowledged { reached, .. } = again.await.fence else { panic!("proven") };
    assert_eq!(reached, primary.state.path().applied);
    let repeated = promote(&standby, true).await;
    assert_eq!((repeated.outcome, repeated.epoch), (PromotionOutcome::Done, Epoch(2)), "to repeat it promotes once");
    let told = standby.status().await.promotion.expect("who lost the id finds it in the status");
    assert_eq!((told.id, told.outcome), (repeated.id, PromotionOutcome::Done), "{told:?}");
    assert_ne!(told.fence, FenceProof::Unproven, "with all that is known of it now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_with_an_old_plan_is_refused_with_the_new_one() {
    let (_primary, standby) = linked().await;
    let request = PromoteRequest {
        mode: PromoteMode::Forced,
        plan: "the hash of other facts".into(),
        accept_loss: true,
        id: PromotionId([8; 16]),
        deadline: None,
    };
    let promotion = standby.face().promote(request).await.expect("an outcome");
    assert_eq!(promotion.outcome, PromotionOutcome::Failed);
    assert!(promotion.plan.is_some() && promotion.error.is_some());
    assert_eq!(standby.state.path().role, Role::Standby);
    let unknown = standby.face().promotion(PromotionId([8; 16])).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_token_again_changes_nothing_and_a_new_one_renews_the_link() {
    let (primary, standby) = pair().await;
    let token = standby.token().await;
    let request = LinkRequest { address: None, token: token.clone(), max_parallel: None };
    primary.face().configure(vec![request.clone()]).await;
    standby.until_path(|path| path.role == Role::Standby && path.is_whole()).await;
    until_in_step(&primary, &standby).await;
    let before = records(&primary);
    primary.face().configure(vec![request.clone()]).await;
    primary.connect(&token).await.expect("the link is there");
    assert_eq!(records(&primary), before);

    let request = TokenRequest::default();
    let renewed = standby.face().generate_token(request).await.expect("a standby's secrets are its primary's").token;
    primary.connect(&renewed).await.expect("connected again");
    primary.write("after", "the renewal").await.expect("written");
    until_in_step(&primary, &standby).await;
    assert_eq!(primary.status().await.links.len(), 1);
    assert_ne!(records(&primary), before, "a new credential");
}

/// The file of a server goes on naming the token that it was first connected with, or one that expired before anybody
/// restarted the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_configured_token_that_is_refused_leaves_the_link_as_it_was() {
    let (primary, standby) = pair().await;
    let old = standby.token().await;
    let renewed = standby.token().await;
    primary.connect(&old).await.expect("connected");
    until_in_step(&primary, &standby).await;
    primary.connect(&renewed).await.expect("connected again");
    until_in_step(&primary, &standby).await;
    let before = link_record::list(&primary.state).expect("links");

    primary.face().configure(vec![LinkRequest { address: None, token: old.clone(), max_parallel: None }]).await;
    until(async || primary.face().events(0).iter().any(|event| event.text.contains("stays as it was")).then_some(()))
        .await;
    assert_eq!(link_record::list(&primary.state).expect("links"), before);
    primary.write("after", "the refusal").await.expect("written");
    until_in_step(&primary, &standby).await;

    let refused = primary.connect(&old).await.expect_err("an operator is told");
    assert!(refused.to_string().contains("used"), "{refused}");
    assert_eq!(link_record::list(&primary.state).expect("links"), before);
    primary.write("after", "the second refusal").await.expect("written");
    until_in_step(&primary, &standby).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_link_opens_nothing_and_a_paused_one_falls_behind() {
    let (primary, standby) = linked().await;
    primary.face().pause(None).await.expect("paused");
    primary.until_status(|status| status.links[0].state == LinkState::Paused).await;
    let applied = standby.state.path().applied;
    primary.write("while", "paused").await.expect("written");
    assert_eq!(standby.state.path().applied, applied);
    primary.face().resume(None).await.expect("resumed");
    until_in_step(&primary, &standby).await;

    standby.face().disconnect("us-east-1").await.expect("disconnected");
    primary.write("after", "the end").await.expect("written");
    let status = primary.until_status(|status| status.links[0].state == LinkState::Refused).await;
    let error = status.links[0].error.clone().expect("a reason");
    assert!(error.contains("no link with this region"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_its_own_are_not_replaced_without_force() {
    let (primary, standby) = pair().await;
    let early = standby.token().await;
    *standby.keyring.holds_secrets.lock().expect("unpoisoned") = true;
    let refused = standby.face().generate_token(TokenRequest::default()).await.expect_err("refused");
    assert!(refused.to_string().contains("-force"), "{refused}");
    let refused = primary.connect(&early).await.expect_err("they came after the token");
    assert!(refused.to_string().contains("-force"), "{refused}");
    let forced = standby.face().generate_token(TokenRequest { ttl: None, force: true }).await.expect("forced");
    primary.connect(&forced.token).await.expect("connected");
    until_in_step(&primary, &standby).await;
}

fn decoded(token: &str) -> ActivationToken {
    ActivationToken::decode(token).expect("a token")
}

fn encoded(token: &ActivationToken) -> String {
    token.encode().expect("encoded")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_protocol_is_refused_and_both_sides_say_so() {
    let (primary, standby) = linked().await;
    let path = standby.state.path();
    standby.wire(|_| Wire::Version);
    primary.write("new", "x").await.expect("written");
    let says =
        |error: &Option<String>| error.as_ref().is_some_and(|error| error.contains("version 99 of the protocol"));
    let shown = primary.until_status(|status| status.links.iter().any(|link| says(&link.error))).await;
    assert_eq!(shown.links[0].state, LinkState::Refused, "{:?}", shown.links);
    standby.until_status(|status| status.links.iter().any(|link| says(&link.error))).await;
    assert!(standby.face().events(0).iter().any(|event| event.text.contains("us-east-1 was refused")));
    assert_eq!(standby.state.path(), path, "nothing was changed");
    // Both run the same again.
    standby.wire(|_| Wire::Pass);
    until_in_step(&primary, &standby).await;
    standby.until_status(|status| status.links.iter().all(|link| link.error.is_none())).await;
}
