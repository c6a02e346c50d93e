//! The flight recorder: what was observed, what was decided on and what was asked for, as JSON lines, in memory for the last while and in a file
//! where one was asked for. Nothing secret passes here: answers with tokens are no observation, and are not recorded.

mod desk;
mod film;
mod projector;

pub use film::Film;
pub use projector::Projector;

use super::app::context::ContextId;
use super::app::{Model, ModelOptions, Msg};
use super::domain::{NodeReport, units};
use crate::api::replication::Event;
use crate::clock::UnixMs;
use crate::error::{Error, Result};
use desk::{FlightDesk, Written};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const VERSION: u32 = 1;
/// Of the lines in memory: minutes of a few nodes.
const MEMORY_BYTES_MAX: usize = 8 << 20;
/// A recording ends there.
const FILE_BYTES_MAX: u64 = 1 << 30;

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
    /// What was decided on changed.
    Desk {
        at: UnixMs,
        context: usize,
        desk: FlightDesk,
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
            | Line::Desk { at, .. }
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
    /// Why the file ends here, until it was told.
    ended: Option<String>,
    desks: BTreeMap<ContextId, Written>,
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
            ended: None,
            desks: BTreeMap::new(),
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

    /// Takes in what is decided on by now, as far as it changed.
    pub fn take_desks(&mut self, model: &Model) {
        for context in model.contexts() {
            let news = self.desks.entry(context.id).or_default().news(context);
            for desk in news {
                self.put(&Line::Desk { at: model.now, context: context.id.0, desk });
            }
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

    /// A file that can't be written any more is given up, and it is said: the console matters more.
    fn write(&mut self, text: &str) {
        let Some(file) = &mut self.file else { return };
        self.written += text.len() as u64;
        let why = match file.write_all(text.as_bytes()) {
            _ if self.written > FILE_BYTES_MAX => format!("it reached {}", units::bytes(FILE_BYTES_MAX)),
            Ok(()) => return,
            Err(error) => error.to_string(),
        };
        self.file = None;
        let words =
            format!("the recording ended: {why}; the last while is still kept for `:bundle` and for looking back");
        self.ended = Some(words);
    }

    /// That the file is not written any more, once.
    pub fn take_end(&mut self) -> Option<String> {
        self.ended.take()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::console::app::Keymap;
    use crate::console::app::context::{ContextOptions, WriteRight};
    use crate::console::app::history::MARK;
    use crate::console::app::tests::{CANARY, give_token, keys, model, open_plan, type_text};
    use crate::console::domain::AnyAge;
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
        let at = |second: u64| UnixMs(fixtures::NOW.0 + second * 1_000);
        for film in [recorder.past().unwrap(), Film::open(&file).unwrap()] {
            let mut shown = shown(film);
            assert!(!shown.at(at(3)).pair().unwrap().is_split_brain());
            assert!(shown.at(at(5)).pair().unwrap().is_split_brain());
            assert!(!shown.at(at(2)).pair().unwrap().is_split_brain(), "back again");
            assert_eq!(shown.projector.film().mark(at(1), true), Some(at(2)));
            assert_eq!(shown.at(at(5)).here.write, WriteRight::Past);
        }
        // Who got a bundle can hand it on, from within the replay of it.
        let again = Film::open(&file).unwrap().bundle(fixtures::NOW, "a screen".into());
        assert_eq!(again.lines().count(), std::fs::read_to_string(&file).unwrap().lines().count());
    }

    struct Shown {
        projector: Projector,
        model: Model,
    }

    fn shown(film: Film) -> Shown {
        let (projector, model) = Projector::load(film, "dark", vec!["dark".into()], Keymap::default());
        Shown { projector, model }
    }

    impl Shown {
        fn at(&mut self, at: UnixMs) -> &mut Model {
            self.projector.go_to(at);
            self.projector.show(&mut self.model);
            &mut self.model
        }
    }

    #[test]
    fn what_was_decided_on_is_shown_as_it_stood() {
        use crate::console::app::promotion::{Stage, Standing};
        let mut recorder = recorded();
        let mut operator = model(fixtures::dark_primary());
        open_plan(&mut operator);
        let read_at = operator.now;
        recorder.take_desks(&operator);
        recorder.take_desks(&operator);
        type_text(&mut operator, "eu-west-1");
        keys(&mut operator, "enter");
        let page = fixtures::ledger();
        operator.here.ledger = Some(crate::console::domain::Observed::new(page, operator.now, "us-east-1"));
        recorder.take_desks(&operator);
        let bundle = recorder.bundle(operator.now, String::new());
        assert_eq!(bundle.matches("\"deciding\"").count(), 1, "what did not change is not written twice");
        assert!(!bundle.contains("apps/mail"), "the names of secrets are in no recording");
        let mut shown = shown(recorder.past().unwrap());
        let then = shown.at(read_at);
        let plan = match &then.here.promotion.as_ref().unwrap().stage {
            Stage::Deciding(deciding) => deciding.plan.last().hash.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(plan, fixtures::plan().hash);
        // It can be opened and read, and nothing can be done with it.
        assert!(keys(then, "p").is_empty());
        type_text(then, "eu-west-1");
        assert!(keys(then, "enter").is_empty());
        let then = shown.at(operator.now);
        match &then.here.promotion.as_ref().unwrap().stage {
            Stage::Sent(sent) => assert_eq!(sent.outcome(), Standing::Running),
            other => panic!("{other:?}"),
        }
        assert_eq!(then.here.ledger.as_ref().unwrap().last().entries.len(), 3);
    }

    #[test]
    fn from_any_moment_to_any_other_a_film_shows_what_it_shows_from_the_start() {
        let mut recorder = recorded();
        let at = |step: u64| UnixMs(fixtures::NOW.0 + 6_000 + step * 10);
        let worlds = [fixtures::streaming(), fixtures::dark_primary(), fixtures::left_behind()];
        let steps = 1_500;
        for step in 0..steps {
            let world = &worlds[(step as usize / 97) % worlds.len()];
            let reports = world.nodes().iter().map(|node| (ContextId(0), node.clone())).collect();
            recorder.take(&Msg::Reports(reports), at(step));
        }
        let look = |model: &Model| format!("{:?} {:?}", model.here.world.regions(), model.alarms());
        let mut moved = shown(recorder.past().unwrap());
        for step in [1_499, 3, 900, 899, 901, 40, 1_300] {
            let seen = look(moved.at(at(step)));
            let mut afresh = shown(recorder.past().unwrap());
            assert!(seen == look(afresh.at(at(step))), "{step}");
        }
        assert!(moved.projector.frames() > 3, "and does not begin at the start each time");
    }

    #[test]
    fn a_token_is_in_no_recording() {
        let mut recorder = recorded();
        let mut model = model(fixtures::streaming());
        give_token(&mut model);
        recorder.take_desks(&model);
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
