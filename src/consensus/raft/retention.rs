//! How much of the Raft log is kept: between one and two stretches, each bounded in entries and in bytes.
//!
//! A follower that was away for less than that catches up from the log, one that was away longer gets a snapshot.
//! openraft's own policy counts entries only, and an entry may be a byte or a megabyte.

use super::log_store::Appended;
use super::types::Types;
use std::time::Duration;
use tokio::sync::watch;

/// One stretch of the log.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    pub entries: u64,
    pub bytes: u64,
}

impl Default for Stretch {
    fn default() -> Stretch {
        Stretch { entries: 10_000, bytes: 64 << 20 }
    }
}

/// How long to wait for a snapshot before trying again with the next stretch.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(60);

/// Purges behind the log's growth until openraft ends.
pub async fn keep(node: openraft::Raft<Types>, mut appended: watch::Receiver<Appended>, stretch: Stretch) {
    let mut began = *appended.borrow();
    // Where the stretch before the present one ended. What was in the log at the start counts as one.
    let mut former_end = began.last_index;
    loop {
        let full =
            |now: &Appended| now.entries - began.entries >= stretch.entries || now.bytes - began.bytes >= stretch.bytes;
        let now = match appended.wait_for(full).await {
            Ok(now) => *now,
            Err(_) => return,
        };
        if purge(&node, former_end).await.is_none() {
            return;
        }
        former_end = now.last_index;
        began = now;
    }
}

/// Lets the log up to `through` go. `None` once openraft has ended.
async fn purge(node: &openraft::Raft<Types>, through: u64) -> Option<()> {
    let mut metrics = node.metrics();
    let applied = metrics.wait_for(|metrics| metrics.last_applied.is_some_and(|last| last.index >= through));
    let Ok(applied) = tokio::time::timeout(SNAPSHOT_TIMEOUT, applied).await else { return Some(()) };
    drop(applied.ok()?);
    node.trigger().snapshot().await.ok()?;
    let built = metrics.wait_for(|metrics| metrics.snapshot.is_some_and(|last| last.index >= through));
    let Ok(built) = tokio::time::timeout(SNAPSHOT_TIMEOUT, built).await else { return Some(()) };
    drop(built.ok()?);
    node.trigger().purge_log(through).await.ok()
}
