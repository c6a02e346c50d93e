//! A region's nodes, as each of them and the others tell it.

use super::columns::{Align, Column, Value, fitting, header, row};
use super::dialogs::scrolled;
use super::role::Role;
use super::widgets::{cell, fitted, lines, paragraph, told_age, window};
use super::{Paint, Tier, foreign};
use crate::api::replication::{NodeStatus, PathStatus, Role as RegionRole};
use crate::console::app::list::Rest;
use crate::console::app::scroll::Scroll;
use crate::console::app::{Hit, Model};
use crate::console::domain::node::short_address;
use crate::console::domain::units::{count, duration, plural, position, skew};
use crate::console::domain::{Access, Contact, NodeRow, NodeView, Reading, RegionView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use unicode_width::UnicodeWidthStr;

/// Facts of the region that keep their room while its nodes are listed.
const FACT_ROWS_MAX: usize = 6;

const fn column(title: &'static str, width: usize, align: Align, rank: u8) -> Column {
    Column { title, width, align, rank }
}

pub(super) const COLUMNS: [Column; 11] = [
    column("node", 14, Align::Left, 0),
    column("", 8, Align::Left, 2),
    column("answers", 16, Align::Left, 1),
    column("seal", 8, Align::Left, 3),
    column("raft at", 9, Align::Right, 4),
    column("raft log", 9, Align::Right, 6),
    column("term", 5, Align::Right, 7),
    column("contact", 9, Align::Right, 8),
    column("clock", 9, Align::Right, 9),
    column("version", 9, Align::Left, 10),
    column("address", 20, Align::Left, 5),
];

pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let Some(region) = model.selected_region() else { return };
    if tier == Tier::Narrow {
        return draw_narrow(model, &region, paint, area, buf);
    }
    let (role, sign, word) = paint.role_of(&region);
    let title = vec![paint.span(Role::Title, format!("{} ", region.name)), paint.span(role, format!("{sign} {word}"))];
    let inner = paint.panel(title, Role::Selected, area, buf);
    let mut right = paint.filter_title(&model.list());
    if right.is_empty() {
        right.push(paint.muted("left and right change the region"));
    }
    paint.right_title(right, area, buf);
    let fit = fitting(&COLUMNS, inner.width);
    let mut text = vec![header(&COLUMNS, &fit, paint)];
    let rows = rows(model, &region, paint);
    let list = model.list();
    let facts = facts(model, &region, paint, inner.width);
    let room = usize::from(inner.height).saturating_sub(facts.len().min(FACT_ROWS_MAX) + 2).max(1);
    // What has no column of its own stands below each node, as long as all nodes have room for it.
    let below = if fit.len() < COLUMNS.len() { Below::Each } else { Below::None };
    let below = if below == Below::Each && rows.len() * 2 > room { Below::Selected } else { below };
    let window_rows = match below {
        Below::Each => room / 2,
        Below::Selected => room.saturating_sub(1),
        Below::None => room,
    };
    let (range, selected) = window(&list, rows.len(), window_rows.max(1), Rest::First);
    let top = range.start;
    for (at, values) in rows.into_iter().enumerate().skip(range.start).take(range.len()) {
        let rest = match below {
            Below::Each => Some(rest_line(&fit, &values, inner.width, paint)),
            Below::Selected if selected == Some(at) => Some(rest_line(&fit, &values, inner.width, paint)),
            Below::Selected | Below::None => None,
        };
        let line = row(&COLUMNS, &fit, values, paint);
        let here = list.cursor.is_some() && selected == Some(at) && at >= top;
        paint.hit(Rect { y: inner.y + text.len() as u16, height: 1, ..inner }, || Hit::Row(at));
        text.push(if here { line.style(paint.theme.style(Role::Cursor)) } else { line });
        text.extend(rest);
    }
    text.push(Line::default());
    text.extend(facts);
    lines(text, inner, buf);
    if let Some(reading) = region.read(model.now) {
        let foot = Rect { y: area.bottom().saturating_sub(1), height: 1.min(area.height), ..area };
        let words = format!(" told by {} ", reading.source);
        let line = Line::from(vec![paint.muted(words), paint.ago(reading.age), paint.muted(" ")]);
        let width = (line.width() as u16 + 2).min(foot.width);
        line.render(
            Rect { x: foot.x + 2.min(foot.width), width: width.min(foot.width.saturating_sub(2)), ..foot },
            buf,
        );
    }
}

