//! The end of every dialog that leads to a change: the name to be typed where one is wanted, Cancel and the verb, the keys.

use super::Paint;
use super::role::Role;
use super::widgets::{hints, wrap};
use crate::console::app::confirm::{Consent, Focus};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

/// `purpose` says what the name is typed for: `To promote`. `more` are keys that the dialog has besides.
pub fn lines(
    consent: &Consent,
    purpose: &str,
    more: &[(String, String)],
    paint: Paint<'_>,
    width: usize,
) -> Vec<Line<'static>> {
    let mut rows: Vec<Line<'static>> = Vec::new();
    if let Some(notice) = consent.notice() {
        rows.extend(wrap(notice, width).into_iter().map(|row| Line::from(paint.span(Role::Warn, row))));
    }
    if let Some((name, typed)) = consent.name() {
        let whole = format!("{purpose}, type ");
        // The name is typed beside the one that it must be, if need be without the reason.
        let question = if whole.width() + 2 * name.width() + 4 <= width { whole } else { "Type ".into() };
        rows.push(Line::from(vec![
            paint.text(question),
            paint.span(Role::Title, name.to_owned()),
            paint.text(": "),
            paint.span(Role::Input, typed.to_owned()),
            paint.span(Role::Cursor, " "),
        ]));
    }
    let button = |name: &str, focused: bool| {
        let (open, close) = if focused { ("[ ", " ]") } else { ("  ", "  ") };
        let role = if focused { Role::Cursor } else { Role::Text };
        paint.span(role, format!("{open}{name}{close}"))
    };
    let focus = consent.focus();
    let mut buttons = Line::from(vec![
        button("Cancel", focus == Focus::Cancel),
        Span::raw("  "),
        button(&consent.verb, focus == Focus::Confirm),
    ]);
    let own: &[(&str, &str)] = match consent.name() {
        Some(_) if focus == Focus::Confirm => &[("enter", "does it"), ("esc", "leave")],
        Some(_) => &[("esc", "leave")],
        None => &[("y", "yes"), ("esc", "no")],
    };
    let mut keys: Vec<(String, String)> = more.to_vec();
    keys.extend(own.iter().map(|(key, words)| ((*key).to_owned(), (*words).to_owned())));
    let beside = hints(paint, &keys, usize::from(u16::MAX));
    let needed: usize = beside.iter().map(Line::width).sum();
    if buttons.width() + 3 + needed <= width + 2 {
        buttons.spans.push(Span::raw("   "));
        buttons.spans.extend(beside.into_iter().flat_map(|line| line.spans));
        rows.push(buttons);
    } else {
        rows.push(buttons);
        rows.extend(hints(paint, &keys, width));
    }
    rows
}
