//! Dialogs: the palette, a yes-or-no question, the new token, the faults of a rehearsal. The promotion is `cockpit`.

use super::role::Role;
use super::widgets::{cell, fitted, hints, lines, paragraph, wrap};
use super::{Paint, Secrets, cockpit, consent, outcomes};
use crate::console::app::confirm::Confirm;
use crate::console::app::desk::{EXPIRY_WARN, HeldToken, TokenDesk};
use crate::console::app::form::TokenForm;
use crate::console::app::palette::Palette;
use crate::console::app::rehearsal::FaultKey;
use crate::console::app::scroll::Scroll;
use crate::console::app::{Action, Dialog, Model};
use crate::console::domain::units::duration;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

const PALETTE_ROWS: u16 = 12;
pub(super) const WIDTH: u16 = 76;
/// With fewer rows a dialog leaves out the command that does the same.
pub(super) const ROOMY: u16 = 16;

pub fn draw(model: &Model, dialog: &Dialog, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    match dialog {
        Dialog::Palette(palette) => draw_palette(model, palette, paint, area, buf),
        Dialog::Confirm(confirm) => draw_confirm(confirm, paint, area, buf),
        Dialog::Form(form) => draw_form(form, paint, area, buf),
        Dialog::Alarms { scroll } => draw_alarms(model, *scroll, paint, area, buf),
        Dialog::Choose(choose) => outcomes::draw_choose(choose, paint, area, buf),
        Dialog::Outcomes { scroll } => outcomes::draw(model, *scroll, paint, area, buf),
        Dialog::Faults { scroll } => draw_faults(model, *scroll, paint, area, buf),
        Dialog::Token => draw_token(model, paint, area, buf),
        Dialog::Promotion => cockpit::draw(model, paint, area, buf),
    }
}

fn draw_palette(model: &Model, palette: &Palette, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let title = vec![paint.span(Role::Title, "find an action")];
    let inner = paint.dialog(title, Role::Selected, 64, PALETTE_ROWS + 3, area, buf);
    let matches = palette.matches(model);
    let mut rows = vec![Line::from(vec![
        paint.span(Role::Key, ":"),
        paint.span(Role::Input, palette.input.value().to_owned()),
        paint.span(Role::Cursor, " "),
    ])];
    let wanted = palette.wants_reason().map(|words| format!("{} {words}", paint.glyphs.warn));
    rows.extend(wanted.iter().flat_map(|words| paragraph(paint, Role::Warn, words, usize::from(inner.width))));
    let height = usize::from(inner.height).saturating_sub(rows.len());
    let at = palette.cursor.min(matches.len().saturating_sub(1));
    let top = at.saturating_sub(height.saturating_sub(1));
    if matches.is_empty() {
        rows.push(Line::from(paint.muted("nothing fits")));
    }
    let width = usize::from(inner.width);
    for (row, entry) in matches.iter().enumerate().skip(top).take(height) {
        let pointer = if row == at { paint.glyphs.pointer } else { " " };
        let name = cell(&format!("{pointer} {}", entry.command), 20);
        let (name_role, role, words) = match &entry.disabled {
            None => (Role::Key, Role::Text, entry.title.clone()),
            Some(why) => (Role::Disabled, Role::Disabled, format!("{} {why}", paint.glyphs.cut)),
        };
        let words = fitted(&words, width.saturating_sub(21));
        let line = Line::from(vec![paint.span(name_role, name), Span::raw(" "), paint.span(role, words)]);
        rows.push(if row == at { line.style(paint.theme.style(Role::Cursor)) } else { line });
    }
    lines(rows, inner, buf);
}

fn draw_confirm(confirm: &Confirm, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let width = WIDTH.min(area.width);
    let text_width = usize::from(width).saturating_sub(4);
    let mut rows = Vec::new();
    for line in &confirm.lines {
        rows.extend(wrap(line, text_width).into_iter().map(|row| Line::from(paint.text(row))));
    }
    rows.push(Line::default());
    let purpose = format!("To {}", confirm.consent.verb.to_lowercase());
    let foot = consent::lines(&confirm.consent, &purpose, &[], paint, text_width);
    // A command is of use as a whole only.
    let command = wrap(&confirm.command, text_width);
    if rows.len() + command.len() + 1 + foot.len() + 2 <= usize::from(area.height) {
        rows.extend(command.into_iter().map(|row| Line::from(paint.muted(row))));
        rows.push(Line::default());
    }
    let height = (rows.len() + foot.len()) as u16 + 2;
    let title = vec![paint.span(Role::Title, confirm.title.clone())];
    let border = if confirm.consent.name().is_some() { Role::Crit } else { Role::Warn };
    let inner = paint.dialog(title, border, width, height, area, buf);
    body_and_foot(rows, foot, inner, buf);
}

/// The body as far as it fits, the foot always.
pub(super) fn body_and_foot(body: Vec<Line<'static>>, foot: Vec<Line<'static>>, area: Rect, buf: &mut Buffer) {
    let foot_height = (foot.len() as u16).min(area.height);
    lines(body, Rect { height: area.height - foot_height, ..area }, buf);
    lines(foot, Rect { y: area.bottom() - foot_height, height: foot_height, ..area }, buf);
}