/// Whether a line below a node has what found no column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    None,
    Selected,
    Each,
}

/// The columns that do not fit, with their titles: `term 4 · contact 0.4s · address 10.1.1.1:8200`.
fn rest_line(fit: &[(usize, usize)], values: &[Value], width: u16, paint: Paint<'_>) -> Line<'static> {
    let mut spans = vec![Span::raw("  ")];
    let mut used = 2;
    for (at, column) in COLUMNS.iter().enumerate().filter(|(at, _)| !fit.iter().any(|(shown, _)| shown == at)) {
        let value = &values[at];
        if value.text.is_empty() {
            continue;
        }
        let words =
            if column.title == "address" { value.text.clone() } else { format!("{} {}", column.title, value.text) };
        let air = if used > 2 { " \u{b7} " } else { "" };
        let needed = air.width() + words.width();
        if used + needed > usize::from(width) {
            break;
        }
        used += needed;
        let role = if value.role == Role::Text { Role::Muted } else { value.role };
        spans.extend([paint.muted(air), paint.span(role, words)]);
    }
    Line::from(spans)
}

/// Without a frame: a node in two lines, what it is and how far, then what is wrong with it.
fn draw_narrow(model: &Model, region: &RegionView<'_>, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let (role, sign, word) = paint.role_of(region);
    let heard = region.heard_age(model.now).map_or_else(|| paint.muted("never heard"), |age| paint.ago(age));
    let room = usize::from(area.width).saturating_sub(word.width() + heard.width() + 5);
    let mut text = vec![Line::from(vec![
        paint.span(Role::Title, format!(" {}", fitted(&region.name, room))),
        paint.span(role, format!(" {sign} {word} ")),
        heard,
    ])];
    let filter = paint.filter_title(&model.list());
    if !filter.is_empty() {
        text.push(Line::from_iter([ratatui::text::Span::raw(" ")].into_iter().chain(filter)));
    }
    let head = text.len() as u16;
    lines(text, area, buf);
    let area = Rect { y: area.y + head.min(area.height), height: area.height.saturating_sub(head), ..area };
    let list = model.list();
    let nodes = rows(model, region, paint);
    let selected = list.cursor.map(|_| list.row(nodes.len(), Rest::First));
    let mut text = Vec::new();
    let mut tops = Vec::new();
    for (at, values) in nodes.iter().enumerate() {
        let [name, duty, answers, seal, applied, _, term, .., address] = &values[..] else { continue };
        tops.push(text.len());
        let room = usize::from(area.width).saturating_sub(answers.text.width() + 4);
        let line = Line::from(vec![
            paint.span(name.role, format!(" {} ", cell(&name.text, room.min(22)))),
            paint.span(answers.role, answers.text.clone()),
        ]);
        text.push(if selected == Some(at) { line.style(paint.theme.style(Role::Cursor)) } else { line });
        text.push(Line::from(vec![
            paint.span(duty.role, format!("   {}", duty.text)),
            paint.span(seal.role, format!(" {}", seal.text)),
            paint.span(applied.role, format!(" at {}", applied.text)),
            paint.span(term.role, format!(" term {}", term.text)),
        ]));
        text.push(Line::from(paint.span(address.role, format!("   {}", address.text))));
    }
    text.extend(facts(model, region, paint, area.width.saturating_sub(1)).into_iter().map(|fact| {
        let mut fact = fact;
        fact.spans.insert(0, Span::raw(" "));
        fact
    }));
    // Behind the last node comes what is known of all of them.
    let scroll = match selected {
        Some(at) if at + 1 == nodes.len() => text.len(),
        Some(at) => tops.get(at).copied().unwrap_or_default(),
        None => 0,
    };
    lines(scrolled(text, Scroll::Above(scroll), usize::from(area.height), paint), area, buf);
}

fn rows(model: &Model, region: &RegionView<'_>, paint: Paint<'_>) -> Vec<Vec<Value>> {
    let reading = region.read(model.now);
    let is_foreign = region.status.is_none() && region.foreign.is_some();
    let values = |row: NodeRow<'_>| match row.told {
        _ if is_foreign => foreign::node_values(model, row.peer, row.seen, paint),
        Some(told) => told_row(model, told, row.seen, reading.as_ref(), paint),
        None => {
            let mut values = vec![Value::new(Role::Muted, ""); COLUMNS.len()];
            values[0] = Value::new(Role::Text, row.name().to_owned());
            values[2] = contact(model, row.seen, paint);
            values[9] = version(model, row.seen);
            values[10] = Value::new(Role::Muted, short_address(&row.address()));
            values
        }
    };
    model.node_rows().into_iter().map(values).collect()
}

