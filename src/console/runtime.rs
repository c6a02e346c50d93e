//! The loop that all goes through: keys, signals, reports and answers in, effects and frames out.
//!
//! It waits in one place only, the `select!`; whatever takes time is a task of a session. What is there is drained, then one
//! frame is painted, 33 ms after the last one at the earliest, and only if a cell changed.

use super::app::actions::Look;
use super::app::history::MARK;
use super::app::list::Move;
use super::app::msg::ExportFormat;
use super::app::rehearsal::{FaultKey, RehearsalDesk, RehearsalNews};
use super::app::{self, Answer, Effect, Model, Mouse, Msg};
use super::files;
use super::flight::{Projector, Recorder};
use super::options::{AttachOptions, Prepared, prepare};
use super::report;
use super::session::{Board, ConsoleClock, Sessions};
use super::term::{self, Screen};
use super::ui::{self, Hits, Paint, Secrets};
use crate::clock::UnixMs;
use crate::error::{Error, Result};
use crossterm::event::{Event, EventStream, KeyCode, KeyEventKind, MouseButton, MouseEventKind};
use futures::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Messages that wait for the loop; sessions wait for room.
const QUEUE_MAX: usize = 1_024;
/// Messages taken in before a frame is painted.
const DRAIN_MAX: usize = 1_024;
/// Between two frames at the least.
const FRAME_EVERY: Duration = Duration::from_millis(33);
/// Ages change once a second.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// The way to a demo's faults and its score.
#[derive(Debug)]
pub struct Rehearsal {
    pub faults: Vec<FaultKey>,
    pub throw: mpsc::Sender<String>,
    pub news: mpsc::Receiver<RehearsalNews>,
}

/// Shows the console until the user quits, the terminal goes away, or a signal ends it.
pub async fn run(options: AttachOptions) -> Result<()> {
    show(options, None).await
}

/// The same over a demo, with its faults on keys.
pub async fn rehearse(options: AttachOptions, rehearsal: Rehearsal) -> Result<()> {
    show(options, Some(rehearsal)).await
}

async fn show(options: AttachOptions, rehearsal: Option<Rehearsal>) -> Result<()> {
    if !term::is_terminal() {
        return Err(Error::invalid(
            "the console needs a terminal: use --once for one screen of text, --json for a program",
        ));
    }
    let clock = ConsoleClock::start();
    let prepared = prepare(options, clock)?;
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    let (sessions, board) = Sessions::start(prepared.sessions.clone(), clock, queue);
    let mut console = Console::start(prepared, clock, sessions, waiting, board)?;
    if let Some(Rehearsal { faults, throw, news }) = rehearsal {
        console.model.rehearsal = Some(RehearsalDesk { faults, score: Vec::new() });
        console.throw = Some(throw);
        console.news = Some(news);
    }
    console.live().await
}

struct Console {
    prepared: Prepared,
    clock: ConsoleClock,
    model: Model,
    sessions: Sessions,
    waiting: mpsc::Receiver<Msg>,
    board: watch::Receiver<Board>,
    /// Of the board: what was taken in.
    seen: u64,
    screen: Screen,
    /// What can be pressed on the frame in view.
    hits: Hits,
    /// `None` only while we are suspended: it reads the terminal from a thread of its own.
    input: Option<EventStream>,
    signals: Signals,
    recorder: Recorder,
    /// What was recorded, while it is looked at: the model of then.
    past: Option<(Projector, Model)>,
    /// Of a rehearsal: where faults go, and what it tells.
    throw: Option<mpsc::Sender<String>>,
    news: Option<mpsc::Receiver<RehearsalNews>>,
    painted_at: Option<UnixMs>,
    /// Whether something came in since the last frame.
    dirty: bool,
}

struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
    carry_on: Signal,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    End,
}

/// What the `select!` woke up for.
enum Woken {
    Input(Option<std::io::Result<Event>>),
    Msg(Option<Box<Msg>>),
    News(Option<RehearsalNews>),
    Board(bool),
    Time,
    Ended,
    CarryOn,
}

