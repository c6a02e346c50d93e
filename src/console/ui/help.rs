//! Every action with its keys, and why some are not possible now. All of it from the table of actions.

use super::lists::{frame, in_full};
use super::role::Role;
use super::widgets::{cell, fitted, lines, window};
use super::{Paint, Tier};
use crate::console::app::list::Rest;
use crate::console::app::{ActionInfo, Danger, Hit, Model, help_rows};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

const KEYS_WIDTH: usize = 11;

pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let list = model.list();
    let mut right = paint.filter_title(&list);
    if right.is_empty() {
        right.push(paint.muted("enter runs the selected line"));
    }
    let inner = frame(paint, tier, "help", right, area, buf);
    let rows = help_rows(model);
    if rows.is_empty() {
        lines(vec![Line::from(paint.muted("nothing fits the filter"))], inner, buf);
        return;
    }
    let chosen = list.cursor.and_then(|_| rows.get(list.row(rows.len(), Rest::First)));
    let whole = chosen.map_or_else(String::new, |info| {
        let why = (info.disabled)(model).map_or_else(String::new, |why| format!(" {} {why}", paint.glyphs.cut));
        format!(":{}  {}{why}", info.id, titled(info))
    });
    let inner = in_full(paint, Role::Muted, &whole, 4, inner, buf);
    let (range, selected) = window(&list, rows.len(), usize::from(inner.height), Rest::First);
    let top = range.start;
    let mut text = Vec::new();
    for (at, info) in rows.iter().enumerate().take(range.end).skip(top) {
        paint.hit(Rect { y: inner.y + (at - top) as u16, height: 1, ..inner }, || Hit::Row(at));
        let first_of_group = at == top || rows[at - 1].group != info.group;
        let line = action_line(model, info, first_of_group, paint, inner.width);
        text.push(if selected == Some(at) { line.style(paint.theme.style(Role::Cursor)) } else { line });
    }
    lines(text, inner, buf);
}

fn action_line(model: &Model, info: &ActionInfo, named: bool, paint: Paint<'_>, width: u16) -> Line<'static> {
    let keys: Vec<String> = model.keymap.keys(info.action).map(|key| key.to_string()).collect();
    let keys = if keys.is_empty() { format!(":{}", info.id) } else { keys.join(" ") };
    let why = (info.disabled)(model);
    let role = if why.is_some() { Role::Disabled } else { Role::Text };
    let mut spans = Vec::new();
    if width >= 70 {
        spans.push(paint.span(Role::Title, cell(if named { info.group.title() } else { "" }, 13)));
    }
    let key_role = if why.is_some() { Role::Disabled } else { Role::Key };
    spans.push(paint.span(key_role, cell(&keys, KEYS_WIDTH)));
    let used = Line::from(spans.clone()).width();
    let room = usize::from(width).saturating_sub(used);
    let title = titled(info);
    match why {
        None => spans.push(paint.span(role, fitted(&title, room))),
        Some(why) => {
            let why = format!("  {} {why}", paint.glyphs.cut);
            let title = fitted(&title, room.saturating_sub(why.chars().count().min(room / 2)));
            let rest = room.saturating_sub(title.chars().count());
            spans.push(paint.span(role, title));
            spans.push(paint.span(Role::Warn, fitted(&why, rest)));
        }
    }
    Line::from(spans)
}

fn titled(info: &ActionInfo) -> String {
    let asks = match info.danger {
        Danger::None | Danger::Changes => "",
        Danger::Asks => " (asks first)",
        Danger::Typed => " (wants the name typed)",
    };
    format!("{}{asks}", info.title)
}
