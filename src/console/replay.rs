//! `attach --replay FILE`: the same screens over what was recorded. Nothing is attached to, nothing can be changed.

use super::app::{self, Effect, Keymap, Model, Msg};
use super::flight::{Film, Projector};
use super::options::{self, AttachOptions};
use super::runtime::waiting::Ends;
use super::session::ConsoleClock;
use super::term::{self, Screen};
use super::ui::{self, Paint, Secrets};
use crate::clock::UnixMs;
use crate::error::{Error, Result};
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt;
use std::path::Path;
use std::time::Duration;

/// Between two frames of a film that runs.
const FRAME_EVERY: Duration = Duration::from_millis(250);

/// Shows a recording until the user quits.
pub async fn replay(options: AttachOptions, file: &Path) -> Result<()> {
    if !term::is_terminal() {
        return Err(Error::invalid("a recording is looked at in a terminal"));
    }
    let film = Film::open(file)?;
    let look = options::look(&options);
    let theme = options.theme.unwrap_or_else(|| options::usual_theme().into());
    let mut projector = Projector { at: film.began_at, film, runs: true };
    let show = |projector: &Projector, before: Option<&Model>| {
        let mut model = projector.film.model_at(projector.at, &theme, look.themes.names(), Keymap::default());
        if let Some(before) = before {
            model.keep_place_of(before);
        }
        model.past = Some(projector.words());
        model
    };
    let clock = ConsoleClock::start();
    let mut model = show(&projector, None);
    let mut screen = Screen::enter("twinkeep: a recording")?;
    let mut input = EventStream::new();
    let mut ends = Ends::listen()?;
    let mut shown_at: UnixMs = clock.now();
    loop {
        let (width, height) = screen.size()?;
        let paint = Paint {
            theme: look.themes.get(&model.theme_in_view()),
            glyphs: look.glyphs,
            secrets: Secrets::PaintedOver,
            hits: None,
        };
        if screen.paint(ui::snapshot(&model, paint, width, height)).is_err() {
            return Ok(());
        }
        let effects = tokio::select! {
            event = input.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => app::update(&mut model, Msg::Key(key)),
                Some(Ok(_)) => Vec::new(),
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            () = tokio::time::sleep(FRAME_EVERY), if projector.runs => Vec::new(),
            () = ends.next() => return Ok(()),
        };
        let now = clock.now();
        if projector.runs {
            projector.go(now.since(shown_at).as_millis() as i64);
            let later = show(&projector, Some(&model));
            // A dialog would be lost with its model: it holds the film.
            if model.dialogs.is_empty() {
                model = later;
            }
        }
        shown_at = now;
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(()),
                Effect::Past(look) => {
                    projector.look(look);
                    model = show(&projector, Some(&model));
                }
                Effect::Redraw => screen.forget()?,
                Effect::Suspend => screen.suspend()?,
                // All else would need servers, or a console that records.
                _ => {}
            }
        }
    }
}