/// Without a rehearsal there is never any.
async fn next_news(news: &mut Option<mpsc::Receiver<RehearsalNews>>) -> Option<RehearsalNews> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

impl Console {
    fn start(
        prepared: Prepared,
        clock: ConsoleClock,
        sessions: Sessions,
        waiting: mpsc::Receiver<Msg>,
        board: watch::Receiver<Board>,
    ) -> Result<Console> {
        let recorder = Recorder::start(&prepared.model, prepared.record.as_deref())?;
        let mut model = Model::new(prepared.model.clone());
        for warning in &prepared.warnings {
            app::update(&mut model, Msg::Notice(warning.clone()));
        }
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            carry_on: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        };
        let screen = Screen::enter("twinkeep")?;
        let input = Some(EventStream::new());
        let (painted_at, dirty) = (None, true);
        Ok(Console {
            prepared,
            clock,
            model,
            sessions,
            waiting,
            board,
            seen: 0,
            screen,
            hits: Hits::default(),
            input,
            signals,
            recorder,
            past: None,
            throw: None,
            news: None,
            painted_at,
            dirty,
        })
    }

    async fn live(&mut self) -> Result<()> {
        loop {
            // A frame that can't be painted means that nobody looks any more.
            if self.paint_when_due().is_err() {
                return Ok(());
            }
            let woken = self.wait().await;
            self.tick();
            if self.take(woken) == Flow::End || self.drain() == Flow::End {
                return Ok(());
            }
        }
    }

    /// The only place where anything is awaited.
    async fn wait(&mut self) -> Woken {
        let until = self.next_wake();
        let Some(input) = &mut self.input else { return Woken::Time };
        tokio::select! {
            event = input.next() => Woken::Input(event),
            msg = self.waiting.recv() => Woken::Msg(msg.map(Box::new)),
            news = next_news(&mut self.news) => Woken::News(news),
            changed = self.board.changed() => Woken::Board(changed.is_ok()),
            () = tokio::time::sleep(until) => Woken::Time,
            _ = self.signals.terminate.recv() => Woken::Ended,
            _ = self.signals.hang_up.recv() => Woken::Ended,
            _ = self.signals.interrupt.recv() => Woken::Ended,
            _ = self.signals.carry_on.recv() => Woken::CarryOn,
        }
    }

    /// When there is something to do even if nothing happens: the frame that is due, or the next second.
    fn next_wake(&self) -> Duration {
        match self.painted_at {
            Some(at) if self.dirty => self.clock.until(at.plus(FRAME_EVERY)),
            _ => TICK_EVERY - Duration::from_millis(self.clock.now().0 % TICK_EVERY.as_millis() as u64),
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        let second = |at: UnixMs| at.0 / TICK_EVERY.as_millis() as u64;
        if second(now) != second(self.model.now) {
            self.dirty = true;
            if self.prepared.look.reload() {
                self.model.themes = self.prepared.look.themes.names();
            }
        }
        self.run_past(now);
        let effects = app::update(&mut self.model, Msg::Tick(now));
        for effect in effects {
            self.sessions.perform(effect);
        }
    }

    /// A film that runs goes on with the clock.
    fn run_past(&mut self, now: UnixMs) {
        let passed = now.since(self.model.now).as_millis() as i64;
        let Some((mut projector, before)) = self.past.take() else { return };
        let mut then = before;
        if projector.runs {
            projector.go(passed);
            let mut later = self.then(&projector);
            later.keep_place_of(&then);
            then = later;
        }
        self.past = Some((projector, then));
    }

    fn take(&mut self, woken: Woken) -> Flow {
        match woken {
            Woken::Input(Some(Ok(event))) => self.take_event(event),
            // The terminal is gone: its reader would only spin.
            Woken::Input(Some(Err(_)) | None) | Woken::Ended => Flow::End,
            Woken::Msg(Some(msg)) => self.update(*msg),
            Woken::News(Some(news)) => self.update(Msg::Rehearsal(news)),
            Woken::News(None) => {
                self.news = None;
                Flow::On
            }
            Woken::Board(true) => self.take_board(),
            Woken::CarryOn => {
                self.dirty = true;
                if self.screen.retake().is_err() { Flow::End } else { Flow::On }
            }
            Woken::Msg(None) | Woken::Board(false) | Woken::Time => Flow::On,
        }
    }

    /// Takes in all that is there, but does not wait.
    fn drain(&mut self) -> Flow {
        for _ in 0..DRAIN_MAX {
            let event = self.input.as_mut().and_then(|input| input.next().now_or_never());
            let flow = match event {
                Some(Some(Ok(event))) => self.take_event(event),
                Some(Some(Err(_)) | None) => Flow::End,
                None => match self.waiting.try_recv() {
                    Ok(msg) => self.update(msg),
                    Err(_) => return Flow::On,
                },
            };
            if flow == Flow::End {
                return Flow::End;
            }
        }
        Flow::On
    }

    fn take_event(&mut self, event: Event) -> Flow {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.update(Msg::Key(key)),
            Event::Paste(text) => self.update(Msg::Paste(text)),
            Event::Resize(..) => {
                self.dirty = true;
                Flow::On
            }
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollUp => self.update(Msg::Wheel(Move::Up)),
                MouseEventKind::ScrollDown => self.update(Msg::Wheel(Move::Down)),
                MouseEventKind::Down(MouseButton::Left) => match self.hits.at(mouse.column, mouse.row) {
                    Some(hit) => self.update(Msg::Click(hit)),
                    None => Flow::On,
                },
                _ => Flow::On,
            },
            Event::Key(_) | Event::FocusGained | Event::FocusLost => Flow::On,
        }
    }

    fn take_board(&mut self) -> Flow {
        let (reports, seen) = self.board.borrow_and_update().since(self.seen);
        self.seen = seen;
        self.update(Msg::Reports(reports))
    }

    fn update(&mut self, msg: Msg) -> Flow {
        self.dirty = true;
        self.recorder.take(&msg, self.model.now);
        let effects = match (&mut self.past, &msg) {
            // Back to now, one level at a time as everywhere.
            (Some((_, then)), Msg::Key(key)) if key.code == KeyCode::Esc && then.is_at_rest() => {
                self.past = None;
                Vec::new()
            }
            (Some((_, then)), Msg::Key(_) | Msg::Paste(_) | Msg::Click(_) | Msg::Wheel(_)) => app::update(then, msg),
            _ => app::update(&mut self.model, msg),
        };
        for effect in effects {
            let done = match effect {
                Effect::Quit => return Flow::End,
                Effect::Suspend => self.suspend(),
                Effect::Redraw => self.screen.forget(),
                Effect::Bell => self.screen.bell(),
                Effect::Mouse(mouse) => self.screen.mouse(mouse == Mouse::Taken),
                Effect::Throw(fault) => {
                    let full = self.throw.as_ref().is_none_or(|throw| throw.try_send(fault).is_err());
                    if full {
                        app::update(&mut self.model, Msg::Notice("the fault was not thrown: too many wait".into()));
                    }
                    Ok(())
                }
                Effect::Past(look) => {
                    self.look_back(look);
                    Ok(())
                }
                Effect::Mark(words) => {
                    self.recorder.note(self.model.now, self.model.here.id, MARK, words);
                    Ok(())
                }
                Effect::Export(format) => self.export(format),
                Effect::Bundle => self.bundle(),
                Effect::Copy(text) => self.screen.copy(text.expose()),
                Effect::Save { name, text } => {
                    self.save(&name, text.expose());
                    Ok(())
                }
                Effect::RetryNow | Effect::Ask(..) | Effect::Do(..) => {
                    if let Effect::Do(_, target, change) = &effect {
                        // Changes print without what is secret in them.
                        let words = format!("asked {} for {change:?}", target.region);
                        self.recorder.note(self.model.now, target.context, "did", words);
                    }
                    self.sessions.perform(effect);
                    Ok(())
                }
            };
            if done.is_err() {
                return Flow::End;
            }
        }
        Flow::On
    }

    /// Opens the past, or moves in it.
    fn look_back(&mut self, look: Look) {
        if self.past.is_none() {
            match self.recorder.past() {
                Ok(film) => {
                    let projector = Projector { at: film.ended_at, film, runs: false };
                    let then = self.then(&projector);
                    self.past = Some((projector, then));
                }
                Err(error) => drop(app::update(&mut self.model, Msg::Notice(error.to_string()))),
            }
        }
        let Some((mut projector, before)) = self.past.take() else { return };
        projector.look(look);
        let mut then = self.then(&projector);
        then.keep_place_of(&before);
        self.past = Some((projector, then));
    }

    fn then(&self, projector: &Projector) -> Model {
        let (theme, themes) = (&self.model.theme, self.model.themes.clone());
        let mut then = projector.film.model_at(projector.at, theme, themes, self.model.keymap.clone());
        then.keep_place_of(&self.model);
        then.past = Some(projector.words());
        then
    }

    /// The screen without what is secret on it.
    fn picture(&self) -> std::io::Result<ratatui::buffer::Buffer> {
        let (width, height) = self.screen.size()?;
        let (look, model) = (&self.prepared.look, self.in_view());
        let theme = look.themes.get(&model.theme);
        let paint = Paint { theme, glyphs: look.glyphs, secrets: Secrets::PaintedOver, hits: None };
        Ok(ui::snapshot(model, paint, width, height))
    }

    fn export(&mut self, format: ExportFormat) -> std::io::Result<()> {
        let picture = self.picture()?;
        let model = self.in_view();
        let text = match format {
            ExportFormat::Text => ui::export::text(&picture),
            ExportFormat::Ansi => ui::export::ansi(&picture),
            ExportFormat::Svg => ui::export::svg(&picture, self.prepared.look.themes.get(&model.theme)),
            ExportFormat::Json => report::line(model),
            ExportFormat::Csv => ui::export::csv(&model.here.samples),
        };
        let end = if format == ExportFormat::Text { "txt" } else { format.name() };
        self.save(&format!("screen-{}.{end}", self.model.now.0), &text);
        Ok(())
    }

    fn bundle(&mut self) -> std::io::Result<()> {
        let screen = ui::export::text(&self.picture()?);
        let bundle = self.recorder.bundle(self.model.now, screen);
        self.save(&format!("incident-{}.jsonl", self.model.now.0), &bundle);
        Ok(())
    }

    fn save(&mut self, name: &str, text: &str) {
        let saved = Answer::Saved(files::save(name, text));
        let model = self.past.as_mut().map_or(&mut self.model, |(_, then)| then);
        let here = model.here.id;
        app::update(model, Msg::Answer(here, Box::new(saved)));
    }

    /// What is painted: now, or then.
    fn in_view(&self) -> &Model {
        self.past.as_ref().map_or(&self.model, |(_, then)| then)
    }

    fn suspend(&mut self) -> std::io::Result<()> {
        // Its thread would eat what is typed to the shell.
        self.input = None;
        let resumed = self.screen.suspend();
        self.input = Some(EventStream::new());
        self.dirty = true;
        resumed
    }

    fn paint_when_due(&mut self) -> std::io::Result<()> {
        let now = self.clock.now();
        let due = self.painted_at.is_none_or(|at| now.since(at) >= FRAME_EVERY);
        if !self.dirty || !due {
            return Ok(());
        }
        let (width, height) = self.screen.size()?;
        let look = &self.prepared.look;
        let hits = Hits::default();
        let model = self.in_view();
        let theme = look.themes.get(&model.theme_in_view());
        let paint = Paint { theme, glyphs: look.glyphs, secrets: Secrets::Shown, hits: Some(&hits) };
        let frame = ui::snapshot(model, paint, width, height);
        self.hits = hits;
        self.screen.paint(frame)?;
        self.painted_at = Some(now);
        self.dirty = false;
        Ok(())
    }
}
