//! The time of a data set: what tokens live by, in whichever node and region.
//!
//! It is the leader's wall clock, but never earlier than what was agreed on: what expired once stays expired, whoever leads
//! next. So one write under a clock that is ahead sets it ahead for all. It must go on from there, or nothing would
//! expire until the clocks have caught up; but slower than they do, so that they catch up.

use crate::clock::{self, UnixNs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Of each second, while it is ahead of the clock.
const PACE_AHEAD: f64 = 0.9;

/// Where a vault has the time from.
#[derive(Clone)]
pub struct Clock {
    pub wall: Arc<dyn Fn() -> UnixNs + Send + Sync>,
    /// Since any moment: what passes, whatever is done to the wall clock.
    pub steady: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// That of this machine.
    pub fn system() -> Clock {
        let began: Instant = clock::steady();
        Clock { wall: Arc::new(clock::now_ns), steady: Arc::new(move || clock::steady().duration_since(began)) }
    }
}

pub(super) struct DatasetTime {
    clock: Clock,
    /// What was agreed on last, and when this node first knew of it.
    agreed: Mutex<(UnixNs, Duration)>,
}

impl DatasetTime {
    pub fn new(clock: Clock) -> DatasetTime {
        DatasetTime { clock, agreed: Mutex::new((UnixNs::default(), Duration::ZERO)) }
    }

    /// Now, where `agreed` is the time of the newest write.
    pub fn now(&self, agreed: UnixNs) -> UnixNs {
        let (wall, steady) = ((self.clock.wall)(), (self.clock.steady)());
        let mut known = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, at) = *known;
        let mut goes_on = since.plus(steady.saturating_sub(at).mul_f64(PACE_AHEAD));
        // A write that was evaluated by this time says nothing new: to start from each anew would lose what passes until it
        // is agreed on. Earlier than what was known is another data set, or another line of it.
        if agreed > goes_on || agreed < since {
            *known = (agreed, steady);
            goes_on = agreed;
        }
        wall.max(goes_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Seconds of the wall clock, and of the steady one.
    fn at_hand() -> (Arc<AtomicU64>, Arc<AtomicU64>, DatasetTime) {
        let (wall, steady) = (Arc::new(AtomicU64::new(1_000)), Arc::new(AtomicU64::new(0)));
        let clock = Clock {
            wall: Arc::new({
                let wall = wall.clone();
                move || seconds(wall.load(Ordering::Relaxed))
            }),
            steady: Arc::new({
                let steady = steady.clone();
                move || Duration::from_secs(steady.load(Ordering::Relaxed))
            }),
        };
        (wall, steady, DatasetTime::new(clock))
    }

    fn seconds(seconds: u64) -> UnixNs {
        UnixNs(seconds * 1_000_000_000)
    }

    #[test]
    fn it_is_the_clock_where_the_clocks_are_right() {
        let (wall, steady, time) = at_hand();
        for passed in [0, 1, 100] {
            wall.store(1_000 + passed, Ordering::Relaxed);
            steady.store(passed, Ordering::Relaxed);
            assert_eq!(time.now(seconds(1_000)), seconds(1_000 + passed));
        }
    }

    #[test]
    fn a_write_under_a_clock_that_was_ahead_stops_no_time_and_the_clock_catches_up() {
        let (wall, steady, time) = at_hand();
        // An hour ahead, by a leader whose clock was wrong.
        let agreed = seconds(4_600);
        assert_eq!(time.now(agreed), agreed);
        steady.store(1_000, Ordering::Relaxed);
        wall.store(2_000, Ordering::Relaxed);
        assert_eq!(time.now(agreed), seconds(5_500), "it goes on");
        // The next write agrees on that, later than it was evaluated: no time is lost by it.
        steady.store(1_010, Ordering::Relaxed);
        assert_eq!(time.now(seconds(5_500)), seconds(5_509));
        steady.store(2_000, Ordering::Relaxed);
        assert_eq!(time.now(seconds(5_500)), seconds(6_400));
        // An hour is caught up within ten.
        steady.store(37_000, Ordering::Relaxed);
        wall.store(38_000, Ordering::Relaxed);
        assert_eq!(time.now(seconds(5_500)), seconds(38_000));
    }

    #[test]
    fn another_data_set_has_its_own_time() {
        let (wall, steady, time) = at_hand();
        assert_eq!(time.now(seconds(4_600)), seconds(4_600));
        wall.store(1_001, Ordering::Relaxed);
        steady.store(1, Ordering::Relaxed);
        assert_eq!(time.now(seconds(900)), seconds(1_001));
    }

    #[test]
    fn a_clock_that_is_set_back_never_sets_back_what_was_agreed_on() {
        let (wall, _, time) = at_hand();
        wall.store(10, Ordering::Relaxed);
        assert_eq!(time.now(seconds(1_000)), seconds(1_000));
    }
}
