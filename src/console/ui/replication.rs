//! Replication in detail: positions on both sides, the link, the sync, the lag over time.

use super::dialogs::scrolled;
use super::overview::sync_lines;
use super::role::Role;
use super::widgets::{cell, fitted, lines, paragraph, told_age};
use super::{Paint, Tier, foreign};
use crate::api::replication::PathStatus;
use crate::api::replication::Role as RegionRole;
use crate::console::app::Model;
use crate::console::app::scroll::Scroll;
use crate::console::domain::alarm::FORECAST_WARN_MS;
use crate::console::domain::units::{
    self, byte_rate, bytes, count, duration, lag_ms, millis, plural, position, rate, skew,
};
use crate::console::domain::{FRESH_FOR, LinkLook, PairView, Reading, RegionView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use std::time::Duration;

const LABEL: usize = 10;

pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let Some(pair) = model.pair() else {
        let inner = paint.titled("replication", area, buf);
        let regions = model.here.world.regions();
        let product = regions.iter().filter(|region| region.status.is_none()).find_map(|region| region.product());
        let alone = "only one region in view: attach the other one as well";
        let words = product.map_or(alone, |product| product.lacks());
        lines(paragraph(paint, Role::Muted, words, usize::from(inner.width)), inner, buf);
        return;
    };
    if pair.left.status.is_none() && pair.left.foreign.is_some() {
        let inner = paint.titled("replication", area, buf);
        let mut text = foreign::lag_lines(pair.vault.as_ref(), &pair.left, paint, inner.width);
        for region in [&pair.left, &pair.right] {
            let (role, sign, word) = paint.role_of(region);
            text.extend([Line::default(), Line::from(paint.span(role, format!("{sign} {} {word}", region.name)))]);
            text.extend(region.foreign.into_iter().flat_map(|said| foreign::facts(model, said, paint, inner.width)));
        }
        return lines(text, inner, buf);
    }
    if tier == Tier::Narrow {
        return draw_narrow(model, &pair, paint, area, buf);
    }
    let table = position_lines(model, &pair, paint, area.width.saturating_sub(4));
    let height = (table.len() as u16 + 2).min(area.height);
    let place = Rect { height, ..area };
    let inner = paint.titled("positions", place, buf);
    lines(table, inner, buf);

    let mut top = area.y + height;
    let text = link_lines(&pair, paint, area.width.saturating_sub(4));
    let height = (text.len() as u16 + 2).min(area.bottom() - top);
    if height > 2 {
        let place = Rect { y: top, height, ..area };
        let inner = paint.titled("link", place, buf);
        let scroll = Scroll::Above(model.list().cursor.unwrap_or(0));
        lines(scrolled(text, scroll, usize::from(inner.height), paint), inner, buf);
        top += height;
    }
    let rest = Rect { y: top, height: area.bottom() - top, ..area };
    if rest.height < 3 {
        return;
    }
    if let Some(sync) = &pair.sync {
        let title = format!("{} sync, {}", sync.value.kind, sync.value.stage);
        let inner = paint.titled(&title, rest, buf);
        paint.right_title(vec![paint.ago(sync.age)], rest, buf);
        lines(sync_lines(&pair, paint, inner.width), inner, buf);
    } else {
        let inner = paint.titled("lag in time", rest, buf);
        let peak = paint.bars(&model.here.samples, model.zoom, inner, buf);
        let seen = model
            .here
            .samples
            .newest(usize::from(inner.width) * model.zoom)
            .filter(|sample| sample.ms.is_some())
            .count();
        if seen > 0 {
            let span = plural(u64::from(inner.width) * model.zoom as u64, "second", "seconds");
            paint.right_title(vec![paint.muted(format!("peak {}, last {span}", lag_ms(peak)))], rest, buf);
        } else {
            Line::from(paint.span(Role::Unknown, "nothing observed yet")).render(inner, buf);
        }
    }
}

