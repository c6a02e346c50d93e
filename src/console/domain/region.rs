//! A region as a whole: the best answer of its nodes, and whether any of them answers at all.

use super::foreign::{self, Foreign, Product, RaftPeer};
use super::node::{Access, Contact, NodeView, normal_address, short_address};
use super::observed::{Observed, Reading};
use crate::api::replication::Role;
use crate::api::replication::{NodeStatus, PathStatus, TokenInfo};
use crate::api::vault_replication::ModeStatus;
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::ids::RegionId;
use std::time::Duration;

/// A node's answer replaces the leader's once it is so much newer.
const LEADER_PREFERRED_FOR: Duration = Duration::from_secs(3);

/// A node of a region, as far as each says something of it: its region, the cluster that it is of, and it itself.
#[derive(Clone, Copy, Debug)]
pub struct NodeRow<'a> {
    pub told: Option<&'a NodeStatus>,
    pub peer: Option<&'a RaftPeer>,
    pub seen: Option<&'a NodeView>,
}

impl NodeRow<'_> {
    pub fn name(&self) -> &str {
        let named = self.told.map(|told| told.name.as_str()).or(self.peer.map(|peer| peer.id.as_str()));
        named.or(self.seen.and_then(NodeView::name)).unwrap_or("?")
    }

    pub fn address(&self) -> String {
        let told = self.told.map(|told| told.api_addr.as_str()).or(self.peer.map(|peer| peer.api_address.as_str()));
        normal_address(told.or(self.seen.map(|seen| seen.address.as_str())).unwrap_or_default())
    }

    /// What a filter looks at.
    pub fn text(&self) -> String {
        let leads = self.told.map(|told| told.leader).or(self.peer.map(|peer| peer.leader));
        let duty = leads.map_or("", |leads| if leads { "leader" } else { "follower" });
        let sealed = self.told.and_then(|told| told.sealed) == Some(true);
        let gone = self.seen.is_some_and(|seen| !seen.is_up());
        let sealed = if sealed { "sealed" } else { "" };
        let gone = if gone { "gone" } else { "" };
        format!("{} {} {duty} {sealed} {gone}", self.name(), self.address())
    }
}

#[derive(Clone, Debug)]
pub struct RegionView<'a> {
    /// `None` until somebody said it.
    pub id: Option<RegionId>,
    /// Its name, or the address while the name is unknown.
    pub name: String,
    pub nodes: Vec<&'a NodeView>,
    /// Silent ones that the region says it does not have any more.
    pub left: Vec<&'a NodeView>,
    /// The newest answer, the leader's if it is as good as new.
    pub status: Option<&'a Observed<PathStatus>>,
    /// Of a cluster that is no Twinkeep: the leader's word if it is as good as new, else the newest.
    pub foreign: Option<&'a Observed<Foreign>>,
}

/// That no node of a region gives its status.
#[derive(Clone, Debug)]
pub struct Silence<'a> {
    pub since: UnixMs,
    pub error: &'a str,
    /// `None` while a call is under way.
    pub retry_at: Option<UnixMs>,
    /// It answers, though with an error.
    pub speaks: bool,
}

/// How a region is, in one word. Ordered from well to worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Health {
    Well,
    /// It works, but something wants attention.
    Degraded,
    /// Never heard.
    Unknown,
    /// It answered once and does not any more.
    Dark,
    /// It answers, and cannot do its work.
    Down,
}

impl Health {
    pub fn word(self) -> &'static str {
        match self {
            Health::Well => "healthy",
            Health::Degraded => "degraded",
            Health::Unknown => "unknown",
            Health::Dark => "dark",
            Health::Down => "down",
        }
    }
}

