//! What frames every screen: the top line, the alarm line, the footer, the toast.

use super::role::Role;
use super::widgets::fitted;
use super::{Paint, Tier};
use crate::api::replication::EventLevel;
use crate::console::app::{ACTIONS, Action, Model, Place, Screen, WriteRight};
use crate::console::domain::FRESH_FOR;
use crate::console::domain::units::{clock_time, entries, lag_ms};
use crate::console::domain::{Health, LinkLook};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

/// Alarms that a high terminal shows at once.
const ALARM_LINES_MAX: usize = 4;

/// Paints the frame and returns what is left for the screen.
pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) -> Rect {
    let mut top = area.y;
    let mut row = || {
        let line = Rect { y: top, height: 1, ..area };
        top += 1;
        line
    };
    header(model, paint, tier, row(), buf);
    if let Some(banner) = &model.banner {
        let line = row();
        buf.set_style(line, paint.theme.style(Role::Banner));
        Line::from(paint.span(Role::Banner, banner.clone())).centered().render(line, buf);
    }
    for line in alarm_lines(model, paint, tier, area.width) {
        let line_area = row();
        if line.style != ratatui::style::Style::default() {
            buf.set_style(line_area, line.style);
        }
        line.render(line_area, buf);
    }
    footer(model, paint, Rect { y: area.bottom() - 1, height: 1, ..area }, buf);
    Rect { y: top, height: (area.bottom() - 1).saturating_sub(top), ..area }
}

fn header(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let clock = clock_time(model.now);
    let right = match model.write {
        WriteRight::Write => clock,
        WriteRight::ReadOnly if tier > Tier::Narrow => format!("read-only {clock}"),
        WriteRight::ReadOnly => format!("r/o {clock}"),
    };
    let right_width = right.len() as u16 + 1;
    let tab = |screen: Screen| {
        let key = model.keymap.keys(Action::Show(screen)).next().map(|key| key.to_string()).unwrap_or_default();
        let here = screen == model.screen;
        let style = if here { Role::Cursor } else { Role::Muted };
        let key_style = if here { Role::Cursor } else { Role::Key };
        vec![paint.span(key_style, format!(" {key}")), paint.span(style, format!(" {}", screen.title()))]
    };
    let tabs: Vec<Span<'static>> =
        if tier > Tier::Narrow { Screen::ALL.into_iter().flat_map(tab).collect() } else { tab(model.screen) };
    let tabs_width = Line::from(tabs.clone()).width() as u16;
    let room = area.width.saturating_sub(tabs_width + right_width);
    let mut left = vec![paint.span(Role::Title, " twinkeep")];
    if !model.title.is_empty() && usize::from(room) > 12 + model.title.len() {
        left.push(paint.muted(format!(" {}", model.title)));
    }
    let left = if room >= 11 { Line::from(left) } else { Line::default() };
    let left_width = left.width() as u16;
    left.render(area, buf);
    let start = (left_width + u16::from(left_width > 0)).max(if tier == Tier::Wide { 24 } else { 0 }).min(area.width);
    Line::from(tabs).render(Rect { x: area.x + start, width: area.width - start, ..area }, buf);
    if area.width > right_width {
        let place = Rect { x: area.right() - right_width, width: right_width, ..area };
        Line::from(paint.muted(right)).render(place, buf);
    }
}

