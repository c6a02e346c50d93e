//! A switchover over a real link: nothing is lost, the direction is reversed and reversed again, a pause is measured; and
//! what ends it before it is done.

use super::linked;
use super::region::{Region, Wire, until, until_in_step, within};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use twinkeep::api::replication::{
    FenceProof, PromoteMode, PromoteRequest, Promotion, PromotionOutcome, StepName, StepState,
};
use twinkeep::error::Error;
use twinkeep::ids::{Epoch, PromotionId};
use twinkeep::state::Role;

async fn switch_over(to: &Region, id: u8, deadline: &str) -> Promotion {
    super::promote_as_planned(to, PromoteMode::Planned, |plan| PromoteRequest {
        mode: PromoteMode::Planned,
        plan,
        accept_loss: false,
        id: PromotionId([id; 16]),
        deadline: Some(deadline.into()),
    })
    .await
}

/// Asks until it is done or failed.
async fn outcome(region: &Region, id: u8) -> Promotion {
    until(async || {
        let promotion = region.face().promotion(PromotionId([id; 16])).await.expect("known");
        matches!(promotion.outcome, PromotionOutcome::Done | PromotionOutcome::Failed).then_some(promotion)
    })
    .await
}

/// Until the old primary is a standby of this region, as it says of its promotion.
async fn until_followed(region: &Region, id: u8) -> Promotion {
    until(async || {
        let promotion = region.face().promotion(PromotionId([id; 16])).await.expect("known");
        promotion.steps.iter().any(|step| step.name == StepName::OldPrimaryFollows).then_some(promotion)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_the_direction_is_reversed_twice() {
    let (one, other) = linked().await;
    let (one, other) = (Arc::new(one), Arc::new(other));
    let stop = Arc::new(AtomicBool::new(false));
    // Clients go to whoever takes their writes.
    let writer = tokio::spawn({
        let (regions, stop) = ([one.clone(), other.clone()], stop.clone());
        async move {
            let mut acknowledged = Vec::new();
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                let key = format!("written/{number}");
                let region = &regions[number % 2];
                match region.write(&key, "it").await {
                    Ok(_) => acknowledged.push(key),
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
                }
                number += 1;
            }
            acknowledged
        }
    });
    for (id, from, to) in [(1, &one, &other), (2, &other, &one), (3, &one, &other)] {
        let epoch = from.state.path().epoch.next();
        let first = switch_over(to, id, "60s").await;
        assert!(first.plan.is_none(), "{first:?}");
        let promotion = outcome(to, id).await;
        assert_eq!((promotion.outcome, promotion.epoch), (PromotionOutcome::Done, epoch), "{promotion:?}");
        assert_eq!(promotion.loss.as_ref().map(|loss| (loss.known, loss.entries)), Some((true, 0)));
        let followed = until_followed(to, id).await;
        let names: Vec<_> = followed.steps.iter().map(|step| (step.name, step.state)).collect();
        let done = |name| (name, StepState::Done);
        assert_eq!(
            names[..5],
            [StepName::Asked, StepName::GaveUp, StepName::CaughtUp, StepName::RootsEqual, StepName::Opened].map(done)
        );
        assert!(matches!(followed.fence, FenceProof::Acknowledged { .. }), "{followed:?}");
        println!("no region took writes for {:?} ms", followed.pause_ms);
        assert_eq!(from.state.path().role, Role::Standby);
        assert!(from.state.path().fence.is_some_and(|fence| fence.by_epoch == epoch), "the proof that it stopped");
        // The pause is on record, for whoever asks later. It is no longer than what was asked for.
        assert!(followed.pause_ms.is_some_and(|ms| ms < 60_000));
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged = writer.await.expect("the writer ran");
    until_in_step(&other, &one).await;
    assert!(!acknowledged.is_empty());
    for key in &acknowledged {
        for region in [&one, &other] {
            assert!(
                region.state.data(key.as_bytes()).expect("readable").is_some(),
                "{key} was acknowledged and is gone"
            );
        }
    }
    assert_eq!(one.state.root(), other.state.root());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_it_and_the_primary_goes_on() {
    let (primary, standby) = linked().await;
    // The primary is heard, and ships nothing.
    primary.face().pause(None).await.expect("paused");
    switch_over(&standby, 1, "1s").await;
    let asked = outcome(&standby, 1).await;
    assert_eq!(asked.outcome, PromotionOutcome::Failed, "{asked:?}");
    assert!(asked.error.expect("a reason").contains("deadline"));
    assert_eq!(asked.steps.last().map(|step| (step.name, step.state)), Some((StepName::GaveUp, StepState::Failed)));
    primary.face().resume(None).await.expect("resumed");
    primary.write("later", "goes on").await.expect("written");
    until_in_step(&primary, &standby).await;
    let again = switch_over(&standby, 1, "60s").await;
    assert_eq!(again.outcome, PromotionOutcome::Failed, "by that id it never opens any more");
    assert_eq!((primary.state.path().role, standby.state.path().epoch), (Role::Primary, Epoch(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_cancelled_at_either_side() {
    let (primary, standby) = linked().await;
    let id = PromotionId([1; 16]);
    primary.face().pause(None).await.expect("paused");
    let (asked, cancelled) = tokio::join!(switch_over(&standby, 1, "60s"), async {
        standby.until_path(|path| path.handover.asks.is_some()).await;
        standby.face().cancel_promotion(id).await.expect("an answer")
    });
    assert_eq!((asked.outcome, cancelled.outcome), (PromotionOutcome::Failed, PromotionOutcome::Failed));
    assert!(cancelled.error.expect("a reason").contains("cancelled"));
    assert_eq!(standby.face().cancel_promotion(id).await.expect("again").outcome, PromotionOutcome::Failed);

    let id = PromotionId([2; 16]);
    let refused = primary.face().cancel_promotion(id).await.expect("an answer");
    assert_eq!(refused.outcome, PromotionOutcome::Failed);
    primary.face().resume(None).await.expect("resumed");
    until_in_step(&primary, &standby).await;
    switch_over(&standby, 2, "60s").await;
    let ended = outcome(&standby, 2).await;
    assert!(ended.error.expect("a reason").contains("primary's operator"));
    assert_eq!((primary.state.path().role, primary.state.path().epoch), (Role::Primary, Epoch(1)));
    let unknown = standby.face().cancel_promotion(PromotionId([9; 16])).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_taken_back_once_the_standby_declined() {
    let (primary, standby) = linked().await;
    let state = primary.state.clone();
    // From the give-up on, nothing arrives any more.
    standby.wire(move |_| if state.path().handover.gave_up.is_some() { Wire::Lose } else { Wire::Pass });
    let (asked, ()) = tokio::join!(switch_over(&standby, 1, "60s"), async {
        primary.until_path(|path| path.handover.gave_up.is_some()).await;
        let refused = primary.write("in the middle", "of it").await.expect_err("nobody takes writes");
        assert!(refused.is_retryable() && refused.to_string().contains("hands over to eu-west-1"), "{refused}");
        let too_late = primary.face().cancel_promotion(PromotionId([1; 16])).await.expect_err("it gave up");
        assert!(too_late.to_string().contains("Cancel it there"), "{too_late}");
        standby.face().cancel_promotion(PromotionId([1; 16])).await.expect("an answer");
        assert_eq!(primary.state.path().role, Role::Fenced, "it has not heard it");
        standby.wire(|_| Wire::Pass);
    });
    assert_eq!(asked.outcome, PromotionOutcome::Failed);
    primary.until_path(|path| path.role == Role::Primary).await;
    within(async { while primary.write("later", "goes on").await.is_err() {} }).await;
    until_in_step(&primary, &standby).await;
    assert_eq!(primary.state.path().epoch, Epoch(1));
}
