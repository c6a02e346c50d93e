//! The flight recorder: what was observed and what was asked for, as JSON lines, in memory for the last while and in a file
//! where one was asked for. Nothing secret passes here: answers with tokens are no observation, and are not recorded.

use super::app::actions::Look;
use super::app::context::{ContextId, ContextOptions, WriteRight};
use super::app::history::MARK;
use super::app::{self, Keymap, Model, ModelOptions, Msg};
use super::domain::NodeReport;
use crate::api::replication::{Event, EventLevel};
use crate::clock::UnixMs;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

const VERSION: u32 = 1;
/// Of the lines in memory: minutes of a few nodes.
const MEMORY_BYTES_MAX: usize = 8 << 20;
/// A recording ends there.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// One line of a file that is replayed.
const LINE_BYTES_MAX: u64 = 16 << 20;

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Flight {
        version: u32,
        began_at: UnixMs,
        contexts: Vec<FlightContext>,
    },
    Report {
        at: UnixMs,
        context: usize,
        report: Box<NodeReport>,
    },
    Events {
        at: UnixMs,
        context: usize,
        region: String,
        events: Vec<Event>,
    },
    /// What the console itself did, or was told to remember.
    Note {
        at: UnixMs,
        context: usize,
        subject: String,
        text: String,
    },
    /// How the screen looked.
    Screen {
        at: UnixMs,
        text: String,
    },
}

#[derive(Clone, Serialize, Deserialize)]
struct FlightContext {
    name: String,
    path: String,
    addresses: Vec<String>,
}

impl Line {
    fn at(&self) -> UnixMs {
        match self {
            Line::Flight { began_at: at, .. }
            | Line::Report { at, .. }
            | Line::Events { at, .. }
            | Line::Note { at, .. }
            | Line::Screen { at, .. } => *at,
        }
    }
}

pub struct Recorder {
    head: String,
    /// The newest lines, oldest first.
    memory: VecDeque<(UnixMs, String)>,
    memory_bytes: usize,
    file: Option<File>,
    written: u64,
}

impl Recorder {
    pub fn start(options: &ModelOptions, file: Option<&Path>) -> Result<Recorder> {
        let contexts = options.contexts.iter().map(|context| FlightContext {
            name: context.name.clone(),
            path: context.path.clone(),
            addresses: context.addresses.clone(),
        });
        let head = text(&Line::Flight { version: VERSION, began_at: options.now, contexts: contexts.collect() });
        let open = |path: &Path| {
            let opened = File::options().create_new(true).write(true).mode(0o600).open(path);
            opened.map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
        };
        let mut recorder = Recorder {
            memory: VecDeque::new(),
            memory_bytes: 0,
            file: file.map(open).transpose()?,
            written: 0,
            head: head.clone(),
        };
        recorder.write(&head);
        Ok(recorder)
    }

    /// Takes in what happened, as far as it is an observation.
    pub fn take(&mut self, msg: &Msg, now: UnixMs) {
        match msg {
            Msg::Reports(reports) => {
                for (context, report) in reports {
                    self.put(&Line::Report { at: now, context: context.0, report: Box::new(report.clone()) });
                }
            }
            Msg::Events { context, region, events } => {
                let (region, events) = (region.clone(), events.clone());
                self.put(&Line::Events { at: now, context: context.0, region, events });
            }
            // Keys may spell what is secret; answers may hold it; a tick is nothing new.
            _ => {}
        }
    }

    /// What this console did.
    pub fn note(&mut self, now: UnixMs, context: ContextId, subject: &str, words: String) {
        self.put(&Line::Note { at: now, context: context.0, subject: subject.into(), text: words });
    }

    fn put(&mut self, line: &Line) {
        let text = text(line);
        self.write(&text);
        self.memory_bytes += text.len();
        self.memory.push_back((line.at(), text));
        while self.memory_bytes > MEMORY_BYTES_MAX {
            let Some((_, oldest)) = self.memory.pop_front() else { return };
            self.memory_bytes -= oldest.len();
        }
    }

    /// A file that can't be written any more is given up: the console matters more.
    fn write(&mut self, text: &str) {
        let Some(file) = &mut self.file else { return };
        self.written += text.len() as u64;
        if self.written > FILE_BYTES_MAX || file.write_all(text.as_bytes()).is_err() {
            self.file = None;
        }
    }

    /// All that is in memory, and how the screen looks, as one file that can be replayed.
    pub fn bundle(&self, now: UnixMs, screen: String) -> String {
        let mut bundle = self.head.clone();
        bundle.extend(self.memory.iter().map(|(_, line)| line.as_str()));
        bundle + &text(&Line::Screen { at: now, text: screen })
    }

