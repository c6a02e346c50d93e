//! What frames every screen: the top line, the alarm line, the footer, the toast.

use super::role::Role;
use super::widgets::{few_rows, fitted, lines, wrap};
use super::{Paint, Tier};
use crate::api::replication::EventLevel;
use crate::console::app::{ACTIONS, Action, Hit, Model, Place, Screen, WriteRight};
use crate::console::domain::units::{clock_time, duration};
use crate::console::domain::{Alarm, Overall, Standing};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};
use unicode_width::UnicodeWidthStr;

/// Alarms that a high terminal shows at once.
const ALARM_LINES_MAX: usize = 4;
/// Lines that one of them takes at most.
const ALARM_ROWS_MAX: usize = 2;
/// From this width on so many columns are cut from the sentence on top before it takes a second line.
const SPILL_WIDTH: usize = 78;
const SPILL_MIN: usize = 16;
/// Lines that the newest word takes at most; the events have all of it.
const TOAST_ROWS_MAX: usize = 3;
/// The bar of the overview where there is room: to be seen from two metres.
const BAR_ROWS_WIDE: u16 = 3;

/// Paints the frame and returns what is left for the screen.
pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) -> Rect {
    let mut top = area.y + 1;
    header(model, paint, tier, Rect { height: 1, ..area }, buf);
    if let Some(banner) = &model.here.banner {
        let line = Rect { y: top, height: 1, ..area };
        top += 1;
        buf.set_style(line, paint.theme.style(Role::Banner));
        Line::from(paint.span(Role::Banner, banner.clone())).centered().render(line, buf);
    }
    let roomy = tier == Tier::Wide && matches!(model.screen, Screen::Overview | Screen::Index);
    let overall = overall_in_view(model);
    let (words, more) = verdict_words(model, &overall, tier);
    let rows = match roomy {
        true => BAR_ROWS_WIDE,
        false => verdict_rows(&overall, paint, (&words, &more), area.width).len() as u16,
    };
    let bar = Rect { y: top, height: rows, ..area };
    verdict_bar(model, &overall, paint, tier, bar, buf);
    top += rows;
    for line in further_alarms(model, paint, tier, area.width) {
        line.render(Rect { y: top, height: 1, ..area }, buf);
        top += 1;
    }
    footer(model, paint, Rect { y: area.bottom() - 1, height: 1, ..area }, buf);
    Rect { y: top, height: (area.bottom() - 1).saturating_sub(top), ..area }
}

