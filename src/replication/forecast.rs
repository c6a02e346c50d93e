//! When a standby that lags leaves the log, and what it costs then: the log's growth against its bounds. Pure.

use super::protocol::LinkReport;
use super::retention::Bounds;
use crate::api::replication::Forecast;
use crate::clock::UnixMs;
use crate::state::PathState;

/// A forecast that looks further ahead says nothing: rates change.
const HORIZON_MS: u64 = 24 * 60 * 60 * 1000;

/// How fast this region's log grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Growth {
    pub entries_per_s: f64,
    pub bytes_per_s: f64,
}

/// `None` where the standby keeps up, was never heard, or has more than a day left.
pub(super) fn forecast(
    link: &LinkReport,
    path: &PathState,
    bounds: &Bounds,
    growth: Growth,
    now: UnixMs,
) -> Option<Forecast> {
    let lag = link.lag.filter(|lag| link.outgoing && lag.entries > 0)?;
    if link.sync.as_ref().is_some_and(|sync| sync.cursor.is_some()) {
        return None;
    }
    if link.applied.index + 1 < path.wal_first {
        return Some(Forecast { ms: 0, keys: lag.entries.min(path.entries) });
    }
    // By bytes, what the standby takes over in the meantime counts for it.
    let closing = growth.bytes_per_s - link.bytes_per_s;
    let room = bounds.bytes_max.saturating_sub(lag.behind.bytes) as f64;
    let by_bytes = (closing > 0.0).then(|| room / closing * 1000.0);
    // By time, a standby that takes over anything at all moves what it needs next along; one that stands still does not.
    let age = now.since(lag.head_at).as_millis() as u64 + lag.ms;
    let stands_still = link.entries_per_s == 0.0;
    let by_time = stands_still.then(|| (bounds.time_max.as_millis() as u64).saturating_sub(age) as f64);
    let ms = by_bytes.into_iter().chain(by_time).min_by(f64::total_cmp)?;
    if ms > HORIZON_MS as f64 {
        return None;
    }
    let lag_grows = (growth.entries_per_s - link.entries_per_s).max(0.0);
    let behind_then = lag.entries + (lag_grows * ms / 1000.0) as u64;
    // A key that is written twice is sent once, and no more keys than there are.
    let keys = behind_then.min(path.entries.max(lag.entries));
    Some(Forecast { ms: ms as u64, keys })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::replication::LinkState;
    use crate::ids::{DatasetId, Epoch, Position, RegionId};
    use crate::replication::protocol::LagReport;
    use crate::state::{Batch, Class, Op, Totals};
    use bytes::Bytes;
    use std::time::Duration;

    const MIB: u64 = 1 << 20;

    fn path() -> PathState {
        let applied = Position::new(Epoch(1), 10_000);
        PathState { applied, entries: 50_000, ..PathState::first("default", DatasetId([1; 16])) }
    }

    /// A link that is so far behind.
    fn link(entries: u64, bytes: usize, per_second: (f64, f64)) -> LinkReport {
        let head = path().applied;
        let mut behind = Totals::default();
        let value = Bytes::from(vec![0; bytes]);
        let ops = vec![Op::Put { key: Bytes::new(), value }];
        behind.add(&Batch { class: Class::KvWrite, at: UnixMs(0), ops });
        let lag =
            LagReport { head, head_at: UnixMs(100_000), behind, entries, ms: 5_000, observed_at: UnixMs(100_000) };
        LinkReport {
            peer: RegionId([2; 16]),
            name: "eu-west-1".into(),
            addresses: Vec::new(),
            version: String::new(),
            outgoing: true,
            state: LinkState::Streaming,
            since: UnixMs(0),
            last_heard_at: None,
            error: None,
            retry_at: None,
            peer_role: None,
            received: Position::ZERO,
            applied: Position::new(Epoch(1), head.index - entries),
            lag: Some(lag),
            sync: None,
            in_flight: 0,
            max_parallel: 8,
            entries_per_s: per_second.0,
            bytes_per_s: per_second.1,
            round_trip_ms: None,
            clock_skew_ms: None,
        }
    }

    fn look(link: &LinkReport, growth: (f64, f64)) -> Option<Forecast> {
        let bounds = Bounds { bytes_max: 100 * MIB, time_max: Duration::from_secs(3600) };
        let growth = Growth { entries_per_s: growth.0, bytes_per_s: growth.1 };
        forecast(link, &path(), &bounds, growth, UnixMs(100_000))
    }

    #[test]
    fn a_standby_that_stands_still_leaves_when_the_log_is_full() {
        let stuck = link(1_000, 10 << 20, (0.0, 0.0));
        let seen = look(&stuck, (100.0, MIB as f64)).expect("it leaves");
        assert!((89_000..=90_500).contains(&seen.ms), "90 MiB at 1 MiB a second: {seen:?}");
        assert!((9_900..=10_100).contains(&seen.keys), "{seen:?}");
    }

    #[test]
    fn without_writes_the_bound_in_time_counts() {
        let stuck = link(1_000, 10 << 20, (0.0, 0.0));
        let seen = look(&stuck, (0.0, 0.0)).expect("it grows too old");
        assert_eq!((seen.ms, seen.keys), (3_595_000, 1_000));
    }

    #[test]
    fn a_standby_that_keeps_up_or_has_all_leaves_nothing() {
        assert_eq!(look(&link(1_000, 10 << 20, (200.0, 2e6)), (100.0, MIB as f64)), None);
        assert_eq!(look(&link(0, 0, (0.0, 0.0)), (100.0, MIB as f64)), None);
        assert_eq!(look(&LinkReport { lag: None, ..link(9, 9, (0.0, 0.0)) }, (100.0, MIB as f64)), None);
    }

    #[test]
    fn one_that_has_left_has_left() {
        let left = link(9_000, 90 << 20, (0.0, 0.0));
        let path = PathState { wal_first: 5_000, ..path() };
        let bounds = Bounds { bytes_max: 100 * MIB, time_max: Duration::from_secs(3600) };
        let seen = forecast(&left, &path, &bounds, Growth::default(), UnixMs(100_000));
        assert_eq!(seen, Some(Forecast { ms: 0, keys: 9_000 }));
    }
}
