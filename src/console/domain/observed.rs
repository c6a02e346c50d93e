//! A remote value with the time it was observed: the freshness law as a type.

use crate::clock::UnixMs;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A status is polled every second and a call may take three: what is older than this has missed at least one answer,
/// and is shown as old.
pub const FRESH_FOR: Duration = Duration::from_millis(3_500);

/// What somebody said, when it reached this console (by the console's clock), and who said it.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Observed<T> {
    value: T,
    at: UnixMs,
    source: String,
}

/// An observed value together with its age: the only way for a view to get at the value.
#[derive(Debug)]
pub struct Reading<'a, T> {
    pub value: &'a T,
    pub age: Duration,
    pub source: &'a str,
}

impl<T> Observed<T> {
    pub fn new(value: T, at: UnixMs, source: impl Into<String>) -> Observed<T> {
        Observed { value, at, source: source.into() }
    }

    pub fn read(&self, now: UnixMs) -> Reading<'_, T> {
        Reading { value: &self.value, age: now.since(self.at), source: &self.source }
    }

    /// Puts in what is known from elsewhere. It counts as old as the rest.
    pub fn amend(&mut self, put: impl FnOnce(&mut T)) {
        put(&mut self.value);
    }

    pub fn at(&self) -> UnixMs {
        self.at
    }

    pub fn source(&self) -> &str {
        &self.source
    }
}

/// The value whatever its age: for what follows from it, never for what is shown. No file of `ui` may import it
/// (`tests/architecture.rs`), so that a view has no way to a value but [`Observed::read`], which gives its age with it.
pub trait AnyAge {
    type Value;

    fn last(&self) -> &Self::Value;
}

impl<T> AnyAge for Observed<T> {
    type Value = T;

    fn last(&self) -> &T {
        &self.value
    }
}

// By hand: a derive would ask that the value itself can be copied.
impl<T> Clone for Reading<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Reading<'_, T> {}

impl<T> Reading<'_, T> {
    pub fn is_old(&self) -> bool {
        self.age > FRESH_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_old_once_it_missed_an_answer() {
        let seen = Observed::new(7, UnixMs(10_000), "us-east-1a");
        assert!(!seen.read(UnixMs(13_000)).is_old());
        let later = seen.read(UnixMs(22_000));
        assert!(later.is_old());
        assert_eq!((later.age.as_secs(), *later.value), (12, 7));
    }
}