fn header(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let clock = clock_time(model.now);
    let right = match model.here.write {
        WriteRight::Write => clock,
        WriteRight::Armed { until } => format!("armed {} {clock}", duration(until.since(model.now))),
        WriteRight::Past => format!(" {}", model.past.clone().unwrap_or(clock)),
        WriteRight::ReadOnly | WriteRight::Locked if tier > Tier::Narrow => format!("read-only {clock}"),
        WriteRight::ReadOnly | WriteRight::Locked => format!("r/o {clock}"),
    };
    let tab = |screen: Screen, title: &'static str| {
        let key = model.keymap.keys(Action::Show(screen)).next().map(|key| key.to_string()).unwrap_or_default();
        let here = screen == model.screen;
        let style = if here { Role::Cursor } else { Role::Muted };
        let key_style = if here { Role::Cursor } else { Role::Key };
        vec![paint.span(key_style, format!(" {key}")), paint.span(style, format!(" {title}"))]
    };
    let several = model.contexts().len() > 1;
    let mut screens: Vec<Screen> = match tier {
        Tier::Tiny | Tier::Narrow => vec![model.screen],
        // With one context there is nothing to choose.
        _ => Screen::ALL.into_iter().filter(|screen| *screen != Screen::Index || several).collect(),
    };
    // Titles are cut before the clock is.
    let titled = |screens: &[Screen], title: fn(Screen) -> &'static str| {
        let tabs = screens.iter().map(|screen| Line::from(tab(*screen, title(*screen))));
        let tabs: Vec<Line<'static>> = tabs.collect();
        (tabs.iter().map(|tab| tab.width() as u16).sum::<u16>(), tabs)
    };
    // Which context is in view outranks which screens there are.
    let called = if model.here.name.is_empty() { "twinkeep" } else { model.here.name.as_str() };
    let is_past = model.here.write == WriteRight::Past;
    let is_named = is_past || (several && model.screen != Screen::Index);
    let name = if is_named { called.width() as u16 + 2 } else { 0 };
    let (mut tabs_width, mut tabs) = titled(&screens, Screen::title);
    if name + tabs_width + right.len() as u16 + 1 > area.width {
        (tabs_width, tabs) = titled(&screens, Screen::short_title);
    }
    let least = right.replace("read-only", "r/o").len() as u16 + 1;
    if name > 0 && name + tabs_width + least > area.width {
        // The keys alone, but for where one is.
        let keys = screens.iter().map(|screen| tab(*screen, if *screen == model.screen { screen.title() } else { "" }));
        tabs = keys.map(Line::from).collect();
        tabs_width = tabs.iter().map(|tab| tab.width() as u16).sum();
    }
    if name + tabs_width + least > area.width && screens.last() == Some(&Screen::Help) && screens.len() > 1 {
        // The footer names it as well.
        screens.pop();
        (tabs_width, tabs) = titled(&screens, Screen::short_title);
    }
    if name + tabs_width + least > area.width {
        // The past says how long ago: the other screens' keys are known by who came so far.
        screens = vec![model.screen];
        (tabs_width, tabs) = titled(&screens, Screen::title);
    }
    let room_right = usize::from(area.width.saturating_sub(name + tabs_width + 1));
    let right = match right.len() {
        fits if fits <= room_right => right,
        _ => right.replace("read-only", "r/o"),
    };
    let right_width = right.len() as u16 + 1;
    // A column stays free before what stands on the right.
    let room = area.width.saturating_sub(tabs_width + right_width + 1);
    let mut left = vec![paint.span(Role::Title, " twinkeep")];
    if !model.here.name.is_empty() && usize::from(room) > 12 + model.here.name.len() {
        left.push(paint.muted(format!(" {}", model.here.name)));
    } else if name > 0 {
        left = vec![paint.span(Role::Title, format!(" {called}"))];
    }
    let left = match room {
        room if room >= if name > 0 { name } else { 11 } => Line::from(left),
        _ => Line::default(),
    };
    let left_width = left.width() as u16;
    left.render(area, buf);
    let start =
        (left_width + u16::from(left_width > 0)).max(if tier == Tier::Wide { 20.min(room) } else { 0 }).min(area.width);
    let mut x = area.x + start;
    for (screen, tab) in screens.into_iter().zip(tabs) {
        let place = Rect { x, width: (tab.width() as u16).min(area.right().saturating_sub(x)), ..area };
        paint.hit(place, || Hit::Screen(screen));
        tab.render(place, buf);
        x = place.right();
    }
    if area.width > right_width {
        let place = Rect { x: area.right() - right_width, width: right_width, ..area };
        Line::from(paint.muted(right)).render(place, buf);
    }
}

/// Of the context in view; on the index, of the worst one.
fn overall_in_view(model: &Model) -> Overall {
    let rows = if model.screen == Screen::Index { model.context_rows() } else { Vec::new() };
    match rows.into_iter().next() {
        Some((context, overall)) => Overall { words: format!("{}: {}", context.title(), overall.words), ..overall },
        None => model.here.overall(model.now),
    }
}

