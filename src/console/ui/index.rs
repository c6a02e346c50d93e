//! The index: every context in a row, the worst first, so that one look says where to look.

use super::columns::{Align, Column, Value, fitting, header, row};
use super::lists::{frame, in_full};
use super::role::Role;
use super::widgets::{lines, window};
use super::{Paint, Tier};
use crate::api::replication::Role as RegionRole;
use crate::console::app::list::Rest;
use crate::console::app::{Context, Hit, Model};
use crate::console::domain::units::{duration, entries, lag_ms, plural};
use crate::console::domain::{FRESH_FOR, Overall, RegionView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

const fn column(title: &'static str, width: usize, rank: u8) -> Column {
    Column { title, width, align: Align::Left, rank }
}

const COLUMNS: [Column; 6] = [
    column("", 12, 0),
    column("context", 14, 1),
    column("primary", 14, 3),
    column("behind", 20, 4),
    column("heard", 8, 5),
    column("what", 24, 2),
];

pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let list = model.list();
    let rows = model.context_rows();
    let mut right = paint.filter_title(&list);
    let words = plural(rows.len() as u64, "context", "contexts");
    right.push(paint.muted(if right.is_empty() { words } else { format!("  {words}") }));
    let inner = frame(paint, tier, "contexts, the worst first", right, area, buf);
    let chosen = list.cursor.and_then(|_| rows.get(list.row(rows.len(), Rest::First)));
    let whole = chosen.map_or_else(String::new, |(context, of)| format!("{}: {}", context.title(), of.words));
    let inner = in_full(paint, Role::Text, &whole, 4, inner, buf);
    let fit = fitting(&COLUMNS, inner.width);
    let mut text = vec![header(&COLUMNS, &fit, paint)];
    let (range, selected) = window(&list, rows.len(), usize::from(inner.height).saturating_sub(1), Rest::First);
    let top = range.start;
    for (at, (context, overall)) in rows[range].iter().enumerate() {
        let line = row(&COLUMNS, &fit, values(model, context, overall, paint), paint);
        paint.hit(Rect { y: inner.y + text.len() as u16, height: 1, ..inner }, || Hit::Row(top + at));
        text.push(if selected == Some(top + at) { line.style(paint.theme.style(Role::Cursor)) } else { line });
    }
    if rows.is_empty() {
        text.push(Line::from(paint.muted("no context fits the filter")));
    }
    lines(text, inner, buf);
}

fn values(model: &Model, context: &Context, overall: &Overall, paint: Paint<'_>) -> Vec<Value> {
    let now = model.now;
    let (role, glyph) = paint.standing(overall.standing);
    let regions = context.world.regions();
    let primary = regions.iter().find(|region| region.role() == Some(RegionRole::Primary));
    // Of the region that was heard longest ago: the index must not look fresher than it is.
    let heard = regions.iter().map(|region| region.heard_age(now)).max_by_key(|age| match age {
        None => std::time::Duration::MAX,
        Some(age) => *age,
    });
    let heard = match heard.flatten() {
        Some(age) if age > FRESH_FOR => Value::new(Role::Stale, format!("{} old", duration(age))),
        Some(age) => Value::new(Role::Muted, duration(age)),
        None => Value::new(Role::Unknown, "never"),
    };
    let lag = match context.pair(now).as_ref().and_then(|pair| pair.lag()) {
        Some(lag) if lag.age <= FRESH_FOR => {
            Value::new(Role::Text, format!("{} {}", entries(lag.lag.entries), lag_ms(lag.lag.ms)))
        }
        Some(_) => Value::new(Role::Unknown, "unknown"),
        None if context.pair(now).is_some_and(|pair| pair.vault.is_some()) => {
            let behind = context.pair(now).and_then(|pair| pair.vault?.behind());
            behind
                .map_or_else(|| Value::new(Role::Unknown, "unknown"), |behind| Value::new(Role::Text, entries(behind)))
        }
        None => Value::new(Role::Muted, "-"),
    };
    vec![
        Value::new(role, format!("{glyph} {}", overall.standing.word())),
        Value::new(Role::Title, context.title()),
        primary.map_or_else(
            || match regions.iter().find_map(RegionView::product) {
                Some(product) => Value::new(Role::Muted, product.name()),
                None => Value::new(Role::Unknown, "none in view"),
            },
            |region| Value::new(Role::Primary, region.name.clone()),
        ),
        lag,
        heard,
        Value::new(role, overall.words.clone()),
    ]
}
