//! Rate limits as this node counts them: requests of each address, in memory, on the node that its client talks to.

use super::answer::Answer;
use super::failures;
use super::node::Node;
use crate::clock;
use crate::ids::Position;
use crate::secrets::quotas::{Quotas as Set, RateLimit};
use crate::secrets::settings::Settings;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Addresses remembered at most, over all limits. Beyond that, those whose interval is over are forgotten, and if that is not
/// enough, so many whose interval began first: never all at once, which would begin everybody's anew.
const COUNTED_MAX: usize = 65_536;
const FORGOTTEN: usize = COUNTED_MAX / 16;

/// What was counted, and the limits as they were last read.
#[derive(Default)]
pub struct Quotas {
    counted: Mutex<HashMap<(String, IpAddr), Window>>,
    /// The settings of the data set at a position: nothing changes them without moving on.
    known: Mutex<Option<(Position, Arc<Settings>)>>,
}

/// An interval of one address.
struct Window {
    began: Instant,
    left: u64,
    blocked_until: Option<Instant>,
}

/// How a request stands to the limit that counts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    pub is_allowed: bool,
    limit: u64,
    left: u64,
    /// Until there are more.
    reset: Duration,
    /// Whether clients are told.
    tells: bool,
    /// Whether a refusal is written down.
    pub audits: bool,
}

impl Quotas {
    /// Counts a request; `None`: no limit does.
    pub fn count(&self, node: &Node, path: &str, client: IpAddr) -> Option<Standing> {
        let settings = self.settings(node)?;
        let (name, limit) = settings.quotas.of(path)?;
        Some(self.count_at(&settings.quotas, name, limit, failures::of_site(client), clock::steady()))
    }

    /// `None` on a node that can't tell.
    fn settings(&self, node: &Node) -> Option<Arc<Settings>> {
        if node.vault.is_sealed() || !node.is_initialised() {
            return None;
        }
        let at = node.state.watch_path().borrow().applied;
        let mut known = lock(&self.known);
        if let Some((known_at, settings)) = known.as_ref()
            && *known_at == at
        {
            return Some(settings.clone());
        }
        let settings = node.vault.settings().ok()?;
        *known = Some((at, settings.clone()));
        Some(settings)
    }

    fn count_at(&self, set: &Set, name: &str, limit: &RateLimit, client: IpAddr, now: Instant) -> Standing {
        let most = limit.rate.ceil() as u64;
        let mut counted = lock(&self.counted);
        if counted.len() >= COUNTED_MAX {
            let longest = set.rate_limits.values().map(|limit| limit.interval.max(limit.block)).max();
            counted.retain(|_, window| now.duration_since(window.began) < longest.unwrap_or_default());
            if counted.len() >= COUNTED_MAX {
                let mut began: Vec<Instant> = counted.values().map(|window| window.began).collect();
                let last = *began.select_nth_unstable(FORGOTTEN - 1).1;
                let mut left = FORGOTTEN;
                counted.retain(|_, window| {
                    let goes = window.began <= last && left > 0;
                    left -= usize::from(goes);
                    !goes
                });
            }
        }
        let fresh = || Window { began: now, left: most, blocked_until: None };
        let window = counted.entry((name.to_owned(), client)).or_insert_with(fresh);
        let said = |is_allowed, left, reset| Standing {
            is_allowed,
            limit: most,
            left,
            reset,
            tells: set.tells,
            audits: set.audits,
        };
        if let Some(until) = window.blocked_until.filter(|until| *until > now) {
            return said(false, 0, until - now);
        }
        if window.blocked_until.is_some() || now.duration_since(window.began) >= limit.interval {
            *window = fresh();
        }
        // A limit that was lowered meanwhile holds at once.
        window.left = window.left.min(most);
        let reset = (window.began + limit.interval).saturating_duration_since(now);
        if window.left == 0 {
            window.blocked_until = (!limit.block.is_zero()).then(|| now + limit.block);
            return said(false, 0, if limit.block.is_zero() { reset } else { limit.block });
        }
        window.left -= 1;
        said(true, window.left, reset)
    }
}

impl Standing {
    /// The answer to a request beyond the limit, in Vault's words.
    pub fn refusal(&self, path: &str) -> Answer {
        let text = format!("request path \"{path}\": rate limit quota exceeded");
        Answer::error(429, &text).with_header("retry-after", &seconds(self.reset).max(1).to_string())
    }

    /// What an answer says of the limit, by header.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let told = [
            ("x-ratelimit-limit", self.limit),
            ("x-ratelimit-remaining", self.left),
            ("x-ratelimit-reset", seconds(self.reset)),
        ];
        told.into_iter().filter({
            let tells = self.tells;
            move |_| tells
        })
    }
}

/// Whole ones, the last one begun.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_so_many_and_who_exceeds_it_is_blocked() {
        let (quotas, set, now) = (Quotas::default(), Set::default(), clock::steady());
        let second = Duration::from_secs(1);
        let limit = |block| RateLimit { path: String::new(), rate: 1.5, interval: 10 * second, block: block * second };
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let count = |block, client, after| {
            let standing = quotas.count_at(&set, "a", &limit(block), client, now + after * second);
            (standing.is_allowed, standing.left, seconds(standing.reset))
        };
        assert_eq!([count(0, one, 0), count(0, one, 1)], [(true, 1, 10), (true, 0, 9)]);
        assert_eq!([count(0, one, 2), count(0, other, 2)], [(false, 0, 8), (true, 1, 10)]);
        assert_eq!(count(0, one, 10), (true, 1, 10), "a new interval");
        assert_eq!([count(30, one, 11), count(30, one, 12)], [(true, 0, 9), (false, 0, 30)]);
        assert_eq!([count(30, one, 41), count(30, one, 42)], [(false, 0, 1), (true, 1, 10)]);
    }

    #[test]
    fn many_addresses_push_out_the_oldest_and_nobody_else() {
        let (quotas, now) = (Quotas::default(), clock::steady());
        let limit =
            RateLimit { path: String::new(), rate: 1.0, interval: Duration::from_secs(60), block: Duration::ZERO };
        let mut set = Set::default();
        set.rate_limits.insert("a".into(), limit.clone());
        let client = |number: usize| IpAddr::from((number as u32).to_be_bytes());
        let count = |number: usize, after: usize| {
            quotas.count_at(&set, "a", &limit, client(number), now + Duration::from_micros(after as u64)).is_allowed
        };
        for number in 0..=COUNTED_MAX {
            assert!(count(number, number), "{number}");
        }
        assert_eq!(lock(&quotas.counted).len(), COUNTED_MAX - FORGOTTEN + 1);
        assert!(!count(COUNTED_MAX, COUNTED_MAX) && !count(FORGOTTEN, COUNTED_MAX), "those still count");
        assert!(count(FORGOTTEN - 1, COUNTED_MAX), "this one was forgotten");
    }
}
