//! A recording that is read: its contexts, and what happened, in the order in which it was recorded.

use super::{FlightContext, Line, VERSION, text};
use crate::clock::UnixMs;
use crate::console::app::Keymap;
use crate::console::app::ModelOptions;
use crate::console::app::context::{ContextOptions, WriteRight};
use crate::console::app::history::MARK;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// One line of a file that is replayed.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// A recording that is looked at.
pub struct Film {
    contexts: Vec<FlightContext>,
    pub(super) lines: Vec<Line>,
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

    pub(super) fn of(lines: impl Iterator<Item = Result<Vec<u8>>>) -> Result<Film> {
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
        // A clock that was set back, or a file that somebody put together: one looks by the time.
        found.sort_by_key(Line::at);
        let (Some(first), Some(last)) = (found.first(), found.last()) else {
            return Err(Error::invalid("nothing was recorded yet"));
        };
        let (began_at, ended_at) = (first.at(), last.at());
        Ok(Film { contexts, lines: found, began_at, ended_at })
    }

    /// What a model starts with that shows it: contexts in which nothing can be changed.
    pub fn options(&self, theme: &str, themes: Vec<String>, keymap: Keymap) -> ModelOptions {
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
        ModelOptions { now: self.began_at, contexts, theme: theme.into(), themes, keymap, quiet: true }
    }

    /// All of it as a file that can be replayed, with how the screen looks.
    pub fn bundle(&self, now: UnixMs, screen: String) -> String {
        let contexts = self.contexts.clone();
        let mut bundle = text(&Line::Flight { version: VERSION, began_at: self.began_at, contexts });
        // How the screen looked is told anew.
        bundle.extend(self.lines.iter().filter(|line| !matches!(line, Line::Screen { .. })).map(text));
        bundle + &text(&Line::Screen { at: now, text: screen })
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
