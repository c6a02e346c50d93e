//! What became of what was asked for, newest first: of the three outcomes which, what was said, what to do, and the command
//! that does the same. And the question that may come before: of several primaries which.

use super::Paint;
use super::dialogs::{WIDTH, body_and_foot, esc, hint, scrolled};
use super::role::Role;
use super::widgets::{hints, paragraph, wrap};
use crate::console::app::Model;
use crate::console::app::choose::Choose;
use crate::console::app::outcome::Outcome;
use crate::console::app::promotion::Standing;
use crate::console::app::scroll::Scroll;
use crate::console::domain::units::duration;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// How an outcome looks, and what it is called.
fn look(standing: Standing, paint: Paint<'_>) -> (Role, &'static str, &'static str) {
    match standing {
        Standing::Running => (Role::Accent, paint.glyphs.pointer, "ASKED"),
        Standing::Done => (Role::Ok, paint.glyphs.ok, "DONE"),
        Standing::Failed => (Role::Crit, paint.glyphs.crit, "FAILED"),
        Standing::Unknown => (Role::Unknown, paint.glyphs.unknown, "UNKNOWN"),
    }
}

pub fn draw(model: &Model, scroll: Scroll, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let width = WIDTH.max(area.width * 2 / 3).min(area.width);
    let text_width = usize::from(width).saturating_sub(4);
    let rows: Vec<Line<'static>> =
        model.outcomes.iter().rev().flat_map(|outcome| outcome_lines(model, outcome, paint, text_width)).collect();
    let foot = vec![esc(paint, "close")];
    let height = (rows.len() + foot.len()) as u16 + 2;
    let title = vec![paint.span(Role::Title, "what became of what was asked for")];
    let inner = paint.dialog(title, Role::Selected, width, height, area, buf);
    let room = usize::from(inner.height).saturating_sub(foot.len());
    body_and_foot(scrolled(rows, scroll, room, paint), foot, inner, buf);
}

fn outcome_lines(model: &Model, outcome: &Outcome, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let (role, glyph, word) = look(outcome.standing, paint);
    let title = outcome.asked.title(&outcome.region);
    let context = context_prefix(model, outcome);
    let asked = duration(model.now.since(outcome.asked_at));
    let took = outcome.ended_at.map(|at| duration(at.since(outcome.asked_at)));
    let when = match (outcome.standing, took) {
        (Standing::Done | Standing::Failed, Some(took)) => format!("asked {asked} ago, took {took}"),
        _ => format!("asked {asked} ago"),
    };
    let mut rows = paragraph(paint, role, &format!("{glyph} {word}: {context}{title} ({when})"), width);
    let mut put = |role: Role, words: &str| {
        let rows_of = wrap(words, width.saturating_sub(2)).into_iter();
        rows.extend(rows_of.map(|row| Line::from(vec![Span::raw("  "), paint.span(role, row)])));
    };
    if !outcome.words.is_empty() {
        put(Role::Text, &outcome.words);
    }
    let advice = outcome.advice();
    if !advice.is_empty() {
        put(if outcome.standing == Standing::Unknown { Role::Warn } else { Role::Text }, &advice);
    }
    if !outcome.command.is_empty() {
        put(Role::Muted, &outcome.command);
    }
    rows
}

/// Of what is not looked at, the context's name.
fn context_prefix(model: &Model, outcome: &Outcome) -> String {
    let contexts = model.contexts();
    let of = contexts.iter().find(|context| context.id == outcome.context);
    let told = contexts.len() > 1;
    of.filter(|_| told).map_or_else(String::new, |context| format!("{}: ", context.title()))
}

/// In a line, while nobody read it.
pub fn unknown_line(model: &Model, outcome: &Outcome) -> String {
    let asked = duration(model.now.since(outcome.asked_at));
    let title = outcome.asked.title(&outcome.region);
    format!("{}outcome unknown, to {title}, asked {asked} ago", context_prefix(model, outcome))
}

pub fn draw_choose(choose: &Choose, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let width = WIDTH.min(area.width);
    let text_width = usize::from(width).saturating_sub(4);
    let who = &choose.who.region;
    let mut rows =
        paragraph(paint, Role::Text, &format!("Several regions say that they are primary. {who} follows:"), text_width);
    for (at, (name, says)) in choose.primaries.iter().enumerate() {
        let here = at == choose.cursor;
        let pointer = if here { paint.glyphs.pointer } else { " " };
        let mark = |line: Line<'static>| if here { line.style(paint.theme.style(Role::Cursor)) } else { line };
        let name = paint.span(Role::Title, format!("{pointer} {name}"));
        let beside = paint.muted(format!("  {says}"));
        if name.width() + beside.width() <= text_width {
            rows.push(mark(Line::from(vec![name, beside])));
        } else {
            rows.push(mark(Line::from(name)));
            let says = wrap(says, text_width.saturating_sub(4)).into_iter();
            rows.extend(says.map(|says| Line::from(paint.muted(format!("    {says}")))));
        }
    }
    rows.push(Line::default());
    let keys = [hint("up, down", "choose"), hint("enter", "go on, to the question"), hint("esc", "leave")];
    let foot = hints(paint, &keys, text_width);
    let height = (rows.len() + foot.len()) as u16 + 2;
    let title = vec![paint.span(Role::Title, "which primary?")];
    let inner = paint.dialog(title, Role::Warn, width, height, area, buf);
    body_and_foot(rows, foot, inner, buf);
}
