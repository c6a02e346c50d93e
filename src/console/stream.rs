//! The console as lines that are only ever added: for screen readers, dumb terminals and pipes (`--plain`), and for
//! programs (`--json --watch`).

use super::app::Model;
use super::domain::Standing;
use super::domain::units::clock_time;
use super::options::AttachOptions;
use super::report;
use super::watcher::Watcher;
use crate::api::replication::EventLevel;
use crate::clock::UnixMs;
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// With nothing new a plain console still says how it goes, so that silence never looks like health.
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// Events that happened before are told if they are not older.
const BACKLOG: Duration = Duration::from_secs(300);

/// A JSON object a second, a line each, until the reader goes or a signal ends it.
pub async fn watch_json(options: AttachOptions) -> Result<()> {
    let mut watcher = Watcher::start(options)?;
    watcher.settle().await;
    loop {
        if put(&report::line(&watcher.model)).is_err() {
            return Ok(());
        }
        watcher.pass(EVERY).await;
    }
}

/// Lines in words, whenever something is new.
pub async fn plain(options: AttachOptions) -> Result<()> {
    let mut watcher = Watcher::start(options)?;
    let mut teller = Teller::default();
    for warning in std::mem::take(&mut watcher.warnings) {
        if put(&format!("warning: {warning}\n")).is_err() {
            return Ok(());
        }
    }
    watcher.settle().await;
    loop {
        let news = teller.news(&watcher.model);
        if !news.is_empty() && put(&news).is_err() {
            return Ok(());
        }
        watcher.pass(EVERY).await;
    }
}

/// Fails when nobody reads any more.
fn put(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What was told already.
#[derive(Default)]
struct Teller {
    standing: BTreeMap<usize, (Standing, UnixMs)>,
    alarms: BTreeSet<(usize, String)>,
    events: BTreeSet<(usize, UnixMs, String)>,
}

impl Teller {
    fn news(&mut self, model: &Model) -> String {
        let now = model.now;
        let several = model.contexts().len() > 1;
        let mut text = String::new();
        for context in model.contexts() {
            let id = context.id.0;
            let mut say = |at: UnixMs, words: &str| {
                let name = if several { format!("{}: ", context.title()) } else { String::new() };
                let words: String = words.chars().filter(|character| !character.is_control()).collect();
                text += &format!("{} {name}{words}\n", clock_time(at));
            };
            for entry in context.log.entries().filter(|entry| now.since(entry.at) <= BACKLOG) {
                if self.events.insert((id, entry.at, format!("{} {}", entry.region, entry.text))) {
                    let level = match entry.level {
                        EventLevel::Info => "",
                        EventLevel::Warn => "warning: ",
                        EventLevel::Alarm => "alarm: ",
                    };
                    say(entry.at, &format!("{}: {level}{}", entry.region, entry.text));
                }
            }
            let overall = context.overall(now);
            let told = self.standing.get(&id);
            let due =
                told.is_none_or(|(standing, at)| *standing != overall.standing || now.since(*at) >= AT_LEAST_EVERY);
            if due {
                say(now, &format!("{} {}", overall.standing.word(), overall.words));
                self.standing.insert(id, (overall.standing, now));
            }
            // Ages and counts change all the time: an alarm is the same while its words are.
            let alarms: BTreeSet<(usize, String)> =
                context.alarms(now).into_iter().map(|alarm| (id, without_numbers(&alarm.text))).collect();
            for alarm in context.alarms(now).into_iter().filter(|alarm| !due || alarm.text != overall.words) {
                if !self.alarms.contains(&(id, without_numbers(&alarm.text))) {
                    say(now, &alarm.text);
                }
            }
            self.alarms.retain(|(of, _)| *of != id);
            self.alarms.extend(alarms);
        }
        self.events.retain(|(_, at, _)| now.since(*at) <= BACKLOG * 2);
        text
    }
}

fn without_numbers(text: &str) -> String {
    let words = text.split(' ').filter(|word| !word.chars().next().is_some_and(|first| first.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::app::tests::model;
    use crate::console::app::{Msg, update};
    use crate::console::domain::fixtures;

    #[test]
    fn what_is_the_same_is_told_once_and_silence_is_broken() {
        let mut model = model(fixtures::dark_standby());
        let mut teller = Teller::default();
        let first = teller.news(&model);
        assert!(first.contains("ALARM eu-west-1 (standby) does not answer: last heard 41s ago"), "{first}");
        let tick = |model: &mut Model, seconds: u64| {
            let later = UnixMs(model.now.0 + seconds * 1_000);
            update(model, Msg::Tick(later));
        };
        // The primary falls silent too, for want of reports: that is news. Another second is not.
        tick(&mut model, 1);
        assert_eq!(teller.news(&model), "", "nothing new but an age");
        tick(&mut model, 61);
        assert!(teller.news(&model).contains("ALARM"), "a sign of life once a minute");
    }
}
