//! The log of this process as it is written, for who looks from afar: `sys/monitor`. It holds what the log holds, so no
//! secret either; of what is more than the server itself is to log, nothing is made unless somebody watches.

use crate::clock;
use crate::config::LogLevel;
use crate::error::{Error, Result};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::fmt::Debug;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::DynFilterFn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Lines kept for a watcher that is slow; what is older is left out, and said to be.
const LINES_MAX: usize = 1024;
/// Watchers at a time.
const WATCHERS_MAX: usize = 16;
/// What is shown is this server's own.
const TARGET: &str = "twinkeep";

/// There is one log in a process, however many nodes are.
static LINES: LazyLock<broadcast::Sender<Line>> = LazyLock::new(|| broadcast::Sender::new(LINES_MAX));
static WATCHERS: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, Debug)]
struct Line {
    at: String,
    level: Level,
    target: String,
    message: String,
    fields: Map<String, Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Standard,
    Json,
}

/// The part of the log's machinery that shows it.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    let watched = DynFilterFn::new(|_, _| WATCHERS.load(Ordering::Relaxed) > 0)
        .with_callsite_filter(|about| match about.target().starts_with(TARGET) {
            true => Interest::sometimes(),
            false => Interest::never(),
        })
        .with_max_level_hint(LevelFilter::TRACE);
    Showing.with_filter(watched)
}

struct Showing;

impl<S: Subscriber> Layer<S> for Showing {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        let mut line = Line {
            at: clock::now().rfc3339(),
            level: *about.level(),
            target: about.target().to_owned(),
            message: String::new(),
            fields: Map::new(),
        };
        event.record(&mut line);
        // Nobody may be left to read it.
        let _nobody = LINES.send(line);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            name => {
                self.fields.insert(name.to_owned(), json!(value));
            }
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.insert(field.name().to_owned(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.insert(field.name().to_owned(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.insert(field.name().to_owned(), json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl Line {
    fn text(&self, format: Format) -> String {
        let Line { at, level, target, message, fields } = self;
        match format {
            Format::Standard => {
                let mut text = format!("{at} [{level}] {target}: {}", one_line(message));
                for (name, value) in fields {
                    text.push_str(&format!(" {name}={value}"));
                }
                text.push('\n');
                text
            }
            Format::Json => {
                let mut line = fields.clone();
                line.insert("@timestamp".into(), json!(at));
                line.insert("@level".into(), json!(level.as_str().to_lowercase()));
                line.insert("@module".into(), json!(target));
                line.insert("@message".into(), json!(message));
                format!("{}\n", Value::Object(line))
            }
        }
    }
}

/// What others wrote into a message begins no line of its own.
fn one_line(text: &str) -> String {
    text.replace('\r', "\\r").replace('\n', "\\n")
}

/// Who reads the log, from now on.
pub struct Watcher {
    lines: broadcast::Receiver<Line>,
    level: Level,
    format: Format,
}

impl Watcher {
    pub fn new(level: Level, format: Format) -> Result<Watcher> {
        let before = WATCHERS.fetch_add(1, Ordering::Relaxed);
        let watcher = Watcher { lines: LINES.subscribe(), level, format };
        if before >= WATCHERS_MAX {
            return Err(Error::unavailable(format!("{WATCHERS_MAX} watch the log of this node already")));
        }
        Ok(watcher)
    }

    /// The next line that is as weighty; `None` at the end of the log.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.lines.recv().await {
                Ok(line) if line.level <= self.level => return Some(line.text(self.format).into()),
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => {
                    let left_out = Line {
                        at: clock::now().rfc3339(),
                        level: Level::WARN,
                        target: module_path!().to_owned(),
                        message: "lines were left out, which came faster than they were read".to_owned(),
                        fields: Map::from_iter([("lines".to_owned(), json!(missed))]),
                    };
                    return Some(left_out.text(self.format).into());
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        WATCHERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A level by the names that Vault has for it.
pub fn level(name: &str) -> Option<Level> {
    let named = if name.is_empty() { LogLevel::Info } else { LogLevel::named(name)? };
    Some(match named {
        LogLevel::Trace => Level::TRACE,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[tokio::test]
    async fn a_watcher_sees_what_is_as_weighty_as_it_asks_for() {
        let log = tracing_subscriber::registry().with(layer());
        let _here = tracing::subscriber::set_default(log);
        tracing::info!("before anybody watched");
        let mut all = Watcher::new(Level::DEBUG, Format::Standard).expect("few watch");
        let mut weighty = Watcher::new(Level::WARN, Format::Json).expect("few watch");
        // The tests beside this one may log as well.
        tracing::debug!(number = 7, "a line\nand no more");
        tracing::error!(node = "a", "worse");
        let line = async |watcher: &mut Watcher, holds: &str| loop {
            let line = watcher.next().await.expect("a line");
            let line = String::from_utf8(line.to_vec()).expect("text");
            if line.contains(holds) {
                return line;
            }
        };
        let said = line(&mut all, "a line").await;
        assert!(said.ends_with("[DEBUG] twinkeep::server::monitor::tests: a line\\nand no more number=7\n"), "{said}");
        let said: Value = serde_json::from_str(&line(&mut weighty, "worse").await).expect("JSON");
        assert_eq!((&said["@level"], &said["node"]), (&json!("error"), &json!("a")));
    }
}
