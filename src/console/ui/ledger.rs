//! The ledger: writes that only the old primary has, what each changed, and what was decided about it.

use super::columns::{Align, Column, Value, fitting, header, row};
use super::lists::{frame, in_full};
use super::role::Role;
use super::widgets::{lines, paragraph, window};
use super::{Paint, Tier};
use crate::api::ledger::{LedgerEntryInfo, ReviewInfo};
use crate::console::app::list::Rest;
use crate::console::app::model::review_word;
use crate::console::app::targets::ledger_region;
use crate::console::app::{Hit, Model};
use crate::console::domain::units::{bytes, clock_time, count, plural, position};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

const fn column(title: &'static str, width: usize, align: Align, rank: u8) -> Column {
    Column { title, width, align, rank }
}

const COLUMNS: [Column; 6] = [
    column("decided", 13, Align::Left, 0),
    column("when", 9, Align::Left, 2),
    column("class", 13, Align::Left, 1),
    column("position", 10, Align::Right, 5),
    column("size", 8, Align::Right, 4),
    column("what it changed", 24, Align::Left, 3),
];

pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let Ok(region) = ledger_region(model) else {
        let inner = frame(paint, tier, "ledger", Vec::new(), area, buf);
        let words = "No region in view holds writes that another never got. After a failover the old primary keeps here what \
                     only it has.";
        return lines(paragraph(paint, Role::Muted, words, usize::from(inner.width)), inner, buf);
    };
    let list = model.list();
    let mut right = paint.filter_title(&list);
    if let Some(told) = &model.here.ledger {
        right.push(paint.ago(told.read(model.now).age));
    }
    let inner = frame(paint, tier, &format!("ledger of {}", region.name), right, area, buf);
    let rows = model.ledger_rows();
    // What the selected one changed, and met, or why it was given up.
    let chosen = rows.get(list.row(rows.len(), Rest::First));
    let whole =
        chosen.map_or_else(String::new, |entry| format!("{}  {}  {}", entry.entry, changed(entry), fate(entry)));
    let inner = in_full(paint, Role::Muted, &whole, 5, inner, buf);
    let width = usize::from(inner.width);
    let mut text = summary(model, &region, paint, width);
    if tier == Tier::Narrow {
        // The list goes before what it comes to.
        text = text.split_off(text.len().saturating_sub(2));
        text.truncate(1);
    }
    let fit = fitting(&COLUMNS, inner.width);
    let room = usize::from(inner.height).saturating_sub(text.len() + 1);
    text.push(header(&COLUMNS, &fit, paint));
    let (range, selected) = window(&list, rows.len(), room, Rest::First);
    let top = range.start;
    for (at, entry) in rows[range].iter().enumerate() {
        let line = row(&COLUMNS, &fit, values(model, entry, paint), paint);
        paint.hit(Rect { y: inner.y + text.len() as u16, height: 1, ..inner }, || Hit::Row(top + at));
        text.push(if selected == Some(top + at) { line.style(paint.theme.style(Role::Cursor)) } else { line });
    }
    lines(text, inner, buf);
}

/// What it comes to, by its region's own word.
fn summary(
    model: &Model,
    region: &crate::console::domain::RegionView<'_>,
    paint: Paint<'_>,
    width: usize,
) -> Vec<Line<'static>> {
    let Some(reading) = region.read(model.now) else { return Vec::new() };
    let Some(ledger) = &reading.value.ledger else { return Vec::new() };
    let classes: Vec<String> =
        ledger.by_class.iter().map(|(class, of)| format!("{} {}", count(*of), class.name())).collect();
    let mut words = format!(
        "{}, {} behind the fork at {}, up to {}: {}",
        plural(ledger.entries, "write", "writes"),
        bytes(ledger.bytes),
        position(ledger.fork),
        position(ledger.reached),
        classes.join(", ")
    );
    if ledger.missing > 0 {
        words += &format!("; {} more were not in the log any more", count(ledger.missing));
    }
    let open = ledger.unreviewed + ledger.older_unreviewed;
    let (role, state) = match open {
        0 => (Role::Ok, format!("{} all of it was decided on", paint.glyphs.ok)),
        open => (Role::Warn, format!("{} {} undecided", paint.glyphs.warn, plural(open, "write", "writes"))),
    };
    let mut text = paragraph(paint, if reading.is_old() { Role::Stale } else { Role::Text }, &words, width);
    let marked = match model.here.marked.len() {
        0 => String::new(),
        marked => format!("; {} marked, decisions are about these", marked),
    };
    text.push(Line::from(paint.span(role, state + &marked)));
    text.push(Line::default());
    text
}

fn values(model: &Model, entry: &LedgerEntryInfo, paint: Paint<'_>) -> Vec<Value> {
    let (role, glyph) = match &entry.review {
        ReviewInfo::Unreviewed { conflicts } if conflicts.is_empty() => (Role::Warn, paint.glyphs.warn),
        ReviewInfo::Unreviewed { .. } => (Role::Crit, paint.glyphs.crit),
        ReviewInfo::Replayed { .. } => (Role::Ok, paint.glyphs.ok),
        ReviewInfo::Discarded { .. } => (Role::Muted, paint.glyphs.stale),
    };
    let mark = if model.here.marked.contains(&entry.entry) { "* " } else { "  " };
    vec![
        Value::new(role, format!("{mark}{glyph} {}", review_word(&entry.review))),
        Value::new(Role::Text, clock_time(entry.at)),
        Value::new(Role::Text, entry.class.name()),
        Value::new(Role::Muted, position(entry.position)),
        Value::new(Role::Muted, bytes(entry.bytes)),
        Value::new(Role::Text, changed(entry)),
    ]
}

fn changed(entry: &LedgerEntryInfo) -> String {
    if entry.paths.is_empty() { "not readable here".into() } else { entry.paths.join(", ") }
}

fn fate(entry: &LedgerEntryInfo) -> String {
    match &entry.review {
        ReviewInfo::Unreviewed { conflicts } if conflicts.is_empty() => "nobody decided yet".into(),
        ReviewInfo::Unreviewed { conflicts } => {
            let met: Vec<&str> = conflicts.iter().map(|conflict| conflict.path.as_str()).collect();
            format!("the new primary changed {} since", met.join(", "))
        }
        ReviewInfo::Replayed { position: at, .. } => format!("written there as {}", position(*at)),
        ReviewInfo::Discarded { reason, .. } => format!("given up: {reason}"),
    }
}
