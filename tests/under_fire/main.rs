//! Two regions of three real nodes, a writer that records what was acknowledged to it, and `kill -9`, restarts and cuts
//! of the links in loops: during streaming, a full sync, a diff sync, a switchover, a failover and a rejoin. At the end
//! every acknowledged write is there, or in the reported loss and the ledger.
//!
//! The faults and their order come from a seed, which is printed. With `TWINKEEP_FULL` each goes on for minutes.

#[path = "../support/mod.rs"]
mod support;

mod fire;
mod view;

use fire::{Fire, Sides};
use std::collections::BTreeSet;
use std::time::Duration;
use support::proxy::Proxy;
use support::writer::{Writer, Written, preload};
use support::{PATH, Region, connect, wait_for, wait_until_in_step};
use twinkeep::api::ledger::{DiscardRequest, RejoinRequest};
use twinkeep::api::replication::{PromoteMode, Promotion};
use twinkeep::state::Role;
use view::View;

const US: usize = 0;
const EU: usize = 1;
/// Of each of the link's connections: slow enough that a sync lasts.
const BYTES_PER_S: u64 = 2 << 20;
/// So little of the log is kept that a cut leads to a diff sync.
const SHORT_LOG: &str = "wal_bytes_max = \"1MiB\"";

/// How long a stage is under fire.
fn fire_time() -> Duration {
    let full = std::env::var_os("TWINKEEP_FULL").is_some();
    Duration::from_secs(if full { 180 } else { 10 })
}

/// `us-east-1`, which is primary at first, and `eu-west-1`, each behind a link that can be cut.
struct Stage {
    fire: Fire,
    views: [View; 2],
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn set(seed: u64) -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        let wans = [Proxy::start(BYTES_PER_S).await, Proxy::start(BYTES_PER_S).await];
        let (us, eu) = tokio::join!(
            Region::start_behind(folder.path(), "us-east-1", 3, &wans[US], SHORT_LOG),
            Region::start_behind(folder.path(), "eu-west-1", 3, &wans[EU], SHORT_LOG)
        );
        // Once it holds the primary's data, the primary's tokens are good for both.
        let views = [View::of(&us, &us.token), View::of(&eu, &us.token)];
        Stage { fire: Fire::new([us, eu], wans, seed), views, _folder: folder }
    }

    /// With the standby connected and in step.
    async fn in_step(seed: u64) -> Stage {
        let stage = Stage::set(seed).await;
        stage.connect().await;
        wait_until_in_step(&stage.fire.regions[US], &stage.fire.regions[EU]).await;
        stage
    }

    async fn connect(&self) {
        connect(&self.fire.regions[US], &self.fire.regions[EU]).await;
    }

    /// A writer that knows the nodes of both regions.
    fn writer(&self) -> Writer {
        Writer::start_at(self.views.iter().flat_map(|view| view.clients.clone()).collect())
    }

    /// Who is primary now, and who is not.
    async fn roles(&self) -> (usize, usize) {
        wait_for("one region to be primary and to take writes", || async {
            let (us, eu) = (self.views[US].status().await?, self.views[EU].status().await?);
            match (us.writable, eu.writable) {
                (true, false) => Some((US, EU)),
                (false, true) => Some((EU, US)),
                _ => None,
            }
        })
        .await
    }

    /// Nothing that was acknowledged is missing: on the primary, and on the standby once it holds the same.
    async fn expect_all(&self, written: &Written) {
        let (primary, standby) = self.roles().await;
        self.fire.note("one is primary and takes writes");
        wait_until_in_step(&self.fire.regions[primary], &self.fire.regions[standby]).await;
        self.fire.note("both hold the same");
        let missing = written.missing(&self.views[primary].client().await).await;
        assert!(missing.is_empty(), "of {} acknowledged writes these are gone: {missing:?}", written.count());
        self.fire.note(&format!("{} acknowledged writes are there", written.count()));
    }
}

