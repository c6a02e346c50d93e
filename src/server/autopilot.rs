//! By what the health of a region's nodes is judged, and taking out those that are dead for good, where that is wanted.

use super::node::{Node, blocking};
use super::peers::NodeReport;
use crate::clock::{self, UnixMs};
use crate::consensus::{Consensus, Standing};
use crate::duration;
use crate::error::{Error, Result};
use crate::ids::NodeId;
use crate::state::{Command, Outcome, RegionChange};
use crate::storage::keys::Key;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// Vault's least time before a dead node is taken out.
const DEAD_AFTER_MIN: Duration = Duration::from_secs(60);

/// In Vault's fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Take out nodes that were not heard for `dead_server_last_contact_threshold`.
    pub cleanup_dead_servers: bool,
    pub dead_server_last_contact_threshold: Seconds,
    /// A node that was not heard for longer is not healthy,
    pub last_contact_threshold: Seconds,
    /// nor is one that lacks more entries of the log.
    pub max_trailing_logs: u64,
    /// So many voters stay, however dead.
    pub min_quorum: u64,
    /// Kept for clients that set it: a node that joins becomes a voter once it has caught up.
    pub server_stabilization_time: Seconds,
    /// Of Vault Enterprise.
    pub disable_upgrade_migration: bool,
}

/// A duration as Go writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seconds(pub Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&duration::go(self.0))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Seconds, D::Error> {
        let text = String::deserialize(deserializer)?;
        duration::parse(&text).map(Seconds).map_err(serde::de::Error::custom)
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            cleanup_dead_servers: false,
            dead_server_last_contact_threshold: Seconds(Duration::from_secs(24 * 3600)),
            last_contact_threshold: Seconds(Duration::from_secs(10)),
            max_trailing_logs: 1000,
            min_quorum: 0,
            server_stabilization_time: Seconds(Duration::from_secs(10)),
            disable_upgrade_migration: false,
        }
    }
}

impl Settings {
    pub fn check(&self) -> Result<()> {
        if self.cleanup_dead_servers && self.min_quorum < 3 {
            return Err(Error::invalid(
                "min_quorum must be set when cleanup_dead_servers is set and it should at least be 3",
            ));
        }
        if self.dead_server_last_contact_threshold.0 < DEAD_AFTER_MIN {
            return Err(Error::invalid("dead_server_last_contact_threshold should not be less than 1m"));
        }
        Ok(())
    }
}

pub async fn settings(node: &Arc<Node>) -> Result<Settings> {
    let state = node.state.clone();
    let stored = blocking(move || state.region(&Key::Autopilot)).await?;
    let wrong = |_| Error::corrupt("the settings of autopilot do not decode");
    stored.map_or(Ok(Settings::default()), |stored| serde_json::from_slice(&stored).map_err(wrong))
}

pub async fn store(node: &Arc<Node>, settings: &Settings) -> Result<()> {
    let text = serde_json::to_vec(settings).map_err(|error| Error::internal(error.to_string()))?;
    let puts = vec![(Key::Autopilot.to_bytes(), Some(text.into()))];
    match node.raft.propose(Command::Region(RegionChange { puts, ..RegionChange::default() })).await? {
        Outcome::Changed => Ok(()),
        other => Err(Error::internal(format!("to change autopilot's settings came out as {other:?}"))),
    }
}

/// Takes out one voter that is dead for good, where that is wanted and enough stay. For the leader. A node that it never
/// heard is not known to be dead.
pub async fn clean_up(node: &Arc<Node>, standing: &Standing) -> Result<()> {
    let settings = settings(node).await?;
    if !settings.cleanup_dead_servers {
        return Ok(());
    }
    let now = clock::now();
    let voters = standing.members.values().filter(|member| member.voter).count() as u64;
    let heard = |id: &NodeId| -> Option<UnixMs> {
        let (_, at): (NodeReport, UnixMs) = node.report_of(*id)?;
        Some(at)
    };
    let dead = standing.members.iter().find(|(id, _)| {
        **id != standing.me && heard(id).is_some_and(|at| now.since(at) > settings.dead_server_last_contact_threshold.0)
    });
    let Some((id, member)) = dead.filter(|(_, member)| !member.voter || voters > settings.min_quorum) else {
        return Ok(());
    };
    info!(node = member.name, "a node is taken out of the region: it was not heard for too long");
    if let Err(error) = node.raft.remove_node(*id).await {
        warn!(node = member.name, "a dead node could not be taken out: {error}");
    }
    Ok(())
}
