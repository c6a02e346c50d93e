//! The cockpit of a failover or a switchover: what would be lost, whether the primary is really dead, the checks, the typed
//! consent; then its steps with their times, the proof of fence, and what to do next.

use super::Paint;
use super::dialogs::{ROOMY, WIDTH, body_and_foot, esc, hint, scrolled};
use super::role::Role;
use super::widgets::{cell, hints, paragraph, told_age, wrap};
use crate::api::replication::{
    Check, FenceProof, LossEstimate, Plan, PromoteMode, Promotion, PromotionOutcome, Role as ApiRole, StepName,
    StepState,
};
use crate::console::app::afterwards::{mode_word, state_word, step_word};
use crate::console::app::promotion::{Deciding, Sent, Stage, Standing};
use crate::console::app::{Model, promotion_forbidden};
use crate::console::domain::units::{bytes, count, duration, millis, plural};
use crate::console::domain::{Access, Reading, Speaks, conclusion, evidence};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

pub fn draw(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let Some(desk) = &model.here.promotion else { return };
    let width = (WIDTH + 2).max(area.width * 2 / 3).min(area.width);
    let text_width = usize::from(width).saturating_sub(4);
    let region = &desk.target.region;
    let mut right = Vec::new();
    let (title, border, rows, foot) = match &desk.stage {
        Stage::Planning { .. } => {
            let words = format!("asking {region} what a {} would do …", mode_word(desk.mode));
            (
                format!("promote {region}"),
                Role::Selected,
                vec![Line::from(paint.text(words))],
                vec![esc(paint, "leave")],
            )
        }
        Stage::NoPlan { why } => {
            let mut rows = paragraph(paint, Role::Warn, why, text_width);
            rows.extend(
                why_no_plan(model, region).iter().flat_map(|why| paragraph(paint, Role::Text, why, text_width)),
            );
            let other = format!("a {} instead", mode_word(other(desk.mode)));
            let keys = [hint("r", "ask again"), hint("shift-tab", other), hint("esc", "leave")];
            let foot = hints(paint, &keys, text_width);
            (format!("promote {region}"), Role::Warn, rows, foot)
        }
        Stage::Deciding(deciding) => {
            let reading = deciding.plan.read(model.now);
            let plan = reading.value;
            right = vec![paint.muted("plan "), paint.ago(reading.age)];
            let arrow = paint.glyphs.arrow;
            let what = mode_word(desk.mode);
            let title = format!("{what} to {region}, epoch {} {arrow} {}", plan.epoch_now, plan.epoch_next);
            let mut rows = loss_lines(&plan.loss, paint, text_width);
            rows.push(Line::default());
            rows.extend(evidence_lines(model, paint, text_width));
            rows.extend(plan_lines(&reading, paint, text_width));
            (title, Role::Crit, rows, decide_lines(model, region, deciding, paint, text_width, area.height))
        }
        Stage::Sent(sent) => {
            let epoch = sent.epoch().map_or_else(String::new, |epoch| format!(", epoch {epoch}"));
            let title = format!("{} to {region}{epoch}", mode_word(sent.mode));
            right = vec![paint.muted(sent.id.to_string())];
            let (rows, foot) = sent_lines(model, region, sent, paint, text_width);
            (title, Role::Selected, rows, foot)
        }
    };
    let height = (rows.len() + foot.len()) as u16 + 2;
    let title = vec![paint.span(Role::Title, title)];
    let inner = paint.dialog(title, border, width, height, area, buf);
    if !right.is_empty() {
        let place = Rect { x: inner.x.saturating_sub(2), y: inner.y.saturating_sub(1), width, height: 1 };
        paint.right_title(right, place, buf);
    }
    let room = usize::from(inner.height).saturating_sub(foot.len());
    body_and_foot(scrolled(rows, desk.scroll, room, paint), foot, inner, buf);
}

/// What explains that a region makes no plan, as far as it is seen from here.
fn why_no_plan(model: &Model, region: &str) -> Option<String> {
    let asked = model.here.world.regions().into_iter().find(|other| other.name == region)?;
    match asked.access() {
        _ if asked.status.is_some_and(|status| !status.last().whole) => {
            Some(format!("{region} is being filled: until it is whole it can't take over, and takes no tokens."))
        }
        Access::NoToken => Some("A plan needs a token: set VAULT_TOKEN, or log in with `twinkeep login`.".into()),
        Access::Refused => {
            Some(format!("{region} refuses this console's token; a standby takes its primary's tokens."))
        }
        Access::Accepted | Access::Untried => None,
    }
}

/// Where the facts of a plan's checks begin, behind verdict and name.
const CHECK_INDENT: usize = 26;

