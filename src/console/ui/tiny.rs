//! A line a region, for terminals that have room for nothing else.

use super::Paint;
use super::role::Role;
use super::widgets::{few_rows, fitted, lines};
use crate::console::app::{Context, Model, Screen};
use crate::console::domain::units::{count, duration};
use crate::console::domain::{FRESH_FOR, Overall};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

pub fn draw(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let now = model.now;
    let width = usize::from(area.width);
    if model.screen == Screen::Index {
        return lines(contexts(model, paint, width), area, buf);
    }
    let mut rows = Vec::new();
    let regions = model.here.world.regions();
    // Each region has its lines, the worst that is wrong what is left of them.
    let lines_each = if usize::from(area.height) > 2 * regions.len() { 2 } else { 1 };
    let room = usize::from(area.height).saturating_sub(lines_each * regions.len());
    if let Some(worst) = model.alarms().first().filter(|_| area.height > 2) {
        let (role, glyph) = paint.level(worst.level);
        let words = few_rows(&format!("{glyph} {}", worst.text), width, room.max(1));
        rows.extend(words.into_iter().map(|words| Line::from(paint.span(role, words))));
    }
    let pair = model.pair();
    for region in regions {
        let (role, sign, word) = paint.role_of(&region);
        let health = region.health(now);
        let (health_role, glyph) = paint.health(health);
        let age = region.heard_age(now).map(duration);
        // One sign is enough where both are the same.
        let named = format!("{} {word}", region.name);
        let head = vec![
            paint.span(health_role, format!("{glyph} ")),
            paint.span(role, if sign == glyph { named } else { format!("{sign} {named}") }),
        ];
        let mut spans =
            vec![paint.muted(format!(" {} {}", health.word(), age.unwrap_or_else(|| "never heard".into())))];
        let standby = pair.as_ref().and_then(|pair| pair.standby()).is_some_and(|standby| standby.name == region.name);
        if let Some(lag) = pair.as_ref().and_then(|pair| pair.lag()).filter(|_| standby) {
            let role = if lag.age > FRESH_FOR { Role::Stale } else { Role::Text };
            spans.push(paint.span(role, format!(" {} behind", count(lag.lag.entries))));
        }
        let whole = Line::from_iter(head.iter().chain(&spans).cloned());
        // How it is and how old that is goes below where there is room for it, and never off the edge.
        match lines_each == 2 && whole.width() > width {
            true => rows.extend([Line::from(head), Line::from_iter([Span::raw("  ")].into_iter().chain(spans))]),
            false => rows.push(whole),
        }
    }
    lines(rows, area, buf);
}

/// A line a context, the worst first.
fn contexts(model: &Model, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let row = |(context, overall): (&Context, Overall)| {
        let (role, glyph) = paint.standing(overall.standing);
        let words = format!("{glyph} {} {}: {}", context.title(), overall.standing.word(), overall.words);
        Line::from(paint.span(role, fitted(&words, width)))
    };
    model.context_rows().into_iter().map(row).collect()
}
