//! What a promotion would lose: an estimate that says what it does not know.

use super::{Facts, seconds};
use crate::api::replication::LossEstimate;
use crate::state::Class;

impl Facts<'_> {
    /// What would be lost. Exact only if the primary is known to take no more writes, which a failover can't know
    /// before it meets the primary again.
    pub(super) fn loss(&self) -> LossEstimate {
        let path = &self.ctx.path;
        let Some(heard) = self.heard else {
            return LossEstimate {
                entries: 0,
                bytes: 0,
                ms: 0,
                known: false,
                last_heard_at: None,
                likely_entries: None,
                by_class: Vec::new(),
                words: "unknown: the primary was not heard since this node leads".to_owned(),
            };
        };
        let silent_ms = self.silent_ms.unwrap_or_default();
        let entries = heard.header.head.index.saturating_sub(path.applied.index);
        let behind = heard.header.totals.since(&path.totals);
        let by_class: Vec<(Class, u64)> = if entries == 0 { Vec::new() } else { behind.by_class() };
        let age = heard.header.head_at.since(path.applied_at).as_millis() as u64;
        let likely = heard.writes.last_known().map(|(per_second, _)| {
            let unheard = per_second * silent_ms as f64 / 1000.0;
            entries + unheard.round() as u64
        });
        let mut words = format!("unknown: at least {entries}, last heard {} ago", seconds(silent_ms));
        if let Some(likely) = likely {
            words += &format!("; at the last rate about {likely}");
        }
        LossEstimate {
            entries,
            bytes: if entries == 0 { 0 } else { behind.bytes },
            ms: silent_ms + if entries == 0 { 0 } else { age },
            known: false,
            last_heard_at: Some(heard.at),
            likely_entries: likely,
            by_class,
            words,
        }
    }
}
