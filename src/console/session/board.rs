//! The newest report of each node, with a count of changes, so that a reader takes only what is new to it.

use crate::console::domain::NodeReport;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Board {
    reports: BTreeMap<String, (u64, NodeReport)>,
    /// In the order in which nodes came up.
    order: Vec<String>,
    changes: u64,
}

impl Board {
    pub fn put(&mut self, report: NodeReport) {
        self.changes += 1;
        let address = report.address.clone();
        if self.reports.insert(address.clone(), (self.changes, report)).is_none() {
            self.order.push(address);
        }
    }

    /// The reports that changed since `seen`, and what to ask for next time.
    pub fn since(&self, seen: u64) -> (Vec<NodeReport>, u64) {
        let newer = |address: &String| {
            let (change, report) = self.reports.get(address)?;
            (*change > seen).then(|| report.clone())
        };
        (self.order.iter().filter_map(newer).collect(), self.changes)
    }

    pub fn get(&self, address: &str) -> Option<&NodeReport> {
        self.reports.get(address).map(|(_, report)| report)
    }

    pub fn all(&self) -> impl Iterator<Item = &NodeReport> {
        self.reports.values().map(|(_, report)| report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_the_newest_of_what_changed_and_nothing_twice() {
        let mut board = Board::default();
        board.put(NodeReport::new("b"));
        board.put(NodeReport::new("a"));
        let (reports, seen) = board.since(0);
        let order: Vec<_> = reports.iter().map(|report| report.address.as_str()).collect();
        assert_eq!(order, ["b", "a"]);
        board.put(NodeReport { clock_skew_ms: Some(1), ..NodeReport::new("b") });
        board.put(NodeReport { clock_skew_ms: Some(2), ..NodeReport::new("b") });
        let (reports, seen) = board.since(seen);
        assert_eq!(reports.iter().map(|report| report.clock_skew_ms).collect::<Vec<_>>(), [Some(2)]);
        assert!(board.since(seen).0.is_empty());
    }
}