/// The part of the body that is scrolled to, with a sign that there is more.
pub(super) fn scrolled(
    body: Vec<Line<'static>>,
    scroll: Scroll,
    height: usize,
    paint: Paint<'_>,
) -> Vec<Line<'static>> {
    if body.len() <= height || height < 2 {
        return body;
    }
    let height = height - 1;
    let top = scroll.top(body.len(), height);
    let below = body.len() - height - top;
    let mut part: Vec<_> = body.into_iter().skip(top).take(height).collect();
    let sign = match (top, below) {
        (0, below) => format!("{below} more lines: down"),
        (top, 0) => format!("{top} lines above: up"),
        (top, below) => format!("{top} above, {below} below: up, down"),
    };
    part.push(Line::from(paint.span(Role::Key, sign)));
    part
}

fn draw_token(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let width = WIDTH.min(area.width);
    let text_width = usize::from(width).saturating_sub(4);
    let (title, rows, foot) = match &model.here.desk {
        TokenDesk::Empty => {
            ("activation token".into(), vec![Line::from(paint.muted("there is none"))], vec![esc(paint, "close")])
        }
        TokenDesk::Asked { region } => {
            let words = format!("{region} is making a token …");
            ("activation token".into(), vec![Line::from(paint.text(words))], vec![esc(paint, "leave it to itself")])
        }
        TokenDesk::Failed { region, why } => {
            let rows = wrap(why, text_width).into_iter().map(|row| Line::from(paint.span(Role::Warn, row))).collect();
            (format!("no token from {region}"), rows, vec![esc(paint, "close")])
        }
        TokenDesk::Handing { held, primary } => {
            let words = format!("{primary} is being given the token of {} …", held.region);
            ("activation token".into(), vec![Line::from(paint.text(words))], vec![esc(paint, "leave it to itself")])
        }
        TokenDesk::Held(held) => held_token(model, held, paint, text_width),
    };
    let height = (rows.len() + foot.len()) as u16 + 2;
    let inner = paint.dialog(vec![paint.span(Role::Title, title)], Role::Selected, width, height, area, buf);
    body_and_foot(rows, foot, inner, buf);
}

fn draw_form(form: &TokenForm, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let width = WIDTH.min(area.width);
    let text_width = usize::from(width).saturating_sub(4);
    let standby = &form.standby.region;
    let mut rows = Vec::new();
    let title = match &form.primary {
        None => {
            let words =
                format!("{standby} makes a token, shown here alone. The primary that is given it sends to {standby}.");
            rows.extend(paragraph(paint, Role::Text, &words, text_width));
            format!("a new activation token of {standby}")
        }
        Some(primary) => {
            let primary = &primary.region;
            let words = format!(
                "{standby} makes a token, {primary} is handed it at once and copies everything to {standby}, which then \
                 follows. Nobody sees the token."
            );
            rows.extend(paragraph(paint, Role::Text, &words, text_width));
            format!("link {standby} to {primary}")
        }
    };
    if let Some(holds) = &form.holds {
        let words = format!("{standby} holds {holds}: a sync replaces it.");
        rows.extend(paragraph(paint, Role::Warn, &words, text_width));
    }
    // What is typed and chosen is seen however little fits; the words above it go first.
    let mut foot = vec![Line::from(vec![
        paint.text("good for "),
        paint.span(Role::Input, form.ttl.value().to_owned()),
        paint.span(Role::Cursor, " "),
        paint.muted("  like 90s, 30m, 2h; a day at most"),
    ])];
    if form.holds.is_some() {
        let mark = if form.replace { "x" } else { " " };
        let role = if form.replace { Role::Warn } else { Role::Text };
        foot.push(Line::from(paint.span(role, format!("[{mark}] even if it holds secrets of its own"))));
    }
    if let Some(notice) = &form.notice {
        foot.extend(paragraph(paint, Role::Warn, notice, text_width));
    }
    rows.push(Line::default());
    if area.height >= ROOMY {
        let command = form.whole_command();
        foot.push(Line::default());
        foot.extend(paragraph(paint, Role::Muted, &command, text_width));
        foot.push(Line::default());
    }
    let more = if form.holds.is_some() { vec![hint("space", "replace its secrets, or not")] } else { Vec::new() };
    foot.extend(consent::lines(&form.consent, "", &more, paint, text_width));
    let height = (rows.len() + foot.len()) as u16 + 2;
    let inner = paint.dialog(vec![paint.span(Role::Title, title)], Role::Selected, width, height, area, buf);
    body_and_foot(rows, foot, inner, buf);
}

