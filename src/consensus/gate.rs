//! Whether this node, where it leads, may take client writes now: what replication says about its region's right to
//! acknowledge. Without replication above, the gate stands open.
//!
//! A leader's word counts in its own Raft term only, so that what was said in one term lets nothing through in the next.

use crate::error::{Error, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a write waits for a leader that has not decided yet; longer than a leader takes to decide.
const DECIDED_WITHIN: Duration = Duration::from_secs(4);

/// Shared by the consensus below and the replication above it.
#[derive(Debug)]
pub struct WriteGate(watch::Sender<Stands>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stands {
    /// Nobody guards it.
    Unguarded,
    /// Guarded, and nothing said of the present term yet.
    Undecided,
    Open {
        term: u64,
    },
    Closed {
        term: u64,
        reason: Arc<str>,
    },
}

impl Default for WriteGate {
    fn default() -> WriteGate {
        WriteGate(watch::Sender::new(Stands::Unguarded))
    }
}

impl WriteGate {
    /// From now on nothing passes in a term before somebody said that it may.
    pub fn guard(&self) {
        self.0.send_replace(Stands::Undecided);
    }

    pub fn open(&self, term: u64) {
        self.set(Stands::Open { term });
    }

    /// `reason` is what clients read: why, and what to do.
    pub fn close(&self, term: u64, reason: &str) {
        self.set(Stands::Closed { term, reason: reason.into() });
    }

    /// Takes back what was said.
    pub fn undecide(&self) {
        self.set(Stands::Undecided);
    }

    pub fn is_open(&self, term: u64) -> bool {
        matches!(self.0.borrow().in_term(term), Some(Ok(())))
    }

    /// Why nothing passes in this term; `None` where it stands open or nothing was said.
    pub fn reason(&self, term: u64) -> Option<String> {
        self.0.borrow().in_term(term)?.err().map(|reason| reason.to_string())
    }

    /// Lets a write of this term through, waits a little where nothing was said yet, or says why not.
    pub async fn pass(&self, term: u64) -> Result<()> {
        let mut stands = self.0.subscribe();
        let decided = stands.wait_for(|stands| stands.in_term(term).is_some());
        let Ok(Ok(stands)) = tokio::time::timeout(DECIDED_WITHIN, decided).await else {
            return Err(Error::unavailable(
                "this leader does not know yet whether its region may take writes: try again",
            ));
        };
        match stands.in_term(term) {
            Some(Err(reason)) => Err(Error::unavailable(reason.to_string())),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn set(&self, next: Stands) {
        self.0.send_if_modified(|stands| {
            let changed = *stands != next;
            *stands = next;
            changed
        });
    }
}

impl Stands {
    /// What was said of a term, if anything.
    fn in_term(&self, asked: u64) -> Option<Result<(), Arc<str>>> {
        match self {
            Stands::Unguarded => Some(Ok(())),
            Stands::Open { term } if *term == asked => Some(Ok(())),
            Stands::Closed { term, reason } if *term == asked => Some(Err(reason.clone())),
            Stands::Undecided | Stands::Open { .. } | Stands::Closed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_said_counts_in_its_term_only() {
        let gate = WriteGate::default();
        assert!(gate.pass(1).await.is_ok(), "nobody guards it");
        gate.guard();
        gate.close(1, "not confirmed");
        assert!(gate.pass(1).await.expect_err("closed").to_string().contains("not confirmed"));
        gate.open(2);
        assert!(gate.pass(2).await.is_ok());
        assert!(!gate.is_open(1) && !gate.is_open(3));
    }

    #[tokio::test]
    async fn a_write_waits_until_the_leader_has_decided() {
        let gate = Arc::new(WriteGate::default());
        gate.guard();
        let waits = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass(7).await }
        });
        tokio::task::yield_now().await;
        gate.open(6);
        gate.open(7);
        assert!(waits.await.expect("no panic").is_ok());
    }
}
