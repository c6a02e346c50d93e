//! One server process as this console sees it.

use super::foreign::Foreign;
use super::observed::Observed;
use crate::api::replication::{PathStatus, TokenInfo};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whether a node answers this console. Times are the console's.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Contact {
    /// The first call is under way.
    Connecting,
    Up {
        since: UnixMs,
    },
    /// It answers, but not with the path's status: not initialised yet, perhaps, or no Twinkeep.
    Erring {
        since: UnixMs,
        error: String,
        retry_at: Option<UnixMs>,
    },
    Gone {
        since: UnixMs,
        error: String,
        /// Calls that failed in a row.
        attempts: u32,
        /// When it is called again; `None` while a call is under way.
        retry_at: Option<UnixMs>,
    },
}

/// Whether a token that this console has is taken by the node's region.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Access {
    /// Not tried yet, or the node has not answered.
    #[default]
    Untried,
    /// The console was started without a token.
    NoToken,
    Accepted,
    Refused,
}

/// What a session last learned of its node: a snapshot that replaces the one before.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeReport {
    pub address: String,
    pub contact: Contact,
    pub status: Option<Observed<PathStatus>>,
    /// What it says if it is no Twinkeep.
    #[serde(default)]
    pub foreign: Option<Observed<Foreign>>,
    pub tokens: Option<Observed<Vec<TokenInfo>>>,
    pub access: Access,
    /// The node's wall clock minus the console's, by the middle of a round trip.
    pub clock_skew_ms: Option<i64>,
    pub round_trip: Option<Duration>,
}

impl NodeReport {
    pub fn new(address: impl Into<String>) -> NodeReport {
        NodeReport {
            address: address.into(),
            contact: Contact::Connecting,
            status: None,
            foreign: None,
            tokens: None,
            access: Access::Untried,
            clock_skew_ms: None,
            round_trip: None,
        }
    }
}

/// A node as the views read it. For now all that a report says; what is derived over time joins here.
pub type NodeView = NodeReport;

impl NodeView {
    pub fn is_up(&self) -> bool {
        matches!(self.contact, Contact::Up { .. })
    }

    /// The node's own name, once it said it.
    pub fn name(&self) -> Option<&str> {
        self.status.as_ref().map(|status| status.last().region.node.as_str())
    }

    /// Takes a newer report. What it lacks, such as the status after a restart of the session, stays as it was.
    pub fn take(&mut self, report: NodeReport) {
        let before = std::mem::replace(self, report);
        self.status = self.status.take().or(before.status);
        if let (Some(now), Some(then)) = (&mut self.foreign, &before.foreign) {
            now.amend(|now| now.keep_from(then.last()));
        }
        self.foreign = self.foreign.take().or(before.foreign);
        self.tokens = self.tokens.take().or(before.tokens);
        self.clock_skew_ms = self.clock_skew_ms.or(before.clock_skew_ms);
    }
}

/// `http://host:port` without a trailing slash: how nodes are told apart.
pub fn normal_address(address: &str) -> String {
    address.trim().trim_end_matches('/').to_owned()
}

/// The part of an address that people need: `127.0.0.1:8200`.
pub fn short_address(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, rest)| rest)
}
