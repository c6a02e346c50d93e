//! `sys/storage/raft/autopilot/state`: what the leader of a Raft cluster thinks of its nodes, as OpenBao and Vault have it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AutopilotState {
    pub healthy: bool,
    /// So many voters can be lost before there is no majority.
    pub failure_tolerance: u32,
    /// The id of the node that leads.
    pub leader: String,
    pub voters: Vec<String>,
    pub servers: BTreeMap<String, AutopilotServer>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AutopilotServer {
    pub id: String,
    pub name: String,
    /// Of the cluster port.
    pub address: String,
    /// `alive`, `left`, `failed`
    pub node_status: String,
    /// A duration as Go writes it: `975.933289ms`.
    pub last_contact: String,
    pub last_term: u64,
    pub last_index: u64,
    pub healthy: bool,
    /// `leader`, `voter`, `non-voter`
    pub status: String,
    pub version: String,
}
