//! All nodes in view, sorted into regions.
//!
//! Which node belongs to which region is found out when reports come in, not when somebody looks: a frame looks many times.

use super::alarm::{self, Alarm};
use super::node::{Contact, NodeReport, NodeView, normal_address, short_address};
use super::region::RegionView;
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::ids::RegionId;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Every node that was named on the command line or found since, in the order they came up.
#[derive(Clone, Default, Debug)]
pub struct World {
    nodes: Vec<NodeView>,
    sorted: Vec<Sorted>,
    /// The region that each address was last said to belong to: a node that was removed before it ever answered is nobody
    /// new.
    homes: BTreeMap<String, (RegionId, String)>,
    /// What is wrong, as of a moment: a frame asks several times.
    alarms: RefCell<Option<(UnixMs, Vec<Alarm>)>>,
}

/// A region's nodes, by their places.
#[derive(Clone, Debug)]
struct Sorted {
    id: Option<RegionId>,
    name: String,
    nodes: Vec<usize>,
    /// Those that do not answer, and that the region does not have any more: removed, or replaced by another.
    left: Vec<usize>,
}

impl World {
    /// A world of nodes that were not heard yet.
    pub fn of_addresses<'a>(addresses: impl IntoIterator<Item = &'a str>) -> World {
        let mut world = World::default();
        world.take_all(addresses.into_iter().map(|address| NodeReport::new(normal_address(address))));
        world
    }

    /// All that are called, those that left included.
    pub fn nodes(&self) -> &[NodeView] {
        &self.nodes
    }

    /// Whether every node of every region answers.
    pub fn all_answer(&self) -> bool {
        self.sorted.iter().flat_map(|region| &region.nodes).all(|at| self.nodes[*at].is_up())
    }

    /// Takes reports in; the report of an unknown address is a new node.
    pub fn take_all(&mut self, reports: impl IntoIterator<Item = NodeReport>) {
        for report in reports {
            match self.nodes.iter_mut().find(|node| node.address == report.address) {
                Some(node) => node.take(report),
                None => self.nodes.push(report),
            }
        }
        let hearsay = self.hearsay();
        self.homes.extend(hearsay);
        self.sorted = self.sort();
        *self.alarms.get_mut() = None;
    }

    /// All that is wrong, or soon will be.
    pub fn alarms(&self, now: UnixMs) -> Vec<Alarm> {
        let mut remembered = self.alarms.borrow_mut();
        match &*remembered {
            Some((at, alarms)) if *at == now => alarms.clone(),
            _ => {
                let found = alarm::alarms(self, now);
                *remembered = Some((now, found.clone()));
                found
            }
        }
    }

    /// The regions, in the order in which their first nodes were named: a card never changes its place because roles
    /// did. A node that never answered belongs to the region that says so, else it stands for itself.
    pub fn regions(&self) -> Vec<RegionView<'_>> {
        let view = |sorted: &Sorted| {
            let of = |places: &[usize]| places.iter().map(|at| &self.nodes[*at]).collect();
            let (nodes, left) = (of(&sorted.nodes), of(&sorted.left));
            let (id, name) = (sorted.id, sorted.name.clone());
            let mut region = RegionView { id, name, nodes, left, status: None, foreign: None };
            region.status = region.best_status();
            region.foreign = region.best_foreign();
            region
        };
        self.sorted.iter().map(view).collect()
    }

    fn sort(&self) -> Vec<Sorted> {
        let mut regions: Vec<Sorted> = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let own = node.status.as_ref().map(|status| &status.last().region);
            let own = own.map(|region| (region.id, region.name.clone()));
            let own = own.or_else(|| node.foreign.as_ref().and_then(|foreign| foreign.last().cluster.clone()));
            let (id, name) = match own.or_else(|| self.homes.get(&node.address).cloned()) {
                Some((id, name)) => (Some(id), name),
                None => (None, short_address(&node.address).to_owned()),
            };
            let known = regions.iter_mut().find(|region| match (region.id, id) {
                // A region that was not initialised yet has no id: its name must do.
                (Some(a), Some(b)) => a == b && (a != RegionId::default() || region.name == name),
                _ => false,
            });
            match known {
                Some(region) => region.nodes.push(at),
                None => regions.push(Sorted { id, name, nodes: vec![at], left: Vec::new() }),
            }
        }
        for region in &mut regions {
            let all = std::mem::take(&mut region.nodes);
            (region.left, region.nodes) = all.iter().partition(|at| self.has_left(&self.nodes[**at], &all));
        }
        regions
    }

    /// Whether its region, as one of its nodes tells it now, does not have this node any more. While no node of a region
    /// answers, nobody can say so.
    fn has_left(&self, node: &NodeView, of_region: &[usize]) -> bool {
        let answering = || of_region.iter().map(|at| &self.nodes[*at]).filter(|other| other.is_up());
        let newest = answering().filter_map(|other| other.status.as_ref()).max_by_key(|status| status.at());
        let told = newest.map_or(&[][..], |status| &status.last().nodes);
        let silent = matches!(node.contact, Contact::Gone { .. } | Contact::Erring { .. });
        if !silent || told.is_empty() || told.iter().any(|told| normal_address(&told.api_addr) == node.address) {
            return false;
        }
        // Under the same name it may be reached by another address than its own, or answer elsewhere by now.
        let named = node.name().filter(|name| told.iter().any(|told| told.name == **name));
        named.is_none_or(|name| answering().any(|other| other.name() == Some(name)))
    }

    /// Which region an address belongs to, by what other nodes say.
    fn hearsay(&self) -> BTreeMap<String, (RegionId, String)> {
        let mut of_address = BTreeMap::new();
        for status in self.nodes.iter().filter_map(|node| node.status.as_ref()) {
            let status = status.last();
            for node in &status.nodes {
                of_address.insert(normal_address(&node.api_addr), (status.region.id, status.region.name.clone()));
            }
            let linked = status.links.iter().map(|link| (&link.addresses, link.region, &link.name));
            let primary = status.primary.iter().map(|primary| (&primary.addresses, primary.region, &primary.name));
            for (addresses, region, name) in linked.chain(primary) {
                if region == RegionId::default() || name.is_empty() {
                    continue;
                }
                for address in addresses {
                    of_address.entry(normal_address(address)).or_insert_with(|| (region, name.clone()));
                }
            }
        }
        for foreign in self.nodes.iter().filter_map(|node| node.foreign.as_ref()) {
            let said = foreign.last();
            let Some(cluster) = &said.cluster else { continue };
            let peers = said.raft.iter().flat_map(|raft| &raft.last().peers).map(|peer| peer.api_address.as_str());
            for address in peers.chain(said.leader.address()).filter(|address| !address.is_empty()) {
                of_address.entry(normal_address(address)).or_insert_with(|| cluster.clone());
            }
        }
        of_address
    }
}