fn told_row(
    model: &Model,
    node: &NodeStatus,
    seen: Option<&NodeView>,
    reading: Option<&Reading<'_, PathStatus>>,
    paint: Paint<'_>,
) -> Vec<Value> {
    let old = reading.is_some_and(|reading| reading.is_old());
    let role = if old { Role::Stale } else { Role::Text };
    let unknown = || Value::new(Role::Unknown, "?");
    let figure = |value: Option<u64>| value.map_or_else(unknown, |value| Value::new(role, count(value)));
    let duty = match (node.leader, node.voter) {
        (true, _) => Value::new(if old { Role::Stale } else { Role::Accent }, "leader"),
        (false, true) => Value::new(role, "follower"),
        (false, false) => Value::new(Role::Warn, "learner"),
    };
    let seal = match node.sealed {
        Some(true) => Value::new(Role::Crit, "sealed"),
        Some(false) => Value::new(role, "unsealed"),
        None => unknown(),
    };
    let heard = match (node.last_contact_at, reading) {
        (Some(at), Some(reading)) => {
            let age = told_age(reading, reading.value.observed_at, at);
            Value::new(role, duration(age))
        }
        _ => unknown(),
    };
    let clock = seen.and_then(|seen| seen.clock_skew_ms).map_or_else(unknown, |ms| Value::new(Role::Muted, skew(ms)));
    vec![
        Value::new(Role::Text, node.name.clone()),
        duty,
        contact(model, seen, paint),
        seal,
        figure(node.applied_index),
        figure(node.last_log_index),
        figure(node.term),
        heard,
        clock,
        version(model, seen),
        Value::new(Role::Muted, short_address(&node.api_addr)),
    ]
}

/// What the node itself says that it runs: in the middle of an upgrade its neighbours run something else.
fn version(model: &Model, seen: Option<&NodeView>) -> Value {
    let reading = seen.and_then(|seen| seen.status.as_ref()).map(|status| status.read(model.now));
    match reading {
        Some(reading) => {
            let role = if reading.is_old() { Role::Stale } else { Role::Muted };
            Value::new(role, reading.value.region.version.clone())
        }
        None => Value::new(Role::Unknown, "?"),
    }
}

/// Whether the node answers this console.
pub(super) fn contact(model: &Model, node: Option<&NodeView>, paint: Paint<'_>) -> Value {
    let glyphs = paint.glyphs;
    let Some(node) = node else { return Value::new(Role::Muted, format!("{} not called", glyphs.stale)) };
    match &node.contact {
        Contact::Connecting => Value::new(Role::Unknown, format!("{} calling", glyphs.unknown)),
        Contact::Up { .. } => {
            let trip = node.round_trip.map_or_else(String::new, |trip| format!(" in {} ms", trip.as_millis()));
            Value::new(Role::Ok, format!("{} yes{trip}", glyphs.ok))
        }
        Contact::Erring { .. } => Value::new(Role::Warn, format!("{} with an error", glyphs.warn)),
        Contact::Gone { since, .. } => {
            Value::new(Role::Crit, format!("{} no, for {}", glyphs.crit, duration(model.now.since(*since))))
        }
    }
}

