//! Where in a film one looks, and whether it runs.
//!
//! The model in view is brought forward line by line, so that a film that runs costs what happened in that moment. To look
//! back, it is put back to the nearest frame that was kept on the way, and goes on from there.

use super::{Film, Line};
use crate::api::replication::EventLevel;
use crate::clock::UnixMs;
use crate::console::app::actions::Look;
use crate::console::app::context::{Context, ContextId};
use crate::console::app::{self, Keymap, Model, Msg};
use crate::console::domain::units::{clock_time, duration};
use std::time::Duration;

/// Frames that are kept of a film at most.
const FRAMES_MAX: usize = 32;
/// Lines between two frames at the least: fewer are read again in no time.
const FRAME_LINES_MIN: usize = 1_024;

pub struct Projector {
    film: Film,
    at: UnixMs,
    pub runs: bool,
    /// What time it is, where the film is what this console recorded so far: there is a now to go back to.
    now: Option<UnixMs>,
    /// Lines that the model in view has taken in.
    shown: usize,
    /// The second of the last of them.
    second: u64,
    /// What was known after so many lines, the fewest first.
    frames: Vec<Frame>,
}

struct Frame {
    lines: usize,
    second: u64,
    now: UnixMs,
    contexts: Vec<Context>,
}

impl Projector {
    /// A film, and a model of its first moment.
    pub fn load(film: Film, theme: &str, themes: Vec<String>, keymap: Keymap) -> (Projector, Model) {
        let model = Model::new(film.options(theme, themes, keymap));
        let (at, second) = (film.began_at, film.began_at.0 / 1_000);
        let first = Frame { lines: 0, second, now: at, contexts: model.contexts().into_iter().cloned().collect() };
        (Projector { film, at, runs: false, now: None, shown: 0, second, frames: vec![first] }, model)
    }

    /// Over a console that goes on behind it: says what time it is by now.
    pub fn set_now(&mut self, now: UnixMs) {
        self.now = Some(now);
    }

    pub fn film(&self) -> &Film {
        &self.film
    }

    pub fn go(&mut self, by_ms: i64) {
        self.go_to(UnixMs(self.at.0.saturating_add_signed(by_ms)));
    }

    pub fn go_to(&mut self, at: UnixMs) {
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

    /// Brings the model to the moment that is looked at. Its screen, its dialogs and what is selected stay.
    pub fn show(&mut self, model: &mut Model) {
        // What it notices on the way was noticed then.
        let toasts = std::mem::take(&mut model.toasts);
        let wanted = self.film.lines.partition_point(|line| line.at() <= self.at);
        let nearest = self.frames.iter().rfind(|frame| frame.lines <= wanted);
        if let Some(frame) = nearest.filter(|frame| wanted < self.shown || frame.lines > self.shown) {
            model.put_back(frame.contexts.clone());
            model.now = frame.now;
            (self.shown, self.second) = (frame.lines, frame.second);
        }
        while self.shown < wanted {
            self.take_next(model);
        }
        app::update(model, Msg::Tick(self.at));
        model.toasts = toasts;
        model.past = Some(self.words());
    }

    fn take_next(&mut self, model: &mut Model) {
        let line = &self.film.lines[self.shown];
        // As it ran then: the lag is sampled once a second.
        if line.at().0 / 1_000 != self.second {
            self.second = line.at().0 / 1_000;
            app::update(model, Msg::Tick(line.at()));
        }
        match line.clone() {
            Line::Report { context, report, .. } => {
                app::update(model, Msg::Reports(vec![(ContextId(context), *report)]));
            }
            Line::Events { context, region, events, .. } => {
                app::update(model, Msg::Events { context: ContextId(context), region, events });
            }
            Line::Note { at, context, subject, text } => {
                if let Some(context) = model.context_mut(ContextId(context)) {
                    context.log.note(at, EventLevel::Info, &subject, text);
                }
            }
            Line::Desk { at, context, desk } => {
                if let Some(context) = model.context_mut(ContextId(context)) {
                    desk.restore(context, at);
                }
            }
            Line::Flight { .. } | Line::Screen { .. } => {}
        }
        self.shown += 1;
        let every = (self.film.lines.len() / FRAMES_MAX).max(FRAME_LINES_MIN);
        let is_new = self.frames.last().is_none_or(|frame| frame.lines < self.shown);
        if is_new && self.shown.is_multiple_of(every) {
            let contexts = model.contexts().into_iter().cloned().collect();
            self.frames.push(Frame { lines: self.shown, second: self.second, now: model.now, contexts });
        }
    }

    #[cfg(test)]
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// For the top line.
    fn words(&self) -> String {
        let whole = |span: Duration| duration(Duration::from_secs(span.as_secs()));
        let at = clock_time(self.at);
        match (self.now, self.runs) {
            // How old it is counts, not how much was recorded behind it.
            (Some(now), false) => format!("HELD at {at}, {} ago; esc = now", whole(now.since(self.at))),
            (Some(now), true) => format!("PLAYING {at}, {} ago; esc = now", whole(now.since(self.at))),
            (None, runs) => {
                let sign = if runs { "playing" } else { "held" };
                format!("PAST {sign}, {} before the end {at}", whole(self.film.ended_at.since(self.at)))
            }
        }
    }
}
