//! The levels of this process's log, part by part, as they are set while it runs: `sys/loggers`. A restart forgets them.
//!
//! There is one log in a process, however many nodes are.

use crate::config::LogLevel;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use tracing::Subscriber;
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, reload};

/// The parts of the log by name, and where in the code each begins. `core` and `audit` are Vault's names.
const LOGGERS: &[(&str, &str)] = &[
    ("audit", "twinkeep::server::audit"),
    ("consensus", "twinkeep::consensus"),
    ("core", "twinkeep::secrets"),
    ("replication", "twinkeep::replication"),
    ("server", "twinkeep::server"),
    ("state", "twinkeep::state"),
    ("storage", "twinkeep::storage"),
];

static CHANGED: Mutex<BTreeMap<&'static str, LogLevel>> = Mutex::new(BTreeMap::new());
/// Makes the log follow directives. Not there where nobody set the log up.
static FOLLOW: OnceLock<Box<dyn Fn(EnvFilter) -> bool + Send + Sync>> = OnceLock::new();
/// What the log was set up with.
static CONFIGURED: OnceLock<String> = OnceLock::new();

/// A filter by `configured`, in the words of `EnvFilter`, that follows what is set later.
pub fn filter<S: Subscriber + for<'a> LookupSpan<'a>>(configured: String) -> impl Filter<S> {
    let (filter, handle) = reload::Layer::new(EnvFilter::new(&configured));
    // Of several logs in a process the first one is the process's.
    if CONFIGURED.set(configured).is_ok() {
        let _first = FOLLOW.set(Box::new(move |filter| handle.reload(filter).is_ok()));
    }
    filter
}

/// The levels of all parts, where `configured` holds for those that nobody changed.
pub fn levels(configured: LogLevel) -> BTreeMap<&'static str, LogLevel> {
    let changed = lock();
    LOGGERS.iter().map(|(name, _)| (*name, *changed.get(name).unwrap_or(&configured))).collect()
}

/// Which parts are meant.
#[derive(Clone, Copy)]
pub enum Which<'a> {
    All,
    Named(&'a str),
}

/// Changes the level; `None`: to what is configured.
pub fn change(which: Which<'_>, level: Option<LogLevel>, configured: LogLevel) -> Result<()> {
    let is_meant = |name: &str| match which {
        Which::All => true,
        Which::Named(wanted) => wanted == name,
    };
    let meant: Vec<&'static str> = LOGGERS.iter().map(|(name, _)| *name).filter(|name| is_meant(name)).collect();
    if let (true, Which::Named(wanted)) = (meant.is_empty(), which) {
        return Err(Error::invalid(format!("logger \"{wanted}\" not found")));
    }
    let mut changed = lock();
    for name in meant {
        match level {
            Some(level) => changed.insert(name, level),
            None => changed.remove(name),
        };
    }
    if let (Some(follow), Some(base)) = (FOLLOW.get(), CONFIGURED.get())
        && !follow(EnvFilter::new(directives(base, &changed, configured)))
    {
        return Err(Error::internal("the log is gone"));
    }
    Ok(())
}

/// Each part by itself where one was changed: what is set for one never holds for a part of it that is shown otherwise.
fn directives(base: &str, changed: &BTreeMap<&'static str, LogLevel>, configured: LogLevel) -> String {
    let mut text = base.to_owned();
    for (name, target) in LOGGERS.iter().filter(|_| !changed.is_empty()) {
        text.push_str(&format!(",{target}={}", changed.get(name).unwrap_or(&configured).name()));
    }
    text
}

fn lock() -> MutexGuard<'static, BTreeMap<&'static str, LogLevel>> {
    CHANGED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{debug, subscriber::with_default};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    struct Counting(std::sync::Arc<std::sync::atomic::AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Counting {
        fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn a_part_of_the_log_follows_its_own_level_and_goes_back() {
        let lines = std::sync::Arc::default();
        let log = Counting(std::sync::Arc::clone(&lines)).with_filter(filter("warn,twinkeep=info".into()));
        with_default(tracing_subscriber::registry().with(log), || {
            let seen = || {
                lines.store(0, std::sync::atomic::Ordering::Relaxed);
                debug!(target: "twinkeep::secrets::core", "one");
                debug!(target: "twinkeep::server::http", "another");
                lines.load(std::sync::atomic::Ordering::Relaxed)
            };
            let set = |which, level| change(which, level, LogLevel::Info);
            assert_eq!(seen(), 0);
            set(Which::Named("core"), Some(LogLevel::Debug)).expect("a logger");
            assert_eq!((seen(), levels(LogLevel::Info)["core"]), (1, LogLevel::Debug));
            set(Which::All, Some(LogLevel::Trace)).expect("loggers");
            assert_eq!((seen(), levels(LogLevel::Info)["audit"]), (2, LogLevel::Trace));
            set(Which::Named("core"), None).expect("a logger");
            assert_eq!((seen(), levels(LogLevel::Info)["core"]), (1, LogLevel::Info));
            set(Which::All, None).expect("loggers");
            assert_eq!(seen(), 0);
            let unknown = set(Which::Named("nobody"), None).expect_err("no logger");
            assert_eq!(unknown.to_string(), "logger \"nobody\" not found");
        });
    }
}