/// Is it well? In a colour that is seen from afar, a word, and a sentence.
fn verdict_bar(model: &Model, overall: &Overall, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let split = overall.words.contains("SPLIT BRAIN");
    let is_past = model.here.write == WriteRight::Past;
    // What was well then may not be now.
    let badge = if is_past {
        paint.theme.style(Role::Muted)
    } else if split {
        paint.theme.style(Role::Banner)
    } else {
        paint.badge(overall.standing)
    };
    let (words, more) = verdict_words(model, overall, tier);
    let roomy = area.height == BAR_ROWS_WIDE;
    let whole = !is_past && (roomy || split || overall.standing == Standing::Alarm);
    if whole {
        buf.set_style(area, badge);
    }
    let style = if whole { badge } else { paint.theme.style(Role::Text) };
    let sign = verdict_sign(overall, paint);
    let mut rows = verdict_rows(overall, paint, (&words, &more), area.width).into_iter();
    let first = vec![Span::styled(sign, badge), Span::styled(format!(" {}", rows.next().unwrap_or_default()), style)];
    let y = if roomy { area.y + 1 } else { area.y };
    Line::from(first).render(Rect { y, height: 1, ..area }, buf);
    for (at, words) in rows.enumerate().take(usize::from(area.bottom().saturating_sub(y + 1))) {
        let place = Rect { y: y + 1 + at as u16, height: 1, ..area };
        Line::from(Span::styled(format!(" {words}"), style)).render(place, buf);
    }
}

fn verdict_sign(overall: &Overall, paint: Paint<'_>) -> String {
    let (_, glyph) = paint.standing(overall.standing);
    format!(" {glyph} {} ", overall.standing.word())
}

/// The sentence beside the word, and how much else is wrong and has no line of its own.
fn verdict_words(model: &Model, overall: &Overall, tier: Tier) -> (String, String) {
    let then = if model.here.write == WriteRight::Past { "then: " } else { "" };
    let mut words = format!("{then}{}", overall.words);
    if overall.standing == Standing::Unlinked
        && model.screen != Screen::Index
        && (Action::Link.info().disabled)(model).is_none()
    {
        let (link, generate) = (key_of(model, Action::Link), key_of(model, Action::TokenGenerate));
        words = format!("{words}: {link} links the regions, {generate} makes a token");
    }
    let hidden = if model.screen == Screen::Index { 0 } else { overall.wrong.saturating_sub(1) };
    // Where there is no line for the others, the key that lists them stands beside their number.
    let more = format!(" (+{hidden}: {})", key_of(model, Action::Alarms));
    (words, if hidden > 0 && tier <= Tier::Narrow { more } else { String::new() })
}

/// The sentence behind the sign; what does not fit there goes on in a second line. How much else is wrong is never cut.
fn verdict_rows(overall: &Overall, paint: Paint<'_>, (words, more): (&str, &str), width: u16) -> Vec<String> {
    let width = usize::from(width);
    let room = width.saturating_sub(verdict_sign(overall, paint).width() + 2);
    // A word or two are not worth a row, unless they are an alarm's.
    let calm = overall.standing != Standing::Alarm;
    let spill = if width >= SPILL_WIDTH && calm { SPILL_MIN } else { 0 };
    if words.width() + more.width() <= room + spill || room < 8 {
        return vec![fitted(words, room.saturating_sub(more.width())) + more];
    }
    let first = wrap(words, room).into_iter().next().unwrap_or_default();
    let rest = words.split_whitespace().skip(first.split_whitespace().count()).collect::<Vec<_>>().join(" ");
    vec![first, fitted(&rest, width.saturating_sub(2 + more.width())) + more]
}

