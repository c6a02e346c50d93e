//! The lag between two regions, from both sides, and over time; while one is filled, how far that is.

use super::super::role::Role;
use super::super::widgets::{cell, fitted, lines, number, paragraph, told_age};
use super::super::{Paint, foreign};
use crate::console::app::{Action, Model};
use crate::console::domain::FRESH_FOR;
use crate::console::domain::units::{byte_rate, bytes, count, duration, entries, lag_ms, plural, share};
use crate::console::domain::{LagReading, LinkLook, PairView, RegionView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;
use std::time::Duration;

/// What a side says about the lag, its age and some air.
const LAG_TABLE_WIDTH: u16 = 60;

pub(super) fn lag_panel(model: &Model, pair: &PairView<'_>, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
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
        let unlinked = match (Action::Link.info().disabled)(model) {
            None => format!(
                "nothing flows yet: {link} makes a token on the selected region, which becomes the standby, and hands it to \
                 the other in one step; {generate} and {hand_over} do it in two"
            ),
            Some(why) => format!("nothing flows yet; to link the regions: {why}"),
        };
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
    let role = if lag.age > FRESH_FOR { Role::Stale } else { Role::Text };
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
