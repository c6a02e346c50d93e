//! What happened, newest last.

use super::lists::{frame, in_full};
use super::role::Role;
use super::widgets::{cell, fitted, lines, window};
use super::{Paint, Tier};
use crate::console::app::history::LogEntry;
use crate::console::app::list::Rest;
use crate::console::app::{Hit, Model};
use crate::console::domain::units::{clock_time, plural};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let rows = model.event_rows();
    let list = model.list();
    let mut right = paint.filter_title(&list);
    let words = plural(rows.len() as u64, "event", "events");
    right.push(paint.muted(if right.is_empty() { words } else { format!("  {words}") }));
    let inner = frame(paint, tier, "events, newest last", right, area, buf);
    if rows.is_empty() {
        let words = if list.is_filtered() { "nothing fits the filter" } else { nothing(model) };
        lines(vec![Line::from(paint.muted(words))], inner, buf);
        return;
    }
    // What is cut in its line is read whole below it.
    let chosen = list.cursor.and_then(|_| rows.get(list.row(rows.len(), Rest::Last)));
    let whole = chosen.map_or_else(String::new, |entry| format!("{}, {}: {}", entry.region, entry.subject, entry.text));
    let inner = in_full(paint, Role::Text, &whole, 4, inner, buf);
    let (range, selected) = window(&list, rows.len(), usize::from(inner.height), Rest::Last);
    let top = range.start;
    let text = rows[range].iter().enumerate().map(|(at, entry)| {
        let line = event_line(entry, paint, inner.width);
        paint.hit(Rect { y: inner.y + at as u16, height: 1, ..inner }, || Hit::Row(top + at));
        let here = list.cursor.is_some() && selected == Some(top + at);
        if here { line.style(paint.theme.style(Role::Cursor)) } else { line }
    });
    lines(text.collect(), inner, buf);
}

/// Where there is no event.
fn nothing(model: &Model) -> &'static str {
    let regions = model.here.world.regions();
    match regions.iter().any(|region| region.foreign.is_some()) && regions.iter().all(|region| region.status.is_none())
    {
        true => "it tells no events; what this console notices stands here",
        false => "nothing happened since it is looked at",
    }
}

/// The newest events, oldest of them first.
pub fn latest(model: &Model, paint: Paint<'_>, count: usize, width: u16) -> Vec<Line<'static>> {
    let entries = model.here.log.entries();
    let skip = entries.len().saturating_sub(count);
    let rows: Vec<_> = entries.skip(skip).map(|entry| event_line(entry, paint, width)).collect();
    if rows.is_empty() && count > 0 { vec![Line::from(paint.muted(nothing(model)))] } else { rows }
}

fn event_line(entry: &LogEntry, paint: Paint<'_>, width: u16) -> Line<'static> {
    let (role, glyph) = paint.level(entry.level);
    let mut spans = vec![paint.muted(clock_time(entry.at)), paint.span(role, format!(" {glyph} "))];
    if width >= 60 {
        spans.push(paint.muted(cell(&entry.region, 11)));
        spans.push(paint.muted(cell(&format!(" {}", entry.subject), 10)));
        spans.push(paint.text(" "));
    }
    let used = Line::from(spans.clone()).width();
    spans.push(paint.text(fitted(&entry.text, usize::from(width).saturating_sub(used))));
    Line::from(spans)
}
