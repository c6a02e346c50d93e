//! How often one address may fail to prove who it is: by a token that is none, by a share of an unseal key that is none.
//!
//! Tokens can't be guessed, but guessing costs the server work. Behind one address there may be many clients, one of them
//! with a token that ended; so a good token is never held back: only who fails beyond the budget is told 429, which says
//! nothing of what he tried. Shares are tried by people, seldom, so beyond that budget none is even looked at.
//!
//! The node that a client talks to counts tokens; shares are counted where they are looked at, by the address of the client.

use crate::clock;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses remembered at most. Beyond that, those that failed longest ago are forgotten.
const ADDRESSES_MAX: usize = 4096;

/// How many failures in a row, and how long until one is forgiven.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    failures_max: u32,
    forgiven_after: Duration,
}

/// Of tokens.
pub const LOGINS: Budget = Budget { failures_max: 100, forgiven_after: Duration::from_millis(100) };
/// Of shares of the unseal key, and of recovery and rekey shares.
pub const SHARES: Budget = Budget { failures_max: 20, forgiven_after: Duration::from_secs(3) };
/// Of requests that prove nothing, in the audit log: an address may do this as often as it likes, but not all of it is
/// written down.
pub const AUDITED: Budget = Budget { failures_max: 60, forgiven_after: Duration::from_millis(500) };

/// Who failed lately.
#[derive(Debug)]
pub struct Failures {
    budget: Budget,
    /// By address: when the last of its failures will be forgiven.
    settled: Mutex<HashMap<IpAddr, Instant>>,
}

impl Failures {
    pub fn new(budget: Budget) -> Failures {
        Failures { budget, settled: Mutex::default() }
    }

    /// Whether this address has failed as often as it may.
    pub fn are_spent(&self, address: IpAddr) -> bool {
        self.are_spent_at(address, clock::steady())
    }

    pub fn count(&self, address: IpAddr) {
        self.count_at(address, clock::steady());
    }

    fn are_spent_at(&self, address: IpAddr, now: Instant) -> bool {
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.budget.forgiven_after * self.budget.failures_max;
        // One more failure would be one too many.
        let more = |at: &Instant| at.saturating_duration_since(now) + self.budget.forgiven_after;
        settled.get(&of_site(address)).is_some_and(|at| more(at) > all)
    }

    fn count_at(&self, address: IpAddr, now: Instant) {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let address = of_site(address);
        if settled.len() >= ADDRESSES_MAX && !settled.contains_key(&address) {
            settled.retain(|_, at| *at > now);
            let first = settled.iter().min_by_key(|(_, at)| **at).map(|(address, _)| *address);
            if let Some(first) = first.filter(|_| settled.len() >= ADDRESSES_MAX) {
                settled.remove(&first);
            }
        }
        let all = self.budget.forgiven_after * self.budget.failures_max;
        let at = settled.entry(address).or_insert(now);
        // What failed beyond the budget does not lengthen the wait.
        *at = ((*at).max(now) + self.budget.forgiven_after).min(now + all);
    }
}

/// One host may have all addresses of an IPv6 network.
pub fn of_site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => IpAddr::V4(mapped),
            None => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const BUDGET: Budget = Budget { failures_max: 3, forgiven_after: Duration::from_secs(10) };

    #[test]
    fn an_address_has_a_budget_that_comes_back() {
        let (failures, now) = (Failures::new(BUDGET), clock::steady());
        let (one, other) = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));
        for _ in 0..3 {
            assert!(!failures.are_spent_at(one, now));
            failures.count_at(one, now);
        }
        assert!(failures.are_spent_at(one, now) && !failures.are_spent_at(other, now));
        for _ in 0..50 {
            failures.count_at(one, now);
        }
        let later = now + BUDGET.forgiven_after;
        assert!(!failures.are_spent_at(one, later), "the next try is as far away as after the third");
        failures.count_at(one, later);
        assert!(failures.are_spent_at(one, later));
    }

    #[test]
    fn a_network_of_one_host_is_one_address_and_memory_is_bounded() {
        let (failures, now) = (Failures::new(BUDGET), clock::steady());
        let host = |net: u16, host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, host));
        for n in 0..3 {
            failures.count_at(host(1, n), now);
        }
        assert!(failures.are_spent_at(host(1, 99), now) && !failures.are_spent_at(host(2, 1), now));
        for n in 0..u16::MAX {
            failures.count_at(host(n, 0), now);
        }
        assert!(failures.settled.lock().expect("unpoisoned").len() <= ADDRESSES_MAX);
    }
}