/// Without frames, the most telling first: how far apart, where each side stands, what the link does.
fn draw_narrow(model: &Model, pair: &PairView<'_>, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let label = |words: &str| paint.muted(cell(&format!(" {words}"), LABEL));
    let mut text = Vec::new();
    match pair.lag() {
        _ if pair.sync.is_some() => text.extend(sync_lines(pair, paint, area.width)),
        None => text.push(Line::from(vec![label("lag"), paint.span(Role::Unknown, "unknown")])),
        Some(lag) => {
            let role = if lag.age > FRESH_FOR { Role::Stale } else { Role::Text };
            let three = format!("{} {} {} ", count(lag.lag.entries), bytes(lag.lag.bytes), lag_ms(lag.lag.ms));
            text.push(Line::from(vec![label("lag"), paint.span(role, three), paint.ago(lag.age)]));
        }
    }
    for region in [&pair.left, &pair.right] {
        let (role, sign, word) = paint.role_of(region);
        text.push(Line::from(paint.span(role, format!(" {sign} {} {word}", region.name))));
        let Some(reading) = region.read(model.now) else {
            text.push(Line::from(paint.span(Role::Unknown, "   never heard")));
            continue;
        };
        let status = reading.value;
        let place = match status.role {
            RegionRole::Primary => format!("   head {}", status.head.map_or_else(|| "unknown".into(), position)),
            _ => format!("   recv {} appl {}", position(status.received), position(status.applied)),
        };
        text.push(Line::from(paint.aged(&reading, Role::Text, place)));
    }
    text.extend(link_lines(pair, paint, area.width.saturating_sub(1)).into_iter().map(|mut line| {
        line.spans.insert(0, Span::raw(" "));
        line
    }));
    let scroll = Scroll::Above(model.list().cursor.unwrap_or(0));
    lines(scrolled(text, scroll, usize::from(area.height), paint), area, buf);
}

/// Two columns, a region each.
fn position_lines(model: &Model, pair: &PairView<'_>, paint: Paint<'_>, width: u16) -> Vec<Line<'static>> {
    let column = (usize::from(width).saturating_sub(LABEL) / 2).max(1);
    let both = [&pair.left, &pair.right];
    let row = |label: &str, of: &dyn Fn(&RegionView<'_>) -> Span<'static>| {
        let mut spans = vec![paint.muted(cell(label, LABEL))];
        for region in both {
            let span = of(region);
            spans.push(Span::styled(cell(&fitted(&span.content, column - 1), column), span.style));
        }
        Line::from(spans)
    };
    let told = |region: &RegionView<'_>, words: &dyn Fn(&Reading<'_, PathStatus>) -> Option<String>| {
        let Some(reading) = region.read(model.now) else { return paint.span(Role::Unknown, "unknown") };
        match words(&reading) {
            Some(words) => paint.aged(&reading, Role::Text, words),
            None => paint.span(Role::Unknown, "unknown"),
        }
    };
    vec![
        row("", &|region| {
            let (role, sign, word) = paint.role_of(region);
            paint.span(role, format!("{} {sign} {word}", region.name))
        }),
        row("heard", &|region| match region.read(model.now) {
            Some(reading) => paint.ago(reading.age),
            None => paint.span(Role::Unknown, "never"),
        }),
        row("epoch", &|region| told(region, &|reading| Some(reading.value.epoch.to_string()))),
        row("head", &|region| {
            told(region, &|reading| {
                let head = position(reading.value.head?);
                let own = reading.value.role == RegionRole::Primary;
                let at = reading.value.head_at.filter(|_| !own);
                Some(match at.map(|at| told_age(reading, reading.value.observed_at, at)) {
                    Some(age) => format!("{head}, heard {} ago", duration(age)),
                    None => head,
                })
            })
        }),
        row("received", &|region| told(region, &|reading| Some(position(reading.value.received)))),
        row("applied", &|region| told(region, &|reading| Some(position(reading.value.applied)))),
        row("holds", &|region| {
            told(region, &|reading| {
                Some(format!("{} entries, {}", count(reading.value.entries), bytes(reading.value.bytes)))
            })
        }),
        row("root", &|region| told(region, &|reading| Some(reading.value.merkle_root.chars().take(24).collect()))),
        row("log", &|region| {
            told(region, &|reading| {
                let wal = reading.value.wal;
                let kept = wal.next_index.saturating_sub(wal.first_index);
                Some(format!("{} kept, {}", count(kept), bytes(wal.bytes)))
            })
        }),
    ]
}

