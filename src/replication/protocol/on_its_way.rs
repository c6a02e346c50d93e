//! How much of a copy is on its way at once.
//!
//! What is on its way is sent again after a cut: so it is one in so many of the copy's bytes, but no less than what keeps
//! a link busy. That is a little for the standby's work, and as much as a fast link holds on the way there and back.

const PART: u64 = 160;
const BYTES_MIN: u64 = 512 << 10;
/// 80 MiB/s.
const BYTES_PER_MS: u64 = 80 << 10;

/// In bytes, of a copy of `bytes` to a standby whose way there and back takes so long at its best.
pub(super) fn most(bytes: u64, shortest_ms: f64) -> u64 {
    (bytes / PART).max(BYTES_MIN + (shortest_ms * BYTES_PER_MS as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::super::batch_size::BATCH_BYTES_MAX;
    use super::*;

    #[test]
    fn a_cut_of_a_large_copy_costs_less_than_a_hundredth_of_it() {
        for (entries, shortest_ms) in [(1_000_000, 0.0), (1_000_000, 10.0), (10_000_000, 100.0)] {
            let bytes = entries * 300;
            assert!(most(bytes, shortest_ms) * 100 < bytes, "{entries} over {shortest_ms} ms");
        }
    }

    #[test]
    fn a_long_way_is_filled_however_little_there_is_to_copy() {
        assert!(most(1 << 20, 100.0) >= 16 * BATCH_BYTES_MAX);
        assert_eq!(most(1 << 20, 0.0), BYTES_MIN);
    }
}
