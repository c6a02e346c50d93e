//! A region's card: how it is, how far, and why it does not answer.

use super::super::Paint;
use super::super::foreign;
use super::super::role::Role;
use super::super::widgets::{cell, few_rows, fitted, lines};
use crate::api::replication::Role as RegionRole;
use crate::api::replication::{PathStatus, TokenSummary};
use crate::console::app::{Hit, Model};
use crate::console::domain::units::{bytes, count, duration, entries, position, rate};
use crate::console::domain::{Contact, Reading, RegionView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

/// Lines that an error takes of a card; the region's own screen has all of it.
const ERROR_ROWS_MAX: usize = 3;

pub(super) fn card(model: &Model, region: &RegionView<'_>, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let selected = model.selected_region().is_some_and(|selected| selected.name == region.name);
    let border = if selected { Role::Selected } else { Role::Border };
    paint.hit(area, || Hit::Region(region.name.clone()));
    let (role, sign, word) = paint.role_of(region);
    let pointer = if selected { format!("{} ", paint.glyphs.pointer) } else { String::new() };
    let badge = format!("{sign} {word}");
    let room = usize::from(area.width).saturating_sub(pointer.width() + badge.width() + 7);
    let name = vec![paint.span(Role::Selected, pointer), paint.span(Role::Title, fitted(&region.name, room))];
    let inner = paint.panel(name, border, area, buf);
    paint.right_title(vec![paint.span(role, badge)], area, buf);
    lines(card_lines(model, region, paint, inner), inner, buf);
}

/// A label and its value, in two columns.
fn row(paint: Paint<'_>, label: &str, value: Vec<Span<'static>>) -> Line<'static> {
    let mut spans = vec![paint.muted(cell(label, 9))];
    spans.extend(value);
    Line::from(spans)
}

fn card_lines(model: &Model, region: &RegionView<'_>, paint: Paint<'_>, area: Rect) -> Vec<Line<'static>> {
    let now = model.now;
    let health = region.health(now);
    let (role, glyph) = paint.health(health);
    let first = |words: String| {
        let comma = if words.is_empty() { "" } else { ", " };
        Line::from(vec![paint.span(role, format!("{glyph} {}", health.word())), paint.muted(format!("{comma}{words}"))])
    };
    let Some(reading) = region.read(now) else {
        if let Some(said) = region.foreign {
            let mut rows = vec![first(String::new()), row(paint, "heard", vec![paint.ago(said.read(now).age)])];
            if region.is_dark() {
                rows.extend(silence_lines(model, region, paint, area));
            }
            rows.extend(foreign::card_lines(region, said, model, paint, area.width));
            return rows;
        }
        let mut rows = vec![first("never heard".into())];
        rows.extend(silence_lines(model, region, paint, area));
        return rows;
    };
    let status = reading.value;
    let aged = |text: String| paint.aged(&reading, Role::Text, text);
    let duty = match status.role {
        _ if region.is_dark() => String::new(),
        _ if status.sealed => "sealed".into(),
        RegionRole::Primary if status.writable => "takes writes".into(),
        RegionRole::Primary => "no writes".into(),
        RegionRole::Standby if !status.whole => "not whole yet".into(),
        RegionRole::Standby => "follows".into(),
        RegionRole::Fenced => "no writes".into(),
    };
    let mut heard = vec![paint.ago(reading.age)];
    if region.speaks_plainly() {
        heard.push(paint.span(Role::Warn, ", no TLS"));
    }
    let mut rows = vec![first(duty), row(paint, "heard", heard)];
    if region.is_dark() {
        rows.extend(silence_lines(model, region, paint, area));
    }
    if status.role == RegionRole::Fenced {
        let why = model.pair().and_then(|pair| pair.fenced_waits_for(&region.name));
        rows.extend(why.map(|why| row(paint, "waits", vec![paint.span(Role::Warn, why)])));
    }
    rows.push(row(paint, "epoch", vec![aged(status.epoch.to_string())]));
    match status.role {
        RegionRole::Primary => {
            let head = status.head.map_or_else(|| "unknown".into(), position);
            rows.push(row(paint, "head", vec![aged(head)]));
            rows.push(row(paint, "writes", vec![aged(rate(status.writes_per_s))]));
        }
        // Half a copy is at no position.
        RegionRole::Standby if !status.whole => {
            rows.push(row(paint, "applied", vec![paint.span(Role::Unknown, "none until whole")]));
        }
        RegionRole::Standby | RegionRole::Fenced => {
            // One that is fenced receives nothing.
            if status.role == RegionRole::Standby {
                rows.push(row(paint, "received", vec![aged(position(status.received))]));
            }
            rows.push(row(paint, "applied", vec![aged(position(status.applied))]));
        }
    }
    rows.push(row(paint, "entries", vec![aged(format!("{}, {}", count(status.entries), bytes(status.bytes)))]));
    let nodes = format!("{} of {} answer", region.answering(), region.size());
    let nodes_role = if region.answering() < region.size() { Role::Warn } else { Role::Text };
    rows.push(row(paint, "nodes", vec![paint.span(nodes_role, nodes)]));
    let leader = region.leader().map_or_else(|| paint.span(Role::Warn, "none"), |leader| aged(leader.to_owned()));
    rows.push(row(paint, "leader", vec![leader]));
    rows.push(row(paint, "tokens", vec![token_span(paint, &reading, &status.tokens)]));
    // What a high terminal has room for.
    rows.push(row(paint, "root", vec![aged(status.merkle_root.chars().take(16).collect())]));
    let log = format!(
        "{} kept, {}",
        entries(status.wal.next_index - status.wal.first_index.min(status.wal.next_index)),
        bytes(status.wal.bytes)
    );
    rows.push(row(paint, "log", vec![aged(log)]));
    rows.push(row(paint, "version", vec![paint.muted(status.region.version.clone())]));
    rows
}

/// Why a region does not answer, and when it is called again.
fn silence_lines(model: &Model, region: &RegionView<'_>, paint: Paint<'_>, area: Rect) -> Vec<Line<'static>> {
    let Some(silence) = region.silence() else {
        let connecting = region.nodes.iter().any(|node| node.contact == Contact::Connecting);
        return if connecting { vec![Line::from(paint.muted("calling …"))] } else { Vec::new() };
    };
    let next = match silence.retry_at {
        Some(at) => format!("in {}", duration(at.since(model.now))),
        None => "calling now".into(),
    };
    let rows = few_rows(silence.error, usize::from(area.width), ERROR_ROWS_MAX);
    let error = rows.into_iter().map(|words| Line::from(paint.span(Role::Warn, words)));
    error.chain([row(paint, "retry", vec![paint.text(next)])]).collect()
}

fn token_span(paint: Paint<'_>, reading: &Reading<'_, PathStatus>, tokens: &TokenSummary) -> Span<'static> {
    if tokens.issued == 0 {
        let used = if tokens.used > 0 { format!("{} used", tokens.used) } else { "none".into() };
        return paint.aged(reading, Role::Muted, used);
    }
    let left = tokens.next_expiry_at.map(|at| at.since(reading.value.observed_at).saturating_sub(reading.age));
    let left = left.map_or_else(String::new, |left| format!(", {}", duration(left)));
    paint.aged(reading, Role::Warn, format!("{} open{left}", tokens.issued))
}
