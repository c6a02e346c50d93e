//! How long to wait before a node is called again: 0.25 s, doubling to 5 s, each a little off, so that many consoles do
//! not call at once.

use rand::Rng;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);
/// A wait is that share shorter at most.
const JITTER: f64 = 0.3;

/// The wait after so many failures in a row.
pub fn after(failures: u32, rng: &mut impl Rng) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(8));
    doubled.min(LONGEST).mul_f64(1.0 - rng.gen_range(0.0..JITTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let waits: Vec<u128> = (1..12).map(|failures| after(failures, &mut rng).as_millis()).collect();
        assert!((175..=250).contains(&waits[0]), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= 5_000), "{waits:?}");
        assert!(waits[8..].iter().all(|wait| *wait >= 3_500), "{waits:?}");
        assert_ne!(waits[9], waits[10]);
    }
}
