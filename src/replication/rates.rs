//! How fast things went lately, from samples of the path's record.

use crate::ids::{DatasetId, Epoch};
use crate::state::{PathState, Role};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Rates are over this long.
const WINDOW: Duration = Duration::from_secs(10);
const SAMPLES_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Rates(Mutex<Samples>);

#[derive(Default)]
struct Samples {
    /// What they were taken as: what a region applied as a standby is no rate of a primary's writes.
    taken_as: Option<(Role, Epoch, DatasetId)>,
    list: VecDeque<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    batches: u64,
    bytes: u64,
    sync_bytes: Option<u64>,
}

impl Rates {
    pub fn sample(&self, at: Instant, path: &PathState) {
        let mut samples = self.samples();
        let taken_as = Some((path.role, path.epoch, path.dataset));
        if samples.taken_as != taken_as {
            *samples = Samples { taken_as, ..Samples::default() };
        }
        let samples = &mut samples.list;
        let is_old = |sample: &Sample| at.saturating_duration_since(sample.at) > WINDOW;
        while samples.len() >= SAMPLES_MAX || samples.front().is_some_and(is_old) {
            samples.pop_front();
        }
        let sync_bytes = path.sync.as_ref().map(|sync| sync.bytes_done);
        samples.push_back(Sample { at, batches: path.totals.entries(), bytes: path.totals.bytes, sync_bytes });
    }

    /// Batches applied per second. Zero before two samples were taken.
    pub fn batches_per_s(&self) -> f64 {
        self.per_second(|sample| Some(sample.batches)).unwrap_or_default()
    }

    /// Bytes of batches applied per second.
    pub fn bytes_per_s(&self) -> f64 {
        self.per_second(|sample| Some(sample.bytes)).unwrap_or_default()
    }

    /// Bytes that the sync under way copied per second; `None` before two samples of it were taken.
    pub fn sync_bytes_per_s(&self) -> Option<f64> {
        self.per_second(|sample| sample.sync_bytes)
    }

    fn per_second(&self, value: impl Fn(&Sample) -> Option<u64>) -> Option<f64> {
        let samples = self.samples();
        let last = samples.list.back()?;
        let now = value(last)?;
        // A value that fell belongs to another data set or another sync.
        let first =
            samples.list.iter().rev().take_while(|sample| value(sample).is_some_and(|then| then <= now)).last()?;
        let seconds = last.at.saturating_duration_since(first.at).as_secs_f64();
        (seconds > 0.0).then(|| (now - value(first).unwrap_or(now)) as f64 / seconds)
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{self, UnixMs};
    use crate::ids::DatasetId;
    use crate::state::{Batch, Class};

    #[test]
    fn a_rate_is_over_the_window_and_unknown_without_samples() {
        let (rates, start) = (Rates::default(), clock::steady());
        let mut path = PathState::first("default", DatasetId([1; 16]));
        assert_eq!((rates.batches_per_s(), rates.sync_bytes_per_s()), (0.0, None));
        for second in 0..20 {
            rates.sample(start + Duration::from_secs(second), &path);
            for _ in 0..5 {
                path.totals.add(&Batch { class: Class::KvWrite, at: UnixMs(0), ops: Vec::new() });
            }
        }
        assert!((rates.batches_per_s() - 5.0).abs() < 0.001);
    }

    #[test]
    fn what_was_applied_as_a_standby_is_no_rate_of_a_primary() {
        let (rates, start) = (Rates::default(), clock::steady());
        let mut path = PathState { role: Role::Standby, ..PathState::first("default", DatasetId([1; 16])) };
        for second in 0..5 {
            rates.sample(start + Duration::from_secs(second), &path);
            path.totals.add(&Batch { class: Class::KvWrite, at: UnixMs(0), ops: Vec::new() });
        }
        assert!(rates.batches_per_s() > 0.0);
        (path.role, path.epoch) = (Role::Primary, Epoch(2));
        for second in 5..8 {
            rates.sample(start + Duration::from_secs(second), &path);
            assert_eq!(rates.batches_per_s(), 0.0, "nobody writes");
        }
    }
}
