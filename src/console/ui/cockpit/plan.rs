//! Before it: the loss, the checks, and the name that is typed.

use super::super::Paint;
use super::super::dialogs::{ROOMY, hint};
use super::super::role::Role;
use super::super::widgets::{cell, hints, paragraph, told_age, wrap};
use super::other;
use crate::api::replication::{Check, LossEstimate, Plan, PromoteMode};
use crate::console::app::afterwards::mode_word;
use crate::console::app::promotion::Deciding;
use crate::console::app::{Model, promotion_forbidden};
use crate::console::domain::Reading;
use crate::console::domain::units::{bytes, count, duration, plural};
use ratatui::text::{Line, Span};

/// Where the facts of a plan's checks begin, behind verdict and name.
const CHECK_INDENT: usize = 26;

/// The checks, worst first. What is lost stands above them, since it must be seen even where little fits.
pub(super) fn plan_lines(reading: &Reading<'_, Plan>, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let plan = reading.value;
    let mut rows = Vec::new();
    let mut checks: Vec<&Check> = plan.checks.iter().collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    for check in checks {
        let (role, glyph, word) = paint.verdict(check.verdict);
        let age = duration(told_age(reading, plan.made_at, check.at));
        let source = format!("{}, {age} ago", check.source);
        let head = vec![paint.span(role, cell(&format!("{glyph} {word}"), 10)), paint.text(cell(&check.name, 16))];
        let indent = if width >= 60 { CHECK_INDENT } else { 2 };
        let room = width.saturating_sub(indent);
        let blank = || Span::raw(" ".repeat(indent));
        let mut facts: Vec<Vec<Span<'static>>> =
            wrap(&check.fact, room).into_iter().map(|fact| vec![blank(), paint.text(fact)]).collect();
        // Who saw it, and when, stands behind the fact where there is room.
        match facts.last_mut() {
            Some(last) if last[1].width() + 2 + source.chars().count() <= room => {
                last.push(paint.muted(format!("  {source}")))
            }
            _ => facts.push(vec![blank(), paint.muted(source)]),
        }
        let mut facts = facts.into_iter();
        if width >= 60 {
            let first = facts.next().unwrap_or_default().into_iter().skip(1);
            rows.push(Line::from_iter(head.into_iter().chain(first)));
        } else {
            rows.push(Line::from(head));
        }
        rows.extend(facts.map(Line::from));
        if !check.advice.is_empty() {
            let advice = format!("{} {}", paint.glyphs.pointer, check.advice);
            rows.extend(wrap(&advice, room).into_iter().map(|row| Line::from(vec![blank(), paint.muted(row)])));
        }
    }
    rows.push(Line::default());
    rows
}

pub(super) fn loss_lines(loss: &LossEstimate, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let amount = format!("{}, {}", plural(loss.entries, "write", "writes"), bytes(loss.bytes));
    let (role, head) = match (loss.known, loss.entries) {
        (true, 0) => (Role::Ok, format!("{} nothing is lost", paint.glyphs.ok)),
        (true, _) => (Role::Crit, format!("{} {amount} will be lost", paint.glyphs.crit)),
        (false, _) => (Role::Unknown, format!("{} loss unknown: at least {amount}", paint.glyphs.unknown)),
    };
    let likely = loss.likely_entries.filter(|_| !loss.known);
    let likely = likely.map_or_else(String::new, |likely| format!(", likely about {}", count(likely)));
    let mut rows = paragraph(paint, role, &format!("{head}{likely}"), width);
    if !loss.by_class.is_empty() {
        let classes: Vec<String> =
            loss.by_class.iter().map(|(class, of)| format!("{} {}", count(*of), class.name())).collect();
        let known = if loss.known { "of these" } else { "known of these" };
        rows.extend(indented(paint, Role::Muted, &format!("{known}: {}", classes.join(", ")), width));
    }
    rows.extend(indented(paint, Role::Text, &loss.words, width));
    rows
}

fn indented(paint: Paint<'_>, role: Role, text: &str, width: usize) -> Vec<Line<'static>> {
    wrap(text, width.saturating_sub(2))
        .into_iter()
        .map(|row| Line::from(paint.span(role, format!("  {row}"))))
        .collect()
}

pub(super) fn decide_lines(
    model: &Model,
    region: &str,
    deciding: &Deciding,
    paint: Paint<'_>,
    width: usize,
    height: u16,
) -> Vec<Line<'static>> {
    let mut foot = Vec::new();
    if let Some(notice) = &deciding.notice {
        foot.extend(wrap(notice, width).into_iter().map(|row| Line::from(paint.span(Role::Warn, row))));
    }
    let mut keys = Vec::new();
    match promotion_forbidden(model) {
        Some(why) => foot.extend(paragraph(paint, Role::Crit, &format!("{} {why}", paint.glyphs.cut), width)),
        None => {
            let consent =
                if deciding.may_lose() { "To accept this loss and promote, type " } else { "To promote, type " };
            let question = if width >= 70 { consent } else { "Type " };
            foot.push(Line::from(vec![
                paint.text(question),
                paint.span(Role::Title, region.to_owned()),
                paint.text(": "),
                paint.span(Role::Input, deciding.typed.value().to_owned()),
                paint.span(Role::Cursor, " "),
            ]));
            keys.push(hint("enter", "promote"));
        }
    }
    let mode = deciding.plan.last().mode;
    keys.push(hint("tab", "look again"));
    keys.push(hint("shift-tab", format!("{} instead", mode_word(other(mode)))));
    keys.push(hint("esc", "leave"));
    if height >= ROOMY {
        foot.extend(paragraph(paint, Role::Muted, &command(model, region, mode, deciding), width));
    }
    foot.extend(hints(paint, &keys, width));
    foot
}

/// The same on the command line.
fn command(model: &Model, region: &str, mode: PromoteMode, deciding: &Deciding) -> String {
    let region = model.here.world.regions().into_iter().find(|other| other.name == region);
    let address = region.map(|region| region.api_address()).unwrap_or_default();
    let mode = match mode {
        PromoteMode::Planned => "planned",
        PromoteMode::Forced => "forced",
    };
    let accept = if deciding.may_lose() { " -accept-loss" } else { "" };
    let path = &model.here.path;
    format!("twinkeep replication promote -{mode}{accept} -address={address} -replication-path={path}")
}
