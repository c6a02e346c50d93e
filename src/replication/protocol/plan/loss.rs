//! What a promotion would lose: an estimate that says what it does not know.

use super::{Facts, seconds};
use crate::api::replication::LossEstimate;
use crate::clock::UnixMs;
use crate::state::{Class, Role};

/// Of a switchover: the primary stops first.
pub(in super::super) fn nothing_lost(last_heard_at: Option<UnixMs>) -> LossEstimate {
    LossEstimate {
        entries: 0,
        bytes: 0,
        ms: 0,
        known: true,
        last_heard_at,
        likely_entries: None,
        by_class: Vec::new(),
        applied: None,
        head: None,
        newest_at: None,
        words: "nothing: the primary stops first, and all that it acknowledged is here before this region opens".into(),
    }
}

impl Facts<'_> {
    /// Of a region that is not promoted: "nothing is lost" would be an answer to another question.
    pub(super) fn no_statement(&self) -> LossEstimate {
        let words = format!("no statement: this region is {}, and no standby", self.ctx.path.role);
        LossEstimate { known: false, words, ..nothing_lost(None) }
    }

    /// What would be lost. Exact only if the primary is known to take no more writes: because it gave up to this region,
    /// which has not given the right back. Any other failover can't know before it meets the primary again.
    pub(super) fn loss(&self) -> LossEstimate {
        let path = &self.ctx.path;
        let unknown = |words: String| LossEstimate { known: false, words, ..nothing_lost(None) };
        if let Some(gave_up) = &path.handover.gave_up {
            let (name, next) = (&gave_up.to.name, path.epoch.next());
            return unknown(format!("unknown: {name} may have opened epoch {next} and taken writes, which stay there"));
        }
        match path.role {
            Role::Standby => {}
            Role::Primary => return self.no_statement(),
            Role::Fenced => {
                let whose = path.primary.as_ref().map_or("the present primary", |known| known.name.as_str());
                return unknown(format!("unknown: all that {whose} acknowledged in epoch {} stays there", path.epoch));
            }
        }
        let Some(heard) = self.heard else {
            return unknown("unknown: the primary was not heard since this node leads".to_owned());
        };
        if let Some(reached) = self.stopped_at.filter(|reached| *reached == heard.header.head) {
            let behind = heard.header.totals.since(&path.totals);
            let entries = reached.index.saturating_sub(path.applied.index);
            let words = match entries {
                0 => format!("nothing: the primary gave up at {reached}, and all of it is here"),
                _ => format!("{entries}, no more: the primary gave up at {reached}"),
            };
            let ms = heard.header.head_at.since(path.applied_at).as_millis() as u64;
            let (bytes, by_class) = if entries == 0 { (0, Vec::new()) } else { (behind.bytes, behind.by_class()) };
            let newest_at = (entries > 0).then_some(heard.header.head_at);
            let (applied, head) = (Some(path.applied), Some(reached));
            let nothing = nothing_lost(Some(heard.at));
            return LossEstimate { entries, bytes, ms, by_class, applied, head, newest_at, words, ..nothing };
        }
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
            applied: Some(path.applied),
            head: Some(heard.header.head),
            newest_at: (entries > 0).then_some(heard.header.head_at),
            words,
        }
    }
}
