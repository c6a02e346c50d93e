//! The overview: two regions left and right, the link between them, the lag, the latest events.

use super::role::Role;
use super::widgets::{cell, fitted, lines, number, paragraph, told_age};
use super::{Paint, Tier, events, foreign};
use crate::api::replication::Role as RegionRole;
use crate::api::replication::TokenSummary;
use crate::console::app::{Action, Hit, Model};
use crate::console::domain::FRESH_FOR;
use crate::console::domain::units::{
    byte_rate, bytes, count, duration, entries, lag_ms, millis, plural, position, rate, share, skew,
};
use crate::console::domain::{Contact, LagReading, LinkLook, PairView, RegionView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

const CARD_ROWS: u16 = 11;
const CARD_ROWS_WIDE: u16 = 14;
const LINK_WIDTH_MIN: u16 = 20;
const LAG_ROWS: u16 = 4;
/// With a chart, where there is room.
const LAG_ROWS_HIGH: u16 = 12;
/// What a side says about the lag, its age and some air.
const LAG_TABLE_WIDTH: u16 = 60;

pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    if tier == Tier::Narrow {
        return draw_narrow(model, paint, area, buf);
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

fn card(model: &Model, region: &RegionView<'_>, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
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
    let mut rows = vec![first(duty), row(paint, "heard", vec![paint.ago(reading.age)])];
    if region.is_dark() {
        rows.extend(silence_lines(model, region, paint, area));
    }
    rows.push(row(paint, "epoch", vec![aged(status.epoch.to_string())]));
    match status.role {
        RegionRole::Primary => {
            let head = status.head.map_or_else(|| "unknown".into(), position);
            rows.push(row(paint, "head", vec![aged(head)]));
            rows.push(row(paint, "writes", vec![aged(rate(status.writes_per_s))]));
        }
        RegionRole::Standby | RegionRole::Fenced => {
            rows.push(row(paint, "received", vec![aged(position(status.received))]));
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
    vec![
        Line::from(paint.span(Role::Warn, fitted(silence.error, usize::from(area.width)))),
        row(paint, "retry", vec![paint.text(next)]),
    ]
}

fn token_span(
    paint: Paint<'_>,
    reading: &crate::console::domain::Reading<'_, crate::api::replication::PathStatus>,
    tokens: &TokenSummary,
) -> Span<'static> {
    if tokens.issued == 0 {
        let used = if tokens.used > 0 { format!("{} used", tokens.used) } else { "none".into() };
        return paint.aged(reading, Role::Muted, used);
    }
    let left = tokens.next_expiry_at.map(|at| at.since(reading.value.observed_at).saturating_sub(reading.age));
    let left = left.map_or_else(String::new, |left| format!(", {}", duration(left)));
    paint.aged(reading, Role::Warn, format!("{} open{left}", tokens.issued))
}

/// The link between the cards: a word, an arrow, the epoch, the lag, the throughput.
fn link(pair: &PairView<'_>, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let look = pair.link.look;
    let (role, glyph) = paint.link(look);
    let mut rows = vec![
        Line::default(),
        Line::from(paint.span(role, format!("{glyph} {}", look.word()))).centered(),
        arrow(pair, paint, area.width).centered(),
    ];
    if let Some(vault) = &pair.vault {
        rows.extend(foreign::link_lines(vault, paint).into_iter().map(Line::centered));
        return lines(rows, area, buf);
    }
    let epoch =
        [&pair.left, &pair.right].iter().filter_map(|region| region.status).map(|status| status.last().epoch).max();
    if let Some(epoch) = epoch.filter(|_| look != LinkLook::Unlinked) {
        rows.push(Line::from(paint.span(Role::Title, format!("epoch {epoch}"))).centered());
    }
    let (fresh, old) = match pair.lag() {
        Some(lag) if lag.age > FRESH_FOR => (None, Some(lag)),
        lag => (lag, None),
    };
    if let Some(lag) = fresh {
        rows.push(Line::from(paint.text(format!("{} behind", entries(lag.lag.entries)))).centered());
        rows.push(Line::from(paint.text(format!("{} · {}", bytes(lag.lag.bytes), lag_ms(lag.lag.ms)))).centered());
    } else if pair.primary_is_left.is_some() && !look.is_syncing() && look != LinkLook::SplitBrain {
        rows.push(Line::from(paint.span(Role::Unknown, "lag unknown")).centered());
    }
    // What was known once is no lag any more, but it says where it stood.
    if let Some(lag) = old {
        let was = format!("{} {} ago", entries(lag.lag.entries), duration(lag.age));
        rows.push(Line::from(paint.span(Role::Stale, fitted(&was, usize::from(area.width)))).centered());
    }
    if let Some(said) = &pair.link.said {
        let link = said.value;
        let moving = look == LinkLook::Streaming || look.is_syncing();
        if moving {
            let through = format!("{} · {}", rate(link.entries_per_s), byte_rate(link.bytes_per_s));
            rows.push(Line::from(paint.aged(said, Role::Text, fitted(&through, usize::from(area.width)))).centered());
        }
        let trip = link.round_trip_ms.map_or_else(|| "no round trip yet".into(), millis);
        let tls = if link.tls { "TLS" } else { "no TLS" };
        if moving {
            rows.push(Line::from(paint.aged(said, Role::Muted, format!("{trip} · {tls}"))).centered());
        }
        if let Some(error) = &link.error {
            rows.push(
                Line::from(paint.span(Role::Warn, fitted(error, usize::from(area.width).saturating_sub(1)))).centered(),
            );
        }
        if let Some(at) = link.retry_at {
            let left = at.since(pair.link.said_at).saturating_sub(said.age);
            rows.push(Line::from(paint.muted(format!("dials in {}", duration(left)))).centered());
        }
    }
    if let Some(apart) = pair.clock_skew_ms.filter(|_| pair.primary_is_left.is_some()) {
        let role = if apart.abs() >= crate::console::domain::alarm::SKEW_WARN_MS { Role::Warn } else { Role::Muted };
        rows.push(Line::from(paint.span(role, format!("clocks {}", skew(apart)))).centered());
    }
    lines(rows, area, buf);
}

/// From the primary to the standby, as it flows: unbroken, dashed while it does not, cut where it can't.
fn arrow(pair: &PairView<'_>, paint: Paint<'_>, width: u16) -> Line<'static> {
    let glyphs = paint.glyphs;
    let length = usize::from(width).saturating_sub(4).max(3);
    let (role, _) = paint.link(pair.link.look);
    let accent = |text: String| paint.span(Role::Accent, text);
    let with_middle = |sign: &str, line: &str| {
        let half = (length - 2) / 2;
        (line.repeat(half), format!(" {sign} "), line.repeat(length.saturating_sub(half + 4)))
    };
    let (before, middle, after, drawn) = match pair.link.look {
        LinkLook::Streaming | LinkLook::FullSync | LinkLook::DiffSync => {
            (glyphs.line.repeat(length - 1), String::new(), String::new(), Role::Accent)
        }
        LinkLook::Activating => (glyphs.dashes.repeat(length - 1), String::new(), String::new(), Role::Accent),
        LinkLook::Paused => {
            let (before, middle, after) = with_middle(glyphs.pause, glyphs.line);
            (before, middle, after, Role::Warn)
        }
        LinkLook::Connecting | LinkLook::Unknown => {
            let sign = if pair.link.look == LinkLook::Unknown { glyphs.unknown } else { glyphs.cut };
            let (before, middle, after) = with_middle(sign, glyphs.dashes);
            (before, middle, after, Role::Muted)
        }
        LinkLook::Refused | LinkLook::SplitBrain => {
            let (before, middle, after) = with_middle(glyphs.cut, glyphs.line);
            (before, middle, after, Role::Crit)
        }
        LinkLook::Unlinked => return Line::from(paint.muted(glyphs.gap.repeat(3))),
    };
    let both = pair.link.look == LinkLook::SplitBrain;
    let right = pair.primary_is_left == Some(true) || both;
    let left = pair.primary_is_left == Some(false) || both;
    let body = |text: String| if drawn == Role::Accent { accent(text) } else { paint.span(drawn, text) };
    let mut spans = Vec::new();
    if left {
        spans.push(body(glyphs.left.into()));
    }
    spans.extend([body(before), paint.span(role, middle), body(after)]);
    if right {
        spans.push(body(glyphs.right.into()));
    }
    Line::from(spans)
}

fn lag_panel(model: &Model, pair: &PairView<'_>, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    if let Some(sync) = &pair.sync {
        let title = vec![
            paint.span(Role::Title, format!("{} sync", sync.value.kind)),
            paint.muted(format!(" {}", sync.value.stage)),
        ];
        let inner = paint.panel(title, Role::Border, area, buf);
        paint.right_title(vec![paint.ago(sync.age)], area, buf);
        lines(sync_lines(pair, paint, inner.width), inner, buf);
        return;
    }
    let inner = paint.titled("lag", area, buf);
    if pair.left.status.is_none() && pair.left.foreign.is_some() {
        return lines(foreign::lag_lines(pair.vault.as_ref(), &pair.left, paint, inner.width), inner, buf);
    }
    if pair.primary_is_left.is_none() {
        let key = |action: Action| model.keymap.keys(action).next().map(|key| key.to_string()).unwrap_or_default();
        let (link, generate, hand_over) = (key(Action::Link), key(Action::TokenGenerate), key(Action::TokenHandOver));
        let unlinked = format!(
            "nothing flows yet: {link} makes a token on the selected region, which becomes the standby, and hands it to the \
             other in one step; {generate} and {hand_over} do it in two"
        );
        let unknown = "unknown until both regions were heard".to_owned();
        let words = if pair.link.look == LinkLook::Unlinked { unlinked } else { unknown };
        return lines(paragraph(paint, Role::Muted, &words, usize::from(inner.width)), inner, buf);
    }
    let rows = [(&pair.lag_by_standby, pair.standby()), (&pair.lag_by_primary, pair.primary())];
    let text = rows.into_iter().map(|(lag, region)| lag_line(lag, region, paint)).collect();
    lines(text, inner, buf);
    let width = inner.width.saturating_sub(LAG_TABLE_WIDTH);
    let (top, chart) = (inner.y + 2, inner.height.saturating_sub(2));
    if chart >= 4 {
        let peak = paint.bars(&model.here.samples, model.zoom, Rect { y: top, height: chart, ..inner }, buf);
        let words = format!(
            "peak {}, last {}",
            lag_ms(peak),
            plural(u64::from(inner.width) * model.zoom as u64, "second", "seconds")
        );
        let place = Rect { height: 1, ..inner };
        Line::from(paint.muted(words)).right_aligned().render(place, buf);
    } else if width >= 8 {
        let place = Rect { x: inner.right() - width, width, height: 1.min(inner.height), ..inner };
        Line::from(paint.sparkline(&model.here.samples, model.zoom, usize::from(width))).render(place, buf);
        if inner.height > 1 {
            let peak = model.here.samples.newest(usize::from(width) * model.zoom).filter_map(|sample| sample.ms).max();
            let span = plural(u64::from(width) * model.zoom as u64, "second", "seconds");
            let peak = peak.map_or_else(|| "no peak".into(), |peak| format!("peak {}", lag_ms(peak)));
            let words = if width < 36 { peak } else { format!("{peak}, last {span}") };
            let place = Rect { y: inner.y + 1, ..place };
            Line::from(paint.muted(fitted(&words, usize::from(width)))).right_aligned().render(place, buf);
        }
    }
}

fn lag_line(lag: &Option<LagReading>, region: Option<&RegionView<'_>>, paint: Paint<'_>) -> Line<'static> {
    let Some(region) = region else { return Line::default() };
    let who = paint.muted(cell(&format!("{} says", fitted(&region.name, 11)), 16));
    let Some(lag) = lag else {
        return Line::from(vec![who, paint.span(Role::Unknown, "unknown")]);
    };
    let role = if lag.age > crate::console::domain::FRESH_FOR { Role::Stale } else { Role::Text };
    let three = format!(
        "{} {} {}  ",
        number(&entries(lag.lag.entries), 13),
        number(&bytes(lag.lag.bytes), 9),
        number(&lag_ms(lag.lag.ms), 8)
    );
    Line::from(vec![who, paint.span(role, three), paint.ago(lag.age)])
}

