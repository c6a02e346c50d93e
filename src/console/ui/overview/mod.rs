//! The overview: two regions left and right, the link between them, the lag, the latest events.

mod card;
mod lag;
mod link;
mod narrow;

pub use lag::sync_lines;

use super::role::Role;
use super::widgets::{cell, lines, paragraph};
use super::{Paint, Tier, events};
use crate::console::app::{Action, Model, Screen};
use crate::console::domain::PairView;
use card::card;
use lag::lag_panel;
use link::link;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

const CARD_ROWS: u16 = 11;
const CARD_ROWS_WIDE: u16 = 14;
const LINK_WIDTH_MIN: u16 = 20;
const LAG_ROWS: u16 = 4;
/// With a chart, where there is room.
const LAG_ROWS_HIGH: u16 = 12;

pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    if let Some(mistake) = &model.here.mistake {
        let key = model.keymap.keys(Action::Show(Screen::Index)).next().map(|key| key.to_string()).unwrap_or_default();
        let words = format!(
            "This context is not attached to: {mistake}. Correct it there, then start the console again; {key} or esc leads \
             back to the other contexts."
        );
        return lines(paragraph(paint, Role::Warn, &words, usize::from(area.width)), area, buf);
    }
    if tier == Tier::Narrow {
        return narrow::draw(model, paint, area, buf);
    }
    let card_rows = if tier == Tier::Wide && area.height > 32 { CARD_ROWS_WIDE } else { CARD_ROWS }.min(area.height);
    let cards = Rect { height: card_rows, ..area };
    let pair = model.pair();
    match &pair {
        Some(pair) => draw_pair(model, pair, paint, cards, buf),
        None => {
            for region in model.here.world.regions().iter().take(1) {
                card(model, region, paint, Rect { width: cards.width.min(50), ..cards }, buf);
            }
        }
    }
    let mut top = area.y + card_rows;
    let others = other_lines(model, pair.as_ref(), paint);
    if !others.is_empty() {
        let height = (others.len() as u16).min(area.bottom().saturating_sub(top));
        lines(others, Rect { y: top, height, ..area }, buf);
        top += height;
    }
    if let Some(pair) = &pair {
        let rows = if tier == Tier::Wide && area.height > 40 { LAG_ROWS_HIGH } else { LAG_ROWS };
        let height = rows.min(area.bottom().saturating_sub(top));
        lag_panel(model, pair, paint, Rect { y: top, height, ..area }, buf);
        top += height;
    }
    let rest = Rect { y: top, height: area.bottom().saturating_sub(top), ..area };
    if rest.height > 2 {
        let inner = paint.titled("latest events", rest, buf);
        lines(events::latest(model, paint, usize::from(inner.height), inner.width), inner, buf);
    }
}

fn draw_pair(model: &Model, pair: &PairView<'_>, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let link_width = LINK_WIDTH_MIN.max(area.width / 4);
    let card_width = (area.width - link_width) / 2;
    let link_width = area.width - 2 * card_width;
    card(model, &pair.left, paint, Rect { width: card_width, ..area }, buf);
    let middle = Rect { x: area.x + card_width, width: link_width, ..area };
    link(pair, paint, middle, buf);
    card(model, &pair.right, paint, Rect { x: middle.right(), width: card_width, ..area }, buf);
}

/// Regions that are in view and not in one of the two cards.
fn other_lines(model: &Model, pair: Option<&PairView<'_>>, paint: Paint<'_>) -> Vec<Line<'static>> {
    let Some(pair) = pair else { return Vec::new() };
    let regions = model.here.world.regions();
    let others = regions.iter().filter(|region| region.name != pair.left.name && region.name != pair.right.name);
    others
        .map(|region| {
            let (role, sign, word) = paint.role_of(region);
            let health = region.health(model.now);
            let (health_role, glyph) = paint.health(health);
            let age = region.heard_age(model.now).map(|age| paint.ago(age));
            Line::from(vec![
                paint.span(Role::Title, format!(" {}", cell(&region.name, 16))),
                paint.span(role, cell(&format!(" {sign} {word}"), 14)),
                paint.span(health_role, format!("{glyph} {}  ", health.word())),
                age.unwrap_or_else(|| paint.muted("never heard")),
            ])
        })
        .collect()
}