fn draw_alarms(model: &Model, scroll: Scroll, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let width = WIDTH.max(area.width * 2 / 3).min(area.width);
    let text_width = usize::from(width).saturating_sub(4);
    let mut rows = Vec::new();
    for alarm in model.alarms_in_view() {
        let (role, glyph) = paint.level(alarm.level);
        for (at, words) in wrap(&alarm.text, text_width.saturating_sub(2)).into_iter().enumerate() {
            let head = if at == 0 { paint.span(role, format!("{glyph} ")) } else { Span::raw("  ") };
            rows.push(Line::from(vec![head, paint.span(role, words)]));
        }
    }
    if rows.is_empty() {
        rows.push(Line::from(paint.text("nothing wrong is observed any more")));
    }
    let foot = vec![esc(paint, "close")];
    let height = (rows.len() + foot.len()) as u16 + 2;
    let title = vec![paint.span(Role::Title, "all that is wrong")];
    let inner = paint.dialog(title, Role::Warn, width, height, area, buf);
    let room = usize::from(inner.height).saturating_sub(foot.len());
    body_and_foot(scrolled(rows, scroll, room, paint), foot, inner, buf);
}

fn draw_faults(model: &Model, scroll: Scroll, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let Some(desk) = &model.rehearsal else { return };
    let width = WIDTH.min(area.width);
    let half = usize::from(width).saturating_sub(4) / 2;
    let fault = |fault: &FaultKey, width: usize| {
        let key = paint.span(Role::Key, cell(&fault.key.to_string(), 3));
        [key, paint.text(cell(&fault.title, width.saturating_sub(3)))]
    };
    let two = width >= 70;
    let mut rows: Vec<Line<'static>> = desk
        .faults
        .chunks(if two { 2 } else { 1 })
        .map(|faults| Line::from_iter(faults.iter().flat_map(|of| fault(of, if two { half } else { 2 * half }))))
        .collect();
    rows.push(Line::default());
    for line in &desk.score {
        rows.push(Line::from(paint.text(line.clone())));
    }
    if area.height >= ROOMY {
        let words = format!("from another terminal: {}", desk.elsewhere);
        rows.push(Line::default());
        rows.extend(paragraph(paint, Role::Muted, &words, usize::from(width).saturating_sub(4)));
    }
    let foot = vec![esc(paint, "leave: the rehearsal goes on")];
    let height = (rows.len() + foot.len()) as u16 + 2;
    let title = vec![paint.span(Role::Title, "rehearsal: faults and score")];
    let inner = paint.dialog(title, Role::Warn, width, height, area, buf);
    let room = usize::from(inner.height).saturating_sub(foot.len());
    body_and_foot(scrolled(rows, scroll, room, paint), foot, inner, buf);
}

pub(super) fn esc(paint: Paint<'_>, what: &str) -> Line<'static> {
    Line::from(vec![paint.span(Role::Key, "esc"), paint.muted(format!(" {what}"))])
}

pub(super) fn hint(key: impl Into<String>, words: impl Into<String>) -> (String, String) {
    (key.into(), words.into())
}

fn held_token(
    model: &Model,
    held: &HeldToken,
    paint: Paint<'_>,
    width: usize,
) -> (String, Vec<Line<'static>>, Vec<Line<'static>>) {
    let key = |action: Action| model.keymap.keys(action).next().map(|key| key.to_string()).unwrap_or_default();
    let secret = held.token.expose();
    let revealed = held.is_revealed(model.now) && paint.secrets == Secrets::Shown;
    let mut rows = Vec::new();
    if revealed {
        rows.extend(wrap(secret, width).into_iter().map(|row| Line::from(paint.span(Role::Secret, row))));
    } else {
        let mask = paint.glyphs.mask.repeat(24.min(width));
        rows.push(Line::from(vec![
            paint.span(Role::Muted, mask),
            paint.muted(format!("  {} characters", secret.chars().count())),
        ]));
    }
    rows.push(Line::default());
    let left = duration(held.expires_at.since(model.now));
    let facts = format!("accessor {}, expires in {left}, to be used once", held.accessor);
    let soon = held.expires_at.since(model.now) < EXPIRY_WARN;
    rows.extend(paragraph(paint, if soon { Role::Warn } else { Role::Text }, &facts, width));
    let advice = "It is shown nowhere else, and is forgotten when this console ends.";
    rows.extend(paragraph(paint, Role::Muted, advice, width));
    if let Some(notice) = &held.notice {
        rows.extend(paragraph(paint, Role::Warn, notice, width));
    }
    rows.push(Line::default());
    let mut foot = Vec::new();
    let mut keys = Vec::new();
    match (Action::TokenHandOver.info().disabled)(model) {
        None => {
            let primary = crate::console::app::targets::primary_for(model, &held.region).map(|primary| primary.name);
            keys.push(hint(key(Action::TokenHandOver), format!("hand it to {}", primary.unwrap_or_default())));
        }
        Some(why) => foot.extend(paragraph(paint, Role::Disabled, &format!("{} {why}", paint.glyphs.cut), width)),
    }
    keys.push(hint(key(Action::TokenReveal), if revealed { "hide" } else { "reveal" }));
    keys.push(hint(key(Action::TokenCopy), "copy"));
    keys.push(hint(key(Action::TokenSave), "to a file"));
    keys.push(hint("esc", "keep it for later"));
    foot.extend(hints(paint, &keys, width));
    (format!("activation token of {}", held.region), rows, foot)
}
