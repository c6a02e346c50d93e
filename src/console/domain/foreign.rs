//! A server that is no Twinkeep: OpenBao, or Vault. It has nodes, a leader, a seal and Raft, which are shown; what it has
//! not is named. Nothing is ever changed there from here.

use super::alarm::Found;
use super::observed::Observed;
use super::region::{Health, RegionView};
use super::units::{duration, plural};
use crate::api::vault_replication::{ModeStatus, ReplicationStatus};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::ids::RegionId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A follower that its leader has not heard for longer is behind: a leader beats ten times a second.
const CONTACT_WARN: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    OpenBao,
    Vault,
}

impl Product {
    pub fn name(self) -> &'static str {
        match self {
            Product::OpenBao => "OpenBao",
            Product::Vault => "Vault",
        }
    }

    /// What it can't do, in words.
    pub fn lacks(self) -> &'static str {
        match self {
            Product::OpenBao => "OpenBao has no replication between clusters",
            Product::Vault => "Vault's replication is watched from here and changed with Vault's own tools",
        }
    }
}

/// What one node says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Foreign {
    pub product: Product,
    pub version: String,
    /// Of the cluster; a sealed node does not say it.
    pub cluster: Option<(RegionId, String)>,
    pub initialized: bool,
    pub sealed: bool,
    /// Shares given, and shares needed, while it is sealed.
    pub unseal: Option<(u32, u32)>,
    pub follower: bool,
    pub leader: Leads,
    pub committed_index: Option<u64>,
    pub applied_index: Option<u64>,
    /// `None`: it knows of no replication.
    pub replication: Option<ReplicationStatus>,
    /// What only a token is told.
    pub raft: Option<Observed<RaftView>>,
    /// Why that is not known.
    pub untold: Option<String>,
}

/// Who leads, by a node's word.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leads {
    /// It does not say, as a sealed node.
    #[default]
    Untold,
    Nobody,
    /// Its API address.
    At(String),
}

impl Leads {
    pub fn address(&self) -> Option<&str> {
        match self {
            Leads::At(address) => Some(address),
            Leads::Untold | Leads::Nobody => None,
        }
    }
}

/// A cluster's nodes by their own word.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RaftView {
    /// Autopilot's judgement; `None` where it does not run.
    pub healthy: Option<bool>,
    /// Voters that can be lost.
    pub failure_tolerance: Option<u32>,
    pub peers: Vec<RaftPeer>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RaftPeer {
    pub id: String,
    /// Empty where nobody told it.
    pub api_address: String,
    pub cluster_address: String,
    pub leader: bool,
    pub voter: bool,
    pub healthy: Option<bool>,
    pub last_contact: Option<Duration>,
    pub last_index: Option<u64>,
    pub last_term: Option<u64>,
    pub version: String,
}

impl Foreign {
    /// What it does not say while it is sealed stays as it was.
    pub(super) fn keep_from(&mut self, before: &Foreign) {
        self.cluster = self.cluster.take().or_else(|| before.cluster.clone());
        self.raft = self.raft.take().or_else(|| before.raft.clone());
        // A node that does not answer its leader is told without the address that clients knew it by.
        let (Some(raft), Some(before)) = (&mut self.raft, &before.raft) else { return };
        raft.amend(|raft| {
            for peer in raft.peers.iter_mut().filter(|peer| peer.api_address.is_empty()) {
                let known = before.last().peers.iter().find(|known| known.id == peer.id);
                peer.api_address = known.map_or_else(String::new, |known| known.api_address.clone());
            }
        });
    }

    /// The kind of replication that is in use, of the two that Vault has.
    pub fn mode(&self) -> Option<(&'static str, &ModeStatus)> {
        let told = self.replication.as_ref()?;
        let used = |mode: &ModeStatus| *mode != ModeStatus::Disabled;
        match (&told.dr, &told.performance) {
            (dr, _) if used(dr) => Some(("DR", dr)),
            (_, performance) if used(performance) => Some(("performance", performance)),
            _ => None,
        }
    }

    /// Whether its replication does what it should, by Vault's own rule; else what is wrong.
    pub fn replication_fault(&self) -> Option<String> {
        let (kind, mode) = self.mode()?;
        let down = |status: &str| status == "disconnected";
        match mode {
            ModeStatus::Disabled => None,
            ModeStatus::Primary(primary) if primary.state != "running" => {
                Some(format!("{kind} replication is `{}`, not running", primary.state))
            }
            ModeStatus::Primary(primary) => {
                let lost = primary.secondaries.iter().find(|peer| down(&peer.connection_status))?;
                Some(format!("{kind} secondary {} is disconnected", lost.api_address))
            }
            ModeStatus::Secondary(secondary) => match secondary.state.as_str() {
                _ if secondary.primaries.first().is_some_and(|peer| down(&peer.connection_status)) => {
                    Some(format!("{kind} replication: the primary is disconnected"))
                }
                "stream-wals" | "merkle-diff" | "merkle-sync" => None,
                "idle" => Some(format!("{kind} replication is idle: it takes nothing from the primary")),
                other => Some(format!("{kind} replication is `{other}`")),
            },
        }
    }
}

