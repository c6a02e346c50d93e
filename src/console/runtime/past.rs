//! The past on the screen: a film of what was recorded, and where in it one looks.

use super::Console;
use crate::clock::UnixMs;
use crate::console::app::actions::Look;
use crate::console::app::{self, Model, Msg};
use crate::console::flight::Projector;

impl Console {
    /// A film that runs goes on with the clock.
    pub(super) fn run_past(&mut self, now: UnixMs) {
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

    /// Opens the past, or moves in it.
    pub(super) fn look_back(&mut self, look: Look) {
        // To hold what is in view is to look at the past of this moment.
        let holds = self.past.is_none() && look == Look::Play;
        if self.past.is_none() {
            match self.recorder.past() {
                Ok(film) => {
                    let projector = Projector { at: film.ended_at, film, runs: false };
                    let mut then = self.then(&projector);
                    // The past is a level of its own: Esc leaves it where it was entered.
                    then.trail.clear();
                    self.past = Some((projector, then));
                }
                Err(error) => drop(app::update(&mut self.model, Msg::Notice(error.to_string()))),
            }
        }
        let Some((mut projector, before)) = self.past.take() else { return };
        if !holds {
            projector.look(look);
        }
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
}
