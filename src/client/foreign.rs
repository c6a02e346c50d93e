//! What a server tells that is no Twinkeep: OpenBao and Vault have nodes, a leader and Raft as well, and Vault Enterprise
//! has replication of its own kind. Read only.

use super::{Client, ClientError, Result};
use crate::api::autopilot::AutopilotState;
use crate::api::vault_replication::{ModeStatus, ReplicationStatus};

impl Client {
    /// `GET sys/storage/raft/autopilot/state`
    pub async fn autopilot_state(&self) -> Result<AutopilotState> {
        self.get(&["sys/storage/raft/autopilot/state"]).data().await
    }

    /// Replication in Vault's words. `None`: a server that knows of none, such as OpenBao.
    ///
    /// A DR secondary refuses nearly every path; each kind by itself is answered there. Vault without Enterprise answers
    /// one `mode` for both.
    pub async fn vault_replication(&self) -> Result<Option<ReplicationStatus>> {
        let whole = match self.get(&["sys/replication/status"]).data::<serde_json::Value>().await {
            Ok(whole) => whole,
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) if error.status() == Some(400) => {
                let dr = self.get(&["sys/replication/dr/status"]).data().await?;
                let performance = self.get(&["sys/replication/performance/status"]).data().await;
                return Ok(Some(ReplicationStatus { dr, performance: performance.unwrap_or(ModeStatus::Disabled) }));
            }
            Err(error) => return Err(error),
        };
        let part = |name: &str| match whole.get(name) {
            Some(part) => serde_json::from_value(part.clone()).map_err(|error| ClientError::Undecodable {
                method: "GET".into(),
                url: format!("{}/v1/sys/replication/status", self.address()),
                status: 200,
                cause: format!("{name}: {error}"),
            }),
            None => Ok(ModeStatus::Disabled),
        };
        Ok(Some(ReplicationStatus { dr: part("dr")?, performance: part("performance")? }))
    }
}
