//! The only reader of time and of entropy. Everything else takes them as arguments.

use rand::RngCore;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z, as this machine's wall clock has them. Clocks differ between
/// machines: compare times of two machines only with their skew in mind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: UnixMs) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    pub fn plus(self, duration: Duration) -> UnixMs {
        UnixMs(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    pub fn ns(self) -> UnixNs {
        UnixNs(self.0.saturating_mul(1_000_000))
    }

    /// RFC 3339 in UTC with milliseconds, as Vault writes times.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0.min(i64::MAX as u64) as i64) {
            Ok(time) => format!("{time:.3}"),
            Err(_) => format!("{} ms since 1970", self.0),
        }
    }
}

impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Nanoseconds since 1970-01-01T00:00:00Z, good until the year 2554: for times that Vault shows to the nanosecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixNs(pub u64);

impl UnixNs {
    pub fn ms(self) -> UnixMs {
        UnixMs(self.0 / 1_000_000)
    }

    pub fn plus(self, duration: Duration) -> UnixNs {
        UnixNs(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// RFC 3339 in UTC with as many digits as the time has, as Vault writes the times of versions.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => time.to_string(),
            Err(_) => format!("{} ns since 1970", self.0),
        }
    }
}

impl fmt::Display for UnixNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// How wrong the wall clock of some threads is, on purpose: a rehearsal gives a node a clock of its own.
#[derive(Clone, Debug, Default)]
pub struct Skew(Arc<AtomicI64>);

thread_local! {
    static SKEW: RefCell<Option<Skew>> = const { RefCell::new(None) };
}

impl Skew {
    pub fn set_ms(&self, ms: i64) {
        self.0.store(ms, Ordering::Relaxed);
    }

    /// From now on this thread's wall clock is that wrong.
    pub fn apply_to_this_thread(&self) {
        SKEW.with(|skew| *skew.borrow_mut() = Some(self.clone()));
    }
}

fn skew_ms() -> i64 {
    // Of a thread that is just ending the right time will do.
    SKEW.try_with(|skew| skew.borrow().as_ref().map_or(0, |skew| skew.0.load(Ordering::Relaxed))).unwrap_or(0)
}

/// The wall clock, for what people read and what outlives the process.
pub fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs((since.as_millis() as u64).saturating_add_signed(skew_ms()))
}

/// The wall clock to the nanosecond.
pub fn now_ns() -> UnixNs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let skew = skew_ms().saturating_mul(1_000_000);
    UnixNs(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).saturating_add_signed(skew))
}

/// The steady clock, for deadlines and durations inside the process.
pub fn steady() -> Instant {
    Instant::now()
}

/// `N` bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    bytes
}

/// A random id in the form of a UUID.
pub fn random_uuid() -> String {
    let hex = hex::encode(random_bytes::<16>());
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A generator seeded by the operating system, for crates that ask for one.
pub fn rng() -> rand::rngs::OsRng {
    rand::rngs::OsRng
}
