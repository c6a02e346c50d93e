//! All nodes in view, sorted into regions.

use super::node::{NodeReport, NodeView, normal_address, short_address};
use super::region::RegionView;
use crate::ids::RegionId;
use std::collections::BTreeMap;

/// Every node that was named on the command line or found since, in the order they came up.
#[derive(Clone, Default, Debug)]
pub struct World {
    nodes: Vec<NodeView>,
}

impl World {
    /// A world of nodes that were not heard yet.
    pub fn of_addresses<'a>(addresses: impl IntoIterator<Item = &'a str>) -> World {
        let mut world = World::default();
        for address in addresses {
            world.take(NodeReport::new(normal_address(address)));
        }
        world
    }

    pub fn nodes(&self) -> &[NodeView] {
        &self.nodes
    }

    /// Takes a report in; the report of an unknown address is a new node.
    pub fn take(&mut self, report: NodeReport) {
        match self.nodes.iter_mut().find(|node| node.address == report.address) {
            Some(node) => node.take(report),
            None => self.nodes.push(report),
        }
    }

    /// The regions, in the order in which their first nodes were named: a card never changes its place because roles
    /// did. A node that never answered belongs to the region that says so, else it stands for itself.
    pub fn regions(&self) -> Vec<RegionView<'_>> {
        let hearsay = self.hearsay();
        let mut regions: Vec<RegionView<'_>> = Vec::new();
        for node in &self.nodes {
            let own = node.status.as_ref().map(|status| &status.last().region);
            let (id, name) = match own {
                Some(region) => (Some(region.id), region.name.clone()),
                None => match hearsay.get(&node.address) {
                    Some((id, name)) => (Some(*id), name.clone()),
                    None => (None, short_address(&node.address).to_owned()),
                },
            };
            let known = regions.iter_mut().find(|region| match (region.id, id) {
                // A region that was not initialised yet has no id: its name must do.
                (Some(a), Some(b)) => a == b && (a != RegionId::default() || region.name == name),
                _ => false,
            });
            match known {
                Some(region) => region.nodes.push(node),
                None => regions.push(RegionView { id, name, nodes: vec![node], status: None }),
            }
        }
        for region in &mut regions {
            region.status = region.best_status();
        }
        regions
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
        of_address
    }
}