    /// What is in memory, to look back at.
    pub fn past(&self) -> Result<Film> {
        let lines = self.memory.iter().map(|(_, line)| line.as_bytes());
        Film::of(std::iter::once(self.head.as_bytes()).chain(lines).map(|line| Ok(line.to_vec())))
    }
}

fn text(line: &Line) -> String {
    serde_json::to_string(line).expect("the API's types have string keys only") + "\n"
}

/// A recording that is looked at.
pub struct Film {
    contexts: Vec<FlightContext>,
    lines: Vec<Line>,
    pub began_at: UnixMs,
    pub ended_at: UnixMs,
}

impl Film {
    pub fn open(path: &Path) -> Result<Film> {
        let told = |error: String| Error::invalid(format!("{}: {error}", path.display()));
        let mut file = BufReader::new(File::open(path).map_err(|error| told(error.to_string()))?);
        let lines = std::iter::from_fn(move || {
            let mut line = Vec::new();
            match std::io::Read::take(&mut file, LINE_BYTES_MAX).read_until(b'\n', &mut line) {
                Ok(0) => None,
                Ok(_) => Some(Ok(line)),
                Err(error) => Some(Err(Error::from(error))),
            }
        });
        Film::of(lines).map_err(|error| told(error.to_string()))
    }

    fn of(lines: impl Iterator<Item = Result<Vec<u8>>>) -> Result<Film> {
        let mut contexts = None;
        let mut found = Vec::new();
        for (number, line) in lines.enumerate() {
            let line = line?;
            match serde_json::from_slice::<Line>(&line) {
                Ok(Line::Flight { version: VERSION, contexts: of, .. }) if contexts.is_none() => contexts = Some(of),
                Ok(Line::Flight { version, .. }) if version != VERSION => {
                    return Err(Error::invalid(format!(
                        "a recording of version {version}: this program reads {VERSION}"
                    )));
                }
                Ok(Line::Flight { .. }) => {}
                Ok(line) => found.push(line),
                // The last line of a console that was killed may be half a line.
                Err(_) if !line.ends_with(b"\n") => {}
                Err(error) => return Err(Error::invalid(format!("line {}: {error}", number + 1))),
            }
        }
        let contexts = contexts.filter(|contexts| !contexts.is_empty());
        let contexts = contexts.ok_or_else(|| Error::invalid("this is no recording: its first line should say so"))?;
        let (Some(first), Some(last)) = (found.first(), found.last()) else {
            return Err(Error::invalid("nothing was recorded yet"));
        };
        let (began_at, ended_at) = (first.at(), last.at());
        Ok(Film { contexts, lines: found, began_at, ended_at })
    }

    /// The console as it was then.
    pub fn model_at(&self, at: UnixMs, theme: &str, themes: Vec<String>, keymap: Keymap) -> Model {
        let contexts = self.contexts.iter().map(|context| ContextOptions {
            name: context.name.clone(),
            path: context.path.clone(),
            banner: None,
            theme: None,
            addresses: context.addresses.clone(),
            write: WriteRight::Past,
            mistake: None,
        });
        let contexts = contexts.collect();
        let mut model =
            Model::new(ModelOptions { now: self.began_at, contexts, theme: theme.into(), themes, keymap, quiet: true });
        let mut second = self.began_at.0 / 1_000;
        for line in self.lines.iter().take_while(|line| line.at() <= at) {
            // As it ran then: the lag is sampled once a second.
            if line.at().0 / 1_000 != second {
                second = line.at().0 / 1_000;
                app::update(&mut model, Msg::Tick(line.at()));
            }
            match line.clone() {
                Line::Report { context, report, .. } => {
                    app::update(&mut model, Msg::Reports(vec![(ContextId(context), *report)]));
                }
                Line::Events { context, region, events, .. } => {
                    app::update(&mut model, Msg::Events { context: ContextId(context), region, events });
                }
                Line::Note { at, context, subject, text } => {
                    if let Some(context) = model.context_mut(ContextId(context)) {
                        context.log.note(at, EventLevel::Info, &subject, text);
                    }
                }
                Line::Flight { .. } | Line::Screen { .. } => {}
            }
        }
        app::update(&mut model, Msg::Tick(at));
        model.toasts.clear();
        model
    }