/// Errors of the nodes that do not answer, and what this console may do here.
fn facts(model: &Model, region: &RegionView<'_>, paint: Paint<'_>, width: u16) -> Vec<Line<'static>> {
    let mut facts = Vec::new();
    for node in &region.nodes {
        let (error, retry_at) = match &node.contact {
            Contact::Gone { error, retry_at, .. } | Contact::Erring { error, retry_at, .. } => (error, retry_at),
            Contact::Connecting | Contact::Up { .. } => continue,
        };
        let name = region.peer_name(node);
        let next = match retry_at {
            Some(at) => format!("again in {}", duration(at.since(model.now))),
            None => "calling now".into(),
        };
        facts.extend(paragraph(paint, Role::Warn, &format!("{name}: {error}; {next}"), usize::from(width)));
    }
    for node in &region.left {
        let words = format!("{} is no member of the region any more", short_address(&node.address));
        facts.extend(paragraph(paint, Role::Muted, &words, usize::from(width)));
    }
    let (role, words) = match region.access() {
        Access::Accepted => (Role::Ok, "takes this console's token"),
        Access::Refused => (Role::Warn, "refuses this console's token"),
        Access::NoToken => (Role::Muted, "no token was given: what needs one is not shown"),
        Access::Untried => (Role::Muted, "has not yet said whether it takes the token"),
    };
    facts.push(Line::from(vec![paint.muted("access   "), paint.span(role, words)]));
    if let (None, Some(said)) = (region.status, region.foreign) {
        facts.extend(foreign::facts(model, said, paint, width));
    }
    if let Some(reading) = region.read(model.now) {
        let status = reading.value;
        let version = format!("{}, protocol {}", status.region.version, status.region.protocol);
        let own = paint.aged(&reading, Role::Text, format!("reported {}", status.role));
        let (role, intended, why) = intended(model, status);
        let both = [paint.muted("role     "), own, paint.span(role, format!(" \u{b7} intended {intended}"))];
        facts.push(Line::from(both.to_vec()));
        if let Some(why) = why {
            facts.extend(paragraph(paint, Role::Warn, &why, usize::from(width)));
        }
        if region.speaks_plainly() {
            let words = "none: whoever is on the way reads tokens and secrets";
            facts.push(Line::from(vec![paint.muted("TLS      "), paint.span(Role::Warn, words)]));
        }
        facts.push(Line::from(vec![paint.muted("version  "), paint.aged(&reading, Role::Text, version)]));
        let is_fenced = status.role == RegionRole::Fenced;
        if let Some(fence) = status.fence.as_ref().filter(|_| is_fenced) {
            let by = match &fence.demoted {
                Some(why) => format!("by its operator ({why})"),
                None => format!("by epoch {}", fence.by_epoch),
            };
            let ago = duration(told_age(&reading, status.observed_at, fence.at));
            let words = format!("{by}, {ago} ago, it reached {}", position(fence.reached));
            facts.push(Line::from(vec![paint.muted("fenced   "), paint.aged(&reading, Role::Fenced, words)]));
        }
    }
    facts.push(Line::from(paint.muted(plural(region.size() as u64, "node", "nodes"))));
    facts
}

/// What it should be by the newest epoch in view, and why where that is not what it says it is.
fn intended(model: &Model, own: &PathStatus) -> (Role, RegionRole, Option<String>) {
    let newer = model.here.world.regions().into_iter().find_map(|other| {
        let said = other.read(model.now)?.value;
        let newer = said.role == RegionRole::Primary && said.epoch > own.epoch && said.dataset == own.dataset;
        newer.then(|| (other.name.clone(), said.epoch))
    });
    match newer.filter(|_| own.role == RegionRole::Primary) {
        None => (Role::Muted, own.role, None),
        Some((name, epoch)) => {
            let why = format!("{name} is primary in epoch {epoch}, this one still in epoch {}", own.epoch);
            (Role::Crit, RegionRole::Fenced, Some(why))
        }
    }
}
