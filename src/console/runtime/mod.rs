//! The loop that all goes through: keys, signals, reports and answers in, effects and frames out.
//!
//! It waits in one place only, the `select!`; whatever takes time is a task of a session. What is there is drained, then one
//! frame is painted: for a key 33 ms after the last one at the earliest, for what servers say 200 ms after, since an age that
//! moves is no hurry. Only cells that changed are sent, in one write.

mod effects;
mod outlets;
mod past;
pub(in crate::console) mod waiting;

use crate::clock::UnixMs;
use crate::console::app::list::Move;
use crate::console::app::rehearsal::{FaultKey, RehearsalDesk, RehearsalNews};
use crate::console::app::{self, Model, ModelOptions, Msg};
use crate::console::flight::{Film, Projector, Recorder};
use crate::console::options::{AttachOptions, Prepared, ThemeWatch, prepare, prepare_film};
use crate::console::session::{Board, ConsoleClock, Sessions};
use crate::console::term::{self, Screen};
use crate::console::ui::{self, Hits, Paint, Secrets};
use crate::error::{Error, Result};
use crossterm::event::{Event, EventStream, KeyCode, KeyEventKind, MouseButton, MouseEventKind};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use waiting::{Signals, Woken};

/// Messages that wait for the loop; sessions wait for room.
const QUEUE_MAX: usize = 1_024;
/// Messages taken in before a frame is painted.
const DRAIN_MAX: usize = 1_024;
/// Between two frames at the least.
const FRAME_EVERY: Duration = Duration::from_millis(33);
/// The same where nobody pressed a key: many regions answer all the time.
const UNHURRIED_FRAME_EVERY: Duration = Duration::from_millis(200);
/// While the first answers come in, each is shown at once.
const YOUNG_FOR: Duration = Duration::from_secs(3);
/// Between two frames of a film that runs.
const FILM_EVERY: Duration = Duration::from_millis(250);
/// Ages change once a second.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// The way to a demo's faults and its score.
#[derive(Debug)]
pub struct Rehearsal {
    pub faults: Vec<FaultKey>,
    /// The command that attaches another terminal to the same regions.
    pub elsewhere: String,
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

/// Shows a recording instead of servers, until the user quits: the same loop, with nobody to call.
pub(super) async fn show_film(options: AttachOptions, film: Film) -> Result<()> {
    if !term::is_terminal() {
        return Err(Error::invalid("a recording is looked at in a terminal"));
    }
    let clock = ConsoleClock::start();
    let prepared = prepare_film(options, &film, clock)?;
    let ModelOptions { theme, themes, keymap, .. } = prepared.model.clone();
    let (mut projector, mut then) = Projector::load(film, &theme, themes, keymap);
    projector.runs = true;
    projector.show(&mut then);
    for warning in &prepared.warnings {
        app::update(&mut then, Msg::Notice(warning.clone()));
    }
    let mut console = Console::start(prepared, clock, Shows::Recording)?;
    console.past = Some((projector, then));
    console.live().await
}

async fn show(options: AttachOptions, rehearsal: Option<Rehearsal>) -> Result<()> {
    if !term::is_terminal() {
        return Err(Error::invalid(
            "the console needs a terminal: use --once for one screen of text, --json for a program",
        ));
    }
    let clock = ConsoleClock::start();
    let mut console = Console::start(prepare(options, clock)?, clock, Shows::Servers)?;
    if let Some(Rehearsal { faults, elsewhere, throw, news }) = rehearsal {
        console.model.rehearsal = Some(RehearsalDesk { faults, elsewhere, score: Vec::new() });
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
    shows: Shows,
    /// What was recorded, while it is looked at: the model of then.
    past: Option<(Projector, Model)>,
    /// Of a rehearsal: where faults go, and what it tells.
    throw: Option<mpsc::Sender<String>>,
    news: Option<mpsc::Receiver<RehearsalNews>>,
    themes: ThemeWatch,
    started_at: UnixMs,
    painted_at: Option<UnixMs>,
    /// When the board was read last.
    board_read_at: UnixMs,
    dirt: Dirt,
}

/// What the console is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shows {
    Servers,
    /// There is no now to go back to.
    Recording,
}

impl Drop for Console {
    /// However it ends: `q`, a signal, a terminal that is gone, a panic.
    fn drop(&mut self) {
        self.write_log();
    }
}

/// What came in since the last frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Dirt {
    Nothing,
    /// What was observed: it can wait a moment for more.
    Unhurried,
    Hurried,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    End,
}

