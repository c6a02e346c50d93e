//! Activation tokens: those that can still be used, and what became of the others.

use super::columns::{Align, Column, Value, fitting, header, row};
use super::lists::{frame, in_full};
use super::role::Role;
use super::widgets::{lines, window, wrap};
use super::{Paint, Tier};
use crate::api::replication::{TokenInfo, TokenState};
use crate::console::app::list::Rest;
use crate::console::app::model::token_word;
use crate::console::app::{Action, Hit, Model};
use crate::console::domain::alarm::TOKEN_EXPIRY_WARN;
use crate::console::domain::units::{clock_time, duration, plural};
use crate::console::domain::{Access, RegionView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

const fn column(title: &'static str, width: usize, rank: u8) -> Column {
    Column { title, width, align: Align::Left, rank }
}

/// From this width on the accessor is shown whole.
const WIDE: u16 = 100;

fn columns(width: u16) -> [Column; 6] {
    [
        column("state", 10, 0),
        column("accessor", if width < WIDE { 12 } else { 25 }, 1),
        column("region", 12, 3),
        column("time left", 9, 2),
        column("made", 9, 5),
        column("what became of it", 24, 4),
    ]
}

pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let list = model.list();
    let rows = model.token_rows();
    let mut right = paint.filter_title(&list);
    let words = plural(rows.len() as u64, "token", "tokens");
    right.push(paint.muted(if right.is_empty() { words } else { format!("  {words}") }));
    let inner = frame(paint, tier, "activation tokens", right, area, buf);
    if rows.is_empty() {
        lines(empty_lines(model, paint, inner.width), inner, buf);
        return;
    }
    // The accessor whole, as the command line wants it.
    let whole = rows.get(list.row(rows.len(), Rest::First)).map_or_else(String::new, |(region, token)| {
        let fate = values(model, region, token, paint).pop().map(|value| value.text).unwrap_or_default();
        format!("{}  {fate}", token.accessor)
    });
    let inner = in_full(paint, Role::Muted, &whole, 4, inner, buf);
    let columns = columns(inner.width);
    let fit = fitting(&columns, inner.width);
    let mut text = vec![header(&columns, &fit, paint)];
    let (range, selected) = window(&list, rows.len(), usize::from(inner.height).saturating_sub(1), Rest::First);
    let top = range.start;
    for (at, (region, token)) in rows[range].iter().enumerate() {
        let line = row(&columns, &fit, values(model, region, token, paint), paint);
        let here = selected == Some(top + at);
        paint.hit(Rect { y: inner.y + text.len() as u16, height: 1, ..inner }, || Hit::Row(top + at));
        text.push(if here { line.style(paint.theme.style(Role::Cursor)) } else { line });
    }
    lines(text, inner, buf);
}

fn values(model: &Model, region: &RegionView<'_>, token: &TokenInfo, paint: Paint<'_>) -> Vec<Value> {
    let told_at = region.tokens().map_or(model.now, |tokens| tokens.at());
    let old = region.tokens().is_some_and(|tokens| tokens.read(model.now).is_old());
    // Expiry is by the region's clock, which this console sees a little off its own.
    let here_as_there = model.now.0.saturating_add_signed(region.clock_skew_ms().unwrap_or(0));
    let left = token.expires_at.since(crate::clock::UnixMs(here_as_there));
    let (role, glyph) = match token.state {
        TokenState::Issued if left < TOKEN_EXPIRY_WARN => (Role::Crit, paint.glyphs.warn),
        TokenState::Issued => (Role::Warn, paint.glyphs.warn),
        TokenState::Used => (Role::Ok, paint.glyphs.ok),
        TokenState::Expired | TokenState::Revoked => (Role::Muted, paint.glyphs.stale),
    };
    let plain = if old { Role::Stale } else { Role::Text };
    let left = if token.state == TokenState::Issued { duration(left) } else { String::new() };
    let fate = match (token.state, &token.used_by, token.used_at, token.revoked_at) {
        (TokenState::Used, Some(by), Some(at), _) => format!("used by {} at {}", by.name, clock_time(at)),
        (TokenState::Used, ..) => "used".into(),
        (TokenState::Revoked, _, _, Some(at)) => format!("revoked at {}", clock_time(at)),
        (TokenState::Expired, ..) => format!("expired at {}", clock_time(token.expires_at)),
        _ if old => format!("as of {} ago", duration(model.now.since(told_at))),
        _ => "not used yet".into(),
    };
    vec![
        Value::new(role, format!("{glyph} {}", token_word(token))),
        Value::new(plain, token.accessor.clone()),
        Value::new(plain, region.name.clone()),
        Value::new(plain, left),
        Value::new(Role::Muted, clock_time(token.created_at)),
        Value::new(Role::Muted, fate),
    ]
}

/// Why there is nothing to see: none made, none that fits, or nobody may tell.
fn empty_lines(model: &Model, paint: Paint<'_>, width: u16) -> Vec<Line<'static>> {
    let words = if model.list().is_filtered() {
        "no token fits the filter".to_owned()
    } else {
        let untold: Vec<String> = model
            .here
            .world
            .regions()
            .into_iter()
            .filter(|region| region.tokens().is_none())
            .map(|region| match region.access() {
                Access::NoToken => format!("{} lists tokens only to who has a token: set VAULT_TOKEN.", region.name),
                Access::Refused => format!("{} refuses this console's token.", region.name),
                Access::Accepted | Access::Untried => format!("{} has not listed its tokens yet.", region.name),
            })
            .collect();
        let key = model.keymap.keys(Action::TokenGenerate).next().map(|key| key.to_string()).unwrap_or_default();
        if untold.is_empty() { format!("none was made yet: {key} makes one on the standby") } else { untold.join(" ") }
    };
    wrap(&words, usize::from(width)).into_iter().map(|row| Line::from(paint.muted(row))).collect()
}