/// How a cluster that is no Twinkeep is, in one word.
pub fn health(region: &RegionView<'_>, foreign: &Observed<Foreign>, now: UnixMs) -> Health {
    let reading = foreign.read(now);
    let said = reading.value;
    if region.is_dark() {
        return Health::Dark;
    }
    let all_sealed = region.nodes.iter().filter_map(|node| node.foreign.as_ref()).all(|node| node.last().sealed);
    if !said.initialized || all_sealed || said.leader == Leads::Nobody {
        return Health::Down;
    }
    let raft = said.raft.as_ref().map(|raft| raft.last());
    let unwell = raft.is_some_and(|raft| raft.healthy == Some(false));
    let partly = region.answering() < region.size()
        || region.nodes.iter().filter_map(|node| node.foreign.as_ref()).any(|node| node.last().sealed);
    let fault = said.replication_fault().is_some();
    match () {
        // A dead node that nobody named can't be missed.
        () if untold_nodes(region).is_some() => Health::Unknown,
        () if unwell || partly || fault || reading.is_old() => Health::Degraded,
        () => Health::Well,
    }
}

/// Why nobody knows how many nodes a cluster has, in words: only a token is told.
pub(super) fn untold_nodes(region: &RegionView<'_>) -> Option<String> {
    let said = region.foreign.filter(|_| region.status.is_none())?.last();
    let why = said.untold.as_deref().unwrap_or("nobody said");
    let is_untold = said.raft.is_none() && !said.sealed;
    is_untold.then(|| format!("how many nodes {} has is unknown: {why}", region.name))
}

/// What is wrong with it, as far as it says so.
pub(super) fn alarms(region: &RegionView<'_>, foreign: &Observed<Foreign>, found: &mut Found) {
    let name = &region.name;
    let said = foreign.last();
    for node in &region.nodes {
        let Some(own) = node.foreign.as_ref().filter(|_| node.is_up()) else { continue };
        let own = own.last();
        let which = region.peer_name(node);
        if !own.initialized {
            found.warn(format!("{which} not initialised"), format!("{which} of {name} is not initialised"));
        } else if own.sealed {
            let shares = own.unseal.map_or_else(String::new, |(given, needed)| format!(", {given} of {needed} shares"));
            found.alarm(format!("{which} sealed"), format!("{which} of {name} is sealed{shares}"));
        }
    }
    if said.initialized && said.leader == Leads::Nobody {
        found.alarm(format!("{name} leaderless"), format!("{name} has no leader: nothing takes writes"));
    }
    if let Some(raft) = &said.raft {
        let told = raft.last();
        for peer in &told.peers {
            if peer.healthy == Some(false) {
                let heard =
                    peer.last_contact.map_or_else(String::new, |age| format!(", last heard {} ago", duration(age)));
                let text = format!("autopilot calls {} of {name} unhealthy{heard}", peer.id);
                found.warn(format!("{} unhealthy", peer.id), text);
            } else if let Some(age) = peer.last_contact.filter(|age| *age > CONTACT_WARN && !peer.leader) {
                let text = format!("{} of {name} was last heard by its leader {} ago", peer.id, duration(age));
                found.warn(format!("{} silent {}", peer.id, duration(age)), text);
            }
        }
        let voters = told.peers.iter().filter(|peer| peer.voter).count();
        if told.failure_tolerance == Some(0) && voters > 1 {
            let voters = plural(voters as u64, "voter", "voters");
            let text = format!("{name} loses its majority with the next node: {voters}, none to spare");
            found.warn(format!("{name}: no node to spare"), text);
        }
    }
    if let Some(fault) = said.replication_fault() {
        found.alarm(format!("{name} at fault"), format!("{name}: {fault}"));
    }
}

/// `975.933289ms`, `1.5s`, `2m3s`: a duration as Go writes it.
pub fn go_duration(text: &str) -> Option<Duration> {
    let mut left = text.trim();
    let mut seconds = 0.0;
    if left == "0" {
        return Some(Duration::ZERO);
    }
    while !left.is_empty() {
        let end = left.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let number: f64 = left[..end].parse().ok()?;
        left = &left[end..];
        let end = left.find(|character: char| character.is_ascii_digit()).unwrap_or(left.len());
        seconds += number
            * match &left[..end] {
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "µs" | "us" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        left = &left[end..];
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.trim().is_empty())
}

/// The id of a cluster, a UUID, as the id of a region.
pub fn cluster_id(uuid: &str) -> Option<RegionId> {
    uuid.replace('-', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let of = |text| go_duration(text).map(|duration| duration.as_millis());
        assert_eq!(of("975.933289ms"), Some(975));
        assert_eq!(of("0s"), Some(0));
        assert_eq!(of("2m3.5s"), Some(123_500));
        assert_eq!(of("12µs"), Some(0));
        for wrong in ["", "fast", "3", "1y", "-1s"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_node_that_died_keeps_the_address_that_it_was_known_by() {
        let told = |address: &str| {
            let peer = RaftPeer { id: "bao-1".into(), api_address: address.into(), ..RaftPeer::default() };
            let raft = RaftView { peers: vec![peer], ..RaftView::default() };
            Foreign {
                product: Product::OpenBao,
                version: "2.7.2".into(),
                cluster: None,
                initialized: true,
                sealed: false,
                unseal: None,
                follower: true,
                leader: Leads::Nobody,
                committed_index: None,
                applied_index: None,
                replication: None,
                raft: Some(Observed::new(raft, UnixMs(0), "it")),
                untold: None,
            }
        };
        let mut now = told("");
        now.keep_from(&told("http://127.0.0.1:8200"));
        assert_eq!(now.raft.as_ref().map(|raft| &*raft.last().peers[0].api_address), Some("http://127.0.0.1:8200"));
        // What it says itself goes before.
        let mut now = told("http://127.0.0.1:8300");
        now.keep_from(&told("http://127.0.0.1:8200"));
        assert_eq!(now.raft.as_ref().map(|raft| &*raft.last().peers[0].api_address), Some("http://127.0.0.1:8300"));
    }
}