/// What is wrong, worst first; if nothing is, how it goes.
fn alarm_lines(model: &Model, paint: Paint<'_>, tier: Tier, width: u16) -> Vec<Line<'static>> {
    let alarms = model.alarms();
    let Some(worst) = alarms.first() else { return vec![well_line(model, paint, usize::from(width))] };
    let shown = if tier == Tier::Wide { ALARM_LINES_MAX } else { 1 };
    let split = worst.text.starts_with("SPLIT BRAIN");
    let mut lines = Vec::new();
    for (at, alarm) in alarms.iter().take(shown).enumerate() {
        let (role, glyph) = paint.level(alarm.level);
        let role = if split && at == 0 { Role::Banner } else { role };
        let hidden = alarms.len().saturating_sub(shown);
        let more = if at + 1 == shown && hidden > 0 { format!("  (+{hidden} more)") } else { String::new() };
        let text = fitted(&format!(" {glyph} {}", alarm.text), usize::from(width).saturating_sub(more.len()));
        let line = Line::from(vec![paint.span(role, text), paint.muted(more)]);
        lines.push(if role == Role::Banner { line.style(paint.theme.style(role)) } else { line });
    }
    lines
}

fn well_line(model: &Model, paint: Paint<'_>, width: usize) -> Line<'static> {
    let regions = model.world.regions();
    let Some(pair) = model.pair() else {
        let (role, glyph) = paint.health(regions.first().map_or(Health::Unknown, |region| region.health(model.now)));
        return Line::from(vec![paint.span(role, format!(" {glyph} ")), paint.text("one region in view")]);
    };
    let unheard = regions.iter().filter(|region| region.status.is_none()).count();
    if unheard > 0 {
        let text = if unheard == regions.len() { "nothing heard yet" } else { "not all regions were heard yet" };
        return Line::from(vec![paint.span(Role::Unknown, format!(" {} ", paint.glyphs.unknown)), paint.text(text)]);
    }
    let words = match (pair.link.look, pair.primary(), pair.standby()) {
        (LinkLook::Unlinked, ..) | (_, None, _) | (_, _, None) => {
            let region = model.selected_region().map(|region| region.name).unwrap_or_default();
            let key = key_of(model, Action::TokenGenerate);
            let words = format!("not linked: {key} makes an activation token on {region}");
            let words = paint.text(fitted(&words, width.saturating_sub(3)));
            return Line::from(vec![paint.span(Role::Muted, format!(" {} ", paint.glyphs.stale)), words]);
        }
        (LinkLook::FullSync | LinkLook::DiffSync, Some(primary), Some(standby)) => {
            format!("{} copies everything to {}, which serves nothing until it is whole", primary.name, standby.name)
        }
        (_, Some(primary), Some(standby)) => match pair.lag().filter(|lag| lag.age <= FRESH_FOR) {
            Some(lag) if lag.lag.entries == 0 => format!("{} has all that {} has", standby.name, primary.name),
            Some(lag) => format!(
                "{} is {}, {} behind {}",
                standby.name,
                entries(lag.lag.entries),
                lag_ms(lag.lag.ms),
                primary.name
            ),
            None => format!("how far {} is behind {} is unknown", standby.name, primary.name),
        },
    };
    let (role, glyph) = paint.link(pair.link.look);
    Line::from(vec![paint.span(role, format!(" {glyph} ")), paint.text(fitted(&words, width.saturating_sub(3)))])
}

fn key_of(model: &Model, action: Action) -> String {
    model.keymap.keys(action).next().map(|key| key.to_string()).unwrap_or_default()
}

/// The keys that do something here and now, from the table of actions.
fn footer(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let mut spans = vec![Span::raw(" ")];
    // While keys go elsewhere, only those that lead back are worth a hint.
    let elsewhere: Option<&[(&str, &str)]> = if !model.dialogs.is_empty() {
        Some(&[("esc", "back")])
    } else if model.list().typing {
        Some(&[("enter", "keep the filter"), ("esc", "clear it")])
    } else {
        None
    };
    if let Some(hints) = elsewhere {
        for (key, hint) in hints {
            spans.extend([paint.span(Role::Key, *key), paint.muted(format!(" {hint}  "))]);
        }
        Line::from(spans).render(area, buf);
        return;
    }
    let mut used = 1;
    for info in ACTIONS {
        let Some(hint) = info.hint else { continue };
        if info.place == Place::TokenDialog || !info.action.works_on(model.screen) || (info.disabled)(model).is_some() {
            continue;
        }
        let key = key_of(model, info.action);
        let hint = format!(" {hint}  ");
        used += key.len() + hint.len();
        if used > usize::from(area.width) {
            break;
        }
        spans.extend([paint.span(Role::Key, key), paint.muted(hint)]);
    }
    Line::from(spans).render(area, buf);
}

/// The newest word, over the line above the footer.
pub fn draw_toast(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let Some(toast) = model.toast_in_view() else { return };
    let (role, glyph) = match toast.level {
        EventLevel::Info => (Role::Accent, paint.glyphs.pointer),
        level => paint.level(level),
    };
    let text = fitted(&format!(" {glyph} {} ", toast.text), usize::from(area.width).saturating_sub(2));
    let line = Line::from(paint.span(role, text));
    let width = (line.width() as u16).min(area.width);
    if area.height < 3 {
        return;
    }
    let place = Rect { x: area.right() - width, y: area.bottom() - 2, width, height: 1 };
    buf.set_style(place, paint.theme.style(Role::Dialog));
    line.render(place, buf);
}