/// Is it really dead? What each observer says, and what that comes to.
pub(super) fn evidence_lines(model: &Model, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let Some(pair) = model.pair() else { return Vec::new() };
    let found = evidence(&pair, model.now);
    let Some(primary) = pair.primary().filter(|_| !found.is_empty()) else { return Vec::new() };
    let look = |speaks| match speaks {
        Speaks::Alive => (Role::Ok, paint.glyphs.ok),
        Speaks::Unclear => (Role::Unknown, paint.glyphs.unknown),
        Speaks::Dead => (Role::Crit, paint.glyphs.crit),
    };
    let (speaks, words) = conclusion(&found, &primary.name);
    let (role, glyph) = look(speaks);
    let mut rows = paragraph(paint, role, &format!("{glyph} {words}"), width);
    for one in found {
        let (role, glyph) = look(one.speaks);
        let age = one.age.map_or_else(|| "(never)".to_owned(), |age| format!("({} ago)", duration(age)));
        let words = wrap(&format!("{}: {} {age}", one.observer, one.fact), width.saturating_sub(4));
        for (at, words) in words.into_iter().enumerate() {
            let head = if at == 0 { paint.span(role, format!("  {glyph} ")) } else { Span::raw("    ") };
            rows.push(Line::from(vec![head, paint.text(words)]));
        }
    }
    rows.push(Line::default());
    rows
}

fn other(mode: PromoteMode) -> PromoteMode {
    match mode {
        PromoteMode::Planned => PromoteMode::Forced,
        PromoteMode::Forced => PromoteMode::Planned,
    }
}

