//! Rates over the last ten seconds, from running totals.

use std::collections::VecDeque;

/// What a rate looks back on.
const WINDOW_MS: u64 = 10_000;
/// The shortest time between two samples that are kept.
const STEP_MS: u64 = 250;

/// Samples of running totals of entries and bytes.
#[derive(Default)]
pub(super) struct Rate {
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    at_ms: u64,
    entries: u64,
    bytes: u64,
}

impl Rate {
    /// Notes the totals as of `at_ms`, by a steady clock. Totals that went back begin a new series.
    pub fn note(&mut self, at_ms: u64, entries: u64, bytes: u64) {
        let sample = Sample { at_ms, entries, bytes };
        if self.samples.back().is_some_and(|last| entries < last.entries || bytes < last.bytes) {
            self.samples.clear();
        }
        let too_soon = self.samples.len() > 1
            && self.samples.get(self.samples.len() - 2).is_some_and(|before| at_ms < before.at_ms + STEP_MS);
        if too_soon {
            self.samples.pop_back();
        }
        self.samples.push_back(sample);
        while self.samples.len() > 2 && self.samples.get(1).is_some_and(|second| second.at_ms + WINDOW_MS < at_ms) {
            self.samples.pop_front();
        }
    }

    /// Entries and bytes per second up to `at_ms`; `None` before there is anything to compare.
    pub fn per_second(&self, at_ms: u64) -> Option<(f64, f64)> {
        let last = self.samples.back()?;
        let first = self.samples.iter().find(|sample| sample.at_ms + WINDOW_MS >= at_ms).unwrap_or(last);
        let ms = at_ms.saturating_sub(first.at_ms).max(last.at_ms.saturating_sub(first.at_ms));
        if self.samples.len() < 2 || ms == 0 {
            return None;
        }
        let per_second = |count: u64| count as f64 * 1000.0 / ms as f64;
        Some((per_second(last.entries - first.entries), per_second(last.bytes - first.bytes)))
    }

    /// The rate as it was when the newest sample was taken, however long ago.
    pub fn last_known(&self) -> Option<(f64, f64)> {
        self.per_second(self.samples.back()?.at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_came_in_its_window_and_fades_when_nothing_comes() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(0), None);
        for second in 0..=20 {
            rate.note(second * 1000, second * 50, second * 1000);
        }
        assert_eq!(rate.per_second(20_000), Some((50.0, 1000.0)));
        assert_eq!(rate.per_second(25_000), Some((25.0 / 1.0, 500.0)));
        assert_eq!(rate.per_second(60_000).map(|(entries, _)| entries), Some(0.0));
        assert_eq!(rate.last_known(), Some((50.0, 1000.0)));
    }
}
