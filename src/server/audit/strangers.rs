//! What requests of nobody known may write into the audit log. Each address has a budget of them, which comes back; what is
//! beyond it is left out, and the log says how much that was. A stranger fills no disk.

use crate::clock;
use crate::server::failures::{AUDITED, Failures, of_site};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Addresses that something was left out of, at most; what is of others is told of the last one.
const ADDRESSES_MAX: usize = 1024;
/// How often what was left out is told, by address.
const TOLD_EVERY: Duration = Duration::from_secs(30);
/// More of a stranger's body is not shown.
pub const DATA_BYTES_MAX: usize = 4 << 10;
/// Of a request whose address nobody knows.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

pub struct Strangers {
    budget: Failures,
    left_out: Mutex<HashMap<IpAddr, LeftOut>>,
    total: AtomicU64,
}

/// What of that is to be told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// What was not told for a while.
    Due,
    /// Everything: this node will not be able to soon.
    All,
}

struct LeftOut {
    requests: u64,
    since: Instant,
}

impl Default for Strangers {
    fn default() -> Strangers {
        Strangers { budget: Failures::new(AUDITED), left_out: Mutex::default(), total: AtomicU64::new(0) }
    }
}

impl Strangers {
    /// Whether a request of a stranger is to be written down. One that is not is counted.
    pub fn is_written(&self, from: Option<IpAddr>) -> bool {
        let from = of_site(from.unwrap_or(UNKNOWN));
        if !self.budget.are_spent(from) {
            self.budget.count(from);
            return true;
        }
        self.total.fetch_add(1, Ordering::Relaxed);
        let mut left_out = self.table();
        let from = if left_out.contains_key(&from) || left_out.len() < ADDRESSES_MAX { from } else { UNKNOWN };
        let entry = left_out.entry(from).or_insert_with(|| LeftOut { requests: 0, since: clock::steady() });
        entry.requests += 1;
        false
    }

    /// What was left out and is to be told by now, by address.
    pub fn to_tell(&self, tell: Tell, now: Instant) -> Vec<(IpAddr, u64)> {
        let mut left_out = self.table();
        let due = |entry: &LeftOut| tell == Tell::All || now.saturating_duration_since(entry.since) >= TOLD_EVERY;
        let told: Vec<_> =
            left_out.iter().filter(|(_, entry)| due(entry)).map(|(from, entry)| (*from, entry.requests)).collect();
        left_out.retain(|_, entry| !due(entry));
        told
    }

    /// All that was left out since the node started.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    fn table(&self) -> MutexGuard<'_, HashMap<IpAddr, LeftOut>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_budget_of_an_address_is_counted_and_told_once() {
        let strangers = Strangers::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let written = (0..10_000).filter(|_| strangers.is_written(Some(one))).count() as u64;
        assert!((50..1000).contains(&written), "{written}");
        assert!(strangers.is_written(Some(other)) && strangers.is_written(None));
        let now = clock::steady();
        assert!(strangers.to_tell(Tell::Due, now).is_empty(), "not yet");
        let told = strangers.to_tell(Tell::Due, now + TOLD_EVERY);
        assert_eq!((&told, strangers.total()), (&vec![(one, 10_000 - written)], 10_000 - written));
        assert!(strangers.to_tell(Tell::Due, now + 2 * TOLD_EVERY).is_empty());
        while strangers.is_written(Some(one)) {}
        assert_eq!(strangers.to_tell(Tell::All, now), [(one, 1)], "at once");
    }
}