/// The end of a stage in which nothing may be lost: the standby, promoted, holds all as well.
async fn expect_all_on_both(stage: Stage, written: Written) {
    stage.expect_all(&written).await;
    let (_, standby) = stage.roles().await;
    stage.views[standby].promote(PromoteMode::Forced).await;
    stage.views[standby].until_writable().await;
    written.expect_all(&stage.views[standby].client().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming() {
    let mut stage = Stage::in_step(1).await;
    let writer = stage.writer();
    stage.fire.burn(fire_time(), Sides::Both).await;
    expect_all_on_both(stage, writer.stop().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_sync() {
    let mut stage = Stage::set(2).await;
    preload(&stage.fire.regions[US], 300, 64 << 10).await;
    let writer = stage.writer();
    stage.connect().await;
    stage.fire.burn(fire_time(), Sides::Both).await;
    expect_all_on_both(stage, writer.stop().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_sync() {
    let mut stage = Stage::in_step(3).await;
    stage.fire.cut(EU);
    // More than the log keeps.
    preload(&stage.fire.regions[US], 150, 64 << 10).await;
    let writer = stage.writer();
    stage.fire.mend(EU);
    stage.fire.burn(fire_time(), Sides::Both).await;
    expect_all_on_both(stage, writer.stop().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switchover() {
    let mut stage = Stage::in_step(4).await;
    let writer = stage.writer();
    let standby = stage.views[EU].clone();
    let (promotion, ()) =
        tokio::join!(standby.promote(PromoteMode::Planned), stage.fire.burn(fire_time(), Sides::Both));
    assert_eq!(promotion.loss.map_or(0, |loss| loss.entries), 0, "a switchover loses nothing");
    let written = writer.stop().await;
    // The direction is reversed without anybody's doing.
    wait_for("the roles to be reversed", || async { (stage.roles().await == (EU, US)).then_some(()) }).await;
    stage.expect_all(&written).await;
}

/// The primary region is lost as a whole while it was cut off, its standby promoted, both under fire; then the lost one
/// comes back. What was acknowledged, and the promotion.
async fn fail_over(stage: &mut Stage) -> (Written, Promotion) {
    let writer = stage.writer();
    stage.fire.burn(fire_time() / 3, Sides::Both).await;
    // The old primary acknowledges what the standby never gets. If the last fault felled all of it, it opens first.
    stage.views[US].until_writable().await;
    stage.fire.cut(EU);
    let acknowledged = writer.acknowledged();
    wait_for("the primary to write alone", || async { (writer.acknowledged() > acknowledged + 20).then_some(()) })
        .await;
    stage.fire.kill(US, &[0, 1, 2]);
    let standby = stage.views[EU].clone();
    let (promotion, ()) =
        tokio::join!(standby.promote(PromoteMode::Forced), stage.fire.burn(fire_time() / 3, Sides::Only(EU)));
    stage.fire.mend(EU);
    // If it restarted as a whole there is nobody who could confirm its epoch: its operator opens it.
    standby.until_open("the other region is known to be gone").await;
    let acknowledged = writer.acknowledged();
    wait_for("the new primary to write", || async { (writer.acknowledged() > acknowledged + 20).then_some(()) }).await;
    stage.fire.raise(US, &[0, 1, 2]).await;
    stage.fire.burn(fire_time() / 3, Sides::Both).await;
    (writer.stop().await, promotion)
}

/// Waits until the old primary keeps what the new one never got; the paths of it.
async fn ledger(old: &View) -> BTreeSet<String> {
    wait_for("the old primary to keep its ledger", || async {
        let status = old.status().await?;
        (status.role == Role::Fenced && status.ledger.is_some_and(|ledger| ledger.kept)).then_some(())
    })
    .await;
    let client = old.client().await;
    let (mut paths, mut after) = (BTreeSet::new(), None);
    loop {
        let page =
            wait_for("a page of the ledger", || async { client.ledger(PATH, after.as_deref()).await.ok() }).await;
        paths.extend(page.entries.into_iter().flat_map(|entry| entry.paths));
        after = page.next;
        if after.is_none() {
            return paths;
        }
    }
}

/// Each acknowledged write that the new primary lacks is in the ledger, and the loss that was reported covers it.
async fn expect_accounted(stage: &Stage, written: &Written, promotion: &Promotion) -> BTreeSet<String> {
    let kept = ledger(&stage.views[US]).await;
    let missing = written.missing(&stage.views[EU].client().await).await;
    let unaccounted: Vec<&String> = missing.iter().filter(|path| !kept.contains(&format!("secret/{path}"))).collect();
    assert!(unaccounted.is_empty(), "neither there nor in the ledger: {unaccounted:?}");
    let proven = wait_for("the proof of the fence", || async {
        let promotion = stage.views[EU].client().await.promotion(PATH, promotion.id).await.ok()??;
        promotion.loss.clone().filter(|loss| loss.known)
    })
    .await;
    assert!(proven.entries >= missing.len() as u64, "{} are missing, {} were reported", missing.len(), proven.entries);
    eprintln!(
        "  {} acknowledged, {} of them in the ledger, {} reported",
        written.count(),
        missing.len(),
        proven.entries
    );
    missing.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn failover() {
    let mut stage = Stage::in_step(5).await;
    let (written, promotion) = fail_over(&mut stage).await;
    assert!(!expect_accounted(&stage, &written, &promotion).await.is_empty(), "what it wrote alone is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejoin() {
    let mut stage = Stage::in_step(6).await;
    let (written, promotion) = fail_over(&mut stage).await;
    let lost = expect_accounted(&stage, &written, &promotion).await;
    let old = stage.views[US].clone();
    let discard = DiscardRequest { all: true, reason: "a test".into(), ..DiscardRequest::default() };
    wait_for("the ledger to be discarded", || async { old.client().await.discard(PATH, &discard).await.ok() }).await;
    let rejoining = async {
        wait_for("the old primary to rejoin", || async {
            let status = old.status().await?;
            if status.role == Role::Standby {
                return Some(());
            }
            // Asked again where it was not heard, or not agreed on.
            let _ = old.client().await.rejoin(PATH, &RejoinRequest::default()).await;
            None
        })
        .await;
    };
    let writer = Writer::start_at(stage.views[EU].clients.clone());
    tokio::join!(rejoining, stage.fire.burn(fire_time(), Sides::Both));
    let more = writer.stop().await;
    stage.expect_all(&more).await;
    let still: BTreeSet<String> = written.missing(&stage.views[EU].client().await).await.into_iter().collect();
    assert_eq!(still, lost, "a rejoin takes nothing from the new primary");
}
