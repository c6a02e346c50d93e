//! The overview in few lines, one region under the other.

use super::super::role::Role;
use super::super::widgets::{fitted, lines};
use super::super::{Paint, events};
use super::lag::sync_lines;
use super::link::arrow;
use crate::api::replication::Role as RegionRole;
use crate::console::app::Model;
use crate::console::domain::FRESH_FOR;
use crate::console::domain::units::{byte_rate, bytes, entries, lag_ms, position, rate};
use crate::console::domain::{LinkLook, PairView, RegionView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

pub(super) fn draw(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let pair = model.pair();
    let mut rows = Vec::new();
    match &pair {
        None => {
            for region in model.here.world.regions().iter().take(1) {
                rows.extend(narrow_region(model, region, paint, area.width));
            }
        }
        Some(pair) => {
            rows.extend(narrow_region(model, &pair.left, paint, area.width));
            rows.push(narrow_link(pair, paint));
            rows.extend(pair.lag().map(|lag| {
                let role = if lag.age > FRESH_FOR { Role::Stale } else { Role::Text };
                let words =
                    format!("     {} · {} · {}", entries(lag.lag.entries), bytes(lag.lag.bytes), lag_ms(lag.lag.ms));
                let age = (lag.age > FRESH_FOR).then(|| vec![Span::raw(" "), paint.ago(lag.age)]);
                Line::from([vec![paint.span(role, words)], age.unwrap_or_default()].concat())
            }));
            if pair.sync.is_some() {
                rows.extend(sync_lines(pair, paint, area.width).into_iter().take(1));
            }
            rows.extend(narrow_region(model, &pair.right, paint, area.width));
            let regions = model.here.world.regions();
            let others = regions.iter().filter(|it| it.name != pair.left.name && it.name != pair.right.name);
            // One of several that is not selected: how it is, in a line.
            rows.extend(others.filter_map(|region| narrow_region(model, region, paint, area.width).into_iter().next()));
        }
    }
    let room = usize::from(area.height).saturating_sub(rows.len());
    rows.extend(events::latest(model, paint, room, area.width));
    lines(rows, area, buf);
}

fn narrow_link(pair: &PairView<'_>, paint: Paint<'_>) -> Line<'static> {
    let (role, _) = paint.link(pair.link.look);
    let mut spans = vec![Span::raw(" ")];
    spans.extend(arrow(pair, paint, 8).spans);
    spans.push(paint.span(role, format!(" {}", pair.link.look.word())));
    if let Some(said) = pair.link.said.filter(|_| pair.link.look == LinkLook::Streaming || pair.link.look.is_syncing())
    {
        spans.push(paint.aged(&said, Role::Muted, format!(" · {}", byte_rate(said.value.bytes_per_s))));
    }
    Line::from(spans)
}

fn narrow_region(model: &Model, region: &RegionView<'_>, paint: Paint<'_>, width: u16) -> Vec<Line<'static>> {
    let (role, sign, word) = paint.role_of(region);
    let health = region.health(model.now);
    let (health_role, glyph) = paint.health(health);
    let selected = model.selected_region().is_some_and(|selected| selected.name == region.name);
    let pointer = if selected { paint.glyphs.pointer } else { " " };
    let reading = region.read(model.now);
    let heard = region.heard_age(model.now).map_or_else(|| paint.muted("never heard"), |age| paint.ago(age));
    let room = usize::from(width).saturating_sub(26).max(6);
    let first = Line::from(vec![
        paint.span(Role::Selected, pointer),
        paint.span(health_role, format!("{glyph} ")),
        paint.span(Role::Title, fitted(&region.name, room)),
        paint.span(role, format!(" {sign} {word} ")),
        heard,
    ]);
    let second = match reading {
        None if region.foreign.is_some() => {
            let leader = region.leader().unwrap_or("none");
            let words = format!("   leader {leader} · {}/{} nodes", region.answering(), region.size());
            Some(Line::from(paint.muted(words)))
        }
        None => region.silence().map(|silence| Line::from(paint.span(Role::Warn, format!("   {}", silence.error)))),
        Some(reading) => {
            let status = reading.value;
            let what = match status.role {
                RegionRole::Primary => format!("epoch {} · {}", status.epoch, rate(status.writes_per_s)),
                _ => format!("epoch {} · at {}", status.epoch, position(status.applied)),
            };
            let nodes = format!("   {what} · {}/{} nodes", region.answering(), region.size());
            Some(Line::from(paint.aged(&reading, Role::Muted, nodes)))
        }
    };
    std::iter::once(first).chain(second).collect()
}
