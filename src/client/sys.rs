//! `sys/`: health, seal, init, and the nodes of a region.

use super::{Client, Result};
use crate::api::cluster::{HaStatus, Leader, PeerRequest, RaftConfiguration, RaftConfigurationAnswer};
use crate::api::health::Health;
use crate::api::mounts::Mounts;
use crate::api::seal::{InitAnswer, InitRequest, InitStatus, SealStatus, UnsealRequest};
use crate::api::vault_replication::ReplicationStatus;
use reqwest::Method;

/// A node's health: what it says, and the status code it says it with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HealthAnswer {
    /// One of `api::health::code`.
    pub status: u16,
    pub health: Health,
}

impl Client {
    /// `GET sys/health`. An ailing node's answer (429, 472, 501, 503, …) is an answer, no error.
    pub async fn health(&self) -> Result<HealthAnswer> {
        let answer = self.get(&["sys/health"]).answer().await?;
        match answer.decode() {
            Ok(health) => Ok(HealthAnswer { status: answer.status, health }),
            Err(undecodable) => {
                answer.ok()?;
                Err(undecodable)
            }
        }
    }

    /// `GET sys/seal-status`
    pub async fn seal_status(&self) -> Result<SealStatus> {
        self.get(&["sys/seal-status"]).bare().await
    }

    /// `GET sys/init`
    pub async fn init_status(&self) -> Result<InitStatus> {
        self.get(&["sys/init"]).bare().await
    }

    /// `PUT sys/init`
    pub async fn init(&self, request: &InitRequest) -> Result<InitAnswer> {
        self.request(Method::PUT, &["sys/init"]).json(request).bare().await
    }

    /// `PUT sys/unseal`
    pub async fn unseal(&self, request: &UnsealRequest) -> Result<SealStatus> {
        self.request(Method::PUT, &["sys/unseal"]).json(request).bare().await
    }

    /// `PUT sys/seal`
    pub async fn seal(&self) -> Result<()> {
        self.request(Method::PUT, &["sys/seal"]).done().await
    }

    /// `GET sys/leader`
    pub async fn leader(&self) -> Result<Leader> {
        self.get(&["sys/leader"]).bare().await
    }

    /// `GET sys/ha-status`
    pub async fn ha_status(&self) -> Result<HaStatus> {
        self.get(&["sys/ha-status"]).data().await
    }

    /// `GET sys/mounts`
    pub async fn mounts(&self) -> Result<Mounts> {
        self.get(&["sys/mounts"]).data().await
    }

    /// `GET sys/storage/raft/configuration`
    pub async fn raft_configuration(&self) -> Result<RaftConfiguration> {
        let answer: RaftConfigurationAnswer = self.get(&["sys/storage/raft/configuration"]).data().await?;
        Ok(answer.config)
    }

    /// `PUT sys/storage/raft/remove-peer`
    pub async fn raft_remove_peer(&self, node_id: &str) -> Result<()> {
        let request = PeerRequest { server_id: node_id.to_owned() };
        self.request(Method::PUT, &["sys/storage/raft/remove-peer"]).json(&request).done().await
    }

    /// `GET sys/replication/status`: Vault's view. `path_status` says more.
    pub async fn replication_status(&self) -> Result<ReplicationStatus> {
        self.get(&["sys/replication/status"]).data().await
    }
}
