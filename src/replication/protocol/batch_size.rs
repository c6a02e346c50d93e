//! How much one request carries: as much as makes it take a quarter of a second, the way there and back left out.
//!
//! Less wastes the link's latency and an agreement of the standby on little; more makes a lost request dear, and status
//! and heartbeats stale. What a request took is measured from its sending to its answer, so it covers the sender's queue,
//! the link, and the standby's disks.

/// What a request is to take.
const TARGET_MS: u64 = 250;
pub(super) const BATCH_BYTES_MIN: u64 = 16 << 10;
/// The number of requests in flight fills a long link, not their size: sixteen of 4 MiB carried less than four of them, for
/// the standby agrees on each as a whole, and held eight times the memory.
pub(super) const BATCH_BYTES_MAX: u64 = 512 << 10;
/// Before anything was measured.
const BATCH_BYTES_FIRST: u64 = 256 << 10;

/// Of one link, for both the log and the copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BatchSize(u64);

impl Default for BatchSize {
    fn default() -> BatchSize {
        BatchSize(BATCH_BYTES_FIRST)
    }
}

impl BatchSize {
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// A request that carried `bytes` was answered after so long; `round_trip_ms` is what an empty one takes.
    pub fn answered(&mut self, bytes: u64, took_ms: u64, round_trip_ms: u64) {
        let took_ms = took_ms.saturating_sub(round_trip_ms);
        // One that was not full says nothing of what a full one would take, unless it was slow all the same.
        let was_full = bytes >= self.0 / 4 * 3;
        if took_ms > TARGET_MS * 2 {
            self.set(self.0.min(bytes.max(1)) / 2);
        } else if was_full && took_ms < TARGET_MS / 2 {
            self.set(self.0 * 2);
        } else if was_full {
            // Near the target: so much nearer to what this request says, that one outlier does not count for much.
            let aimed = bytes.saturating_mul(TARGET_MS) / took_ms.max(1);
            self.set((self.0 * 3 + aimed) / 4);
        }
    }

    /// A request came to nothing: what is sent again is to be lost more cheaply.
    pub fn failed(&mut self) {
        self.set(self.0 / 2);
    }

    fn set(&mut self, bytes: u64) {
        self.0 = bytes.clamp(BATCH_BYTES_MIN, BATCH_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After `requests` full ones on a link that takes a fixed time and so many bytes a millisecond.
    fn settled(bytes_per_ms: u64, round_trip_ms: u64, requests: usize) -> u64 {
        let mut size = BatchSize::default();
        for _ in 0..requests {
            let bytes = size.bytes();
            size.answered(bytes, round_trip_ms + bytes / bytes_per_ms, round_trip_ms);
        }
        size.bytes()
    }

    #[test]
    fn a_batch_takes_a_quarter_of_a_second_whatever_the_way() {
        for round_trip_ms in [0, 20, 100, 600] {
            for bytes_per_ms in [200, 1_000, 2_000] {
                let ms = settled(bytes_per_ms, round_trip_ms, 30) / bytes_per_ms;
                assert!((120..=500).contains(&ms), "{ms} ms at {bytes_per_ms} B/ms over {round_trip_ms} ms");
            }
        }
    }

    #[test]
    fn it_stays_between_its_bounds() {
        assert_eq!(settled(1_000_000, 100, 30), BATCH_BYTES_MAX);
        assert_eq!(settled(1, 100, 30), BATCH_BYTES_MIN);
        let mut size = BatchSize::default();
        (0..30).for_each(|_| size.failed());
        assert_eq!(size.bytes(), BATCH_BYTES_MIN);
    }

    #[test]
    fn small_requests_say_nothing_of_large_ones() {
        let mut size = BatchSize::default();
        (0..30).for_each(|_| size.answered(100, 1, 0));
        assert_eq!(size, BatchSize::default());
    }
}
