//! Before it: the loss, the checks, and the name that is typed.

use super::super::dialogs::{ROOMY, hint};
use super::super::role::Role;
use super::super::widgets::{cell, hints, paragraph, told_age, wrap};
use super::super::{Paint, consent};
use super::other;
use crate::api::replication::{Check, Plan};
use crate::console::app::afterwards::mode_word;
use crate::console::app::promotion::Deciding;
use crate::console::app::{Model, promotion_command, promotion_forbidden};
use crate::console::domain::Reading;
use crate::console::domain::loss::{LossLook, loss_statement};
use crate::console::domain::told_head::{self, ToldHead};
use crate::console::domain::units::duration;
use ratatui::text::{Line, Span};
use std::time::Duration;

/// Where the facts of a plan's checks begin, behind verdict and name.
const CHECK_INDENT: usize = 26;

/// How the check of the primary begins where its age stands in its words.
const SILENT: &str = "the primary was not heard for ";
const HEARD: &str = "the primary was heard ";

/// The checks, worst first. What is lost stands above them, since it must be seen even where little fits.
pub(super) fn plan_lines(
    reading: &Reading<'_, Plan>,
    told: Option<&ToldHead>,
    paint: Paint<'_>,
    width: usize,
) -> Vec<Line<'static>> {
    let plan = reading.value;
    let mut rows = Vec::new();
    let mut checks: Vec<Check> = told_head::checks(plan, told);
    checks.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    for check in checks {
        let (role, glyph, word) = paint.verdict(check.verdict);
        let (fact, source) = as_of_now(&check, told_age(reading, plan.made_at, check.at));
        let head = vec![paint.span(role, cell(&format!("{glyph} {word}"), 10)), paint.text(cell(&check.name, 16))];
        let indent = if width >= 60 { CHECK_INDENT } else { 2 };
        let room = width.saturating_sub(indent);
        let blank = || Span::raw(" ".repeat(indent));
        let mut facts: Vec<Vec<Span<'static>>> =
            wrap(&fact, room).into_iter().map(|fact| vec![blank(), paint.text(fact)]).collect();
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

/// A check's fact and where it comes from, with its age once: a silence has grown since the plan was made.
fn as_of_now(check: &Check, age: Duration) -> (String, String) {
    let (age, source) = (duration(age), check.source.clone());
    if check.name == "primary" {
        if check.fact.starts_with(SILENT) {
            return (format!("{SILENT}{age}"), source);
        }
        if let Some((_, rest)) = check.fact.strip_prefix(HEARD).and_then(|rest| rest.split_once(" ago")) {
            return (format!("{HEARD}{age} ago{rest}"), source);
        }
    }
    (check.fact.clone(), format!("{source}, {age} ago"))
}

pub(super) fn loss_lines(
    region: &str,
    reading: &Reading<'_, Plan>,
    told: Option<&ToldHead>,
    paint: Paint<'_>,
    width: usize,
) -> Vec<Line<'static>> {
    let said = loss_statement(region, reading.value, reading.age, told);
    let (role, glyph) = match said.look {
        LossLook::Nothing => (Role::Ok, paint.glyphs.ok),
        LossLook::Some => (Role::Crit, paint.glyphs.crit),
        LossLook::Unknown => (Role::Unknown, paint.glyphs.unknown),
        LossLook::NoStatement => (Role::Muted, paint.glyphs.stale),
    };
    let mut rows = paragraph(paint, role, &format!("{glyph} {}", said.head), width);
    rows.extend(said.more.iter().flat_map(|more| indented(paint, Role::Text, more, width)));
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
    deciding: &Deciding,
    paint: Paint<'_>,
    width: usize,
    height: u16,
) -> Vec<Line<'static>> {
    let mut foot = Vec::new();
    for notice in deciding.notice.iter().chain(&deciding.unanswered) {
        foot.extend(wrap(notice, width).into_iter().map(|row| Line::from(paint.span(Role::Warn, row))));
    }
    let mode = deciding.plan.read(model.now).value.mode;
    let mut keys = vec![hint("tab", "look again"), hint("shift-tab", format!("{} instead", mode_word(other(mode))))];
    match promotion_forbidden(model) {
        Some(why) => {
            foot.extend(paragraph(paint, Role::Crit, &format!("{} {why}", paint.glyphs.cut), width));
            keys.push(hint("esc", "leave"));
            foot.extend(hints(paint, &keys, width));
        }
        None => {
            let purpose = if deciding.may_lose() { "To accept this loss and promote" } else { "To promote" };
            if height >= ROOMY {
                let command = promotion_command(model).unwrap_or_default();
                foot.extend(paragraph(paint, Role::Muted, &command, width));
            }
            foot.extend(consent::lines(&deciding.consent, purpose, &keys, paint, width));
        }
    }
    foot
}
