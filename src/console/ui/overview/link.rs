//! What lies between two regions: the link's state, its direction, what flows over it.

use super::super::role::Role;
use super::super::widgets::{few_rows, fitted, lines};
use super::super::{Paint, foreign};
use crate::console::domain::FRESH_FOR;
use crate::console::domain::alarm::{FORECAST_WARN_MS, SKEW_WARN_MS};
use crate::console::domain::units::{self, byte_rate, bytes, duration, entries, lag_ms, millis, rate, skew};
use crate::console::domain::{LinkLook, PairView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Lines that an error takes here; the replication screen has all of it.
const ERROR_ROWS_MAX: usize = 3;

/// The link between the cards: a word, an arrow, the epoch, the lag, the throughput.
pub(super) fn link(pair: &PairView<'_>, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
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
    if let Some(epoch) = pair.epoch.as_ref().filter(|_| look != LinkLook::Unlinked) {
        let old = if epoch.is_old() { format!(", {} old", duration(epoch.age)) } else { String::new() };
        rows.push(Line::from(paint.aged(epoch, Role::Title, format!("epoch {}{old}", epoch.value))).centered());
    }
    // What is half copied is not behind by some entries: the progress says how far it is.
    let (fresh, old) = match pair.lag().filter(|_| !look.is_syncing()) {
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
        // While one is filled, its progress says how fast.
        if look == LinkLook::Streaming {
            let through = format!("{} · {}", rate(link.entries_per_s), byte_rate(link.bytes_per_s));
            rows.push(Line::from(paint.aged(said, Role::Text, fitted(&through, usize::from(area.width)))).centered());
        }
        if let Some(at) = link.forecast {
            let role = if at.ms < FORECAST_WARN_MS { Role::Warn } else { Role::Muted };
            let words = fitted(&units::leaves_log(at), usize::from(area.width));
            rows.push(Line::from(paint.aged(said, role, words)).centered());
        }
        let trip = link.round_trip_ms.map_or_else(|| "no round trip yet".into(), millis);
        let tls = if link.tls { "TLS" } else { "no TLS" };
        if moving {
            rows.push(Line::from(paint.aged(said, Role::Muted, format!("{trip} · {tls}"))).centered());
        }
        if let Some(error) = &link.error {
            let width = usize::from(area.width).saturating_sub(1);
            let words = few_rows(error, width, ERROR_ROWS_MAX).into_iter();
            rows.extend(words.map(|words| Line::from(paint.span(Role::Warn, words)).centered()));
        }
        if let Some(at) = link.retry_at {
            let left = at.since(pair.link.said_at).saturating_sub(said.age);
            rows.push(Line::from(paint.muted(format!("dials in {}", duration(left)))).centered());
        }
    }
    if let Some(apart) = pair.clock_skew_ms.filter(|_| pair.primary_is_left.is_some()) {
        let role = if apart.abs() >= SKEW_WARN_MS { Role::Warn } else { Role::Muted };
        rows.push(Line::from(paint.span(role, format!("clocks {}", skew(apart)))).centered());
    }
    lines(rows, area, buf);
}

/// From the primary to the standby, as it flows: unbroken, dashed while it does not, cut where it can't.
pub(super) fn arrow(pair: &PairView<'_>, paint: Paint<'_>, width: u16) -> Line<'static> {
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
