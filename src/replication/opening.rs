//! Whether this region's primary takes writes (the rule is `protocol/opening.rs`): what this node remembers of it, what
//! the gate in front of the writes is told, and an operator's override with its durable record.

use super::context::Context;
use super::driver::Ask;
use super::protocol::{Core, OpenedBy};
use crate::clock::{self, UnixMs};
use crate::consensus::gate::WriteGate;
use crate::error::{Error, Result};
use crate::ids::{DatasetId, Epoch};
use crate::state::{PathState, RegionChange, Role};
use crate::storage::keys::Key;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A new leader that may open in a moment lets writes wait so long before it refuses them: a standby that is there
/// answers sooner, and so does a node of the region that remembers.
const REFUSED_AFTER: Duration = Duration::from_secs(2);
/// The longest reason that is kept.
const REASON_BYTES_MAX: usize = 1024;

/// What this node knows in memory, and forgets with its process: that is the point.
#[derive(Default)]
pub(super) struct Opening(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The data set and the epoch in which the region was last seen open.
    open: Option<(DatasetId, Epoch)>,
    /// On the leader of a closed primary: why, and what to do.
    closed: Option<String>,
}

/// What is kept of an override, under `Key::Override`, as postcard.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct OverrideRecord {
    dataset: DatasetId,
    epoch: Epoch,
    at: UnixMs,
    reason: String,
    /// The regions that had not confirmed, by name.
    unconfirmed: Vec<String>,
}

impl Opening {
    /// Whether this node has seen the region open in its present epoch, since the node started.
    pub fn saw_open(&self, path: &PathState) -> bool {
        path.ships() && self.known().open == Some((path.dataset, path.epoch))
    }

    pub fn seen(&self) -> Option<(DatasetId, Epoch)> {
        self.known().open
    }

    pub fn note_open(&self, dataset: DatasetId, epoch: Epoch) {
        self.known().open = Some((dataset, epoch));
    }

    /// Why this leader's region takes no writes although it is primary.
    pub fn closed(&self) -> Option<String> {
        self.known().closed.clone()
    }

    /// Tells the gate, and whoever asks, where the core stands. `since`: when this node began to lead.
    pub fn publish(&self, gate: &WriteGate, core: &Core, path: &PathState, term: u64, since: Instant) {
        if path.role != Role::Primary {
            self.known().closed = None;
            return gate.close(term, &format!("this region is {} in epoch {}", path.role, path.epoch));
        }
        if core.is_open() {
            *self.known() = Known { open: Some((path.dataset, path.epoch)), closed: None };
            return gate.open(term);
        }
        let names: Vec<&str> = core.waits_for().iter().map(|peer| peer.name.as_str()).collect();
        let words = closed_words(path, &names);
        if clock::steady().saturating_duration_since(since) >= REFUSED_AFTER {
            gate.close(term, &words);
        }
        self.known().closed = Some(words);
    }

    /// This node leads no longer.
    pub fn led(&self, gate: &WriteGate) {
        self.known().closed = None;
        gate.undecide();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed_words(path: &PathState, unconfirmed: &[&str]) -> String {
    let who = match unconfirmed {
        [] => "its links are not known yet".to_owned(),
        names => format!("{} has not confirmed that no other region was promoted meanwhile", names.join(", ")),
    };
    format!(
        "this region restarted as primary of epoch {} and takes no writes yet: {who}. It opens by itself as soon as that \
         is confirmed; if a region is gone for good, disconnect it; if you are sure that no other was promoted: \
         twinkeep replication open -reason=TEXT",
        path.epoch
    )
}

/// Opens a closed primary for writes because an operator says so. The reason is agreed on before anything else happens.
pub(super) async fn override_closed(context: &Arc<Context>, reason: &str) -> Result<()> {
    context.lead().await?;
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        return Err(Error::invalid(format!(
            "say why no other region can have been promoted, in 1 to {REASON_BYTES_MAX} bytes: the reason is kept"
        )));
    }
    let path = context.state().path();
    if path.role != Role::Primary {
        return Err(Error::Conflict(format!(
            "this region is {} in epoch {}: only a primary is opened for writes; `twinkeep replication promote` makes \
             one of a standby",
            path.role, path.epoch
        )));
    }
    let unconfirmed = context.ask(|reply| Ask::WaitsFor { reply }).await?;
    let Some(unconfirmed) = unconfirmed else {
        return Ok(());
    };
    let at = clock::now();
    let (dataset, epoch) = (path.dataset, path.epoch);
    let record = OverrideRecord { dataset, epoch, at, reason: reason.to_owned(), unconfirmed };
    let change = RegionChange {
        puts: vec![(Key::Override(at.0).to_bytes(), Some(postcard::to_stdvec(&record)?.into()))],
        ..RegionChange::default()
    };
    context.agree(change).await?;
    let by = OpenedBy::Override { reason: record.reason };
    context.ask(|reply| Ask::Open { dataset, epoch, by, reply: Some(reply) }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_remembers_the_epoch_that_it_saw_open_and_no_other() {
        let opening = Opening::default();
        let path = PathState::first("default", DatasetId([1; 16]));
        assert!(!opening.saw_open(&path));
        opening.note_open(path.dataset, path.epoch);
        assert!(opening.saw_open(&path));
        assert!(!opening.saw_open(&PathState { epoch: Epoch(2), ..path.clone() }));
        assert!(!opening.saw_open(&PathState { role: Role::Fenced, ..path }));
    }

    #[test]
    fn the_refusal_says_why_and_what_to_do() {
        let words = closed_words(&PathState::first("default", DatasetId([1; 16])), &["eu-west-1"]);
        for part in ["epoch 1", "eu-west-1", "twinkeep replication open -reason", "disconnect"] {
            assert!(words.contains(part), "{words}");
        }
    }
}
