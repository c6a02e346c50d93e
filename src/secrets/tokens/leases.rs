//! How long a token may live: Vault's rules, without storage.

use crate::duration;
use std::time::Duration;

/// Vault's default of both: 32 days.
const DEFAULT: Duration = Duration::from_secs(768 * 3600);

/// What the configuration says of all tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leases {
    pub default_ttl: Duration,
    pub max_ttl: Duration,
}

impl Default for Leases {
    fn default() -> Leases {
        Leases { default_ttl: DEFAULT, max_ttl: DEFAULT }
    }
}

/// What is asked for. Zero stands for nothing.
#[derive(Clone, Copy, Default)]
pub struct Grant {
    /// Of a renewal.
    pub increment: Duration,
    /// Of the token itself.
    pub ttl: Duration,
    pub period: Duration,
    pub explicit_max_ttl: Duration,
    /// How long the token has lived already.
    pub age: Duration,
}

impl Leases {
    /// With what the tuning of `auth/token/` says instead. Zero stands for nothing.
    pub fn tuned(self, default_ttl: Duration, max_ttl: Duration) -> Leases {
        let or = |own: Duration, usual: Duration| if own.is_zero() { usual } else { own };
        let max_ttl = or(max_ttl, self.max_ttl);
        Leases { default_ttl: or(default_ttl, self.default_ttl).min(max_ttl), max_ttl }
    }

    /// The time to live from now on, and a warning if it is less than what was asked for. Zero: its longest life is over.
    pub fn grant(&self, asked: Grant) -> (Duration, Option<String>) {
        let first_of = |durations: [Duration; 3]| durations.into_iter().find(|ttl| !ttl.is_zero()).unwrap_or_default();
        let max = least(self.max_ttl, asked.explicit_max_ttl);
        if asked.period.is_zero() {
            let wanted = first_of([asked.increment, asked.ttl, self.default_ttl]);
            let limit = max.saturating_sub(asked.age);
            // The default is nobody's wish: to cut it is no news.
            let [increment, ttl, explicit] = [asked.increment, asked.ttl, asked.explicit_max_ttl];
            let is_wish = !(increment.is_zero() && ttl.is_zero() && explicit.is_zero());
            return (wanted.min(limit), (wanted > limit && is_wish).then(|| cut("TTL", wanted, limit, "TTL value")));
        }
        // A periodic token lives for ever, a period at a time, unless it has an explicit end.
        let period = asked.period.min(max);
        let capped = (asked.period > max).then(|| cut("period", asked.period, max, "period value"));
        let left = asked.explicit_max_ttl.saturating_sub(asked.age);
        if asked.explicit_max_ttl.is_zero() || period <= left {
            return (period, capped);
        }
        (left, Some(capped.unwrap_or_else(|| cut("TTL", period, left, "TTL value"))))
    }
}

/// As Vault says it.
fn cut(what: &str, wanted: Duration, limit: Duration, value: &str) -> String {
    let (wanted, limit) = (short(wanted), short(limit));
    format!("{what} of \"{wanted}\" exceeded the effective max_ttl of \"{limit}\"; {value} is capped accordingly")
}

fn least(max: Duration, explicit: Duration) -> Duration {
    if explicit.is_zero() { max } else { max.min(explicit) }
}

/// As Go writes it, without what is zero at its end: `768h`.
fn short(duration: Duration) -> String {
    let text = duration::go(duration);
    let text = text.strip_suffix("m0s").map_or(text.clone(), |text| format!("{text}m"));
    text.strip_suffix("h0m").map_or(text.clone(), |text| format!("{text}h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn ttl(asked: Grant) -> Duration {
        Leases { default_ttl: 10 * HOUR, max_ttl: 100 * HOUR }.grant(asked).0
    }

    #[test]
    fn a_token_gets_what_it_asks_for_within_its_bounds() {
        assert_eq!(ttl(Grant::default()), 10 * HOUR);
        assert_eq!(ttl(Grant { ttl: HOUR, ..Grant::default() }), HOUR);
        assert_eq!(ttl(Grant { ttl: 200 * HOUR, ..Grant::default() }), 100 * HOUR);
        assert_eq!(ttl(Grant { ttl: 5 * HOUR, explicit_max_ttl: 3 * HOUR, ..Grant::default() }), 3 * HOUR);
        assert_eq!(ttl(Grant { explicit_max_ttl: 3 * HOUR, ..Grant::default() }), 3 * HOUR);
    }

    #[test]
    fn a_renewal_counts_from_now_and_ends_with_the_longest_life() {
        let renewal = Grant { ttl: 5 * HOUR, age: 98 * HOUR, ..Grant::default() };
        assert_eq!(ttl(renewal), 2 * HOUR);
        assert_eq!(ttl(Grant { increment: HOUR, ..renewal }), HOUR);
        assert_eq!(ttl(Grant { age: 101 * HOUR, ..renewal }), Duration::ZERO);
    }

    #[test]
    fn a_periodic_token_lives_on_unless_it_has_an_explicit_end() {
        let periodic = Grant { period: HOUR, increment: 5 * HOUR, age: 1000 * HOUR, ..Grant::default() };
        assert_eq!(ttl(periodic), HOUR);
        assert_eq!(ttl(Grant { explicit_max_ttl: 1000 * HOUR, ..periodic }), Duration::ZERO);
    }

    #[test]
    fn what_is_cut_is_said_as_vault_says_it() {
        let (_, warning) = Leases::default().grant(Grant { ttl: 9999 * HOUR, ..Grant::default() });
        let expected = "TTL of \"9999h\" exceeded the effective max_ttl of \"768h\"; TTL value is capped accordingly";
        assert_eq!(warning.as_deref(), Some(expected));
        let (period, warning) = Leases::default().grant(Grant { period: 800 * HOUR, ..Grant::default() });
        let expected =
            "period of \"800h\" exceeded the effective max_ttl of \"768h\"; period value is capped accordingly";
        assert_eq!((period, warning.as_deref()), (768 * HOUR, Some(expected)));
        assert_eq!(short(Duration::from_secs(90)), "1m30s");
        assert_eq!(short(Duration::from_secs(120)), "2m");
    }
}
