//! How it looks. Pure: a model, a theme and glyphs go in, cells come out.
//!
//! 80×24 is the design size. Wider and higher terminals show more, 40×12 shows the same in fewer lines, and below that there
//! is a line a region. Colours are never the only difference between two states: each has its word and its glyph.

pub mod export;
pub mod glyphs;
pub mod role;
pub mod tables;
pub mod theme;

mod chrome;
mod cockpit;
mod columns;
mod consent;
mod dialogs;
mod events;
mod failover;
mod foreign;
mod help;
mod hits;
mod index;
mod ledger;
mod lists;
mod outcomes;
mod overview;
mod region;
mod replication;
mod tiny;
mod tokens;
mod widgets;

pub use glyphs::Glyphs;
pub use hits::Hits;
pub use role::Role;
pub use theme::{ColourDepth, Theme};

use super::app::model::LEAST_SIZE;
use super::app::{Hit, Model, Screen};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Whether a revealed secret may be painted: on the operator's screen, yes; in an export, never.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secrets {
    Shown,
    PaintedOver,
}

/// What a screen is painted with.
#[derive(Clone, Copy, Debug)]
pub struct Paint<'a> {
    pub theme: &'a Theme,
    pub glyphs: &'a Glyphs,
    pub secrets: Secrets,
    /// Where to note what can be pressed; `None` where nobody can press anything.
    pub hits: Option<&'a Hits>,
}

impl Paint<'_> {
    fn hit(&self, area: Rect, hit: impl FnOnce() -> Hit) {
        if let Some(hits) = self.hits {
            hits.note(area, hit());
        }
    }
}

/// How much fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tier {
    /// A line a region.
    Tiny,
    /// 40×12 and more.
    Narrow,
    /// 80×20 and more.
    Normal,
    /// 120×30 and more.
    Wide,
}

impl Tier {
    pub fn of(area: Rect) -> Tier {
        match (area.width, area.height) {
            (120.., 30..) => Tier::Wide,
            (78.., 20..) => Tier::Normal,
            (width, height) if width >= LEAST_SIZE.0 && height >= LEAST_SIZE.1 => Tier::Narrow,
            _ => Tier::Tiny,
        }
    }
}

/// Paints the model on the frame of a terminal.
pub fn render(model: &Model, paint: Paint<'_>, frame: &mut Frame<'_>) {
    draw(model, paint, frame.area(), frame.buffer_mut());
}

/// Paints the model into a buffer of its own.
pub fn snapshot(model: &Model, paint: Paint<'_>, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(model, paint, area, &mut buffer);
    buffer
}

pub fn draw(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    buf.set_style(area, paint.theme.style(Role::Text));
    let tier = Tier::of(area);
    if tier == Tier::Tiny {
        tiny::draw(model, paint, area, buf);
    } else {
        let body = chrome::draw(model, paint, tier, area, buf);
        match model.screen {
            Screen::Index => index::draw(model, paint, tier, body, buf),
            Screen::Overview => overview::draw(model, paint, tier, body, buf),
            Screen::Region => region::draw(model, paint, tier, body, buf),
            Screen::Replication => replication::draw(model, paint, tier, body, buf),
            Screen::Tokens => tokens::draw(model, paint, tier, body, buf),
            Screen::Failover => failover::draw(model, paint, tier, body, buf),
            Screen::Ledger => ledger::draw(model, paint, tier, body, buf),
            Screen::Events => events::draw(model, paint, tier, body, buf),
            Screen::Help => help::draw(model, paint, tier, body, buf),
        }
        chrome::draw_toast(model, paint, area, buf);
    }
    for dialog in &model.dialogs {
        dialogs::draw(model, dialog, paint, area, buf);
    }
    if paint.glyphs.ascii_only {
        glyphs::to_ascii(buf);
    }
}

#[cfg(test)]
mod tests;
