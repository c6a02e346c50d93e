//! The pure core of replication: values in, values out. No sockets, no storage, no clock, no chance.
//!
//! `Core::step` takes one input and returns effects. A core lives as long as its node leads its region: it is made
//! from durable facts after a read barrier, and dropped with the leadership; nothing it remembers is needed by the
//! next one. So a changed leader, a restart and a lost connection are one and the same case on either side.

pub mod interface;
pub mod message;
pub mod report;

pub use interface::*;
pub use message::*;
pub use report::{LagReport, LinkReport};

use crate::api::replication::Plan;
use crate::state::PathState;

/// The protocol's state in the leader of a region.
pub struct Core {
    options: Options,
    now: Now,
    path: PathState,
}

impl Core {
    /// `path` as read after a read barrier. The first input after this is `Input::Peers`.
    pub fn new(options: Options, now: Now, path: PathState) -> Core {
        Core { options, now, path }
    }

    /// Takes one input at a moment, with the region's durable facts as they are then: `path` is never older than the
    /// one before, and never older than what the input speaks of.
    pub fn step(&mut self, now: Now, path: PathState, input: Input) -> Vec<Effect> {
        let _ = input;
        self.now = now;
        self.path = path;
        Vec::new()
    }

    /// When the next `Input::Tick` is due, by the steady clock, if nothing comes before.
    pub fn wakes_at(&self) -> Option<u64> {
        Some(self.now.steady_ms + self.options.timing.heartbeat_every_ms)
    }

    pub fn links(&self) -> Vec<LinkReport> {
        Vec::new()
    }

    /// The oldest index of the log that some standby still needs; `None` if no link needs any. Entries from here on
    /// are to be kept, up to the driver's bound in bytes.
    pub fn wal_floor(&self) -> Option<u64> {
        None
    }

    /// What a failover of this standby would do now.
    pub fn plan(&self, now: Now, outside: &Outside) -> Option<Plan> {
        let _ = (now, outside, &self.path);
        None
    }
}
