//! The newest report of each node, with a count of changes, so that a reader takes only what is new to it.

use crate::console::app::ContextId;
use crate::console::domain::NodeReport;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Board {
    reports: BTreeMap<(ContextId, String), (u64, NodeReport)>,
    /// In the order in which nodes came up.
    order: Vec<(ContextId, String)>,
    changes: u64,
}

impl Board {
    pub fn put(&mut self, context: ContextId, report: NodeReport) {
        self.changes += 1;
        let key = (context, report.address.clone());
        if self.reports.insert(key.clone(), (self.changes, report)).is_none() {
            self.order.push(key);
        }
    }

    /// The reports that changed since `seen`, and what to ask for next time.
    pub fn since(&self, seen: u64) -> (Vec<(ContextId, NodeReport)>, u64) {
        let newer = |key: &(ContextId, String)| {
            let (change, report) = self.reports.get(key)?;
            (*change > seen).then(|| (key.0, report.clone()))
        };
        (self.order.iter().filter_map(newer).collect(), self.changes)
    }

    pub fn get(&self, context: ContextId, address: &str) -> Option<&NodeReport> {
        self.reports.get(&(context, address.to_owned())).map(|(_, report)| report)
    }

    pub fn all(&self) -> impl Iterator<Item = &NodeReport> {
        self.reports.values().map(|(_, report)| report)
    }

    pub fn of(&self, context: ContextId) -> impl Iterator<Item = &NodeReport> {
        let of = self.reports.range((context, String::new())..(ContextId(context.0 + 1), String::new()));
        of.map(|(_, (_, report))| report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_the_newest_of_what_changed_and_nothing_twice() {
        let mut board = Board::default();
        board.put(ContextId(0), NodeReport::new("b"));
        board.put(ContextId(0), NodeReport::new("a"));
        let (reports, seen) = board.since(0);
        let order: Vec<_> = reports.iter().map(|(_, report)| report.address.as_str()).collect();
        assert_eq!(order, ["b", "a"]);
        board.put(ContextId(0), NodeReport { clock_skew_ms: Some(1), ..NodeReport::new("b") });
        board.put(ContextId(0), NodeReport { clock_skew_ms: Some(2), ..NodeReport::new("b") });
        let (reports, seen) = board.since(seen);
        assert_eq!(reports.iter().map(|(_, report)| report.clock_skew_ms).collect::<Vec<_>>(), [Some(2)]);
        assert!(board.since(seen).0.is_empty());
    }
}