impl Console {
    fn start(prepared: Prepared, clock: ConsoleClock, shows: Shows) -> Result<Console> {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let (sessions, board) = Sessions::start(prepared.sessions.clone(), clock, queue);
        let themes = prepared.look.watch();
        let recorder = Recorder::start(&prepared.model, prepared.record.as_deref())?;
        let mut model = Model::new(prepared.model.clone());
        for warning in &prepared.warnings {
            app::update(&mut model, Msg::Notice(warning.clone()));
        }
        let signals = Signals::listen()?;
        let screen = Screen::enter("twinkeep")?;
        let input = Some(EventStream::new());
        let started_at = clock.now();
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
            shows,
            past: None,
            throw: None,
            news: None,
            themes,
            started_at,
            painted_at: None,
            board_read_at: UnixMs(0),
            dirt: Dirt::Hurried,
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

    /// When there is something to do even if nothing happens: the frame that is due, or the next second.
    fn next_wake(&self) -> Duration {
        match self.painted_at {
            Some(at) if self.dirt > Dirt::Nothing => self.clock.until(at.plus(self.frame_every(self.dirt))),
            _ if self.past.as_ref().is_some_and(|(projector, _)| projector.runs) => FILM_EVERY,
            _ => TICK_EVERY - Duration::from_millis(self.clock.now().0 % TICK_EVERY.as_millis() as u64),
        }
    }

    fn frame_every(&self, dirt: Dirt) -> Duration {
        let young = self.clock.now().since(self.started_at) < YOUNG_FOR;
        if dirt == Dirt::Hurried || young { FRAME_EVERY } else { UNHURRIED_FRAME_EVERY }
    }

    fn soil(&mut self, dirt: Dirt) {
        self.dirt = self.dirt.max(dirt);
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        let second = |at: UnixMs| at.0 / TICK_EVERY.as_millis() as u64;
        if second(now) != second(self.model.now) {
            self.soil(Dirt::Unhurried);
        }
        self.run_past(now);
        let effects = app::update(&mut self.model, Msg::Tick(now));
        for effect in effects {
            self.sessions.perform(effect);
        }
    }

    fn take(&mut self, woken: Woken) -> Flow {
        match woken {
            Woken::Input(Some(Ok(event))) => self.take_event(event),
            // The terminal is gone: its reader would only spin.
            Woken::Input(Some(Err(_)) | None) | Woken::Ended => Flow::End,
            Woken::Msg(msg) => self.update(*msg),
            Woken::News(Some(news)) => self.update(Msg::Rehearsal(news)),
            Woken::News(None) => {
                self.news = None;
                Flow::On
            }
            Woken::Board => self.take_board(),
            Woken::Themes(themes) => {
                self.soil(Dirt::Hurried);
                let before = std::mem::replace(&mut self.prepared.look.themes, themes);
                let themes = &mut self.prepared.look.themes;
                themes.keep_from(&before);
                for warning in themes.warnings.iter().filter(|warning| !before.warnings.contains(warning)) {
                    app::update(&mut self.model, Msg::Notice(warning.clone()));
                }
                self.model.themes = self.prepared.look.themes.names();
                Flow::On
            }
            Woken::CarryOn => {
                self.soil(Dirt::Hurried);
                if self.screen.retake().is_err() { Flow::End } else { Flow::On }
            }
            Woken::Time => Flow::On,
        }
    }

    /// Takes in all messages that are there, but does not wait. Keys come one by one through the `select!`: to poll their
    /// stream without a waker leaves it asleep, so that the next key is seen a second later.
    fn drain(&mut self) -> Flow {
        for _ in 0..DRAIN_MAX {
            let Ok(msg) = self.waiting.try_recv() else { return Flow::On };
            if self.update(msg) == Flow::End {
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
                self.soil(Dirt::Hurried);
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
        self.board_read_at = self.clock.now();
        self.update(Msg::Reports(reports))
    }

    fn update(&mut self, msg: Msg) -> Flow {
        self.soil(match &msg {
            Msg::Reports(_) | Msg::Events { .. } => Dirt::Unhurried,
            _ => Dirt::Hurried,
        });
        self.recorder.take(&msg, self.model.now);
        let effects = match (&mut self.past, &msg) {
            // Back to now, one level at a time as everywhere.
            (Some((_, then)), Msg::Key(key))
                if key.code == KeyCode::Esc && then.is_at_rest() && self.shows == Shows::Servers =>
            {
                self.past = None;
                Vec::new()
            }
            (Some((_, then)), Msg::Key(_) | Msg::Paste(_) | Msg::Click(_) | Msg::Wheel(_)) => {
                let mut effects = app::update(then, msg);
                // Nobody of then is there to be asked.
                effects.retain(|effect| !effect.is_for_servers());
                effects
            }
            _ => app::update(&mut self.model, msg),
        };
        self.recorder.take_desks(&self.model);
        if let Some(words) = self.recorder.take_end() {
            app::update(&mut self.model, Msg::Notice(words));
        }
        self.carry_out(effects)
    }

    /// What is painted: now, or then.
    fn in_view(&self) -> &Model {
        self.past.as_ref().map_or(&self.model, |(_, then)| then)
    }

    fn paint_when_due(&mut self) -> std::io::Result<()> {
        let now = self.clock.now();
        let due = self.painted_at.is_none_or(|at| now.since(at) >= self.frame_every(self.dirt));
        if self.dirt == Dirt::Nothing || !due {
            return Ok(());
        }
        let (width, height) = self.screen.size()?;
        self.model.size = (width, height);
        let look = &self.prepared.look;
        let hits = Hits::default();
        let model = self.in_view();
        let theme = look.themes.get(&model.theme_in_view());
        let paint = Paint { theme, glyphs: look.glyphs, secrets: Secrets::Shown, hits: Some(&hits) };
        let frame = ui::snapshot(model, paint, width, height);
        self.hits = hits;
        self.screen.paint(frame)?;
        self.painted_at = Some(now);
        self.dirt = Dirt::Nothing;
        Ok(())
    }
}
