//! A line a region, for terminals that have room for nothing else.

use super::Paint;
use super::role::Role;
use super::widgets::lines;
use crate::console::app::Model;
use crate::console::domain::FRESH_FOR;
use crate::console::domain::units::{duration, entries};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

pub fn draw(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let now = model.now;
    let mut rows = Vec::new();
    if let Some(worst) = model.alarms().first().filter(|_| area.height > 2) {
        let (role, glyph) = paint.level(worst.level);
        rows.push(Line::from(paint.span(role, format!("{glyph} {}", worst.text))));
    }
    let pair = model.pair();
    for region in model.here.world.regions() {
        let (role, sign, word) = paint.role_of(&region);
        let health = region.health(now);
        let (health_role, glyph) = paint.health(health);
        let age = region.heard_age(now).map(duration);
        // One sign is enough where both are the same.
        let named = format!("{} {word}", region.name);
        let mut spans = vec![
            paint.span(health_role, format!("{glyph} ")),
            paint.span(role, if sign == glyph { named } else { format!("{sign} {named}") }),
            paint.muted(format!(" {} {}", health.word(), age.unwrap_or_else(|| "never heard".into()))),
        ];
        let standby = pair.as_ref().and_then(|pair| pair.standby()).is_some_and(|standby| standby.name == region.name);
        if let Some(lag) = pair.as_ref().and_then(|pair| pair.lag()).filter(|_| standby) {
            let role = if lag.age > FRESH_FOR { Role::Stale } else { Role::Text };
            spans.push(paint.span(role, format!(" {} behind", entries(lag.lag.entries))));
        }
        rows.push(Line::from(spans));
    }
    lines(rows, area, buf);
}
