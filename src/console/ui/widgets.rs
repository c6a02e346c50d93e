//! Small parts that the screens are put together from.

use super::Paint;
use super::role::Role;
use crate::api::replication::Role as RegionRole;
use crate::api::replication::{EventLevel, Verdict};
use crate::clock::UnixMs;
use crate::console::app::history::Samples;
use crate::console::app::list::{List, Rest};
use crate::console::domain::units;
use crate::console::domain::{Health, LinkLook, Reading, RegionView, Standing};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget};
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

impl Paint<'_> {
    pub fn span(&self, role: Role, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.theme.style(role))
    }

    /// A value that looks old when it is.
    pub fn aged<T>(&self, reading: &Reading<'_, T>, role: Role, text: impl Into<String>) -> Span<'static> {
        self.span(if reading.is_old() { Role::Stale } else { role }, text)
    }

    pub fn muted(&self, text: impl Into<String>) -> Span<'static> {
        self.span(Role::Muted, text)
    }

    pub fn text(&self, text: impl Into<String>) -> Span<'static> {
        self.span(Role::Text, text)
    }

    pub fn level(&self, level: EventLevel) -> (Role, &'static str) {
        match level {
            EventLevel::Info => (Role::Ok, self.glyphs.ok),
            EventLevel::Warn => (Role::Warn, self.glyphs.warn),
            EventLevel::Alarm => (Role::Crit, self.glyphs.crit),
        }
    }

    pub fn standing(&self, standing: Standing) -> (Role, &'static str) {
        match standing {
            Standing::Well => (Role::Ok, self.glyphs.ok),
            Standing::Unlinked => (Role::Muted, self.glyphs.stale),
            Standing::Syncing => (Role::Accent, self.glyphs.pointer),
            Standing::Attention => (Role::Warn, self.glyphs.warn),
            Standing::Unknown => (Role::Unknown, self.glyphs.unknown),
            Standing::Alarm => (Role::Crit, self.glyphs.crit),
        }
    }

    /// The same as a block of colour.
    pub fn badge(&self, standing: Standing) -> Style {
        let (role, _) = self.standing(standing);
        let base = self.theme.style(Role::Text);
        let style = self.theme.style(role);
        match (style.fg, base.bg) {
            // With colours of its own a theme names both; where it leaves the paper to the terminal, that turns them.
            (Some(ink), Some(paper)) => Style { fg: Some(paper), bg: Some(ink), ..style }.add_modifier(Modifier::BOLD),
            _ => style.add_modifier(Modifier::REVERSED | Modifier::BOLD),
        }
    }

    pub fn verdict(&self, verdict: Verdict) -> (Role, &'static str, &'static str) {
        match verdict {
            Verdict::Pass => (Role::Ok, self.glyphs.ok, "pass"),
            Verdict::Warn => (Role::Warn, self.glyphs.warn, "warn"),
            Verdict::Unknown => (Role::Unknown, self.glyphs.unknown, "unknown"),
            Verdict::Block => (Role::Crit, self.glyphs.crit, "block"),
        }
    }

    pub fn health(&self, health: Health) -> (Role, &'static str) {
        match health {
            Health::Well => (Role::Ok, self.glyphs.ok),
            Health::Degraded => (Role::Warn, self.glyphs.warn),
            Health::Unknown => (Role::Unknown, self.glyphs.unknown),
            Health::Dark | Health::Down => (Role::Crit, self.glyphs.crit),
        }
    }

    /// How what a region is looks: its role, or what runs there where there are no roles.
    pub fn role_of(&self, region: &RegionView<'_>) -> (Role, &'static str, &'static str) {
        super::foreign::badge(region, *self).unwrap_or_else(|| {
            let (role, glyph, word) = self.role(region.role());
            match region.role().filter(|_| region.is_dark()) {
                None => (role, glyph, word),
                // What it was when it was heard last is not what it is.
                Some(RegionRole::Primary) => (Role::Stale, glyph, "was primary"),
                Some(RegionRole::Standby) => (Role::Stale, glyph, "was standby"),
                Some(RegionRole::Fenced) => (Role::Stale, glyph, "was fenced"),
            }
        })
    }

    /// How a region's role looks; the primary alone is in capitals.
    pub fn role(&self, role: Option<RegionRole>) -> (Role, &'static str, &'static str) {
        match role {
            Some(RegionRole::Primary) => (Role::Primary, self.glyphs.primary, "PRIMARY"),
            Some(RegionRole::Standby) => (Role::Standby, self.glyphs.standby, "standby"),
            Some(RegionRole::Fenced) => (Role::Fenced, self.glyphs.fenced, "FENCED"),
            None => (Role::Unknown, self.glyphs.unknown, "role unknown"),
        }
    }

    pub fn link(&self, look: LinkLook) -> (Role, &'static str) {
        match look {
            LinkLook::Streaming => (Role::Ok, self.glyphs.ok),
            LinkLook::FullSync | LinkLook::DiffSync | LinkLook::Activating => (Role::Accent, self.glyphs.ok),
            LinkLook::Unlinked => (Role::Muted, self.glyphs.stale),
            LinkLook::Connecting | LinkLook::Paused => (Role::Warn, self.glyphs.warn),
            LinkLook::Refused | LinkLook::SplitBrain => (Role::Crit, self.glyphs.crit),
            LinkLook::Unknown => (Role::Unknown, self.glyphs.unknown),
        }
    }

    /// A panel with its title; what is inside is returned.
    pub fn panel(&self, title: Vec<Span<'static>>, border: Role, area: Rect, buf: &mut Buffer) -> Rect {
        let block = Block::bordered()
            .border_set(self.glyphs.border)
            .border_style(self.theme.style(border))
            .title(Line::from(padded(title)));
        let inner = block.inner(area);
        block.render(area, buf);
        // One column of air on both sides.
        Rect { x: inner.x + 1.min(inner.width), width: inner.width.saturating_sub(2), ..inner }
    }

    pub fn titled(&self, title: &str, area: Rect, buf: &mut Buffer) -> Rect {
        self.panel(vec![self.span(Role::Title, title)], Role::Border, area, buf)
    }

    /// A second title, at the right end of a panel's top, if the first one leaves room.
    pub fn right_title(&self, spans: Vec<Span<'static>>, area: Rect, buf: &mut Buffer) {
        let line = Line::from(padded(spans));
        let width = line.width() as u16;
        // Nothing but its padding is no title.
        if width <= 2 || width + 4 > area.width || area.height == 0 {
            return;
        }
        let place = Rect::new(area.right() - 1 - width, area.y, width, 1);
        let free =
            (place.left()..place.right()).all(|x| buf[(x, place.y)].symbol() == self.glyphs.border.horizontal_top);
        if free {
            line.render(place, buf);
        }
    }

    /// `0.4s ago`, in the style of its age.
    pub fn ago(&self, age: Duration) -> Span<'static> {
        let old = age > crate::console::domain::FRESH_FOR;
        let words = if old { "old" } else { "ago" };
        self.span(if old { Role::Warn } else { Role::Muted }, format!("{} {words}", units::duration(age)))
    }

    /// A panel in the middle of the screen, over all else.
    pub fn dialog(
        &self,
        title: Vec<Span<'static>>,
        border: Role,
        width: u16,
        height: u16,
        area: Rect,
        buf: &mut Buffer,
    ) -> Rect {
        let (width, height) = (width.min(area.width), height.min(area.height));
        let place = Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height);
        Clear.render(place, buf);
        buf.set_style(place, self.theme.style(Role::Dialog));
        self.panel(title, border, place, buf)
    }

    /// A bar of `width` cells.
    pub fn gauge(&self, share: f64, width: usize) -> Vec<Span<'static>> {
        let full = ((share.clamp(0.0, 1.0) * width as f64).floor() as usize).min(width);
        vec![
            self.span(Role::Gauge, self.glyphs.full.repeat(full)),
            self.span(Role::Muted, self.glyphs.empty.repeat(width - full)),
        ]
    }

    /// The newest `width` lags in time, a cell each; the highest fills its cell.
    pub fn sparkline(&self, samples: &Samples, zoom: usize, width: usize) -> Vec<Span<'static>> {
        let newest = samples.columns(width, zoom);
        let peak = newest.iter().flatten().max().copied().unwrap_or(0).max(1);
        let mut spans = vec![self.muted(" ".repeat(width.saturating_sub(newest.len())))];
        for value in newest {
            spans.push(match value {
                None => self.span(Role::Unknown, self.glyphs.gap),
                Some(ms) => {
                    let level = (ms as f64 / peak as f64 * 7.0).round() as usize;
                    self.span(Role::Spark, self.glyphs.levels[level.min(7)])
                }
            });
        }
        spans
    }

    /// Lags as columns of several rows; returns the peak.
    pub fn bars(&self, samples: &Samples, zoom: usize, area: Rect, buf: &mut Buffer) -> u64 {
        let newest = samples.columns(usize::from(area.width), zoom);
        let peak = newest.iter().flatten().max().copied().unwrap_or(0).max(1);
        let steps = u64::from(area.height) * 8;
        let start = area.right() - newest.len() as u16;
        for (at, value) in newest.iter().enumerate() {
            let x = start + at as u16;
            let Some(ms) = value else {
                if area.height > 0 {
                    buf[(x, area.bottom() - 1)].set_symbol(self.glyphs.gap).set_style(self.theme.style(Role::Unknown));
                }
                continue;
            };
            // What is not nothing is seen.
            let height = (ms * steps).div_ceil(peak).max(1);
            for row in 0..u64::from(area.height) {
                let filled = height.saturating_sub(row * 8).min(8);
                if filled > 0 {
                    let cell = &mut buf[(x, area.bottom() - 1 - row as u16)];
                    cell.set_symbol(self.glyphs.levels[filled as usize - 1]).set_style(self.theme.style(Role::Spark));
                }
            }
        }
        peak
    }

    /// The line of a filter, while there is one.
    pub fn filter_title(&self, list: &List) -> Vec<Span<'static>> {
        if !list.typing && !list.is_filtered() {
            return Vec::new();
        }
        let mut spans = vec![self.muted("/"), self.span(Role::Input, list.filter.value().to_owned())];
        if list.typing {
            spans.push(self.span(Role::Cursor, " "));
        }
        spans
    }
}

