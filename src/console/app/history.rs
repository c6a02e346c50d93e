//! What happened, and how the lag went: bounded, newest last.

use super::context::ContextId;
use crate::api::replication::{Event, EventLevel};
use crate::clock::UnixMs;
use crate::console::domain::units::in_groups;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Events kept; the oldest go first.
pub const EVENTS_MAX: usize = 5_000;
/// One a second: ten minutes.
pub const SAMPLES_MAX: usize = 600;
/// A toast is shown for so long.
pub const TOAST_FOR: Duration = Duration::from_secs(6);

/// The subject of what was marked.
pub const MARK: &str = "mark";

/// Who tells what this console noticed or did itself.
pub const CONSOLE: &str = "console";

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// By the clock of who tells it.
    pub at: UnixMs,
    pub region: String,
    pub level: EventLevel,
    pub subject: String,
    pub text: String,
}

#[derive(Clone, Debug, Default)]
pub struct EventLog {
    entries: VecDeque<LogEntry>,
    /// Several nodes of a region may tell the same event.
    seen: BTreeSet<(String, u64, UnixMs)>,
}

impl EventLog {
    pub fn take(&mut self, region: &str, event: Event) {
        if !self.seen.insert((region.to_owned(), event.id, event.at)) {
            return;
        }
        if self.seen.len() > 2 * EVENTS_MAX {
            self.seen.pop_first();
        }
        let Event { at, level, subject, text, .. } = event;
        let text = in_groups(&text);
        self.insert(LogEntry { at, region: region.to_owned(), level, subject, text });
    }

    /// What the console itself noticed.
    pub fn note(&mut self, at: UnixMs, level: EventLevel, subject: &str, text: impl Into<String>) {
        self.insert(LogEntry { at, region: CONSOLE.into(), level, subject: subject.into(), text: text.into() });
    }

    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &LogEntry> + ExactSizeIterator {
        self.entries.iter()
    }

    fn insert(&mut self, entry: LogEntry) {
        let at = self.entries.partition_point(|other| other.at <= entry.at);
        self.entries.insert(at, entry);
        if self.entries.len() > EVENTS_MAX {
            self.entries.pop_front();
        }
    }
}

/// The lag at one time. `None`: unknown then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    pub at: UnixMs,
    pub entries: Option<u64>,
    pub ms: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub struct Samples(VecDeque<Sample>);

impl Samples {
    /// Keeps one sample a second.
    pub fn take(&mut self, sample: Sample) {
        if self.0.back().is_some_and(|last| sample.at.since(last.at) < Duration::from_millis(950)) {
            return;
        }
        self.0.push_back(sample);
        if self.0.len() > SAMPLES_MAX {
            self.0.pop_front();
        }
    }

    /// The newest `count` columns of so many samples each, oldest first: the worst of each is what is seen.
    pub fn columns(&self, count: usize, each: usize) -> Vec<Option<u64>> {
        let each = each.max(1);
        let all: Vec<&Sample> = self.0.iter().collect();
        let skip = all.len() % each;
        let columns: Vec<Option<u64>> =
            all[skip..].chunks(each).map(|column| column.iter().filter_map(|sample| sample.ms).max()).collect();
        columns[columns.len().saturating_sub(count)..].to_vec()
    }

    /// The newest `count`, oldest first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &Sample> {
        self.0.iter().skip(self.0.len().saturating_sub(count))
    }
}

/// A short word about what was just done, in a corner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Toast {
    pub at: UnixMs,
    /// The one that it is about.
    pub context: ContextId,
    pub level: EventLevel,
    pub text: String,
}
