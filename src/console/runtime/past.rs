//! The past on the screen: a film of what was recorded, and where in it one looks. Over a recording it is all there is.

use super::{Console, Dirt, Shows};
use crate::clock::UnixMs;
use crate::console::app::actions::Look;
use crate::console::app::{self, Msg};
use crate::console::flight::Projector;

impl Console {
    /// A film that runs goes on with the clock; one that is held grows older.
    pub(super) fn run_past(&mut self, now: UnixMs) {
        let passed = now.since(self.model.now).as_millis() as i64;
        let Some((projector, then)) = &mut self.past else { return };
        if self.shows == Shows::Servers {
            projector.set_now(now);
        } else if !projector.runs {
            return;
        }
        if projector.runs {
            projector.go(passed);
        } else if now.0 / 1_000 == self.model.now.0 / 1_000 {
            return;
        }
        projector.show(then);
        self.soil(Dirt::Unhurried);
    }

    /// Opens the past, or moves in it.
    pub(super) fn look_back(&mut self, look: Look) {
        // To hold what is in view is to look at the past of this moment.
        let holds = self.past.is_none() && look == Look::Play;
        if self.past.is_none() {
            let (theme, themes) = (self.model.theme.clone(), self.model.themes.clone());
            match self.recorder.past() {
                Ok(film) => {
                    let ended_at = film.ended_at;
                    let (mut projector, mut then) = Projector::load(film, &theme, themes, self.model.keymap.clone());
                    projector.go_to(ended_at);
                    projector.set_now(self.clock.now());
                    then.keep_place_of(&self.model);
                    self.past = Some((projector, then));
                }
                Err(error) => drop(app::update(&mut self.model, Msg::Notice(error.to_string()))),
            }
        }
        let Some((projector, then)) = &mut self.past else { return };
        if !holds {
            projector.look(look);
        }
        projector.show(then);
    }
}
