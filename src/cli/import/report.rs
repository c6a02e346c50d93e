//! What an import did, for people and for programs; while it runs, a line of it.

use super::trouble::Trouble;
use super::{Mode, Sides};
use crate::cli::args::Format;
use crate::cli::failure::{EXIT_LOCAL, EXIT_SERVER};
use crate::cli::output::{Output, grouped, table};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;

/// So much of what went wrong is told one by one; the rest is counted.
const PROBLEMS_MAX: usize = 1000;

#[derive(Serialize)]
pub struct Report {
    source: String,
    destination: String,
    dry_run: bool,
    pub state: State,
    pub mounts: Vec<MountReport>,
    pub policies: Counts,
    /// What is here already and differs.
    conflicts: Vec<Item>,
    /// What one of the servers refused.
    failures: Vec<Item>,
    /// Conflicts and failures beyond those.
    more_problems: u64,
    /// What an import does not take.
    not_taken: Vec<Item>,
}

#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum State {
    Complete,
    /// The rest is still to be copied.
    Stopped {
        why: String,
    },
}

#[derive(Serialize)]
pub struct MountReport {
    path: String,
    kv_version: u32,
    state: MountState,
    /// Secrets that were written, or added to.
    written: u64,
    /// Secrets that were here, and equal.
    equal: u64,
    /// Versions with their data.
    versions: u64,
    /// Versions whose data is not to be had: destroyed ones here.
    without_data: u64,
    /// Secrets that could not be copied.
    problems: u64,
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum MountState {
    There,
    Made,
}

#[derive(Serialize, Default)]
pub struct Counts {
    pub written: u64,
    pub equal: u64,
}

#[derive(Serialize)]
struct Item {
    what: String,
    why: String,
}

/// What became of one secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Copied {
    Written {
        versions: u64,
        markers: u64,
    },
    Equal,
    /// It was deleted after it had been listed.
    Vanished,
}

impl MountReport {
    pub fn new(path: &str, kv_version: u32, state: MountState) -> MountReport {
        let path = path.to_owned();
        MountReport { path, kv_version, state, written: 0, equal: 0, versions: 0, without_data: 0, problems: 0 }
    }
}

impl Report {
    pub fn new(sides: &Sides) -> Report {
        Report {
            source: sides.source.address().to_owned(),
            destination: sides.here.address().to_owned(),
            dry_run: sides.mode == Mode::DryRun,
            state: State::Complete,
            mounts: Vec::new(),
            policies: Counts::default(),
            conflicts: Vec::new(),
            failures: Vec::new(),
            more_problems: 0,
            not_taken: Vec::new(),
        }
    }

    /// Of the mount that is being copied.
    pub fn count(&mut self, copied: Copied) {
        let Some(mount) = self.mounts.last_mut() else { return };
        match copied {
            Copied::Written { versions, markers, .. } => {
                mount.written += 1;
                mount.versions += versions;
                mount.without_data += markers;
            }
            Copied::Equal => mount.equal += 1,
            Copied::Vanished => {}
        }
    }

    pub fn fail(&mut self, what: &str, trouble: &Trouble) {
        if let Some(mount) = self.mounts.last_mut().filter(|mount| what.starts_with(&mount.path)) {
            mount.problems += 1;
        }
        if self.conflicts.len() + self.failures.len() >= PROBLEMS_MAX {
            self.more_problems += 1;
            return;
        }
        let item = Item { what: what.to_owned(), why: trouble.to_string() };
        match trouble {
            Trouble::Conflict(_) => self.conflicts.push(item),
            Trouble::Refused(_) | Trouble::Lost(_) => self.failures.push(item),
        }
    }

    pub fn leave(&mut self, what: &str, why: &str) {
        self.not_taken.push(Item { what: what.to_owned(), why: why.to_owned() });
    }

    /// One line.
    pub fn progress(&self, format: Format) -> String {
        let Some(mount) = self.mounts.last() else { return String::new() };
        match format {
            Format::Json => json!({ "progress": mount }).to_string(),
            Format::Table => format!(
                "{}: {} secrets written ({} versions), {} were here, {} problems",
                mount.path,
                grouped(mount.written),
                grouped(mount.versions),
                grouped(mount.equal),
                grouped(mount.problems)
            ),
        }
    }

    /// 0: all is here; 1: conflicts; 2: a server refused something, or it was not finished.
    pub fn shown(self, format: Format) -> Output {
        let exit = match (&self.state, self.failures.is_empty(), self.conflicts.is_empty() && self.more_problems == 0) {
            (State::Stopped { .. }, ..) | (_, false, _) => EXIT_SERVER,
            (State::Complete, true, false) => EXIT_LOCAL,
            (State::Complete, true, true) => 0,
        };
        Output { exit, ..Output::of(format, &self, Report::words) }
    }

    fn words(&self) -> String {
        let mut text = String::new();
        let rows: Vec<[String; 7]> = self
            .mounts
            .iter()
            .map(|mount| {
                let path = match (mount.state, self.dry_run) {
                    (MountState::There, _) => mount.path.clone(),
                    (MountState::Made, false) => format!("{} (new)", mount.path),
                    (MountState::Made, true) => format!("{} (to be made)", mount.path),
                };
                let counts = [mount.written, mount.versions, mount.without_data, mount.equal, mount.problems];
                let [written, versions, without_data, equal, problems] = counts.map(grouped);
                [path, mount.kv_version.to_string(), written, versions, without_data, equal, problems]
            })
            .collect();
        let headings = ["Mount", "KV", "Secrets", "Versions", "Without data", "Were here", "Problems"];
        // Writing to a string can't fail.
        let _ = writeln!(text, "{}", table(headings, &rows));
        let _ = writeln!(
            text,
            "\nPolicies: {} written, {} were here.",
            grouped(self.policies.written),
            grouped(self.policies.equal)
        );
        for (title, items) in [
            ("Left as they are here, since they differ", &self.conflicts),
            ("Not copied, since a server refused", &self.failures),
            ("Not taken by an import", &self.not_taken),
        ] {
            if !items.is_empty() {
                let rows: Vec<[String; 2]> = items.iter().map(|item| [item.what.clone(), item.why.clone()]).collect();
                let _ = writeln!(text, "\n{title}:\n\n{}", table(["What", "Why"], &rows));
            }
        }
        if self.more_problems > 0 {
            let _ = writeln!(text, "\nAnd {} more that differ or were refused.", grouped(self.more_problems));
        }
        let _ = match (&self.state, self.dry_run) {
            (State::Stopped { why }, _) => {
                write!(text, "\nStopped: {why}\n\nThe same command goes on where this one stopped.")
            }
            (State::Complete, true) => write!(text, "\nNothing was written: this was a dry run."),
            (State::Complete, false) if self.conflicts.is_empty() && self.failures.is_empty() => {
                write!(text, "\nSuccess! All KV data of {} is here.", self.source)
            }
            (State::Complete, false) => write!(text, "\nAll else of {} is here.", self.source),
        };
        text
    }
}
