//! The console's time: the wall clock when it started, and the steady one since, so that ages never jump.

use crate::clock::{self, UnixMs};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub struct ConsoleClock {
    started: UnixMs,
    steady: Instant,
}

impl ConsoleClock {
    pub fn start() -> ConsoleClock {
        ConsoleClock { started: clock::now(), steady: clock::steady() }
    }

    pub fn now(&self) -> UnixMs {
        self.started.plus(clock::steady().duration_since(self.steady))
    }

    /// How long until then; zero if it is over.
    pub fn until(&self, at: UnixMs) -> Duration {
        at.since(self.now())
    }
}