fn padded(spans: Vec<Span<'static>>) -> Vec<Span<'static>> {
    let mut padded = vec![Span::raw(" ")];
    padded.extend(spans);
    padded.push(Span::raw(" "));
    padded
}

/// Lines from the top, as many as fit.
pub fn lines(lines: Vec<Line<'static>>, area: Rect, buf: &mut Buffer) {
    for (row, line) in lines.into_iter().take(usize::from(area.height)).enumerate() {
        line.render(Rect { y: area.y + row as u16, height: 1, ..area }, buf);
    }
}

/// The words of a text; the groups of a number's digits are one: `1:11 484`.
fn words(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    let mut from = None;
    let is_group = |word: &str| {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        digits == 3
    };
    for word in text.split_whitespace() {
        let at = word.as_ptr() as usize - text.as_ptr() as usize;
        match (from, found.last_mut()) {
            (Some(start), Some(last)) if is_group(word) && text[..at].ends_with(' ') && ends_in_digit(last) => {
                *last = &text[start..at + word.len()];
            }
            _ => {
                from = Some(at);
                found.push(word);
            }
        }
    }
    found
}

fn ends_in_digit(word: &str) -> bool {
    word.ends_with(|last: char| last.is_ascii_digit())
}

/// Breaks text between words where it must; a word that is too long is cut anywhere.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut rows = vec![String::new()];
    for word in words(text) {
        let mut rest = word;
        loop {
            let row = rows.last_mut().expect("there is always a row");
            let air = usize::from(!row.is_empty());
            if row.width() + air + rest.width() <= width {
                if air == 1 {
                    row.push(' ');
                }
                row.push_str(rest);
                break;
            }
            if row.is_empty() {
                let cut = rest.char_indices().map(|(at, _)| at).take_while(|at| rest[..*at].width() <= width).last();
                let (head, tail) = rest.split_at(cut.filter(|at| *at > 0).unwrap_or(rest.len()));
                row.push_str(head);
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            rows.push(String::new());
        }
    }
    rows
}

/// Wrapped into so many rows at most; the last one says that it was cut.
pub fn few_rows(text: &str, width: usize, rows_max: usize) -> Vec<String> {
    let mut rows = wrap(text, width);
    if rows.len() > rows_max {
        let rest = rows.split_off(rows_max.saturating_sub(1)).join(" ");
        rows.push(fitted(&rest, width));
    }
    rows
}

/// Keys with what they do, on as many lines as they need.
pub fn hints(paint: Paint<'_>, hints: &[(String, String)], width: usize) -> Vec<Line<'static>> {
    let mut rows = vec![Line::default()];
    for (key, words) in hints {
        let piece = [paint.span(Role::Key, key.clone()), paint.muted(format!(" {words}  "))];
        let needed: usize = piece.iter().map(Span::width).sum();
        let full = rows.last().is_some_and(|row| row.width() > 0 && row.width() + needed > width + 2);
        if full {
            rows.push(Line::default());
        }
        rows.last_mut().expect("there is always a row").spans.extend(piece);
    }
    rows
}

/// Text of one role, broken between words.
pub fn paragraph(paint: Paint<'_>, role: Role, text: &str, width: usize) -> Vec<Line<'static>> {
    wrap(text, width).into_iter().map(|row| Line::from(paint.span(role, row))).collect()
}

/// Cut to a width, with a sign that it was cut.
pub fn fitted(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    for character in text.chars() {
        if cut.width() + 2 > width {
            break;
        }
        cut.push(character);
    }
    if width > 0 { cut + "…" } else { cut }
}

/// Left in a column of this width.
pub fn cell(text: &str, width: usize) -> String {
    let text = fitted(text, width);
    let air = width.saturating_sub(text.width());
    text + &" ".repeat(air)
}

/// Right in a column of this width.
pub fn number(text: &str, width: usize) -> String {
    let text = fitted(text, width);
    " ".repeat(width.saturating_sub(text.width())) + &text
}

/// The rows of a list that are in view, and which of them is selected.
pub fn window(list: &List, rows: usize, height: usize, rest: Rest) -> (std::ops::Range<usize>, Option<usize>) {
    let top = list.top(rows, height, rest);
    let selected = (rows > 0).then(|| list.row(rows, rest));
    (top..rows.min(top + height), selected)
}

/// A server's time as an age, by that server's own clock.
pub fn told_age<T>(reading: &Reading<'_, T>, observed_at: UnixMs, at: UnixMs) -> Duration {
    reading.age + observed_at.since(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_not_broken_between_its_groups() {
        assert_eq!(wrap("it had reached 1:11 484", 19), ["it had reached", "1:11 484"]);
        assert_eq!(wrap("all 5 nodes", 6), ["all 5", "nodes"]);
        assert_eq!(wrap("https://a-host-that-is-long", 8), ["https://", "a-host-t", "hat-is-l", "ong"]);
    }
}
