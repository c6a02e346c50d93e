//! What the leader of a primary region clears away: tokens that have ended, and what lies in
//! mounts that were disabled; a mount that is upgraded it upgrades to the end; and the key that encrypts it rotates in time.

use super::audit::{Audit, Tell};
use super::node::Node;
use crate::consensus::Consensus;
use crate::error::Error;
use crate::state::Role;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How often it looks. What has ended is refused at once, whenever its record goes.
const EVERY: Duration = Duration::from_secs(1);

/// Runs until `shutdown`.
pub async fn keep(node: Arc<Node>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.cancelled() => return Audit::tell_left_out(&node, Tell::All).await,
        }
        Audit::tell_left_out(&node, Tell::Due).await;
        if leads_primary(&node)
            && let Err(error) = node.vault.finish_restore().await
        {
            report(&error);
        }
        // As many steps as there are, but no longer than this node is the one to take them.
        while is_due(&node) && !shutdown.is_cancelled() {
            let steps = async {
                node.vault.rotate_if_due().await?;
                Ok(node.vault.sweep_tokens().await? | node.vault.tidy_mounts().await?)
            };
            match steps.await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    report(&error);
                    break;
                }
            }
        }
    }
}

fn is_due(node: &Node) -> bool {
    leads_primary(node) && !node.vault.is_sealed()
}

fn leads_primary(node: &Node) -> bool {
    let path = node.state.path();
    let serves = path.is_initialised() && path.role == Role::Primary && path.is_whole();
    serves && node.raft.standing().borrow().lead_term.is_some()
}

/// Whoever leads next goes on; anything else is worth a line.
fn report(error: &Error) {
    match error {
        Error::Unavailable(_) | Error::NotLeader(_) | Error::Unknown(_) | Error::WrongRole(_) | Error::Sealed => {
            debug!("housekeeping waits: {error}");
        }
        error => warn!("housekeeping failed: {error}"),
    }
}