/// Whether the standby stays within what the primary's log keeps, and what it takes if it does not.
fn retention_lines(pair: &PairView<'_>, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let (Some(said), Some(standby)) = (&pair.link.said, pair.standby()) else { return Vec::new() };
    // Only the primary keeps a log for others.
    if !said.value.outgoing {
        return Vec::new();
    }
    let (role, words) = match said.value.forecast {
        Some(at) => {
            let role = if at.ms < FORECAST_WARN_MS { Role::Warn } else { Role::Text };
            (role, format!("{} {}", standby.name, units::forecast(at)))
        }
        None if pair.link.look == LinkLook::Streaming => {
            (Role::Text, format!("{} stays within the log for a day and more", standby.name))
        }
        None => (Role::Unknown, format!("how long the log reaches back for {} is not known", standby.name)),
    };
    let mut rows = paragraph(paint, role, &words, width.saturating_sub(11));
    for (at, row) in rows.iter_mut().enumerate() {
        let words: String = row.spans.drain(..).map(|span| span.content.into_owned()).collect();
        let label = if at == 0 { "retention" } else { "" };
        row.spans = vec![paint.muted(cell(label, 11)), paint.aged(said, role, words)];
    }
    rows
}

fn link_lines(pair: &PairView<'_>, paint: Paint<'_>, width: u16) -> Vec<Line<'static>> {
    let (role, glyph) = paint.link(pair.link.look);
    let Some(said) = &pair.link.said else {
        return vec![Line::from(paint.span(role, format!("{glyph} {}", pair.link.look.word())))];
    };
    let link = said.value;
    let since = duration(told_age(said, pair.link.said_at, link.since));
    let mut rows = vec![Line::from(vec![
        paint.span(role, format!("{glyph} {}", pair.link.look.word())),
        paint.aged(said, Role::Text, format!(" for {since}")),
        paint.muted(format!(", says {} ", said.source)),
        paint.ago(said.age),
    ])];
    if let Some(error) = &link.error {
        let retry = link.retry_at.map(|at| at.since(pair.link.said_at).saturating_sub(said.age));
        let next = retry.map_or_else(String::new, |left: Duration| format!("; dials in {}", duration(left)));
        rows.extend(paragraph(paint, Role::Warn, &format!("{error}{next}"), usize::from(width)));
    }
    // What was measured while something moved is no news once nothing does.
    let moves = pair.link.look == LinkLook::Streaming || pair.link.look.is_syncing();
    let trip = link.round_trip_ms.map_or_else(|| "unknown".into(), millis);
    let trip = if moves || link.round_trip_ms.is_none() { trip } else { format!("{trip} at the last") };
    let sends = format!("{}, {}", rate(link.entries_per_s), byte_rate(link.bytes_per_s));
    let heard = link
        .last_heard_at
        .map_or_else(|| "never".into(), |at| format!("{} ago", duration(told_age(said, pair.link.said_at, at))));
    let facts = [
        ("sends", if moves { sends } else { "nothing now".into() }),
        ("in flight", format!("{} of {}", link.in_flight, link.max_parallel)),
        ("round trip", trip),
        ("last heard", heard),
        ("clocks", pair.clock_skew_ms.map_or_else(|| "unknown".into(), skew)),
        ("TLS", if link.tls { "yes, pinned".into() } else { "no: sizes can be read".into() }),
    ];
    let half = (usize::from(width) / 2).max(30);
    for two in facts.chunks(if usize::from(width) >= 60 { 2 } else { 1 }) {
        let mut spans = Vec::new();
        for (label, value) in two {
            spans.push(paint.muted(cell(label, 11)));
            spans.push(paint.aged(said, Role::Text, cell(value, half.saturating_sub(11))));
        }
        rows.push(Line::from(spans));
    }
    rows.extend(retention_lines(pair, paint, usize::from(width)));
    if let Some(words) = &pair.disagreement {
        rows.extend(paragraph(paint, Role::Warn, &format!("{} {words}", paint.glyphs.warn), usize::from(width)));
    }
    rows
}
