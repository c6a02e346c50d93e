//! What happens when: the events of a world in the order of its clock.

use crate::api::ledger::AcceptRequest;
use crate::ids::PromotionId;
use crate::replication::protocol::*;
use crate::state::{LedgerId, Review};
use std::cmp::Ordering;

pub struct Scheduled {
    pub at: u64,
    pub order: u64,
    pub event: Event,
}

/// Entries of a ledger that are to be written elsewhere.
#[derive(Clone)]
pub struct Replay {
    /// Whose ledger it is.
    pub from: usize,
    pub ids: Vec<LedgerId>,
    pub request: AcceptRequest,
}

pub enum Event {
    Wake {
        region: usize,
    },
    Arrive {
        number: u64,
        request: Box<Request>,
    },
    Answer {
        to: usize,
        term: u64,
        call: CallId,
        from: usize,
        answer: Box<Answer>,
    },
    Fail {
        to: usize,
        term: u64,
        call: CallId,
        from: usize,
    },
    Agree {
        region: usize,
    },
    Read {
        region: usize,
        term: u64,
        effect: Box<Effect>,
    },
    Activate {
        region: usize,
        term: u64,
        peer: usize,
    },
    Client,
    Keep {
        region: usize,
    },
    Operator {
        region: usize,
    },
    Fault,
    LoseLeader {
        region: usize,
    },
    Lead {
        region: usize,
    },
    /// A node of the region that never stopped tells the leader that it saw it open.
    Remember {
        region: usize,
        term: u64,
    },
    Override {
        region: usize,
    },
    Cut {
        from: usize,
        to: usize,
    },
    Mend {
        from: usize,
        to: usize,
    },
    /// Of two primaries of one epoch: the operator of this one has it stop, or of a standby, has it follow the other.
    Choose {
        region: usize,
    },
    /// Entries of a ledger arrive at the new primary.
    Accept {
        region: usize,
        replay: Box<Replay>,
    },
    /// The answer to them arrives.
    Reviewed {
        region: usize,
        reviews: Vec<(LedgerId, Review)>,
    },
    Resume {
        region: usize,
        peer: usize,
    },
    Promote {
        region: usize,
        id: PromotionId,
        attempts: u32,
    },
    Switchover {
        region: usize,
        id: PromotionId,
        deadline_ms: u64,
        attempts: u32,
    },
    Cancel {
        region: usize,
        id: PromotionId,
    },
    Calm,
    Check,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
