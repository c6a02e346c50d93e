//! What all lists share: a frame where there is room for one, and the selected line in full below.

use super::role::Role;
use super::widgets::{few_rows, fitted, lines};
use super::{Paint, Tier};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

/// Lines that a selected line takes at most.
const FULL_ROWS_MAX: usize = 4;

/// A panel with a title at both ends; in few columns the titles alone, since a border costs rows. What is left is returned.
pub fn frame(
    paint: Paint<'_>,
    tier: Tier,
    title: &str,
    right: Vec<Span<'static>>,
    area: Rect,
    buf: &mut Buffer,
) -> Rect {
    if tier > Tier::Narrow {
        let inner = paint.titled(title, area, buf);
        paint.right_title(right, area, buf);
        return inner;
    }
    if area.height == 0 {
        return area;
    }
    let right = Line::from(right);
    let room = usize::from(area.width).saturating_sub(right.width() + 3);
    let line = Rect { height: 1, ..area };
    Line::from(paint.span(Role::Title, format!(" {}", fitted(title, room)))).render(line, buf);
    let width = (right.width() as u16).min(area.width);
    right.render(Rect { x: line.right() - width, width, ..line }, buf);
    let left = 1.min(area.width);
    Rect { x: area.x + left, y: area.y + 1, width: area.width - left, height: area.height - 1 }
}

/// The text of the selected line in full, at the bottom. What is left for the list is returned: `least` rows, if there are
/// so many.
pub fn in_full(paint: Paint<'_>, role: Role, text: &str, least: u16, inner: Rect, buf: &mut Buffer) -> Rect {
    let rows_max = usize::from(inner.height.saturating_sub(least)).min(FULL_ROWS_MAX);
    if text.is_empty() || rows_max == 0 {
        return inner;
    }
    let width = usize::from(inner.width);
    let rows = few_rows(text, width, rows_max);
    let height = rows.len() as u16;
    let place = Rect { y: inner.bottom() - height, height, ..inner };
    lines(rows.into_iter().map(|row| Line::from(paint.span(role, row))).collect(), place, buf);
    Rect { height: inner.height - height, ..inner }
}