impl<'a> RegionView<'a> {
    pub fn read(&self, now: UnixMs) -> Option<Reading<'a, PathStatus>> {
        self.status.map(|status| status.read(now))
    }

    /// How long ago anything was heard of it; `None`: never.
    pub fn heard_age(&self, now: UnixMs) -> Option<Duration> {
        self.read(now).map(|reading| reading.age).or_else(|| self.foreign.map(|foreign| foreign.read(now).age))
    }

    /// The role as last heard. A cluster without replication has none.
    pub fn role(&self) -> Option<Role> {
        let told = self.status.map(|status| status.last().role);
        told.or_else(|| match self.foreign?.last().mode()?.1 {
            ModeStatus::Primary(_) => Some(Role::Primary),
            ModeStatus::Secondary(_) => Some(Role::Standby),
            ModeStatus::Disabled => None,
        })
    }

    /// What runs there, if it is no Twinkeep. It does not change while it runs.
    pub fn product(&self) -> Option<Product> {
        self.foreign.map(|foreign| foreign.last().product)
    }

    /// Whether it said that it keeps what only it has.
    pub fn keeps_ledger(&self) -> bool {
        self.status.is_some_and(|said| said.last().ledger.is_some())
    }

    /// Writes in its ledger that nobody decided on, by its last word.
    pub fn undecided(&self) -> u64 {
        self.status.and_then(|said| said.last().ledger.as_ref()).map_or(0, |ledger| ledger.unreviewed)
    }

    /// Whether no node answers this console now.
    pub fn is_dark(&self) -> bool {
        !self.nodes.iter().any(|node| node.is_up())
    }

    pub fn answering(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_up()).count()
    }

    /// Nodes that the region says it has, or those in view while it has said nothing.
    pub fn size(&self) -> usize {
        let told = self.status.map_or(0, |status| status.last().nodes.len());
        told.max(self.peers().len()).max(self.nodes.len())
    }

    /// A row for each node that the region says it has, and for each in view that it does not name.
    pub fn node_rows(&self) -> Vec<NodeRow<'a>> {
        let mut rows = Vec::new();
        let mut shown = Vec::new();
        let told = self.status.map_or(&[][..], |status| &status.last().nodes);
        for node in told {
            let address = normal_address(&node.api_addr);
            let is_it = |seen: &&&NodeView| seen.address == address || seen.name() == Some(node.name.as_str());
            let seen = self.nodes.iter().find(is_it).copied();
            shown.extend(seen.map(|seen| &seen.address));
            rows.push(NodeRow { told: Some(node), peer: None, seen });
        }
        for peer in self.peers().iter().filter(|_| self.status.is_none()) {
            let address = normal_address(&peer.api_address);
            let seen = self.nodes.iter().find(|seen| seen.address == address).copied();
            shown.extend(seen.map(|seen| &seen.address));
            rows.push(NodeRow { told: None, peer: Some(peer), seen });
        }
        let unnamed = self.nodes.iter().filter(|node| !shown.contains(&&node.address));
        rows.extend(unnamed.map(|node| NodeRow { told: None, peer: None, seen: Some(node) }));
        rows
    }

    /// Whether what goes to it can be read on the way: it says so, or is called without TLS.
    pub fn speaks_plainly(&self) -> bool {
        let told = self.status.and_then(|status| status.last().region.tls);
        told == Some(false) || (told.is_none() && self.nodes.iter().any(|node| node.address.starts_with("http:")))
    }

    pub fn health(&self, now: UnixMs) -> Health {
        if let (None, Some(foreign)) = (self.status, self.foreign) {
            return foreign::health(self, foreign, now);
        }
        let Some(reading) = self.read(now) else { return Health::Unknown };
        let status = reading.value;
        if self.is_dark() {
            return Health::Dark;
        }
        let unserving = status.sealed || (status.role == Role::Primary && !status.writable);
        if unserving {
            return Health::Down;
        }
        let incomplete = !status.whole || status.role == Role::Fenced || self.leader().is_none();
        let partly = self.answering() < self.size() || status.nodes.iter().any(|node| node.sealed == Some(true));
        if incomplete || partly || reading.is_old() { Health::Degraded } else { Health::Well }
    }

    pub fn leader(&self) -> Option<&'a str> {
        let told = self.status.and_then(|status| status.last().nodes.iter().find(|node| node.leader));
        told.map(|node| node.name.as_str()).or_else(|| {
            let peer = self.peers().iter().find(|peer| peer.leader).map(|peer| peer.id.as_str());
            peer.or_else(|| self.foreign?.last().leader.address().map(short_address))
        })
    }

    /// The nodes of a cluster that is no Twinkeep, as far as a token is told.
    pub fn peers(&self) -> &'a [RaftPeer] {
        let raft = self.foreign.and_then(|foreign| foreign.last().raft.as_ref());
        raft.map_or(&[], |raft| raft.last().peers.as_slice())
    }

    /// What a node is called: by itself, by its cluster, or by where it is.
    pub fn peer_name(&self, node: &NodeView) -> String {
        let peer = self.peers().iter().find(|peer| normal_address(&peer.api_address) == node.address);
        let named = node.name().or(peer.map(|peer| peer.id.as_str()));
        named.unwrap_or(short_address(&node.address)).to_owned()
    }

    /// Addresses to ask, the leader's first, then those that answer, then the rest.
    pub fn addresses(&self) -> Vec<String> {
        let leader = self.leader();
        let mut nodes: Vec<&NodeView> = self.nodes.clone();
        nodes.sort_by_key(|node| (!node.is_up(), node.name() != leader));
        nodes.iter().map(|node| node.address.clone()).collect()
    }

    /// The address by which the other region reaches it: what it calls its own, else where it was seen.
    pub fn api_address(&self) -> String {
        match self.status.map(|status| status.last().region.api_addr.clone()) {
            Some(address) if !address.is_empty() => address,
            _ => self.addresses().into_iter().next().unwrap_or_default(),
        }
    }

    /// The newest list of activation tokens that a node told.
    pub fn tokens(&self) -> Option<&'a Observed<Vec<TokenInfo>>> {
        self.nodes.iter().filter_map(|node| node.tokens.as_ref()).max_by_key(|tokens| tokens.at())
    }

    /// The best that any node said to our tokens.
    pub fn access(&self) -> Access {
        let rank = |access: &Access| match access {
            Access::Accepted => 3,
            Access::Refused => 2,
            Access::NoToken => 1,
            Access::Untried => 0,
        };
        self.nodes.iter().map(|node| node.access).max_by_key(rank).unwrap_or_default()
    }

    /// Since when no node answers, why, and when the next try is: of the node that was heard last.
    pub fn silence(&self) -> Option<Silence<'a>> {
        let gone = self.nodes.iter().filter_map(|node| match &node.contact {
            Contact::Gone { since, error, retry_at, .. } => {
                Some(Silence { since: *since, error, retry_at: *retry_at, speaks: false })
            }
            Contact::Erring { since, error, retry_at } => {
                Some(Silence { since: *since, error, retry_at: *retry_at, speaks: true })
            }
            Contact::Connecting | Contact::Up { .. } => None,
        });
        if self.is_dark() { gone.max_by_key(|silence| (silence.speaks, silence.since)) } else { None }
    }

    /// The region's clock minus the console's.
    pub fn clock_skew_ms(&self) -> Option<i64> {
        self.nodes.iter().filter(|node| node.is_up()).find_map(|node| node.clock_skew_ms)
    }

    pub(super) fn best_foreign(&self) -> Option<&'a Observed<Foreign>> {
        let answers = || self.nodes.iter().filter_map(|node| node.foreign.as_ref());
        let newest = answers().max_by_key(|answer| answer.at())?;
        let leads = |answer: &&Observed<Foreign>| !answer.last().follower && !answer.last().sealed;
        let best = answers().filter(leads).max_by_key(|answer| answer.at());
        let best = best.filter(|leader| newest.at().since(leader.at()) <= LEADER_PREFERRED_FOR);
        // A sealed node knows least of its cluster.
        let unsealed = answers().filter(|answer| !answer.last().sealed).max_by_key(|answer| answer.at());
        best.or(unsealed.filter(|one| newest.at().since(one.at()) <= LEADER_PREFERRED_FOR)).or(Some(newest))
    }

    pub(super) fn best_status(&self) -> Option<&'a Observed<PathStatus>> {
        let answers = || self.nodes.iter().filter_map(|node| node.status.as_ref());
        let newest = answers().max_by_key(|status| status.at())?;
        let of_leader = answers().filter(|status| {
            let said = status.last();
            said.nodes.iter().any(|node| node.leader && node.name == said.region.node)
        });
        match of_leader.max_by_key(|status| status.at()) {
            Some(leader) if newest.at().since(leader.at()) <= LEADER_PREFERRED_FOR => Some(leader),
            _ => Some(newest),
        }
    }
}