/// What else is wrong, where there is room for it.
fn further_alarms(model: &Model, paint: Paint<'_>, tier: Tier, width: u16) -> Vec<Line<'static>> {
    if model.screen == Screen::Index {
        return Vec::new();
    }
    // The sentence beside the word is one of them, unless it says that something is not known.
    let (mut further, said) = (model.alarms(), overall_in_view(model).words);
    further.retain(|alarm| alarm.text != said);
    // What decides may stand at a sentence's end: it goes on in a second line.
    let rows = |alarm: &Alarm| {
        let (role, glyph) = paint.level(alarm.level);
        let rows = few_rows(&alarm.text, usize::from(width).saturating_sub(3), ALARM_ROWS_MAX).into_iter().enumerate();
        let row = |(at, words)| Line::from(paint.span(role, format!(" {} {words}", if at == 0 { glyph } else { " " })));
        rows.map(row).collect::<Vec<_>>()
    };
    let few = match tier {
        Tier::Wide => ALARM_LINES_MAX - 1,
        Tier::Normal => 1,
        Tier::Narrow | Tier::Tiny => 0,
    };
    match further.len() {
        fit if fit <= few => further.iter().flat_map(rows).collect(),
        _ if few == 0 => Vec::new(),
        _ => {
            let whole = further.iter().take(few - 1).flat_map(rows);
            whole.chain([brief_alarms(model, &further[few - 1..], paint, width)]).collect()
        }
    }
}

/// Several alarms on one line, in a few words each; what does not fit is counted, and a key lists all.
fn brief_alarms(model: &Model, alarms: &[Alarm], paint: Paint<'_>, width: u16) -> Line<'static> {
    let width = usize::from(width);
    let all = format!("  {} lists all", key_of(model, Action::Alarms));
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut used = 1;
    for (at, alarm) in alarms.iter().enumerate() {
        let (role, glyph) = paint.level(alarm.level);
        let words = format!(" {glyph} {} ", alarm.brief);
        let rest = alarms.len() - at;
        // Room for the count of those behind it stays free, unless it is the last one.
        let reserved = all.width() + if rest > 1 { 6 } else { 0 };
        if used + words.width() + reserved > width {
            let count = format!(" +{rest}");
            spans.push(paint.span(Role::Warn, count));
            break;
        }
        used += words.width();
        spans.push(paint.span(role, words));
    }
    spans.push(paint.span(Role::Key, all));
    Line::from(spans)
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
        let Some(hint) = info.hint.words(model) else { continue };
        if info.place == Place::TokenDialog || !info.action.works_on(model.screen) || (info.disabled)(model).is_some() {
            continue;
        }
        let key = key_of(model, info.action);
        let hint = format!(" {hint}  ");
        used += key.len() + hint.len();
        if used > usize::from(area.width) {
            break;
        }
        let width = (key.len() + hint.len()) as u16;
        paint.hit(Rect { x: area.x + used as u16 - width, width, ..area }, || Hit::Action(info.action));
        spans.extend([paint.span(Role::Key, key), paint.muted(hint)]);
    }
    Line::from(spans).render(area, buf);
}

/// The newest word, over the line above the footer.
pub fn draw_toast(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let (level, text) = match (model.toast_in_view(), model.unknown_outcome()) {
        (Some(toast), _) => {
            // What is not looked at is named.
            let contexts = model.contexts();
            let elsewhere = toast.context != model.here.id || model.screen == Screen::Index;
            let of = contexts.iter().find(|context| context.id == toast.context && elsewhere && contexts.len() > 1);
            let of = of.map_or_else(String::new, |context| format!("{}: ", context.title()));
            (toast.level, format!("{of}{}", toast.text))
        }
        // A dialog says what to do itself, or asks for something else.
        (None, Some(outcome)) if model.dialogs.is_empty() => {
            let words = super::outcomes::unknown_line(model, outcome);
            (EventLevel::Warn, format!("{words}: {} says what to do", key_of(model, Action::Outcomes)))
        }
        (None, _) => return,
    };
    let (role, glyph) = match level {
        EventLevel::Info => (Role::Accent, paint.glyphs.pointer),
        level => paint.level(level),
    };
    // Over whole lines, so that no end of what is below reads as part of it.
    let width = area.width.saturating_sub(2);
    let rows = few_rows(&format!("{glyph} {text}"), usize::from(width).saturating_sub(2), TOAST_ROWS_MAX);
    let height = rows.len() as u16;
    if area.height < height + 2 {
        return;
    }
    let needed = rows.iter().map(|row| row.width() as u16 + 2).max().unwrap_or_default();
    let width = if area.width < 60 { area.width } else { needed.min(width) };
    let place = Rect { x: area.right() - width, y: area.bottom() - 1 - height, width, height };
    Clear.render(place, buf);
    buf.set_style(place, paint.theme.style(Role::Dialog));
    let rows = rows.into_iter().map(|row| Line::from(paint.span(role, format!(" {row} "))));
    lines(rows.collect(), place, buf);
}