/// The checks, worst first. What is lost stands above them, since it must be seen even where little fits.
fn plan_lines(reading: &Reading<'_, Plan>, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
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

fn loss_lines(loss: &LossEstimate, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
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

fn decide_lines(
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

/// Where the details of a promotion's steps begin.
const STEP_INDENT: usize = 33;
const STEP_DETAIL_MIN: usize = 20;

/// The steps with their times; a switchover's that are still to come stand below those that were taken.
fn step_lines(promotion: &Promotion, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let lines = |role: Role, glyph: &str, name: StepName, after: String, detail: &str| {
        let head = vec![
            paint.span(role, format!("{glyph} {}", cell(step_word(name), 20))),
            paint.text(cell(&after, 9)),
            Span::raw("  "),
        ];
        // Where there is no room beside the time, the time is what matters.
        let room = width.saturating_sub(STEP_INDENT);
        let details = if room >= STEP_DETAIL_MIN { wrap(detail, room) } else { Vec::new() };
        let mut details = details.into_iter().map(|words| paint.muted(words));
        let mut rows = vec![Line::from_iter(head.into_iter().chain(details.next()))];
        rows.extend(details.map(|words| Line::from(vec![Span::raw(" ".repeat(STEP_INDENT)), words])));
        rows
    };
    let mut rows = Vec::new();
    for step in &promotion.steps {
        let (role, glyph) = match step.state {
            StepState::Running => (Role::Accent, paint.glyphs.pointer),
            StepState::Done => (Role::Ok, paint.glyphs.ok),
            StepState::Failed => (Role::Crit, paint.glyphs.crit),
        };
        let after = step.at.map_or_else(|| state_word(step.state).into(), |at| duration(at.since(promotion.began_at)));
        rows.extend(lines(role, glyph, step.name, after, &step.detail));
    }
    if promotion.outcome == PromotionOutcome::Running {
        let ahead = ahead(promotion.mode).iter().filter(|name| !promotion.steps.iter().any(|step| step.name == **name));
        rows.extend(ahead.flat_map(|name| lines(Role::Muted, paint.glyphs.stale, *name, String::new(), "")));
    }
    rows
}

/// All steps of a promotion that goes well.
fn ahead(mode: PromoteMode) -> &'static [StepName] {
    match mode {
        PromoteMode::Planned => &[
            StepName::Asked,
            StepName::GaveUp,
            StepName::CaughtUp,
            StepName::RootsEqual,
            StepName::Opened,
            StepName::OldPrimaryFollows,
        ],
        PromoteMode::Forced => &[StepName::StreamFrozen, StepName::Opened, StepName::OldPrimaryFenced],
    }
}

/// What to do when it is done, by what the old primary is now.
fn next_words(model: &Model, sent: &Sent, region: &str) -> String {
    let regions = model.here.world.regions();
    let old = regions.iter().find(|other| other.name != region && other.status.is_some());
    match old.map(|old| (old, old.role(), old.is_dark())) {
        None => "Next: attach the old primary's region as well, to see what becomes of it.".into(),
        Some((old, _, true)) => format!(
            "Next: keep clients away from {} until it answers and says that it is fenced. {region} has no standby until then.",
            old.name
        ),
        Some((old, Some(ApiRole::Standby), _)) => {
            format!("Next: {} follows {region}. Point clients at {region}.", old.name)
        }
        Some((old, Some(ApiRole::Fenced), _)) => format!(
            "Next: {} is fenced and keeps what only it has; bring it back as a standby when that was looked at. Point clients at {region}.",
            old.name
        ),
        Some((old, ..)) if sent.outcome() == Standing::Done => {
            format!("Next: {} has not heard of the new epoch yet: keep clients away from it.", old.name)
        }
        Some(_) => String::new(),
    }
}

/// What became of it, without keys.
pub(super) fn sent_summary(
    model: &Model,
    region: &str,
    sent: &Sent,
    paint: Paint<'_>,
    width: usize,
) -> Vec<Line<'static>> {
    sent_lines(model, region, sent, paint, width).0
}

fn sent_lines(
    model: &Model,
    region: &str,
    sent: &Sent,
    paint: Paint<'_>,
    width: usize,
) -> (Vec<Line<'static>>, Vec<Line<'static>>) {
    let glyphs = paint.glyphs;
    let took = duration(model.now.since(sent.sent_at));
    let said = sent.said.as_ref().map(|said| said.read(model.now));
    let (role, head) = match sent.outcome() {
        Standing::Running => (Role::Accent, format!("{} under way, for {took}", glyphs.pointer)),
        Standing::Done => {
            let epoch = sent.epoch().map_or_else(String::new, |epoch| format!(" in epoch {epoch}"));
            (Role::Ok, format!("{} DONE: {region} is primary{epoch}", glyphs.ok))
        }
        Standing::Failed => (Role::Crit, format!("{} FAILED: {region} was not promoted", glyphs.crit)),
        Standing::Unknown => (Role::Unknown, format!("{} OUTCOME UNKNOWN, asking again, for {took}", glyphs.unknown)),
    };
    let mut rows = paragraph(paint, role, &head, width);
    rows.push(Line::default());
    if let Some(reading) = &said {
        rows.extend(step_lines(reading.value, paint, width));
        rows.push(Line::default());
    }
    let mut say = |role: Role, words: &str| rows.extend(paragraph(paint, role, words, width));
    if let Some(doubt) = &sent.doubt {
        say(Role::Warn, doubt);
        say(
            Role::Text,
            "It may have been promoted or not. Send nothing else to either region until this is known; to send the same \
             promotion again is safe.",
        );
    }
    if let Some(reading) = &said {
        let promotion = reading.value;
        if let Some(error) = &promotion.error {
            say(Role::Crit, error);
        }
        say(Role::Text, &fence_words(model, sent, promotion));
        if let (Some(loss), Standing::Done) = (&promotion.loss, sent.outcome()) {
            say(Role::Text, &format!("Lost: {}", loss.words));
        }
        // A region that is asked later knows the moment of the promotion, not how long it took.
        if let Some(at) = promotion.ended_at.filter(|at| *at > promotion.began_at) {
            let pause = promotion.pause_ms.map_or_else(String::new, |ms| format!(", {ms} ms of them without writes"));
            let took = millis(at.since(promotion.began_at).as_secs_f64() * 1_000.0);
            // Of one that was sent here the time of day is known to who sent it.
            let began = match &sent.plan {
                None => format!("It began {} ago and took", duration(model.now.since(sent.sent_at))),
                Some(_) => "It took".into(),
            };
            say(Role::Muted, &format!("{began} {took}{pause}."));
        }
        if sent.outcome() == Standing::Done {
            say(Role::Title, &next_words(model, sent, region));
        }
        rows.push(Line::from(vec![paint.muted(format!("{} said so ", reading.source)), paint.ago(reading.age)]));
    }
    rows.push(Line::default());
    let mut keys = Vec::new();
    if sent.outcome() == Standing::Unknown && sent.plan.is_some() {
        keys.push(hint("s", "send the same again"));
    }
    if sent.can_be_cancelled() {
        keys.push(hint("c", "call it off"));
    }
    if sent.is_settled() {
        keys.push(hint("w", "write the report"));
    }
    keys.push(hint("esc", if sent.is_settled() { "close" } else { "leave (it goes on; p comes back here)" }));
    (rows, hints(paint, &keys, width))
}

/// What is known of the old primary: what it told the new one, else what it tells this console.
fn fence_words(model: &Model, sent: &Sent, promotion: &Promotion) -> String {
    if let FenceProof::Acknowledged { reached, .. } = &promotion.fence {
        return format!("The old primary said, durably, that it takes no more writes; it had reached {reached}.");
    }
    let regions = model.here.world.regions();
    let fenced = regions.iter().find_map(|region| {
        let reading = region.read(model.now)?;
        let fence = reading.value.fence.as_ref().filter(|fence| Some(fence.by_epoch) >= sent.epoch())?;
        Some((region.name.clone(), fence.reached, reading.age))
    });
    match fenced {
        Some((name, reached, age)) => {
            let age = duration(age);
            format!(
                "{name} itself says that it is fenced and takes no more writes ({age} ago); it had reached {reached}."
            )
        }
        None => "Fence unproven: the old primary was not heard since and may still take writes in its own epoch. Make \
                 sure that nothing reaches it."
            .into(),
    }
}