/// How far a sync is: a bar, and the numbers behind it.
pub fn sync_lines(pair: &PairView<'_>, paint: Paint<'_>, width: u16) -> Vec<Line<'static>> {
    let Some(reading) = &pair.sync else { return Vec::new() };
    let sync = reading.value;
    let done = share(sync.entries_done, sync.entries_total);
    let left = sync
        .eta_ms
        .map_or_else(|| "time left unknown".into(), |ms| format!("{} left", duration(Duration::from_millis(ms))));
    let words = format!(" {:5.1}%  {left}", done * 100.0);
    let bar = usize::from(width).saturating_sub(words.len()).max(4);
    let mut first = paint.gauge(done, bar);
    first.push(paint.aged(reading, Role::Text, words));
    let mut second = vec![
        format!("{} of {}", count(sync.entries_done), entries(sync.entries_total)),
        format!("{} of {}", bytes(sync.bytes_done), bytes(sync.bytes_total)),
        byte_rate(sync.bytes_per_s),
    ];
    if let Some(link) = &pair.link.said {
        second.push(format!("{} of {} requests", link.value.in_flight, link.value.max_parallel));
    }
    second.push(format!("for {}", duration(told_age(reading, pair.sync_at, sync.began_at))));
    let mut text = String::new();
    for part in second {
        if text.len() + part.len() + 3 <= usize::from(width) {
            text = if text.is_empty() { part } else { format!("{text} · {part}") };
        }
    }
    vec![Line::from(first), Line::from(paint.aged(reading, Role::Muted, text))]
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

/// The same in few lines, one region under the other.
fn draw_narrow(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
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
                let role = if lag.age > crate::console::domain::FRESH_FOR { Role::Stale } else { Role::Text };
                let words =
                    format!("     {} · {} · {}", entries(lag.lag.entries), bytes(lag.lag.bytes), lag_ms(lag.lag.ms));
                Line::from(paint.span(role, words))
            }));
            if pair.sync.is_some() {
                rows.extend(sync_lines(pair, paint, area.width).into_iter().take(1));
            }
            rows.extend(narrow_region(model, &pair.right, paint, area.width));
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
