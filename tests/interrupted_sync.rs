//! A full sync that is interrupted near its end goes on where it was: what interrupts it costs a little of the link, not
//! the copy again. The link's bytes are counted by what lies between.

mod support;

use support::proxy::Proxy;
use support::writer::preload;
use support::{PATH, Region, connect, wait_for, wait_until_in_step};
use twinkeep::api::replication::LinkState;

/// Secrets of the copy and their size: together about 26 MB.
const SECRETS: usize = 800;
const SECRET_BYTES: usize = 32 << 10;
/// Of each of the link's connections.
const BYTES_PER_S: u64 = 1 << 20;
/// What one interruption may cost: less than what had arrived, more than the widest window holds. What is on its way
/// follows the time there and back (`protocol/on_its_way.rs`, whose test bounds it by a hundredth of a large copy), and on
/// a busy machine that time is the machine's: here it is certain only that the copy does not begin anew.
const SPENT_MAX: u64 = (SECRETS * SECRET_BYTES / 2) as u64;

struct World {
    primary: Region,
    standby: Region,
    wan: Proxy,
    _folder: tempfile::TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let wan = Proxy::start(BYTES_PER_S).await;
    let (primary, standby) = tokio::join!(
        Region::start(folder.path(), "us-east-1", 3),
        Region::start_behind(folder.path(), "eu-west-1", 3, &wan, "")
    );
    preload(&primary, SECRETS, SECRET_BYTES).await;
    World { primary, standby, wan, _folder: folder }
}

impl World {
    /// Waits until nine tenths of the copy are agreed on at the standby. Its id, and how many entries.
    async fn until_nearly_done(&self) -> (u64, u64) {
        wait_for("nine tenths of a full sync", || async {
            let sync = self.standby.status().await?.sync?;
            (sync.entries_done * 10 >= sync.entries_total * 9).then_some((sync.began_at.0, sync.entries_done))
        })
        .await
    }

    /// The same sync goes on: it did not begin anew.
    async fn until_it_goes_on(&self, began_at: u64, done: u64) {
        wait_for("the sync to go on", || async {
            let status = self.standby.status().await?;
            // Without a leader a follower answers, which may not have heard all that was agreed on.
            status.nodes.iter().find(|node| node.leader && node.name == status.region.node)?;
            match status.sync {
                Some(sync) => {
                    assert_eq!(sync.began_at.0, began_at, "the sync began anew");
                    assert!(sync.entries_done >= done, "the sync went back");
                    (sync.entries_done > done).then_some(())
                }
                None => status.whole.then_some(()),
            }
        })
        .await;
    }

    /// Lets the sync end, and says how much more than the data crossed the link.
    async fn spent(self) -> u64 {
        wait_until_in_step(&self.primary, &self.standby).await;
        let data = self.primary.status().await.expect("a status").bytes;
        self.wan.inward().saturating_sub(data)
    }
}

fn assert_cheap(spent: u64, what: &str) {
    println!("{what} cost {spent} bytes of the link");
    assert!(spent < SPENT_MAX, "{what} cost {spent} bytes of the link, more than {SPENT_MAX}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_the_link() {
    let world = world().await;
    connect(&world.primary, &world.standby).await;
    let (began_at, done) = world.until_nearly_done().await;
    world.wan.cut();
    wait_for("the primary to notice", || async {
        let link = world.primary.status().await?.links.pop()?;
        (link.state == LinkState::Connecting || link.error.is_some()).then_some(())
    })
    .await;
    world.wan.mend();
    world.until_it_goes_on(began_at, done).await;
    assert_cheap(world.spent().await, "a cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_pause() {
    let world = world().await;
    connect(&world.primary, &world.standby).await;
    let (began_at, _) = world.until_nearly_done().await;
    world.primary.client().await.pause(PATH, None).await.expect("paused");
    wait_for("what was under way to arrive", || async {
        let link = world.primary.status().await?.links.pop()?;
        (link.state == LinkState::Paused && link.in_flight == 0).then_some(())
    })
    .await;
    let paused_at = wait_for("the standby's status", || async { world.standby.status().await }).await;
    let done = paused_at.sync.map_or(u64::MAX, |sync| sync.entries_done);
    world.primary.client().await.resume(PATH, None).await.expect("resumed");
    world.until_it_goes_on(began_at, done).await;
    assert_cheap(world.spent().await, "a pause");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_the_primarys_leader() {
    let mut world = world().await;
    connect(&world.primary, &world.standby).await;
    let (began_at, done) = world.until_nearly_done().await;
    let leader = world.primary.leader().await;
    world.primary.nodes[leader].kill();
    world.until_it_goes_on(began_at, done).await;
    assert_cheap(world.spent().await, "another leader of the primary");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_the_standbys_leader() {
    let mut world = world().await;
    connect(&world.primary, &world.standby).await;
    let (began_at, done) = world.until_nearly_done().await;
    let leader = world.standby.leader().await;
    world.standby.nodes[leader].kill();
    world.until_it_goes_on(began_at, done).await;
    assert_cheap(world.spent().await, "another leader of the standby");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_restart_of_a_whole_region() {
    let mut world = world().await;
    connect(&world.primary, &world.standby).await;
    let (began_at, done) = world.until_nearly_done().await;
    for node in &mut world.standby.nodes {
        node.kill();
    }
    for node in &mut world.standby.nodes {
        node.start();
    }
    for number in 0..world.standby.nodes.len() {
        world.standby.unseal(number).await;
    }
    world.until_it_goes_on(began_at, done).await;
    assert_cheap(world.spent().await, "a restart of the standby's region");
}