    /// The next mark after that moment, or the last one before it.
    pub fn mark(&self, from: UnixMs, forward: bool) -> Option<UnixMs> {
        let marks = self.lines.iter().filter_map(|line| match line {
            Line::Note { at, subject, .. } if subject == MARK => Some(*at),
            _ => None,
        });
        if forward { marks.filter(|at| *at > from).min() } else { marks.filter(|at| *at < from).max() }
    }
}

/// Where in a film one looks, and whether it runs.
pub struct Projector {
    pub film: Film,
    pub at: UnixMs,
    pub runs: bool,
}

impl Projector {
    pub fn go(&mut self, by_ms: i64) {
        let at = UnixMs(self.at.0.saturating_add_signed(by_ms));
        self.at = at.clamp(self.film.began_at, self.film.ended_at);
        self.runs &= self.at < self.film.ended_at;
    }

    pub fn look(&mut self, look: Look) {
        match look {
            Look::Back => self.go(-10_000),
            Look::Forward => self.go(10_000),
            Look::FarBack => self.go(-60_000),
            Look::FarForward => self.go(60_000),
            Look::Play => self.runs = !self.runs && self.at < self.film.ended_at,
            Look::PreviousMark | Look::NextMark => {
                if let Some(at) = self.film.mark(self.at, look == Look::NextMark) {
                    self.at = at;
                }
            }
        }
    }

    /// For the top line.
    pub fn words(&self) -> String {
        let left = self.film.ended_at.since(self.at);
        let sign = if self.runs { "playing" } else { "held" };
        format!("PAST {sign}, {} before the end", super::domain::units::duration(Duration::from_secs(left.as_secs())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::console::app::tests::{CANARY, give_token, keys, model};
    use crate::console::domain::fixtures;

    fn recorded() -> Recorder {
        let options = ModelOptions {
            quiet: false,
            now: fixtures::NOW,
            contexts: vec![ContextOptions {
                name: "prod".into(),
                path: "default".into(),
                banner: None,
                theme: None,
                addresses: vec![fixtures::address(fixtures::US, 0)],
                write: WriteRight::Write,
                mistake: None,
            }],
            theme: "dark".into(),
            themes: vec!["dark".into()],
            keymap: Keymap::default(),
        };
        let mut recorder = Recorder::start(&options, None).unwrap();
        let reports = |world: crate::console::domain::World| {
            Msg::Reports(world.nodes().iter().map(|node| (ContextId(0), node.clone())).collect())
        };
        let at = |second: u64| UnixMs(fixtures::NOW.0 + second * 1_000);
        recorder.take(&reports(fixtures::streaming()), at(1));
        recorder.note(at(2), ContextId(0), MARK, "mark".into());
        recorder.take(&reports(fixtures::split_brain()), at(5));
        recorder
    }

    #[test]
    fn the_past_is_shown_as_it_was_and_a_bundle_is_replayed_like_it() {
        let recorder = recorded();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("incident.jsonl");
        std::fs::write(&file, recorder.bundle(fixtures::NOW, "a screen".into())).unwrap();
        for film in [recorder.past().unwrap(), Film::open(&file).unwrap()] {
            let at = |second: u64| UnixMs(fixtures::NOW.0 + second * 1_000);
            let show = |second| film.model_at(at(second), "dark", vec!["dark".into()], Keymap::default());
            assert!(!show(3).pair().unwrap().is_split_brain());
            assert!(show(5).pair().unwrap().is_split_brain());
            assert_eq!(film.mark(at(1), true), Some(at(2)));
            assert_eq!(show(5).here.write, WriteRight::Past);
        }
    }

    #[test]
    fn a_token_is_in_no_recording() {
        let mut recorder = recorded();
        let mut model = model(fixtures::streaming());
        give_token(&mut model);
        for effect in keys(&mut model, "v c w") {
            recorder.note(model.now, ContextId(0), "did", format!("{effect:?}"));
        }
        assert!(!recorder.bundle(model.now, String::new()).contains(&CANARY[2..16]));
    }

    #[test]
    fn what_is_no_recording_is_refused_and_half_a_last_line_is_forgiven() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.jsonl");
        let wrong = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Film::open(&file).err().map(|error| error.to_string())
        };
        assert!(wrong("hello\n").unwrap().contains("line 1"));
        assert!(wrong("").unwrap().contains("no recording"));
        let bundle = recorded().bundle(fixtures::NOW, "a screen".into());
        assert_eq!(wrong(&bundle[..bundle.len() - 4]), None);
        assert!(wrong(&bundle.replacen("\"version\":1", "\"version\":9", 1)).unwrap().contains("version 9"));
    }
}
