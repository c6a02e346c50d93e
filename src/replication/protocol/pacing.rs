//! A copy leaves clients their share: while they write, it works a fifth of the time.
//!
//! Taking a copy in keeps the standby's processors and disks as busy as they can be, and reading it the primary's; how
//! much of that the clients feel depends on what the two regions share, which neither can know. So while the primary's
//! head moves, stretches go out in short bursts, each followed by a rest of four times the time that the burst took, the way
//! there and back left out. A region that nobody writes to copies as fast as it can.

/// A head that moves less is nobody's load.
const WRITES_PER_S_MIN: u64 = 20;
/// How long the head is watched before it says something.
const LOOK_EVERY_MS: u64 = 500;
/// Nothing is added to a burst that is this old: short bursts hold no write up for long.
const BURST_MS: u64 = 50;
/// A burst costs the clients more than its own time: what it wrote is compacted later.
const REST_PER_WORK: u64 = 4;
/// A link that stalls is no reason to rest for minutes.
const REST_MS_MAX: u64 = 1_000;

/// Of one link. Times are of the steady clock, in milliseconds.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Pace {
    /// When the head was looked at, and where it was.
    looked: Option<(u64, u64)>,
    clients_write: bool,
    /// When the burst under way began.
    burst: Option<u64>,
    rests_until: u64,
}

impl Pace {
    /// Whether another stretch may go out now, with the head at `head` and so many requests on their way.
    pub fn may_send(&mut self, now: u64, head: u64, in_flight: usize, round_trip_ms: u64) -> bool {
        self.look(now, head);
        if !self.clients_write {
            (self.burst, self.rests_until) = (None, 0);
            return true;
        }
        if let Some(began) = self.burst {
            if in_flight > 0 {
                return now < began + round_trip_ms + BURST_MS;
            }
            let worked_ms = (now - began).saturating_sub(round_trip_ms);
            self.rests_until = now + (worked_ms * REST_PER_WORK).min(REST_MS_MAX);
            self.burst = None;
        }
        let begins = now >= self.rests_until;
        self.burst = begins.then_some(now);
        begins
    }

    /// When a rest ends.
    pub fn wakes_at(&self, now: u64) -> Option<u64> {
        Some(self.rests_until).filter(|until| self.burst.is_none() && *until > now)
    }

    fn look(&mut self, now: u64, head: u64) {
        let (at, then) = *self.looked.get_or_insert((now, head));
        let ms = now.saturating_sub(at);
        if ms >= LOOK_EVERY_MS {
            self.clients_write = head.saturating_sub(then) * 1_000 >= WRITES_PER_S_MIN * ms;
            self.looked = Some((now, head));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of ten seconds in which a link with one request in flight works, each request taking `took` ms, with
    /// so many writes a second.
    fn share(took: u64, round_trip_ms: u64, writes_per_s: u64) -> f64 {
        let mut pace = Pace::default();
        let (mut works, mut done_at) = (0, None);
        for now in 0..10_000 {
            if done_at == Some(now) {
                done_at = None;
            }
            let head = now * writes_per_s / 1_000;
            if done_at.is_none() && pace.may_send(now, head, 0, round_trip_ms) {
                done_at = Some(now + took + round_trip_ms);
                works += took;
            }
        }
        works as f64 / 10_000.0
    }

    #[test]
    fn it_works_all_the_time_while_nobody_writes() {
        assert!(share(20, 0, 0) > 0.95);
        assert!(share(20, 0, 5) > 0.95);
    }

    #[test]
    fn it_works_a_fifth_of_the_time_while_clients_write() {
        for took in [3, 20, 200] {
            let share = share(took, 0, 500);
            assert!((0.18..0.3).contains(&share), "{share} with {took} ms");
        }
    }

    #[test]
    fn the_way_there_and_back_is_no_work() {
        let (far, near) = (share(20, 100, 500), share(20, 0, 500));
        assert!(far > 0.07 && far < near, "{far} {near}");
    }

    #[test]
    fn a_burst_ends_and_its_rest_too() {
        let mut pace = Pace::default();
        assert!(pace.may_send(0, 0, 0, 0));
        assert!(pace.may_send(500, 500, 0, 0), "clients write: the first burst begins");
        assert!(pace.may_send(549, 550, 3, 0));
        assert!(!pace.may_send(550, 550, 3, 0), "it is old enough");
        assert_eq!(pace.wakes_at(550), None, "an answer wakes it");
        assert!(!pace.may_send(600, 600, 0, 0), "all is answered: it rests");
        assert_eq!(pace.wakes_at(600), Some(1_000));
        assert!(pace.may_send(1_000, 1_000, 0, 0));
    }
}
